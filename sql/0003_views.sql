-- Functions and views: what people ask most, with right answers. Positions are valued at the last market price; without
-- one, at the price of their last fill. Bodies are parsed here, so that the caller's search_path does not matter.

-- The result of closing a position now, before any commission; at `price`, or at the last market price.
CREATE FUNCTION calculate_position_pnl(position_id uuid, price numeric DEFAULT NULL) RETURNS numeric
LANGUAGE sql STABLE BEGIN ATOMIC
    SELECT CASE p.side
               WHEN 'LONG' THEN round(p.quantity * coalesce($2, m.price, p.current_price), 12) - p.cost
               ELSE p.cost - round(p.quantity * coalesce($2, m.price, p.current_price), 12)
           END
    FROM paper_positions p
    LEFT JOIN LATERAL (SELECT q.price FROM market_prices q WHERE q.symbol = p.symbol ORDER BY q.time DESC LIMIT 1) m ON true
    WHERE p.position_id = $1;
END;

CREATE VIEW v_paper_open_positions AS
SELECT p.portfolio, p.symbol, p.asset_class, p.side, p.quantity, p.entry_price, p.cost, p.entry_commission,
       mark.price                                                           AS current_price,
       m.time                                                               AS price_time,
       coalesce(m.source, 'last fill')                                      AS price_source,
       sign.value * round(p.quantity * mark.price, 12)                      AS position_value,
       sign.value * (round(p.quantity * mark.price, 12) - p.cost)           AS unrealized_pnl,
       round(sign.value * (round(p.quantity * mark.price, 12) - p.cost) / nullif(p.cost, 0), 12) AS unrealized_pnl_pct,
       p.strategy, p.opened_at, now() - p.opened_at                         AS hold_duration, p.position_id
FROM paper_positions p
LEFT JOIN LATERAL (
    SELECT q.price, q.time, q.source FROM market_prices q WHERE q.symbol = p.symbol ORDER BY q.time DESC LIMIT 1
) m ON true
CROSS JOIN LATERAL (SELECT coalesce(m.price, p.current_price) AS price) mark
CROSS JOIN LATERAL (SELECT CASE p.side WHEN 'LONG' THEN 1 ELSE -1 END AS value) sign;

-- Cash and positions of a portfolio at the last market prices; NULL for a portfolio that does not exist.
CREATE FUNCTION get_portfolio_value(portfolio text DEFAULT 'default') RETURNS numeric
LANGUAGE sql STABLE BEGIN ATOMIC
    SELECT c.current_capital + coalesce((SELECT sum(o.position_value) FROM v_paper_open_positions o WHERE o.portfolio = $1), 0)
    FROM paper_trading_config c WHERE c.portfolio = $1;
END;

CREATE VIEW v_paper_portfolio_overview AS
SELECT c.portfolio, c.currency, c.initial_capital,
       c.current_capital                                                        AS cash,
       coalesce(o.positions_value, 0)                                           AS positions_value,
       c.current_capital + coalesce(o.positions_value, 0)                       AS total_value,
       c.current_capital + coalesce(o.positions_value, 0) - c.initial_capital   AS total_pnl,
       round((c.current_capital + coalesce(o.positions_value, 0) - c.initial_capital) / c.initial_capital, 12) AS total_pnl_pct,
       coalesce(o.unrealized_pnl, 0)                                            AS unrealized_pnl,
       coalesce(t.net_pnl, 0)                                                   AS realized_net_pnl,
       coalesce(o.num_positions, 0)                                             AS num_positions,
       o.price_sources
FROM paper_trading_config c
LEFT JOIN (
    SELECT portfolio, sum(position_value) AS positions_value, sum(unrealized_pnl) AS unrealized_pnl,
           count(*) AS num_positions, string_agg(DISTINCT price_source, ', ') AS price_sources
    FROM v_paper_open_positions GROUP BY portfolio
) o USING (portfolio)
LEFT JOIN (SELECT portfolio, sum(net_pnl) AS net_pnl FROM paper_trades GROUP BY portfolio) t USING (portfolio);

