-- When an order that rests got its present values by an AMEND: it sees only market data after that, also of those that
-- are fetched after a downtime. NULL: it has not been amended, and sees data after created_at.
ALTER TABLE paper_orders ADD COLUMN since_at timestamptz;
