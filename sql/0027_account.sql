-- Deposits, withdrawals, and changes of an instrument: splits, dividends, write-offs. A request of the owner becomes an event.

-- What the owner asks for. Inserted by the owner, ended once by the PositionKeeper in the transaction of the event.
CREATE TABLE paper_account_requests (
    id           bigint         GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    uid          uuid           NOT NULL DEFAULT gen_random_uuid() UNIQUE,
    portfolio    text           NOT NULL REFERENCES paper_trading_config,
    kind         text           NOT NULL,
    symbol       text,
    amount       numeric(38,18),
    price        numeric(38,18),
    ratio_new    numeric(38,18),
    ratio_old    numeric(38,18),
    new_symbol   text,
    reason       text           NOT NULL,
    author       text           NOT NULL DEFAULT current_user,
    requested_at timestamptz    NOT NULL DEFAULT now(),
    status       text           NOT NULL DEFAULT 'pending',
    outcome      text,
    ended_at     timestamptz,
    CONSTRAINT "kind must be deposit, withdrawal or an adjustment" CHECK (kind IN
        ('deposit', 'withdrawal', 'split', 'symbol_change', 'redenomination', 'dividend', 'write_off')),
    CONSTRAINT "a deposit or withdrawal has no symbol, an adjustment has one"
        CHECK ((symbol IS NULL) = (kind IN ('deposit', 'withdrawal'))),
    CONSTRAINT "a deposit, withdrawal or dividend has an amount, and no other"
        CHECK ((amount IS NOT NULL) = (kind IN ('deposit', 'withdrawal', 'dividend'))),
    CONSTRAINT "amount must be above 0" CHECK (amount > 0 AND amount < 1e20),
    CONSTRAINT "a deposit or withdrawal has at most 12 decimals" CHECK (kind = 'dividend' OR amount = round(amount, 12)),
    CONSTRAINT "a write-off has a price, and no other" CHECK ((price IS NOT NULL) = (kind = 'write_off')),
    CONSTRAINT "price must be 0 or more" CHECK (price >= 0 AND price < 1e20),
    CONSTRAINT "a split or redenomination has a ratio, and no other"
        CHECK (num_nonnulls(ratio_new, ratio_old) = CASE WHEN kind IN ('split', 'redenomination') THEN 2 ELSE 0 END),
    CONSTRAINT "the parts of a ratio must be from 0.000001 to 1000000" CHECK (ratio_new BETWEEN 0.000001 AND 1000000
        AND ratio_old BETWEEN 0.000001 AND 1000000),
    CONSTRAINT "a split changes something" CHECK (kind <> 'split' OR ratio_new <> ratio_old),
    CONSTRAINT "a symbol change has a new_symbol, a redenomination may have one"
        CHECK (CASE kind WHEN 'symbol_change' THEN new_symbol IS NOT NULL WHEN 'redenomination' THEN true ELSE new_symbol IS NULL END),
    CONSTRAINT "symbol must be 1 to 100 characters without control characters" CHECK (symbol ~ '^[^[:cntrl:]]{1,100}$'),
    CONSTRAINT "new_symbol must be another name of 1 to 100 characters"
        CHECK (new_symbol ~ '^[^[:cntrl:]]{1,100}$' AND new_symbol <> symbol),
    CONSTRAINT "reason of a request must be 1 to 1 000 characters" CHECK (reason ~ '[^[:space:]]' AND length(reason) <= 1000),
    CONSTRAINT "author must be 1 to 100 characters" CHECK (author ~ '[^[:space:]]' AND length(author) <= 100),
    CONSTRAINT "status of a request must be pending, done or refused" CHECK (status IN ('pending', 'done', 'refused')),
    CONSTRAINT "an ended request has an outcome and a time"
        CHECK ((status = 'pending') = (outcome IS NULL) AND (status = 'pending') = (ended_at IS NULL))
);
CREATE INDEX paper_account_requests_pending ON paper_account_requests (id) WHERE status = 'pending';