CREATE VIEW v_paper_recent_trades AS
SELECT exit_time, portfolio, symbol, asset_class, side, quantity, entry_price, exit_price, entry_time, hold_duration,
       realized_pnl, commission, net_pnl, round(net_pnl / nullif(cost, 0), 12) AS net_pnl_pct, strategy, closes, order_id, position_id
FROM paper_trades
ORDER BY exit_time DESC, order_id
LIMIT 100;

-- Figures over round trips (a position from flat to flat); a win is a net result above 0. Sharpe as docs/arithmetic.md
-- defines it: NULL, with the reason beside it, where there is too little to say.
CREATE VIEW v_paper_performance_metrics AS
WITH round_trips AS (
    SELECT portfolio, position_id, sum(net_pnl) AS net, sum(realized_pnl) AS gross, sum(commission) AS commission
    FROM paper_trades GROUP BY portfolio, position_id HAVING bool_or(closes)
), figures AS (
    SELECT portfolio, count(*) AS total_trades,
           count(*) FILTER (WHERE net > 0) AS winning_trades, count(*) FILTER (WHERE net < 0) AS losing_trades,
           round(count(*) FILTER (WHERE net > 0)::numeric / count(*), 12) AS win_rate,
           round(count(*) FILTER (WHERE gross > 0)::numeric / count(*), 12) AS win_rate_gross,
           round(avg(net) FILTER (WHERE net > 0), 12) AS avg_win, round(avg(net) FILTER (WHERE net < 0), 12) AS avg_loss,
           round(coalesce(sum(net) FILTER (WHERE net > 0), 0) / nullif(-sum(net) FILTER (WHERE net < 0), 0), 12) AS profit_factor,
           max(net) AS best_trade, min(net) AS worst_trade
    FROM round_trips GROUP BY portfolio
), closings AS (
    SELECT portfolio, sum(net_pnl) AS net_pnl, sum(realized_pnl) AS gross_pnl FROM paper_trades GROUP BY portfolio
), costs AS (
    SELECT portfolio, sum(commission) AS total_commission, bool_or(asset_class = 'crypto') AS crypto,
           string_agg(DISTINCT price_source, ', ') AS price_sources
    FROM paper_fills GROUP BY portfolio
), slippage AS (
    SELECT portfolio, sum(slippage) AS total_slippage FROM paper_orders GROUP BY portfolio
), span AS (
    SELECT portfolio, min(time) AS first_time FROM paper_portfolio_snapshots GROUP BY portfolio
), closes AS (
    SELECT s.portfolio, day, (
               SELECT e.total_value FROM paper_portfolio_snapshots e
               WHERE e.portfolio = s.portfolio AND e.time <= day ORDER BY e.time DESC LIMIT 1) AS equity
    FROM span s
    -- 24 hours, not a day: a day is as long as the session's time zone has it.
    CROSS JOIN LATERAL generate_series(
        date_trunc('day', s.first_time - interval '1 microsecond', 'UTC') + interval '24 hours', now(), interval '24 hours') day
), returns AS (
    SELECT c.portfolio, c.equity / nullif(lag(c.equity, 1, k.initial_capital) OVER (PARTITION BY c.portfolio ORDER BY c.day), 0) - 1 AS r
    FROM closes c JOIN paper_trading_config k USING (portfolio)
), sharpe AS (
    SELECT portfolio, count(r) AS days, avg(r) AS mean, stddev_samp(r) AS deviation FROM returns GROUP BY portfolio
), peaks AS (
    SELECT s.portfolio, s.total_value,
           greatest(k.initial_capital, max(s.total_value) OVER (PARTITION BY s.portfolio ORDER BY s.time)) AS peak
    FROM paper_portfolio_snapshots s JOIN paper_trading_config k USING (portfolio)
), drawdown AS (
    SELECT portfolio, round(max((peak - total_value) / peak), 12) AS max_drawdown FROM peaks GROUP BY portfolio
)
SELECT c.portfolio, v.total_value AS portfolio_value, v.total_pnl, v.total_pnl_pct,
       coalesce(f.total_trades, 0) AS total_trades, coalesce(f.winning_trades, 0) AS winning_trades,
       coalesce(f.losing_trades, 0) AS losing_trades, f.win_rate, f.win_rate_gross, f.avg_win, f.avg_loss, f.profit_factor,
       f.best_trade, f.worst_trade, coalesce(x.gross_pnl, 0) AS gross_pnl, coalesce(x.net_pnl, 0) AS net_pnl,
       coalesce(k.total_commission, 0) AS total_commission, coalesce(l.total_slippage, 0) AS total_slippage,
       CASE WHEN s.days >= 10 AND s.deviation > 0
            THEN round(s.mean / s.deviation * sqrt(CASE WHEN k.crypto THEN 365::numeric ELSE 252::numeric END), 12) END AS sharpe_ratio,
       CASE WHEN coalesce(s.days, 0) < 10 THEN format('%s of at least 10 daily returns', coalesce(s.days, 0))
            WHEN s.deviation = 0 THEN 'the daily returns do not differ' END AS sharpe_reason,
       coalesce(d.max_drawdown, 0) AS max_drawdown, k.price_sources
