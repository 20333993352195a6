-- Symbols of open orders whose last data are older than data_at, each with the market's time of these: what lies between
-- is asked for after a downtime. NULL: there are none.
ALTER TABLE paper_portfolio_state ADD COLUMN behind jsonb;
