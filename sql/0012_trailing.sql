-- Trailing stops: their terms on decisions, and their marks. Several take-profits of one BUY.

-- In a table that was adopted, a column of such a name may exist already; adoption.py checks its type.
ALTER TABLE trading_decisions ADD COLUMN IF NOT EXISTS take_profits jsonb;
ALTER TABLE trading_decisions ADD COLUMN IF NOT EXISTS trail numeric(38,18);
ALTER TABLE trading_decisions ADD COLUMN IF NOT EXISTS trail_pct numeric(38,18);
ALTER TABLE trading_decisions ADD COLUMN IF NOT EXISTS trailing_stop numeric(38,18);
ALTER TABLE trading_decisions ADD COLUMN IF NOT EXISTS trailing_stop_pct numeric(38,18);

-- Whether a value is a list of take-profits; domain/trading/open_orders/targets.py checks the same. A CHECK has no subquery.
CREATE FUNCTION paper_take_profits_are_valid(list jsonb) RETURNS boolean LANGUAGE sql IMMUTABLE
RETURN CASE
        WHEN list IS NULL THEN true
        WHEN jsonb_typeof(list) <> 'array' THEN false
        ELSE jsonb_array_length(list) BETWEEN 1 AND 10 AND (
            SELECT bool_and(CASE
                WHEN jsonb_typeof(one) <> 'object' THEN false
                WHEN ARRAY(SELECT jsonb_object_keys(one) ORDER BY 1) NOT IN (ARRAY['price', 'share'], ARRAY['pct', 'share']) THEN false
                WHEN jsonb_typeof(one -> 'share') <> 'number' OR jsonb_typeof(coalesce(one -> 'price', one -> 'pct')) <> 'number' THEN false
                ELSE (one ->> 'share')::numeric > 0 AND (one ->> 'share')::numeric <= 1 AND scale((one ->> 'share')::numeric) <= 18
                     AND coalesce(one ->> 'price', one ->> 'pct')::numeric > 0
                     AND coalesce(one ->> 'price', one ->> 'pct')::numeric < 1e20
                     AND scale(coalesce(one ->> 'price', one ->> 'pct')::numeric) <= 18
            END) FROM jsonb_array_elements(list) one)
    END;
CREATE FUNCTION paper_take_profit_shares(list jsonb) RETURNS numeric LANGUAGE sql IMMUTABLE
RETURN CASE WHEN paper_take_profits_are_valid(list) AND list IS NOT NULL
                THEN (SELECT sum((one ->> 'share')::numeric) FROM jsonb_array_elements(list) one) ELSE 0 END;