FROM paper_trading_config c
JOIN v_paper_portfolio_overview v USING (portfolio)
LEFT JOIN figures f USING (portfolio)
LEFT JOIN closings x USING (portfolio)
LEFT JOIN costs k USING (portfolio)
LEFT JOIN slippage l USING (portfolio)
LEFT JOIN sharpe s USING (portfolio)
LEFT JOIN drawdown d USING (portfolio);

-- Empty while the books balance and every decision has one outcome; else a sentence for each difference.
CREATE VIEW v_paper_ledger_check AS
WITH fills AS (
    SELECT portfolio, sum(cash_delta) AS cash, sum(commission) AS commission FROM paper_fills GROUP BY portfolio
), assets AS (
    SELECT portfolio, symbol, sum(asset_delta) AS quantity FROM paper_fills GROUP BY portfolio, symbol
), held AS (
    SELECT portfolio, symbol, CASE side WHEN 'LONG' THEN quantity ELSE -quantity END AS quantity FROM paper_positions
), open AS (
    SELECT portfolio, sum(position_value) AS value, sum(unrealized_pnl - entry_commission) AS unrealized,
           sum(entry_commission) AS commission
    FROM paper_positions GROUP BY portfolio
), trades AS (
    SELECT portfolio, sum(net_pnl) AS net, sum(commission) AS commission FROM paper_trades GROUP BY portfolio
), entries AS (
    SELECT f.position_id, sum(f.notional) AS cost
    FROM paper_fills f LEFT JOIN paper_trades t USING (order_id, fill_no) WHERE t.order_id IS NULL GROUP BY f.position_id
), closed AS (
    SELECT position_id, sum(cost) AS cost FROM paper_trades GROUP BY position_id
)
SELECT c.portfolio, 'cash' AS what,
       format('cash of portfolio %s is %s, its fills make it %s', c.portfolio, c.current_capital,
              c.initial_capital + coalesce(f.cash, 0)) AS difference
FROM paper_trading_config c LEFT JOIN fills f USING (portfolio)
WHERE c.current_capital <> c.initial_capital + coalesce(f.cash, 0)
UNION ALL
SELECT portfolio, 'holdings',
       format('portfolio %s holds %s %s, its fills make it %s', portfolio, coalesce(h.quantity, 0), symbol, coalesce(a.quantity, 0))
