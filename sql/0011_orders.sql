-- Orders that rest: their terms on decisions, their state, and the events of each portfolio.

-- How an order is executed. In a table that was adopted, a column of such a name may exist already; adoption.py checks its type.
ALTER TABLE trading_decisions ADD COLUMN IF NOT EXISTS order_type text NOT NULL DEFAULT 'market';
ALTER TABLE trading_decisions ADD COLUMN IF NOT EXISTS limit_price numeric(38,18);
ALTER TABLE trading_decisions ADD COLUMN IF NOT EXISTS stop_price numeric(38,18);
ALTER TABLE trading_decisions ADD COLUMN IF NOT EXISTS time_in_force text;
ALTER TABLE trading_decisions ADD COLUMN IF NOT EXISTS order_expires_at timestamptz;
ALTER TABLE trading_decisions ADD COLUMN IF NOT EXISTS post_only boolean NOT NULL DEFAULT false;
ALTER TABLE trading_decisions ADD COLUMN IF NOT EXISTS reduce_only boolean NOT NULL DEFAULT false;
ALTER TABLE trading_decisions ADD COLUMN IF NOT EXISTS stop_loss numeric(38,18);
ALTER TABLE trading_decisions ADD COLUMN IF NOT EXISTS stop_loss_pct numeric(38,18);
ALTER TABLE trading_decisions ADD COLUMN IF NOT EXISTS take_profit numeric(38,18);
ALTER TABLE trading_decisions ADD COLUMN IF NOT EXISTS take_profit_pct numeric(38,18);
ALTER TABLE trading_decisions ADD COLUMN IF NOT EXISTS target text;
ALTER TABLE trading_decisions
    ALTER COLUMN order_type SET DEFAULT 'market', ALTER COLUMN post_only SET DEFAULT false, ALTER COLUMN reduce_only SET DEFAULT false;

