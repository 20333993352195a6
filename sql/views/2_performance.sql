-- Figures over round trips (a position from flat to flat); a win is a net result above 0. Sharpe as docs/arithmetic.md
-- defines it: NULL, with the reason beside it, where there is too little to say. Deposits and withdrawals change neither it nor
-- the drawdown: from each of them on values are scaled, so that the growth over it is that of the value before.
CREATE OR REPLACE VIEW v_paper_performance_metrics AS
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
    SELECT portfolio, sum(commission) AS total_commission, sum(spread_cost) AS total_spread, bool_or(asset_class = 'crypto') AS crypto,
           string_agg(DISTINCT price_source, ', ') AS price_sources
    FROM paper_fills GROUP BY portfolio
), slippage AS (
    SELECT portfolio, sum(slippage) AS total_slippage FROM paper_orders GROUP BY portfolio
), span AS (
    SELECT portfolio, min(time) AS first_time FROM v_paper_snapshots GROUP BY portfolio
), flows AS (
    SELECT portfolio, time, total_value,
           net_deposits - lag(net_deposits, 1, 0::numeric) OVER (PARTITION BY portfolio ORDER BY time) AS flow
    FROM v_paper_snapshots
    WHERE portfolio IN (SELECT portfolio FROM paper_account_events WHERE kind IN ('deposit', 'withdrawal'))
), factors AS (
    SELECT portfolio, time, exp(sum(ln((total_value - flow) / total_value)) OVER (PARTITION BY portfolio ORDER BY time)) AS factor
    FROM flows WHERE flow <> 0 AND total_value > 0 AND total_value > flow
), closes AS (
    SELECT s.portfolio, day, (
               SELECT e.total_value * coalesce((SELECT x.factor FROM factors x WHERE x.portfolio = e.portfolio AND x.time <= e.time
                                                ORDER BY x.time DESC LIMIT 1), 1) FROM v_paper_snapshots e
               WHERE e.portfolio = s.portfolio AND e.time <= day ORDER BY e.time DESC LIMIT 1) AS equity
    FROM span s
    -- 24 hours, not a day: a day is as long as the session's time zone has it.
    CROSS JOIN LATERAL generate_series(
        date_trunc('day', s.first_time - interval '1 microsecond', 'UTC') + interval '24 hours',
        least(paper_now(), (SELECT closed_at FROM paper_trading_config k WHERE k.portfolio = s.portfolio)), interval '24 hours') day
), returns AS (
    SELECT c.portfolio, c.equity / nullif(lag(c.equity, 1, k.initial_capital) OVER (PARTITION BY c.portfolio ORDER BY c.day), 0) - 1 AS r
    FROM closes c JOIN paper_trading_config k USING (portfolio)
), sharpe AS (
    -- Nearly constant returns have no ratio: `nearly_constant` in domain/analytics/performance_metric.py.
    SELECT portfolio, count(r) AS days, avg(r) AS mean, stddev_samp(r) AS deviation,
           stddev_samp(r) <= 0.000001 * greatest(abs(avg(r)), 0.000001) AS nearly_constant
    FROM returns GROUP BY portfolio
), weighted AS (
    SELECT portfolio, time, total_value FROM v_paper_snapshots
    WHERE portfolio NOT IN (SELECT portfolio FROM factors)
    UNION ALL
    SELECT s.portfolio, s.time,
           s.total_value * coalesce((SELECT x.factor FROM factors x WHERE x.portfolio = s.portfolio AND x.time <= s.time
                                     ORDER BY x.time DESC LIMIT 1), 1)
    FROM v_paper_snapshots s WHERE s.portfolio IN (SELECT portfolio FROM factors)
), peaks AS (
    SELECT s.portfolio, s.total_value,
           greatest(k.initial_capital, max(s.total_value) OVER (PARTITION BY s.portfolio ORDER BY s.time)) AS peak
    FROM weighted s JOIN paper_trading_config k USING (portfolio)
), drawdown AS (
    SELECT portfolio, round(max((peak - total_value) / peak), 12) AS max_drawdown FROM peaks GROUP BY portfolio
)
SELECT v.portfolio, v.total_value AS portfolio_value, v.total_pnl, v.total_pnl_pct,
       coalesce(f.total_trades, 0) AS total_trades, coalesce(f.winning_trades, 0) AS winning_trades,
       coalesce(f.losing_trades, 0) AS losing_trades, f.win_rate, f.win_rate_gross, f.avg_win, f.avg_loss, f.profit_factor,
       f.best_trade, f.worst_trade, coalesce(x.gross_pnl, 0) AS gross_pnl, coalesce(x.net_pnl, 0) AS net_pnl,
       coalesce(k.total_commission, 0) AS total_commission, coalesce(l.total_slippage, 0) AS total_slippage,
       CASE WHEN s.days >= 10 AND NOT s.nearly_constant
            THEN round(s.mean / s.deviation * sqrt(CASE WHEN k.crypto THEN 365::numeric ELSE 252::numeric END), 12) END AS sharpe_ratio,
       CASE WHEN coalesce(s.days, 0) < 10 THEN format('%s of at least 10 daily returns', coalesce(s.days, 0))
            WHEN s.nearly_constant THEN 'the daily returns do not differ enough' END AS sharpe_reason,
       coalesce(d.max_drawdown, 0) AS max_drawdown, k.price_sources,
       coalesce(k.total_spread, 0) AS total_spread, c.portfolio AS portfolio_id
FROM paper_trading_config c
JOIN v_paper_portfolio_overview v ON v.portfolio_id = c.portfolio
LEFT JOIN figures f ON f.portfolio = c.portfolio
LEFT JOIN closings x ON x.portfolio = c.portfolio
LEFT JOIN costs k ON k.portfolio = c.portfolio
LEFT JOIN slippage l ON l.portfolio = c.portfolio
LEFT JOIN sharpe s ON s.portfolio = c.portfolio
LEFT JOIN drawdown d ON d.portfolio = c.portfolio;
