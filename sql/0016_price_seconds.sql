-- The extremes of the prices between two rows of a symbol, about a second; NULL in rows from before.
-- bid_high and ask_low are those of quotes whose bid was not above the ask; NULL where there were none.
-- One change for each column, without default and without scan: so it is done at once, on compressed chunks as well.
ALTER TABLE market_prices ADD COLUMN high numeric(38,18);
ALTER TABLE market_prices ADD COLUMN low numeric(38,18);
ALTER TABLE market_prices ADD COLUMN bid_high numeric(38,18);
ALTER TABLE market_prices ADD COLUMN ask_low numeric(38,18);

-- The stored prices of a symbol after one time up to another (NULL: all later ones), each row with the time since which
-- it has the extremes. A row that began before the first time counts with its last price alone: nobody knows on which
-- side of that time its extremes lie.
-- The marks are those of price rule quote, and never beyond what the market reached: the extremes of price, bid and ask
-- need not be of one moment.
CREATE FUNCTION paper_stored_prices(of_symbol text, since timestamptz, until timestamptz)
RETURNS TABLE (begins timestamptz, "time" timestamptz, source text, price numeric, high numeric, low numeric,
               ask_low numeric, bid_high numeric, mark_low numeric, mark_high numeric)
LANGUAGE sql STABLE BEGIN ATOMIC
    WITH numbered AS (
        SELECT m.*, lag(m.time) OVER (ORDER BY m.time, m.source) AS before
        FROM market_prices m
        WHERE m.symbol = of_symbol AND (until IS NULL OR m.time <= until) AND m.time >= coalesce(
            (SELECT e.time FROM market_prices e WHERE e.symbol = of_symbol AND e.time <= since
             ORDER BY e.time DESC LIMIT 1), since)
    ), known AS (
        SELECT n.*, coalesce(n.before >= since, false) AND n.high IS NOT NULL AS whole,
               n.bid <= n.ask IS TRUE AS has_spread
        FROM numbered n WHERE n.time > since
    )
    SELECT CASE WHEN k.whole THEN k.before ELSE k.time END, k.time, k.source, k.price,
           CASE WHEN k.whole THEN k.high ELSE k.price END,
           CASE WHEN k.whole THEN k.low ELSE k.price END,
           coalesce(CASE WHEN k.whole THEN k.ask_low END, CASE WHEN k.has_spread THEN k.ask END, k.price),
           coalesce(CASE WHEN k.whole THEN k.bid_high END, CASE WHEN k.has_spread THEN k.bid END, k.price),
           CASE WHEN k.whole
                THEN least(paper_mark(k.price, k.bid, k.ask), k.ask_low, greatest(k.low, k.bid_high))
                ELSE paper_mark(k.price, k.bid, k.ask) END,
           CASE WHEN k.whole
                THEN greatest(paper_mark(k.price, k.bid, k.ask), k.bid_high, least(k.high, k.ask_low))
                ELSE paper_mark(k.price, k.bid, k.ask) END
    FROM known k;
END;