-- The sentences are those of domain/trading/open_orders/terms.py. NOT VALID: they are for new rows, and no old one is read.
-- A CHECK that is NULL holds, so each one gives true or false where a column may be NULL.
ALTER TABLE trading_decisions
    DROP CONSTRAINT IF EXISTS "decision must be BUY, SELL or HOLD",
    DROP CONSTRAINT IF EXISTS "an executed decision names its order",
    ADD CONSTRAINT "decision must be BUY, SELL, HOLD or CANCEL"
        CHECK (upper(btrim(decision)) IN ('BUY', 'SELL', 'HOLD', 'CANCEL')) NOT VALID,
    ADD CONSTRAINT "an executed decision names its order"
        CHECK (status <> 'executed' OR order_id IS NOT NULL OR upper(btrim(decision)) = 'CANCEL') NOT VALID,
    ADD CONSTRAINT "only a CANCEL may have the symbol *" CHECK (symbol <> '*' OR upper(btrim(decision)) = 'CANCEL') NOT VALID,
    ADD CONSTRAINT "order_type must be market, limit, stop or stop_limit"
        CHECK (order_type IS NOT NULL AND order_type IN ('market', 'limit', 'stop', 'stop_limit')) NOT VALID,
    ADD CONSTRAINT "time_in_force must be GTC, IOC, FOK or GTD" CHECK (time_in_force IN ('GTC', 'IOC', 'FOK', 'GTD')) NOT VALID,
    ADD CONSTRAINT "target must be 1 to 100 characters" CHECK (target ~ '[^[:space:]]' AND length(target) <= 100) NOT VALID,
    ADD CONSTRAINT "order_expires_at must be a moment"
        CHECK (order_expires_at >= '0001-01-02' AND order_expires_at < '9999-12-30') NOT VALID,
    ADD CONSTRAINT "limit_price must be a number above 0" CHECK (limit_price > 0 AND limit_price < 1e20) NOT VALID,
    ADD CONSTRAINT "stop_price must be a number above 0" CHECK (stop_price > 0 AND stop_price < 1e20) NOT VALID,
    ADD CONSTRAINT "stop_loss must be a number above 0" CHECK (stop_loss > 0 AND stop_loss < 1e20) NOT VALID,
    ADD CONSTRAINT "stop_loss_pct must be a number above 0 and below 1" CHECK (stop_loss_pct > 0 AND stop_loss_pct < 1) NOT VALID,
    ADD CONSTRAINT "take_profit must be a number above 0" CHECK (take_profit > 0 AND take_profit < 1e20) NOT VALID,
    ADD CONSTRAINT "take_profit_pct must be a number above 0" CHECK (take_profit_pct > 0 AND take_profit_pct < 1e20) NOT VALID,
    ADD CONSTRAINT "a CANCEL needs a target, and no other decision has one"
        CHECK ((upper(btrim(decision)) = 'CANCEL') = (target IS NOT NULL)) NOT VALID,
    ADD CONSTRAINT "only a BUY or SELL has terms such as order_type or limit_price"
        CHECK (upper(btrim(decision)) IN ('BUY', 'SELL')
               OR order_type = 'market' AND NOT coalesce(post_only, false) AND NOT coalesce(reduce_only, false)
                  AND coalesce(limit_price, stop_price, stop_loss, stop_loss_pct, take_profit, take_profit_pct) IS NULL
                  AND time_in_force IS NULL AND order_expires_at IS NULL) NOT VALID,
    ADD CONSTRAINT "limit_price is set exactly for limit and stop_limit orders"
        CHECK ((limit_price IS NOT NULL) = (order_type IN ('limit', 'stop_limit'))) NOT VALID,
    ADD CONSTRAINT "stop_price is set exactly for stop and stop_limit orders"
        CHECK ((stop_price IS NOT NULL) = (order_type IN ('stop', 'stop_limit'))) NOT VALID,
    ADD CONSTRAINT "a market order has no time_in_force" CHECK (time_in_force IS NULL OR order_type <> 'market') NOT VALID,
    ADD CONSTRAINT "time_in_force IOC and FOK are for limit orders"
        CHECK (time_in_force IS NULL OR time_in_force NOT IN ('IOC', 'FOK') OR order_type NOT IN ('stop', 'stop_limit')) NOT VALID,
    ADD CONSTRAINT "order_expires_at is set exactly with time_in_force GTD"
        CHECK ((order_expires_at IS NOT NULL) = (coalesce(time_in_force, '') = 'GTD')) NOT VALID,
    ADD CONSTRAINT "post_only is for limit orders with time_in_force GTC or GTD"
        CHECK (NOT coalesce(post_only, false) OR order_type = 'limit' AND coalesce(time_in_force, 'GTC') IN ('GTC', 'GTD')) NOT VALID,
    ADD CONSTRAINT "reduce_only is for a SELL"
        CHECK (NOT coalesce(reduce_only, false) OR upper(btrim(decision)) = 'SELL') NOT VALID,
    ADD CONSTRAINT "stop_loss and take_profit are for a BUY"
        CHECK (coalesce(stop_loss, stop_loss_pct, take_profit, take_profit_pct) IS NULL OR upper(btrim(decision)) = 'BUY') NOT VALID,
    ADD CONSTRAINT "an exit has a price or a fraction, not both"
        CHECK (num_nonnulls(stop_loss, stop_loss_pct) < 2 AND num_nonnulls(take_profit, take_profit_pct) < 2) NOT VALID;

-- A CANCEL may leave symbol and confidence out; domain/trading/decision.py fills in the same.
CREATE FUNCTION paper_decision_cancels() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.symbol := coalesce(NEW.symbol, '*');
    NEW.confidence := coalesce(NEW.confidence, 1);
    RETURN NEW;
END $$;
CREATE TRIGGER paper_decision_cancels BEFORE INSERT ON trading_decisions FOR EACH ROW
    WHEN (upper(btrim(NEW.decision)) = 'CANCEL' AND (NEW.symbol IS NULL OR NEW.confidence IS NULL))
    EXECUTE FUNCTION paper_decision_cancels();

