-- The leg of an exit counts with the fills of its entry, which may have more of them than a smallint counts. One view depends
-- on the column; sql/views/ makes it anew, and the rights that other roles have on it stay. This writes all rows of
-- paper_orders anew.
DO $$ BEGIN
    -- By its schema: another one in the search path may have a view of this name, too.
    EXECUTE format('DROP VIEW IF EXISTS %1$I.v_paper_ledger_check', current_schema());
END $$;
ALTER TABLE paper_orders ALTER COLUMN leg TYPE integer;
