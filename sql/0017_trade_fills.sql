-- A trade is closed by a fill, whose number paper_fills counts as integer since 0011; sql/views/ makes the view anew. This
-- writes all rows of paper_trades anew.
DO $$ BEGIN
    -- By its schema: another one in the search path may have a view of this name, too.
    EXECUTE format('DROP VIEW IF EXISTS %1$I.v_paper_ledger_check', current_schema());
END $$;
ALTER TABLE paper_trades ALTER COLUMN fill_no TYPE integer;
