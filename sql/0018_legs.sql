-- The leg of an exit counts with the fills of its entry, which may have more of them than a smallint counts. One view depends
-- on the column; sql/views/ makes it anew, and the rights that other roles have on it stay. This writes all rows of
-- paper_orders anew.
DROP VIEW IF EXISTS v_paper_ledger_check;
ALTER TABLE paper_orders ALTER COLUMN leg TYPE integer;
