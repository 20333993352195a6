-- The snapshots without those that are dated in the future, as a wrong clock has left them; two seconds are no difference
-- between clocks. Results are computed from these.
CREATE OR REPLACE VIEW v_paper_snapshots AS
SELECT time, portfolio, cash, positions_value, total_value, total_pnl, total_pnl_pct, daily_pnl, num_positions, allocation,
       net_deposits
FROM paper_portfolio_snapshots WHERE time <= paper_now() + interval '2 seconds';
