-- Functions and views of what is held. Bodies are parsed here, so that the caller's search_path does not matter.
-- Positions are valued at the last market price of their portfolio's price source; without one, at the price of their last fill.
-- A portfolio with price rule quote values them at paper_mark. A price from before a split does not count. While another source
-- is in use, nothing newer than the portfolio's last snapshot is of its own.
-- portfolio is what people call it, name@life for an earlier life; portfolio_id is the key in the tables.

CREATE OR REPLACE VIEW v_paper_open_positions AS
SELECT CASE WHEN c.replaced_at IS NULL THEN c.name ELSE c.name || '@' || c.life END AS portfolio,
       p.symbol, p.asset_class, p.side, p.quantity, p.entry_price, p.cost, p.entry_commission,
       mark.price                                                           AS current_price,
       m.time                                                               AS price_time,
       coalesce(m.source, 'last fill')                                      AS price_source,
       sign.value * round(p.quantity * mark.price, 12)                      AS position_value,
       sign.value * (round(p.quantity * mark.price, 12) - p.cost)           AS unrealized_pnl,
       round(sign.value * (round(p.quantity * mark.price, 12) - p.cost) / nullif(p.cost, 0), 12) AS unrealized_pnl_pct,
       p.strategy, p.opened_at, paper_now() - p.opened_at                   AS hold_duration, p.position_id,
       p.portfolio                                                          AS portfolio_id
FROM paper_positions p
JOIN paper_trading_config c USING (portfolio)
JOIN v_paper_portfolio_sources source ON source.portfolio_id = p.portfolio
LEFT JOIN LATERAL (
    SELECT (CASE c.price_rule WHEN 'quote' THEN paper_mark(q.price, q.bid, q.ask) ELSE q.price END)::numeric(38,18) AS price,
           q.time, q.source
    FROM market_prices q WHERE q.symbol = p.symbol AND q.time > coalesce(p.split_at, '-infinity')
      AND q.time <= CASE WHEN source.other_source
                         THEN (SELECT max(s.time) FROM v_paper_snapshots s WHERE s.portfolio = p.portfolio)
                         ELSE paper_now() + interval '2 seconds' END
    ORDER BY q.time DESC LIMIT 1
) m ON coalesce(m.source = source.price_source, true)
CROSS JOIN LATERAL (SELECT coalesce(m.price, p.current_price) AS price) mark
CROSS JOIN LATERAL (SELECT CASE p.side WHEN 'LONG' THEN 1 ELSE -1 END AS value) sign;

-- The result of closing a position now, before any commission; at `price`, or at the last market price.
CREATE OR REPLACE FUNCTION calculate_position_pnl(position_id uuid, price numeric DEFAULT NULL) RETURNS numeric
LANGUAGE sql STABLE BEGIN ATOMIC
    SELECT CASE p.side
               WHEN 'LONG' THEN round(p.quantity * coalesce($2, o.current_price), 12) - p.cost
               ELSE p.cost - round(p.quantity * coalesce($2, o.current_price), 12)
           END
    FROM paper_positions p JOIN v_paper_open_positions o USING (position_id) WHERE p.position_id = $1;
END;

-- Cash and positions of a portfolio at the last market prices; NULL for a portfolio that does not exist.
CREATE OR REPLACE FUNCTION get_portfolio_value(portfolio text DEFAULT 'default') RETURNS numeric
LANGUAGE sql STABLE BEGIN ATOMIC
    SELECT c.current_capital + coalesce((SELECT sum(o.position_value) FROM v_paper_open_positions o WHERE o.portfolio_id = c.portfolio), 0)
    FROM paper_trading_config c WHERE c.portfolio = paper_portfolio_id($1);
END;

CREATE OR REPLACE VIEW v_paper_portfolio_overview AS
SELECT CASE WHEN c.replaced_at IS NULL THEN c.name ELSE c.name || '@' || c.life END AS portfolio, c.currency, c.initial_capital,
       c.current_capital                                                        AS cash,
       coalesce(o.positions_value, 0)                                           AS positions_value,
       c.current_capital + coalesce(o.positions_value, 0)                       AS total_value,
       c.current_capital + coalesce(o.positions_value, 0) - c.initial_capital - coalesce(a.net_deposits, 0) AS total_pnl,
       round((c.current_capital + coalesce(o.positions_value, 0) - c.initial_capital - coalesce(a.net_deposits, 0))
             / (c.initial_capital + coalesce(a.deposits, 0)), 12)               AS total_pnl_pct,
       coalesce(o.unrealized_pnl, 0)                                            AS unrealized_pnl,
       coalesce(t.net_pnl, 0)                                                   AS realized_net_pnl,
       coalesce(o.num_positions, 0)                                             AS num_positions,
       o.price_sources,
       coalesce(a.net_deposits, 0)                                              AS net_deposits,
       coalesce(a.dividends, 0)                                                 AS dividends,
       c.portfolio AS portfolio_id, c.name, c.life, c.closed_at,
       source.price_source
FROM paper_trading_config c
LEFT JOIN (
    SELECT portfolio_id AS portfolio, sum(position_value) AS positions_value, sum(unrealized_pnl) AS unrealized_pnl,
           count(*) AS num_positions, string_agg(DISTINCT price_source, ', ') AS price_sources
    FROM v_paper_open_positions GROUP BY portfolio_id
) o USING (portfolio)
LEFT JOIN (SELECT portfolio, sum(net_pnl) AS net_pnl FROM paper_trades GROUP BY portfolio) t USING (portfolio)
LEFT JOIN (
    SELECT portfolio, sum(cash_delta) FILTER (WHERE kind = 'deposit') AS deposits,
           sum(cash_delta) FILTER (WHERE kind IN ('deposit', 'withdrawal')) AS net_deposits,
           sum(cash_delta) FILTER (WHERE kind = 'dividend') AS dividends
    FROM paper_account_events GROUP BY portfolio
) a USING (portfolio)
JOIN v_paper_portfolio_sources source ON source.portfolio_id = c.portfolio;

CREATE OR REPLACE VIEW v_paper_recent_trades AS
SELECT exit_time, paper_portfolio_label(portfolio) AS portfolio, symbol, asset_class, side, quantity, entry_price, exit_price, entry_time, hold_duration,
       realized_pnl, commission, net_pnl, round(net_pnl / nullif(cost, 0), 12) AS net_pnl_pct, strategy, closes, order_id, position_id,
       portfolio AS portfolio_id
FROM paper_trades
ORDER BY exit_time DESC, order_id
LIMIT 100;
