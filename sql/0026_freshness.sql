-- The age of a price by the clock of the exchange that sent it. price_time stays as it was sent; what is unusual about it
-- stands beside it. exchange_time is the exchange's clock when the price arrived, exchange_clock where it comes from.
-- NULL: nothing is unusual, or the price is simulated, recorded, or older than these columns.
ALTER TABLE paper_fills ADD COLUMN time_mark text, ADD COLUMN exchange_time timestamptz, ADD COLUMN exchange_clock text;
ALTER TABLE paper_fills
    ADD CONSTRAINT "time_mark must be no exchange time or impossible time"
        CHECK (time_mark IN ('no exchange time', 'impossible time')),
    ADD CONSTRAINT "exchange_clock must be exchange, http_date or own"
        CHECK (exchange_clock IN ('exchange', 'http_date', 'own'));
ALTER TABLE paper_order_events ADD COLUMN time_mark text;
ALTER TABLE market_prices ADD COLUMN time_mark text;
