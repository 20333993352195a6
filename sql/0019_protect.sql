-- PROTECT: exits for a position that is held already. And one sentence for each way in which a price can be missing.

-- The sentences are those of domain/trading/open_orders/terms.py. NOT VALID: they are for new rows, and no old one is read.
ALTER TABLE trading_decisions
    DROP CONSTRAINT IF EXISTS "decision must be BUY, SELL, HOLD, CANCEL or AMEND",
    DROP CONSTRAINT IF EXISTS "only a BUY or SELL has terms such as order_type or limit_price",
    DROP CONSTRAINT IF EXISTS "stop_loss, take_profit and trailing_stop are for a BUY",
    DROP CONSTRAINT IF EXISTS "a BUY has take_profit or take_profits, not both",
    DROP CONSTRAINT IF EXISTS "a BUY has one stop_loss or one trailing_stop, not both",
    DROP CONSTRAINT IF EXISTS "limit_price is set exactly for limit and stop_limit orders",
    DROP CONSTRAINT IF EXISTS "stop_price is set exactly for stop and stop_limit orders",
    DROP CONSTRAINT IF EXISTS "order_expires_at is set exactly with time_in_force GTD",
    ADD CONSTRAINT "decision must be BUY, SELL, HOLD, CANCEL, AMEND or PROTECT"
        CHECK (upper(btrim(decision)) IN ('BUY', 'SELL', 'HOLD', 'CANCEL', 'AMEND', 'PROTECT')) NOT VALID,
    ADD CONSTRAINT "only a BUY or SELL has terms such as order_type or limit_price"
        CHECK (upper(btrim(decision)) IN ('BUY', 'SELL', 'AMEND', 'PROTECT')
               OR order_type = 'market' AND NOT coalesce(post_only, false) AND NOT coalesce(reduce_only, false)
                  AND coalesce(limit_price, stop_price, stop_loss, stop_loss_pct, take_profit, take_profit_pct, trail, trail_pct,
                               trailing_stop, trailing_stop_pct) IS NULL AND take_profits IS NULL
                  AND time_in_force IS NULL AND order_expires_at IS NULL) NOT VALID,
    ADD CONSTRAINT "a PROTECT sets only stop_loss, take_profit and trailing_stop"
        CHECK (upper(btrim(decision)) <> 'PROTECT'
               OR order_type = 'market' AND NOT coalesce(post_only, false) AND NOT coalesce(reduce_only, false)
                  AND coalesce(quantity, limit_price, stop_price, trail, trail_pct) IS NULL
                  AND time_in_force IS NULL AND order_expires_at IS NULL) NOT VALID,
    ADD CONSTRAINT "stop_loss, take_profit, trailing_stop are for a BUY or PROTECT"
        CHECK (coalesce(stop_loss, stop_loss_pct, take_profit, take_profit_pct, trailing_stop, trailing_stop_pct) IS NULL
                  AND take_profits IS NULL
               OR upper(btrim(decision)) IN ('BUY', 'PROTECT')) NOT VALID,
    ADD CONSTRAINT "only one of take_profit and take_profits may be set"
        CHECK (take_profits IS NULL OR num_nonnulls(take_profit, take_profit_pct) = 0) NOT VALID,
    ADD CONSTRAINT "only one of stop_loss and trailing_stop may be set"
        CHECK (num_nonnulls(stop_loss, stop_loss_pct) = 0 OR num_nonnulls(trailing_stop, trailing_stop_pct) = 0) NOT VALID,
    ADD CONSTRAINT "limit_price needs order_type limit or stop_limit"
        CHECK (limit_price IS NULL OR order_type IN ('limit', 'stop_limit') OR upper(btrim(decision)) = 'AMEND') NOT VALID,
    ADD CONSTRAINT "order_type limit and stop_limit need a limit_price"
        CHECK (limit_price IS NOT NULL OR order_type NOT IN ('limit', 'stop_limit')) NOT VALID,
    ADD CONSTRAINT "stop_price needs order_type stop or stop_limit"
        CHECK (stop_price IS NULL OR order_type IN ('stop', 'stop_limit') OR upper(btrim(decision)) = 'AMEND') NOT VALID,
    ADD CONSTRAINT "order_type stop and stop_limit need a stop_price"
        CHECK (stop_price IS NOT NULL OR order_type NOT IN ('stop', 'stop_limit')) NOT VALID,
    ADD CONSTRAINT "order_expires_at needs time_in_force GTD"
        CHECK (order_expires_at IS NULL OR coalesce(time_in_force, '') = 'GTD' OR upper(btrim(decision)) = 'AMEND') NOT VALID,
    ADD CONSTRAINT "time_in_force GTD needs an order_expires_at"
        CHECK (order_expires_at IS NOT NULL OR coalesce(time_in_force, '') <> 'GTD') NOT VALID;

-- A PROTECT may leave confidence out, as a CANCEL and an AMEND may; it names the symbol of its position.
CREATE OR REPLACE FUNCTION paper_decision_cancels() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF upper(btrim(NEW.decision)) <> 'PROTECT' THEN
        NEW.symbol := coalesce(NEW.symbol, '*');
    END IF;
    NEW.confidence := coalesce(NEW.confidence, 1);
    RETURN NEW;
END $$;
DROP TRIGGER paper_decision_cancels ON trading_decisions;
CREATE TRIGGER paper_decision_cancels BEFORE INSERT ON trading_decisions FOR EACH ROW
    WHEN (upper(btrim(NEW.decision)) IN ('CANCEL', 'AMEND', 'PROTECT') AND (NEW.symbol IS NULL OR NEW.confidence IS NULL))
    EXECUTE FUNCTION paper_decision_cancels();
