-- Names of sources whose prices are not those of a real market: two of the program's own, and those of processes that said so.
CREATE OR REPLACE VIEW v_paper_unreal_sources AS
SELECT name AS price_source FROM (VALUES ('simulated'), ('file')) own (name)
UNION
SELECT settings ->> 'price_source' FROM paper_processes
WHERE settings -> 'real_prices' = 'false' AND settings ->> 'price_source' IS NOT NULL;

-- The price source of each fill. A fill of an earlier version is judged by its source's name.
CREATE OR REPLACE VIEW v_paper_fill_sources AS
SELECT order_id, fill_no, paper_portfolio_label(portfolio) AS portfolio, filled_at, price_source,
       coalesce(real_prices, price_source NOT IN (SELECT u.price_source FROM v_paper_unreal_sources u)) AS real_prices,
       portfolio AS portfolio_id
FROM paper_fills;