-- As in 0011: the sentences are those of domain/trading/open_orders/terms.py, and no old row is read.
ALTER TABLE trading_decisions
    DROP CONSTRAINT IF EXISTS "order_type must be market, limit, stop or stop_limit",
    DROP CONSTRAINT IF EXISTS "only a BUY or SELL has terms such as order_type or limit_price",
    DROP CONSTRAINT IF EXISTS "time_in_force IOC and FOK are for limit orders",
    DROP CONSTRAINT IF EXISTS "stop_loss and take_profit are for a BUY",
    DROP CONSTRAINT IF EXISTS "an exit has a price or a fraction, not both",
    ADD CONSTRAINT "order_type: market, limit, stop, stop_limit or trailing_stop"
        CHECK (order_type IS NOT NULL AND order_type IN ('market', 'limit', 'stop', 'stop_limit', 'trailing_stop')) NOT VALID,
    ADD CONSTRAINT "trail must be a number above 0" CHECK (trail > 0 AND trail < 1e20) NOT VALID,
    ADD CONSTRAINT "trail_pct must be a number above 0 and below 1" CHECK (trail_pct > 0 AND trail_pct < 1) NOT VALID,
    ADD CONSTRAINT "trailing_stop must be a number above 0" CHECK (trailing_stop > 0 AND trailing_stop < 1e20) NOT VALID,
    ADD CONSTRAINT "trailing_stop_pct must be a number above 0 and below 1"
        CHECK (trailing_stop_pct > 0 AND trailing_stop_pct < 1) NOT VALID,
    ADD CONSTRAINT "only a BUY or SELL has terms such as order_type or limit_price"
        CHECK (upper(btrim(decision)) IN ('BUY', 'SELL')
               OR order_type = 'market' AND NOT coalesce(post_only, false) AND NOT coalesce(reduce_only, false)
                  AND coalesce(limit_price, stop_price, stop_loss, stop_loss_pct, take_profit, take_profit_pct, trail, trail_pct,
                               trailing_stop, trailing_stop_pct) IS NULL AND take_profits IS NULL
                  AND time_in_force IS NULL AND order_expires_at IS NULL) NOT VALID,
    ADD CONSTRAINT "a trailing_stop order, and no other, has a trail or a trail_pct"
        CHECK (num_nonnulls(trail, trail_pct) = CASE order_type WHEN 'trailing_stop' THEN 1 ELSE 0 END) NOT VALID,
    ADD CONSTRAINT "time_in_force IOC and FOK are for limit orders"
        CHECK (time_in_force IS NULL OR time_in_force NOT IN ('IOC', 'FOK') OR order_type IN ('market', 'limit')) NOT VALID,
    ADD CONSTRAINT "stop_loss, take_profit and trailing_stop are for a BUY"
        CHECK (coalesce(stop_loss, stop_loss_pct, take_profit, take_profit_pct, trailing_stop, trailing_stop_pct) IS NULL
                  AND take_profits IS NULL
               OR upper(btrim(decision)) = 'BUY') NOT VALID,
    ADD CONSTRAINT "an exit has a price or a fraction, not both"
        CHECK (num_nonnulls(stop_loss, stop_loss_pct) < 2 AND num_nonnulls(take_profit, take_profit_pct) < 2
               AND num_nonnulls(trailing_stop, trailing_stop_pct) < 2) NOT VALID,
    ADD CONSTRAINT "take_profits must be 1 to 10 of price or pct, each with a share"
        CHECK (paper_take_profits_are_valid(take_profits)) NOT VALID,
    ADD CONSTRAINT "the shares of take_profits add up to at most 1" CHECK (paper_take_profit_shares(take_profits) <= 1) NOT VALID,
    ADD CONSTRAINT "a BUY has take_profit or take_profits, not both"
        CHECK (take_profits IS NULL OR num_nonnulls(take_profit, take_profit_pct) = 0) NOT VALID,
    ADD CONSTRAINT "a BUY has one stop_loss or one trailing_stop, not both"
        CHECK (num_nonnulls(stop_loss, stop_loss_pct) = 0 OR num_nonnulls(trailing_stop, trailing_stop_pct) = 0) NOT VALID;

-- The guards of 0011, with the new columns.
DROP TRIGGER IF EXISTS paper_decision_ends_once ON trading_decisions;
CREATE TRIGGER paper_decision_ends_once BEFORE UPDATE ON trading_decisions FOR EACH ROW
    WHEN (OLD.processed_at IS NOT NULL
          AND (NEW.uid, NEW.portfolio, NEW.symbol, NEW.decision, NEW.confidence, NEW.risk_score, NEW.quantity,
               NEW.order_type, NEW.limit_price, NEW.stop_price, NEW.time_in_force, NEW.order_expires_at, NEW.post_only, NEW.reduce_only,
               NEW.stop_loss, NEW.stop_loss_pct, NEW.take_profit, NEW.take_profit_pct, NEW.target,
               NEW.take_profits, NEW.trail, NEW.trail_pct, NEW.trailing_stop, NEW.trailing_stop_pct,
               NEW.created_at, NEW.status, NEW.outcome_reason, NEW.order_id, NEW.processed_at)
              IS DISTINCT FROM
              (OLD.uid, OLD.portfolio, OLD.symbol, OLD.decision, OLD.confidence, OLD.risk_score, OLD.quantity,
               OLD.order_type, OLD.limit_price, OLD.stop_price, OLD.time_in_force, OLD.order_expires_at, OLD.post_only, OLD.reduce_only,
               OLD.stop_loss, OLD.stop_loss_pct, OLD.take_profit, OLD.take_profit_pct, OLD.target,
               OLD.take_profits, OLD.trail, OLD.trail_pct, OLD.trailing_stop, OLD.trailing_stop_pct,
               OLD.created_at, OLD.status, OLD.outcome_reason, OLD.order_id, OLD.processed_at))
    EXECUTE FUNCTION paper_decision_guard();