FROM assets a FULL JOIN held h USING (portfolio, symbol)
WHERE coalesce(a.quantity, 0) <> coalesce(h.quantity, 0)
UNION ALL
SELECT c.portfolio, 'law 1',
       format('portfolio %s gained %s, its trades and positions make it %s', c.portfolio,
              c.current_capital + coalesce(o.value, 0) - c.initial_capital, coalesce(t.net, 0) + coalesce(o.unrealized, 0))
FROM paper_trading_config c LEFT JOIN open o USING (portfolio) LEFT JOIN trades t USING (portfolio)
WHERE c.current_capital + coalesce(o.value, 0) - c.initial_capital <> coalesce(t.net, 0) + coalesce(o.unrealized, 0)
UNION ALL
SELECT c.portfolio, 'commission',
       format('portfolio %s paid %s in commissions, its trades and positions account for %s', c.portfolio,
              coalesce(f.commission, 0), coalesce(t.commission, 0) + coalesce(o.commission, 0))
FROM paper_trading_config c LEFT JOIN fills f USING (portfolio) LEFT JOIN open o USING (portfolio) LEFT JOIN trades t USING (portfolio)
WHERE coalesce(f.commission, 0) <> coalesce(t.commission, 0) + coalesce(o.commission, 0)
UNION ALL
SELECT p.portfolio, 'position value',
       format('the position in %s of portfolio %s is worth %s with result %s, which its quantity, price and cost do not make',
              p.symbol, p.portfolio, p.position_value, p.unrealized_pnl)
FROM paper_positions p CROSS JOIN LATERAL (SELECT CASE p.side WHEN 'LONG' THEN 1 ELSE -1 END AS value) sign
WHERE p.position_value <> sign.value * round(p.quantity * p.current_price, 12)
   OR p.unrealized_pnl <> p.position_value - sign.value * p.cost
UNION ALL
SELECT p.portfolio, 'position cost',
       format('position %s in %s cost %s, of which its trades and what is left account for %s', e.position_id, p.symbol,
              e.cost, coalesce(x.cost, 0) + coalesce(p.cost, 0))
FROM entries e LEFT JOIN closed x USING (position_id) LEFT JOIN paper_positions p USING (position_id)
WHERE e.cost <> coalesce(x.cost, 0) + coalesce(p.cost, 0)
UNION ALL
SELECT o.portfolio, 'order', format('order %s is filled by %s, its fills make it %s', o.order_id, o.filled_quantity, coalesce(sum(f.quantity), 0))
FROM paper_orders o LEFT JOIN paper_fills f USING (order_id)
GROUP BY o.order_id HAVING o.filled_quantity <> coalesce(sum(f.quantity), 0)
UNION ALL
SELECT o.portfolio, 'order', format('portfolio %s has %s orders, the last one is number %s', o.portfolio, count(*), max(o.seq))
FROM paper_orders o GROUP BY o.portfolio HAVING count(*) <> max(o.seq)
UNION ALL
SELECT o.portfolio, 'law 2', format('order %s is filled, but its decision %s is %s', o.order_id, o.decision_id, coalesce(d.status, 'gone'))
FROM paper_orders o LEFT JOIN trading_decisions d ON d.id = o.decision_id
WHERE o.status = 'filled' AND (d.id IS NULL OR d.status <> 'executed' OR d.order_id <> o.order_id)
UNION ALL
SELECT d.portfolio, 'law 2', format('decision %s is executed, but its order %s does not exist', d.id, d.order_id)
FROM trading_decisions d LEFT JOIN paper_orders o USING (order_id)
WHERE d.status = 'executed' AND o.order_id IS NULL
UNION ALL
SELECT d.portfolio, 'law 2', format('decision %s is %s without a reason', d.id, d.status)
FROM trading_decisions d
WHERE d.status IN ('executed', 'rejected', 'ignored', 'expired') AND coalesce(d.outcome_reason, '') = '';
