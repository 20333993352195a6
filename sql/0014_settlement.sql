-- What the market did while the program was away.

-- How far the open orders of a portfolio have seen the market: data_at is the market's time up to which they have seen
-- everything; settled_no is the number of the market data after which they see what a process receives.
ALTER TABLE paper_portfolio_state ADD COLUMN data_at timestamptz;
ALTER TABLE paper_portfolio_state ADD COLUMN settled_no bigint NOT NULL DEFAULT 0;
-- The source whose prices fill an order that rests; NULL: any.
ALTER TABLE paper_orders ADD COLUMN price_source text;
-- It happened while no process saw it, and was found out afterwards.
ALTER TABLE paper_fills ADD COLUMN recovered boolean NOT NULL DEFAULT false;
ALTER TABLE paper_order_events ADD COLUMN recovered boolean NOT NULL DEFAULT false;

-- One row for each portfolio and symbol that was settled after a downtime. gap says why nobody knows what the market did;
-- NULL where it is known. Written by the PositionKeeper.
CREATE TABLE paper_settlements (
    portfolio    text        NOT NULL,
    symbol       text        NOT NULL,
    since        timestamptz NOT NULL,
    until        timestamptz NOT NULL,
    price_source text        NOT NULL,
    trades       integer     NOT NULL,
    bars         integer     NOT NULL,
    gap          text,
    PRIMARY KEY (portfolio, symbol, until)
);
CREATE TRIGGER paper_writer_guard BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON paper_settlements FOR EACH STATEMENT
    WHEN (current_setting('paper.writer', true) IS DISTINCT FROM 'PositionKeeper') EXECUTE FUNCTION paper_writer_guard();