-- The guards of 0002 and 0004, with the new columns.
DROP TRIGGER IF EXISTS paper_decision_ends_once ON trading_decisions;
CREATE TRIGGER paper_decision_ends_once BEFORE UPDATE ON trading_decisions FOR EACH ROW
    WHEN (OLD.processed_at IS NOT NULL
          AND (NEW.uid, NEW.portfolio, NEW.symbol, NEW.decision, NEW.confidence, NEW.risk_score, NEW.quantity,
               NEW.order_type, NEW.limit_price, NEW.stop_price, NEW.time_in_force, NEW.order_expires_at, NEW.post_only, NEW.reduce_only,
               NEW.stop_loss, NEW.stop_loss_pct, NEW.take_profit, NEW.take_profit_pct, NEW.target,
               NEW.created_at, NEW.status, NEW.outcome_reason, NEW.order_id, NEW.processed_at)
              IS DISTINCT FROM
              (OLD.uid, OLD.portfolio, OLD.symbol, OLD.decision, OLD.confidence, OLD.risk_score, OLD.quantity,
               OLD.order_type, OLD.limit_price, OLD.stop_price, OLD.time_in_force, OLD.order_expires_at, OLD.post_only, OLD.reduce_only,
               OLD.stop_loss, OLD.stop_loss_pct, OLD.take_profit, OLD.take_profit_pct, OLD.target,
               OLD.created_at, OLD.status, OLD.outcome_reason, OLD.order_id, OLD.processed_at))
    EXECUTE FUNCTION paper_decision_guard();
DROP TRIGGER IF EXISTS paper_decision_stands ON trading_decisions;
CREATE TRIGGER paper_decision_stands BEFORE UPDATE ON trading_decisions FOR EACH ROW
    WHEN (OLD.processed_at IS NULL
          AND (NEW.id, NEW.uid, NEW.portfolio, NEW.asset_class, NEW.symbol, NEW.decision, NEW.confidence, NEW.risk_score,
               NEW.quantity, NEW.strategy, NEW.order_type, NEW.limit_price, NEW.stop_price, NEW.time_in_force,
               NEW.order_expires_at, NEW.post_only, NEW.reduce_only, NEW.stop_loss, NEW.stop_loss_pct, NEW.take_profit, NEW.take_profit_pct,
               NEW.target, NEW.created_at, NEW.expires_at)
              IS DISTINCT FROM
              (OLD.id, OLD.uid, OLD.portfolio, OLD.asset_class, OLD.symbol, OLD.decision, OLD.confidence, OLD.risk_score,
               OLD.quantity, OLD.strategy, OLD.order_type, OLD.limit_price, OLD.stop_price, OLD.time_in_force,
               OLD.order_expires_at, OLD.post_only, OLD.reduce_only, OLD.stop_loss, OLD.stop_loss_pct, OLD.take_profit, OLD.take_profit_pct,
               OLD.target, OLD.created_at, OLD.expires_at))
    EXECUTE FUNCTION paper_decision_stands();

-- The order of an open decision rests in the market, so only the program opens, ends or deletes the decision.
CREATE FUNCTION paper_decision_rests() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.status = 'open' THEN
        RAISE EXCEPTION 'decision % rests in the market; INSERT a CANCEL with target = ''%''', OLD.id, OLD.id
            USING ERRCODE = 'check_violation';
    END IF;
    RAISE EXCEPTION 'decision % becomes open by the program alone', OLD.id USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER paper_decision_rests BEFORE UPDATE ON trading_decisions FOR EACH ROW
    WHEN ((OLD.status = 'open' OR NEW.status = 'open')
          AND current_setting('paper.writer', true) IS DISTINCT FROM 'PositionKeeper'
          AND (NEW.status, NEW.outcome_reason, NEW.order_id, NEW.processed_at)
              IS DISTINCT FROM (OLD.status, OLD.outcome_reason, OLD.order_id, OLD.processed_at))
    EXECUTE FUNCTION paper_decision_rests();
