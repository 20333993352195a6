-- AMEND: new values of an order that rests; and the commission rates of the venue.

-- The sentences are those of domain/trading/open_orders/terms.py. NOT VALID: they are for new rows, and no old one is read.
ALTER TABLE trading_decisions
    DROP CONSTRAINT IF EXISTS "decision must be BUY, SELL, HOLD or CANCEL",
    DROP CONSTRAINT IF EXISTS "only a CANCEL may have the symbol *",
    DROP CONSTRAINT IF EXISTS "a CANCEL needs a target, and no other decision has one",
    DROP CONSTRAINT IF EXISTS "only a BUY or SELL has terms such as order_type or limit_price",
    DROP CONSTRAINT IF EXISTS "limit_price is set exactly for limit and stop_limit orders",
    DROP CONSTRAINT IF EXISTS "stop_price is set exactly for stop and stop_limit orders",
    DROP CONSTRAINT IF EXISTS "order_expires_at is set exactly with time_in_force GTD",
    ADD CONSTRAINT "decision must be BUY, SELL, HOLD, CANCEL or AMEND"
        CHECK (upper(btrim(decision)) IN ('BUY', 'SELL', 'HOLD', 'CANCEL', 'AMEND')) NOT VALID,
    ADD CONSTRAINT "only a CANCEL or AMEND may have the symbol *"
        CHECK (symbol <> '*' OR upper(btrim(decision)) IN ('CANCEL', 'AMEND')) NOT VALID,
    ADD CONSTRAINT "a CANCEL or AMEND needs a target, and no other decision has one"
        CHECK ((upper(btrim(decision)) IN ('CANCEL', 'AMEND')) = (target IS NOT NULL)) NOT VALID,
    ADD CONSTRAINT "an AMEND needs a quantity, limit_price, stop_price or expiry"
        CHECK (upper(btrim(decision)) <> 'AMEND'
               OR num_nonnulls(quantity, limit_price, stop_price, order_expires_at) > 0) NOT VALID,
    ADD CONSTRAINT "an AMEND sets only quantity, limit_price, stop_price and expiry"
        CHECK (upper(btrim(decision)) <> 'AMEND'
               OR order_type = 'market' AND NOT coalesce(post_only, false) AND NOT coalesce(reduce_only, false)
                  AND time_in_force IS NULL
                  AND coalesce(stop_loss, stop_loss_pct, take_profit, take_profit_pct, trail, trail_pct, trailing_stop,
                               trailing_stop_pct) IS NULL AND take_profits IS NULL) NOT VALID,
    ADD CONSTRAINT "only a BUY or SELL has terms such as order_type or limit_price"
        CHECK (upper(btrim(decision)) IN ('BUY', 'SELL', 'AMEND')
               OR order_type = 'market' AND NOT coalesce(post_only, false) AND NOT coalesce(reduce_only, false)
                  AND coalesce(limit_price, stop_price, stop_loss, stop_loss_pct, take_profit, take_profit_pct, trail, trail_pct,
                               trailing_stop, trailing_stop_pct) IS NULL AND take_profits IS NULL
                  AND time_in_force IS NULL AND order_expires_at IS NULL) NOT VALID,
    ADD CONSTRAINT "limit_price is set exactly for limit and stop_limit orders"
        CHECK ((limit_price IS NOT NULL) = (order_type IN ('limit', 'stop_limit')) OR upper(btrim(decision)) = 'AMEND') NOT VALID,
    ADD CONSTRAINT "stop_price is set exactly for stop and stop_limit orders"
        CHECK ((stop_price IS NOT NULL) = (order_type IN ('stop', 'stop_limit')) OR upper(btrim(decision)) = 'AMEND') NOT VALID,
    ADD CONSTRAINT "order_expires_at is set exactly with time_in_force GTD"
        CHECK ((order_expires_at IS NOT NULL) = (coalesce(time_in_force, '') = 'GTD') OR upper(btrim(decision)) = 'AMEND') NOT VALID;

-- An AMEND may leave symbol and confidence out, as a CANCEL may.
DROP TRIGGER paper_decision_cancels ON trading_decisions;
CREATE TRIGGER paper_decision_cancels BEFORE INSERT ON trading_decisions FOR EACH ROW
    WHEN (upper(btrim(NEW.decision)) IN ('CANCEL', 'AMEND') AND (NEW.symbol IS NULL OR NEW.confidence IS NULL))
    EXECUTE FUNCTION paper_decision_cancels();

-- Whether an AMEND has set values of the order: an exit then keeps its prices where its entry is filled further.
ALTER TABLE paper_orders ADD COLUMN amended boolean NOT NULL DEFAULT false;

-- Whose commission rates count: the portfolio's own, or the venue's where it states them. An order keeps those of its acceptance.
ALTER TABLE paper_trading_config ADD COLUMN fees text NOT NULL DEFAULT 'own';
ALTER TABLE paper_trading_config ADD CONSTRAINT "fees must be own or venue" CHECK (fees IN ('own', 'venue'));
ALTER TABLE paper_portfolio_rules ADD COLUMN fees text NOT NULL DEFAULT 'own';
ALTER TABLE paper_orders ADD COLUMN maker_fee numeric(38,18);
ALTER TABLE paper_orders ADD COLUMN taker_fee numeric(38,18);
