-- A trade is closed by a fill, whose number paper_fills counts as integer since 0011; sql/views/ makes the view anew. This
-- writes all rows of paper_trades anew.
DROP VIEW IF EXISTS v_paper_ledger_check;
ALTER TABLE paper_trades ALTER COLUMN fill_no TYPE integer;
