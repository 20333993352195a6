-- The intake's question where there is a backlog: what is pending of a portfolio, in the order in which the database got it.
CREATE INDEX trading_decisions_turns ON trading_decisions
    (portfolio, received_at NULLS FIRST, (CASE WHEN received_at IS NULL THEN created_at END), id)
    WHERE processed_at IS NULL AND status = 'pending';
