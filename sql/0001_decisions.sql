-- The table of decisions. Where there is one already, persistence/adoption.py makes it obey the same rules.

-- Decisions: what a sender wants. Inserted by anyone; ended once, always WHERE processed_at IS NULL.
CREATE TABLE trading_decisions (
    id              bigint         GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    uid             uuid           NOT NULL DEFAULT gen_random_uuid(),
    portfolio       text           NOT NULL DEFAULT 'default',
    asset_class     text,
    symbol          text           NOT NULL,
    decision        text           NOT NULL,
    confidence      numeric(38,18) NOT NULL,
    risk_score      numeric(38,18),
    reasoning       text,
    current_price   numeric(38,18),
    quantity        numeric(38,18),
    strategy        text,
    created_at      timestamptz    NOT NULL DEFAULT now(),
    expires_at      timestamptz,
    idempotency_key text,
    status          text           NOT NULL DEFAULT 'pending',
    outcome_reason  text,
    order_id        uuid,
    processed_at    timestamptz,
    CONSTRAINT "uid was used before" UNIQUE (uid),
    CONSTRAINT "idempotency_key was used before" UNIQUE (idempotency_key),
    CONSTRAINT "symbol must be 1 to 100 characters" CHECK (symbol ~ '[^[:space:]]' AND length(symbol) <= 100),
    CONSTRAINT "portfolio must be 1 to 100 characters" CHECK (portfolio ~ '[^[:space:]]' AND length(portfolio) <= 100),
    CONSTRAINT "decision must be BUY, SELL or HOLD" CHECK (upper(btrim(decision)) IN ('BUY', 'SELL', 'HOLD')),
    CONSTRAINT "confidence must be a number from 0 to 1" CHECK (confidence >= 0 AND confidence <= 1),
    CONSTRAINT "risk_score must be a number from 0 to 1" CHECK (risk_score >= 0 AND risk_score <= 1),
    CONSTRAINT "reasoning must be at most 10 000 characters" CHECK (length(reasoning) <= 10000),
    CONSTRAINT "current_price must be a number above 0" CHECK (current_price > 0 AND current_price < 1e20),
    CONSTRAINT "quantity must be a number above 0" CHECK (quantity > 0 AND quantity < 1e20),
    CONSTRAINT "strategy must be at most 100 characters" CHECK (length(strategy) <= 100),
    CONSTRAINT "idempotency_key must be at most 100 characters" CHECK (length(idempotency_key) <= 100),
    CONSTRAINT "created_at must be a moment" CHECK (created_at >= '0001-01-02' AND created_at < '9999-12-30'),
    CONSTRAINT "expires_at must be a moment" CHECK (expires_at >= '0001-01-02' AND expires_at < '9999-12-30'),
    CONSTRAINT "status must be one of the known words"
        CHECK (status IN ('pending', 'open', 'executed', 'rejected', 'ignored', 'expired', 'cancelled')),
    CONSTRAINT "processed_at is set exactly when a decision has ended"
        CHECK ((status IN ('pending', 'open')) = (processed_at IS NULL)),
    CONSTRAINT "an executed decision names its order" CHECK (status <> 'executed' OR order_id IS NOT NULL)
);
-- The intake's question: what is pending, oldest first.
CREATE INDEX trading_decisions_pending ON trading_decisions (created_at, id)
    WHERE processed_at IS NULL AND status = 'pending';
CREATE INDEX trading_decisions_recent ON trading_decisions (created_at DESC, id DESC);
