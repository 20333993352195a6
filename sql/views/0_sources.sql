-- The price source of each portfolio, which is that of its first fill (NULL without one), and the one that the last process has used.
-- All fills of a portfolio have the same source; the order is that of an index, so one row is read.
CREATE OR REPLACE VIEW v_paper_portfolio_sources AS
SELECT s.portfolio, s.price_source, s.present_source, coalesce(s.price_source <> s.present_source, false) AS other_source, s.portfolio_id
FROM (
    SELECT CASE WHEN c.replaced_at IS NULL THEN c.name ELSE c.name || '@' || c.life END AS portfolio, c.portfolio AS portfolio_id,
           (SELECT f.price_source FROM paper_fills f WHERE f.portfolio = c.portfolio ORDER BY f.symbol LIMIT 1) AS price_source,
           (SELECT p.settings ->> 'price_source' FROM paper_processes p ORDER BY p.epoch DESC LIMIT 1) AS present_source
    FROM paper_trading_config c
) s;
