-- An AMEND may set the trail of a trailing stop. The sentences are those of domain/trading/open_orders/terms.py; NOT VALID:
-- they are for new rows, and no old one is read.
ALTER TABLE trading_decisions
    DROP CONSTRAINT IF EXISTS "an AMEND needs a quantity, limit_price, stop_price or expiry",
    DROP CONSTRAINT IF EXISTS "an AMEND sets only quantity, limit_price, stop_price and expiry",
    DROP CONSTRAINT IF EXISTS "a trailing_stop order, and no other, has a trail or a trail_pct",
    ADD CONSTRAINT "an AMEND needs a quantity, price, trail or order_expires_at"
        CHECK (upper(btrim(decision)) <> 'AMEND'
               OR num_nonnulls(quantity, limit_price, stop_price, trail, trail_pct, order_expires_at) > 0) NOT VALID,
    ADD CONSTRAINT "an AMEND sets only quantity, prices, trail and order_expires_at"
        CHECK (upper(btrim(decision)) <> 'AMEND'
               OR order_type = 'market' AND NOT coalesce(post_only, false) AND NOT coalesce(reduce_only, false)
                  AND time_in_force IS NULL
                  AND coalesce(stop_loss, stop_loss_pct, take_profit, take_profit_pct, trailing_stop, trailing_stop_pct) IS NULL
                  AND take_profits IS NULL) NOT VALID,
    ADD CONSTRAINT "an AMEND has a trail or a trail_pct, not both"
        CHECK (upper(btrim(decision)) <> 'AMEND' OR num_nonnulls(trail, trail_pct) < 2) NOT VALID,
    ADD CONSTRAINT "a trailing_stop order, and no other, has a trail or a trail_pct"
        CHECK (upper(btrim(decision)) = 'AMEND'
               OR num_nonnulls(trail, trail_pct) = CASE order_type WHEN 'trailing_stop' THEN 1 ELSE 0 END) NOT VALID;