CREATE TRIGGER paper_decision_stays BEFORE DELETE ON trading_decisions FOR EACH ROW
    WHEN (OLD.status = 'open') EXECUTE FUNCTION paper_decision_rests();

-- When a resting order is filled: where the market reaches its limit or only where it goes through it, and what it gets of a
-- bar's volume. No existing row is written.
ALTER TABLE paper_trading_config ADD COLUMN fill_on_touch boolean NOT NULL DEFAULT false;
ALTER TABLE paper_trading_config ADD COLUMN max_bar_share numeric(38,18) NOT NULL DEFAULT 0.1;
ALTER TABLE paper_trading_config
    ADD CONSTRAINT "max_bar_share must be a fraction above 0, at most 1" CHECK (max_bar_share > 0 AND max_bar_share <= 1);
ALTER TABLE paper_portfolio_rules ADD COLUMN fill_on_touch boolean NOT NULL DEFAULT false;
ALTER TABLE paper_portfolio_rules ADD COLUMN max_bar_share numeric(38,18) NOT NULL DEFAULT 0.1;

-- An order while it rests, and how it ended. step, the two minima and quote_currency are the instrument's, as it was accepted.
ALTER TABLE paper_orders ADD COLUMN stop_price numeric(38,18);
ALTER TABLE paper_orders ADD COLUMN time_in_force text;
ALTER TABLE paper_orders ADD COLUMN order_expires_at timestamptz;
ALTER TABLE paper_orders ADD COLUMN post_only boolean NOT NULL DEFAULT false;
ALTER TABLE paper_orders ADD COLUMN reduce_only boolean NOT NULL DEFAULT false;
ALTER TABLE paper_orders ADD COLUMN parent uuid;
ALTER TABLE paper_orders ADD COLUMN since bigint;
ALTER TABLE paper_orders ADD COLUMN reserved numeric(38,12) NOT NULL DEFAULT 0;
ALTER TABLE paper_orders ADD COLUMN triggered_at timestamptz;
ALTER TABLE paper_orders ADD COLUMN ended_at timestamptz;
ALTER TABLE paper_orders ADD COLUMN end_reason text;
ALTER TABLE paper_orders ADD COLUMN note text;
ALTER TABLE paper_orders ADD COLUMN stop_loss numeric(38,18);
ALTER TABLE paper_orders ADD COLUMN stop_loss_pct numeric(38,18);
ALTER TABLE paper_orders ADD COLUMN take_profit numeric(38,18);
ALTER TABLE paper_orders ADD COLUMN take_profit_pct numeric(38,18);
ALTER TABLE paper_orders ADD COLUMN step numeric(38,18);
ALTER TABLE paper_orders ADD COLUMN min_quantity numeric(38,18);
ALTER TABLE paper_orders ADD COLUMN min_notional numeric(38,18);
ALTER TABLE paper_orders ADD COLUMN quote_currency text;
-- The quantity of an exit is that of its entry's fills, so nothing was sized.
ALTER TABLE paper_orders ALTER COLUMN equity DROP NOT NULL;
ALTER TABLE paper_orders
    DROP CONSTRAINT "order_type must be market or limit",
    DROP CONSTRAINT "order status must be open, filled, cancelled or expired",
    ADD CONSTRAINT "order_type of an order must be one of the known words"
        CHECK (order_type IN ('market', 'limit', 'stop', 'stop_limit', 'trailing_stop')) NOT VALID,
    ADD CONSTRAINT "order status must be one of the known words"
        CHECK (status IN ('open', 'filled', 'cancelled', 'expired', 'rejected')) NOT VALID,
    ADD CONSTRAINT "legs above 1 name their entry as parent, and leg 1 has none" CHECK ((leg > 1) = (parent IS NOT NULL)) NOT VALID,
    ADD CONSTRAINT "reserved must be an amount of 0 or more" CHECK (reserved >= 0 AND reserved < 1e24) NOT VALID,
    ADD CONSTRAINT "only an open order reserves cash" CHECK (status = 'open' OR reserved = 0) NOT VALID,
    ADD CONSTRAINT "an order that can be matched has a since" CHECK (status <> 'open' OR since IS NOT NULL) NOT VALID,
    ADD CONSTRAINT "ended_at is set exactly when an order ended unfilled"
        CHECK ((status IN ('cancelled', 'expired', 'rejected')) = (ended_at IS NOT NULL)) NOT VALID;