DROP TRIGGER IF EXISTS paper_decision_stands ON trading_decisions;
CREATE TRIGGER paper_decision_stands BEFORE UPDATE ON trading_decisions FOR EACH ROW
    WHEN (OLD.processed_at IS NULL
          AND (NEW.id, NEW.uid, NEW.portfolio, NEW.asset_class, NEW.symbol, NEW.decision, NEW.confidence, NEW.risk_score,
               NEW.quantity, NEW.strategy, NEW.order_type, NEW.limit_price, NEW.stop_price, NEW.time_in_force,
               NEW.order_expires_at, NEW.post_only, NEW.reduce_only, NEW.stop_loss, NEW.stop_loss_pct, NEW.take_profit, NEW.take_profit_pct,
               NEW.take_profits, NEW.trail, NEW.trail_pct, NEW.trailing_stop, NEW.trailing_stop_pct, NEW.target, NEW.created_at, NEW.expires_at)
              IS DISTINCT FROM
              (OLD.id, OLD.uid, OLD.portfolio, OLD.asset_class, OLD.symbol, OLD.decision, OLD.confidence, OLD.risk_score,
               OLD.quantity, OLD.strategy, OLD.order_type, OLD.limit_price, OLD.stop_price, OLD.time_in_force,
               OLD.order_expires_at, OLD.post_only, OLD.reduce_only, OLD.stop_loss, OLD.stop_loss_pct, OLD.take_profit, OLD.take_profit_pct,
               OLD.take_profits, OLD.trail, OLD.trail_pct, OLD.trailing_stop, OLD.trailing_stop_pct, OLD.target, OLD.created_at, OLD.expires_at))
    EXECUTE FUNCTION paper_decision_stands();

-- stop_price of a trailing stop is its first one, and after its trigger the one that was reached. trail_mark is the highest
-- mark since its acceptance, for a BUY the lowest: it moves without an event. trail_data_no is the number of the last data
-- that moved it.
ALTER TABLE paper_orders ADD COLUMN take_profits jsonb;
ALTER TABLE paper_orders ADD COLUMN trail numeric(38,18);
ALTER TABLE paper_orders ADD COLUMN trail_pct numeric(38,18);
ALTER TABLE paper_orders ADD COLUMN trail_mark numeric(38,18);
ALTER TABLE paper_orders ADD COLUMN trail_data_no bigint;
ALTER TABLE paper_orders ADD COLUMN trailing_stop numeric(38,18);
ALTER TABLE paper_orders ADD COLUMN trailing_stop_pct numeric(38,18);
ALTER TABLE paper_order_events ADD COLUMN trail_mark numeric(38,18);

-- The present stop price of an order that waits for its trigger; domain/trading/open_orders/open_order.py computes the same.
CREATE FUNCTION paper_stop_price(o paper_orders) RETURNS numeric LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE
        WHEN o.trail_mark IS NULL OR o.triggered_at IS NOT NULL THEN o.stop_price
        ELSE greatest(o.tick, trim_scale(o.tick * round(
            (o.trail_mark + CASE o.side WHEN 'SELL' THEN -1 ELSE 1 END * coalesce(o.trail, o.trail_mark * o.trail_pct)) / o.tick)))
    END
$$;

-- The exits of a BUY that has none of its own: fractions of its entry price, NULL: none. No existing row is written.
ALTER TABLE paper_trading_config ADD COLUMN default_stop_loss numeric(38,18);
ALTER TABLE paper_trading_config ADD COLUMN default_take_profit numeric(38,18);
ALTER TABLE paper_trading_config
    ADD CONSTRAINT "default_stop_loss must be a fraction above 0 and below 1" CHECK (default_stop_loss > 0 AND default_stop_loss < 1),
    ADD CONSTRAINT "default_take_profit must be a fraction above 0"
        CHECK (default_take_profit > 0 AND default_take_profit < 1e20);
ALTER TABLE paper_portfolio_rules ADD COLUMN default_stop_loss numeric(38,18);
ALTER TABLE paper_portfolio_rules ADD COLUMN default_take_profit numeric(38,18);
