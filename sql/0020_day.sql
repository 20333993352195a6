-- The time in force DAY: until the close of the session of an exchange.

-- The sentences are those of domain/trading/open_orders/terms.py. NOT VALID: they are for new rows, and no old one is read.
ALTER TABLE trading_decisions
    DROP CONSTRAINT IF EXISTS "time_in_force must be GTC, IOC, FOK or GTD",
    DROP CONSTRAINT IF EXISTS "post_only is for limit orders with time_in_force GTC or GTD",
    ADD CONSTRAINT "time_in_force must be GTC, IOC, FOK, GTD or DAY"
        CHECK (time_in_force IN ('GTC', 'IOC', 'FOK', 'GTD', 'DAY')) NOT VALID,
    ADD CONSTRAINT "post_only is for limit orders that may rest: GTC, GTD or DAY"
        CHECK (NOT coalesce(post_only, false)
               OR order_type = 'limit' AND coalesce(time_in_force, 'GTC') IN ('GTC', 'GTD', 'DAY')) NOT VALID;

-- The exchange at whose close a DAY order expires; order_expires_at is that time.
ALTER TABLE paper_orders ADD COLUMN calendar text;
ALTER TABLE paper_orders ADD CONSTRAINT "exactly a DAY order has a calendar, and it expires"
    CHECK ((calendar IS NOT NULL) = (coalesce(time_in_force, '') = 'DAY') AND (calendar IS NULL OR order_expires_at IS NOT NULL)) NOT VALID;