CREATE INDEX paper_orders_open ON paper_orders (portfolio, seq) WHERE status = 'open';

-- An order may have more fills than a smallint counts. Two views depend on the column; sql/views/ makes them anew, and the
-- rights that other roles have on them stay. This writes all rows of paper_fills anew.
DO $$ BEGIN
    -- By its schema: another one in the search path may have a view of this name, too.
    EXECUTE format('DROP VIEW IF EXISTS %1$I.v_paper_ledger_check, %1$I.v_paper_fill_sources', current_schema());
END $$;
ALTER TABLE paper_fills ALTER COLUMN fill_no TYPE integer;
ALTER TABLE paper_fills ADD COLUMN version bigint;
ALTER TABLE paper_fills ADD COLUMN data_no bigint;
ALTER TABLE paper_fills ADD COLUMN is_trade boolean NOT NULL DEFAULT false;
ALTER TABLE paper_fills ADD COLUMN ambiguous boolean NOT NULL DEFAULT false;
-- What was filled last is found without reading the rest; rows lie in the order of their time.
CREATE INDEX paper_fills_time ON paper_fills USING brin (filled_at);

-- What happened to orders beside their fills. version counts the events of a portfolio, fills included. Written by the
-- PositionKeeper.
CREATE TABLE paper_order_events (
    portfolio     text           NOT NULL,
    version       bigint         NOT NULL,
    order_id      uuid           NOT NULL,
    symbol        text           NOT NULL,
    kind          text           NOT NULL,
    at            timestamptz    NOT NULL,
    data_no       bigint         NOT NULL,
    quantity      numeric(38,18) NOT NULL,
    limit_price   numeric(38,18),
    stop_price    numeric(38,18),
    reserved      numeric(38,12) NOT NULL,
    status        text           NOT NULL,
    reason        text,
    price         numeric(38,18),
    bid           numeric(38,18),
    ask           numeric(38,18),
    price_time    timestamptz,
    price_seen_at timestamptz,
    price_source  text,
    PRIMARY KEY (portfolio, version),
    CONSTRAINT "kind must be accepted, triggered, amended or ended" CHECK (kind IN ('accepted', 'triggered', 'amended', 'ended'))
);
CREATE INDEX paper_order_events_order ON paper_order_events (order_id);
-- The number of the last data that filled or triggered an open order of a symbol: a resting order is a maker, and a stop is
-- filled by the data that triggered it.
CREATE INDEX paper_order_events_triggered ON paper_order_events (portfolio, symbol, data_no) WHERE kind = 'triggered';
CREATE INDEX paper_fills_resting ON paper_fills (portfolio, symbol, data_no) WHERE liquidity = 'maker';

-- The version of each portfolio, and the number of the last market data that an event of it rests on. Written by the
-- PositionKeeper. A portfolio without a row has the version of its last order.
CREATE TABLE paper_portfolio_state (
    portfolio text   PRIMARY KEY,
    version   bigint NOT NULL,
    data_no   bigint NOT NULL
);
CREATE TRIGGER paper_writer_guard BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON paper_order_events FOR EACH STATEMENT
    WHEN (current_setting('paper.writer', true) IS DISTINCT FROM 'PositionKeeper') EXECUTE FUNCTION paper_writer_guard();
CREATE TRIGGER paper_writer_guard BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON paper_portfolio_state FOR EACH STATEMENT
    WHEN (current_setting('paper.writer', true) IS DISTINCT FROM 'PositionKeeper') EXECUTE FUNCTION paper_writer_guard();