-- A request begins as pending, is ended once by the PositionKeeper, and never changes otherwise.
CREATE FUNCTION paper_account_request_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.status <> 'pending' THEN
            RAISE EXCEPTION 'a request begins as pending; leave status, outcome and ended_at out' USING ERRCODE = 'check_violation';
        END IF;
        RETURN NEW;
    END IF;
    IF TG_OP = 'UPDATE' AND current_setting('paper.writer', true) = 'PositionKeeper' AND OLD.status = 'pending'
       AND to_jsonb(NEW) - ARRAY['status', 'outcome', 'ended_at'] = to_jsonb(OLD) - ARRAY['status', 'outcome', 'ended_at'] THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'a request for an account never changes; insert another' USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER paper_account_request_guard BEFORE INSERT OR UPDATE OR DELETE ON paper_account_requests
    FOR EACH ROW EXECUTE FUNCTION paper_account_request_guard();
CREATE TRIGGER paper_account_requests_wake AFTER INSERT OR UPDATE ON paper_account_requests
    FOR EACH STATEMENT EXECUTE FUNCTION paper_wake('paper_account');

-- Events of portfolios that no order makes. cash is that after the event; the deltas of holdings are signed, negative for SHORT.
-- Written by the PositionKeeper.
CREATE TABLE paper_account_events (
    portfolio       text           NOT NULL REFERENCES paper_trading_config,
    version         bigint         NOT NULL,
    request_id      bigint         NOT NULL UNIQUE REFERENCES paper_account_requests,
    kind            text           NOT NULL,
    at              timestamptz    NOT NULL,
    data_no         bigint         NOT NULL,
    symbol          text,
    new_symbol      text,
    position_id     uuid,
    amount          numeric(38,18),
    price           numeric(38,18),
    ratio_new       numeric(38,18),
    ratio_old       numeric(38,18),
    quantity_before numeric(38,18),
    quantity        numeric(38,18),
    cash_delta      numeric(38,12) NOT NULL,
    asset_delta     numeric(38,18) NOT NULL,
    new_asset_delta numeric(38,18) NOT NULL,
    cash            numeric(38,12) NOT NULL,
    orders          integer        NOT NULL,
    reason          text           NOT NULL,
    author          text           NOT NULL,
    PRIMARY KEY (portfolio, version)
);

-- The open orders that a split has changed, as they are after it. Written by the PositionKeeper.
CREATE TABLE paper_order_splits (
    order_id    uuid           NOT NULL REFERENCES paper_orders,
    portfolio   text           NOT NULL,
    version     bigint         NOT NULL,
    at          timestamptz    NOT NULL,
    data_no     bigint         NOT NULL,
    quantity    numeric(38,18) NOT NULL,
    filled      numeric(38,18) NOT NULL,
    limit_price numeric(38,18),
    stop_price  numeric(38,18),
    trail_mark  numeric(38,18),
    reserved    numeric(38,12) NOT NULL,
    reason      text           NOT NULL,
    PRIMARY KEY (order_id, version)
);
CREATE TRIGGER paper_writer_guard BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON paper_account_events FOR EACH STATEMENT
    WHEN (current_setting('paper.writer', true) IS DISTINCT FROM 'PositionKeeper') EXECUTE FUNCTION paper_writer_guard();
CREATE TRIGGER paper_writer_guard BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON paper_order_splits FOR EACH STATEMENT
    WHEN (current_setting('paper.writer', true) IS DISTINCT FROM 'PositionKeeper') EXECUTE FUNCTION paper_writer_guard();

-- By how much filled_quantity differs from the sum of the fills, because a split has changed the units of earlier ones.
ALTER TABLE paper_orders ADD COLUMN split_quantity numeric(38,18) NOT NULL DEFAULT 0;
-- When a split changed the units of a position: prices from before it do not value the position.
ALTER TABLE paper_positions ADD COLUMN split_at timestamptz;
-- Deposits less withdrawals up to the snapshot.
ALTER TABLE paper_portfolio_snapshots ADD COLUMN net_deposits numeric(38,12) NOT NULL DEFAULT 0;
