-- What grows, and what stays: sizes of the tables, prices that are thinned, and decisions that have ended.

-- Orders, fills, reports and validation refer to a decision that has ended, so its row stays. One that waits may be deleted.
CREATE FUNCTION paper_ended_decision_stays() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    stays boolean;
BEGIN
    IF TG_OP = 'DELETE' THEN
        RAISE EXCEPTION 'decision % has ended (%) and is never deleted: the books and reports refer to it', OLD.id, OLD.status
            USING ERRCODE = 'check_violation';
    END IF;
    EXECUTE format('SELECT EXISTS (SELECT FROM %I.%I WHERE processed_at IS NOT NULL OR status = ''open'')',
                   TG_TABLE_SCHEMA, TG_TABLE_NAME) INTO stays;
    IF stays THEN
        RAISE EXCEPTION 'decisions that have ended or rest in the market are never deleted: the books and reports refer to them'
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER paper_ended_decision_stays BEFORE DELETE ON trading_decisions FOR EACH ROW
    WHEN (OLD.processed_at IS NOT NULL AND current_setting('paper.writer', true) IS DISTINCT FROM 'PositionKeeper')
    EXECUTE FUNCTION paper_ended_decision_stays();
CREATE TRIGGER paper_decisions_stay BEFORE TRUNCATE ON trading_decisions FOR EACH STATEMENT
    WHEN (current_setting('paper.writer', true) IS DISTINCT FROM 'PositionKeeper')
    EXECUTE FUNCTION paper_ended_decision_stays();

-- The sizes of the tables, each hour; tables has the bytes of each with its indexes. Written by the storage job.
CREATE TABLE paper_storage_samples (
    at             timestamptz PRIMARY KEY,
    database_bytes bigint      NOT NULL,
    tables         jsonb       NOT NULL
);

-- The symbols of all decisions and orders, in upper case and without separators: their prices are not thinned. Read from
-- those tables with each sample, so that the last sample says up to when it is complete. Written by the storage job.
CREATE TABLE paper_traded_symbols (
    letters  text        PRIMARY KEY,
    found_at timestamptz NOT NULL
);

-- How far the prices of a symbol are thinned to one a minute, and how many rows that removed. Written by the storage job.
CREATE TABLE paper_thinned_prices (
    symbol  text        PRIMARY KEY,
    until   timestamptz NOT NULL,
    removed bigint      NOT NULL
);

CREATE TRIGGER paper_writer_guard BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON paper_storage_samples FOR EACH STATEMENT
    WHEN (current_setting('paper.writer', true) IS DISTINCT FROM 'Storage') EXECUTE FUNCTION paper_writer_guard();
CREATE TRIGGER paper_writer_guard BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON paper_traded_symbols FOR EACH STATEMENT
    WHEN (current_setting('paper.writer', true) IS DISTINCT FROM 'Storage') EXECUTE FUNCTION paper_writer_guard();
CREATE TRIGGER paper_writer_guard BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON paper_thinned_prices FOR EACH STATEMENT
    WHEN (current_setting('paper.writer', true) IS DISTINCT FROM 'Storage') EXECUTE FUNCTION paper_writer_guard();
