-- The same checks, each with its cheap and usual part first: PostgreSQL evaluates all of them for each row that is inserted or
-- ended, and most rows are plain market orders. NOT VALID: no row is read.
ALTER TABLE trading_decisions
    DROP CONSTRAINT IF EXISTS "take_profits must be 1 to 10 of price or pct, each with a share",
    DROP CONSTRAINT IF EXISTS "the shares of take_profits add up to at most 1",
    DROP CONSTRAINT IF EXISTS "a PROTECT sets only stop_loss, take_profit and trailing_stop",
    DROP CONSTRAINT IF EXISTS "a trailing_stop order, and no other, has a trail or a trail_pct",
    DROP CONSTRAINT IF EXISTS "an AMEND has a trail or a trail_pct, not both",
    DROP CONSTRAINT IF EXISTS "an AMEND needs a quantity, price, trail or order_expires_at",
    DROP CONSTRAINT IF EXISTS "an AMEND sets only quantity, prices, trail and order_expires_at",
    DROP CONSTRAINT IF EXISTS "only a BUY or SELL has terms such as order_type or limit_price",
    ADD CONSTRAINT "take_profits must be 1 to 10 of price or pct, each with a share"
        CHECK (take_profits IS NULL OR paper_take_profits_are_valid(take_profits)) NOT VALID,
    ADD CONSTRAINT "the shares of take_profits add up to at most 1"
        CHECK (take_profits IS NULL OR paper_take_profit_shares(take_profits) <= 1) NOT VALID,
    ADD CONSTRAINT "a PROTECT sets only stop_loss, take_profit and trailing_stop"
        CHECK (order_type = 'market' AND NOT coalesce(post_only, false) AND NOT coalesce(reduce_only, false)
               AND coalesce(quantity, limit_price, stop_price, trail, trail_pct) IS NULL
               AND time_in_force IS NULL AND order_expires_at IS NULL
               OR upper(btrim(decision)) <> 'PROTECT') NOT VALID,
    ADD CONSTRAINT "a trailing_stop order, and no other, has a trail or a trail_pct"
        CHECK (num_nonnulls(trail, trail_pct) = CASE order_type WHEN 'trailing_stop' THEN 1 ELSE 0 END
               OR upper(btrim(decision)) = 'AMEND') NOT VALID,
    ADD CONSTRAINT "an AMEND has a trail or a trail_pct, not both"
        CHECK (num_nonnulls(trail, trail_pct) < 2 OR upper(btrim(decision)) <> 'AMEND') NOT VALID,
    ADD CONSTRAINT "an AMEND needs a quantity, price, trail or order_expires_at"
        CHECK (num_nonnulls(quantity, limit_price, stop_price, trail, trail_pct, order_expires_at) > 0
               OR upper(btrim(decision)) <> 'AMEND') NOT VALID,
    ADD CONSTRAINT "an AMEND sets only quantity, prices, trail and order_expires_at"
        CHECK (order_type = 'market' AND NOT coalesce(post_only, false) AND NOT coalesce(reduce_only, false)
               AND time_in_force IS NULL
               AND coalesce(stop_loss, stop_loss_pct, take_profit, take_profit_pct, trailing_stop, trailing_stop_pct) IS NULL
               AND take_profits IS NULL
               OR upper(btrim(decision)) <> 'AMEND') NOT VALID,
    ADD CONSTRAINT "only a BUY or SELL has terms such as order_type or limit_price"
        CHECK (order_type = 'market' AND NOT coalesce(post_only, false) AND NOT coalesce(reduce_only, false)
               AND coalesce(limit_price, stop_price, stop_loss, stop_loss_pct, take_profit, take_profit_pct, trail, trail_pct,
                            trailing_stop, trailing_stop_pct) IS NULL
               AND take_profits IS NULL AND time_in_force IS NULL AND order_expires_at IS NULL
               OR upper(btrim(decision)) IN ('BUY', 'SELL', 'AMEND', 'PROTECT')) NOT VALID;
