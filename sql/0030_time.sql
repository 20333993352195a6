-- The database's time: what the schema and the program ask for it, they ask paper_now(). sql/views/ has no other clock either.

-- Real time, unless the owner of the function has replaced it, as a test does that lets days pass. Nobody else can set it: not
-- with a setting of a session, and not with a search path, since defaults and views name the function itself. PostgreSQL puts
-- its body in its place, so it costs nothing.
-- It is the same within a statement, so an index serves a condition on it; and it grows from one statement of a transaction
-- to the next. It is the time at which the server got the statement, but after a COMMIT within a procedure that of the COMMIT.
CREATE FUNCTION paper_now() RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE
RETURN greatest(transaction_timestamp(), statement_timestamp());
-- A role that inserts a row needs it for the default, also where new functions are closed to the public.
GRANT EXECUTE ON FUNCTION paper_now() TO PUBLIC;

ALTER TABLE paper_trading_config ALTER COLUMN created_at SET DEFAULT paper_now();
ALTER TABLE paper_halts ALTER COLUMN at SET DEFAULT paper_now();
ALTER TABLE paper_audits ALTER COLUMN at SET DEFAULT paper_now();
ALTER TABLE paper_validation_runs ALTER COLUMN started_at SET DEFAULT paper_now();
ALTER TABLE paper_validation_verdicts ALTER COLUMN written_at SET DEFAULT paper_now();
ALTER TABLE paper_validation_acceptances ALTER COLUMN at SET DEFAULT paper_now();
ALTER TABLE paper_account_requests ALTER COLUMN requested_at SET DEFAULT paper_now();

-- An adopted table may have a default of its own, which stays unless it is the time.
DO $$
DECLARE
    present text := (SELECT pg_get_expr(d.adbin, d.adrelid) FROM pg_attrdef d
                     JOIN pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
                     WHERE d.adrelid = 'trading_decisions'::regclass AND a.attname = 'created_at');
BEGIN
    IF present IN ('now()', 'CURRENT_TIMESTAMP', 'transaction_timestamp()', 'statement_timestamp()', 'clock_timestamp()') THEN
        ALTER TABLE trading_decisions ALTER COLUMN created_at SET DEFAULT paper_now();
    ELSIF present = '(now() AT TIME ZONE ''UTC''::text)' THEN
        ALTER TABLE trading_decisions ALTER COLUMN created_at SET DEFAULT (paper_now() AT TIME ZONE 'UTC');
    END IF;
END $$;

-- As before, but for the time. The search path does not matter: who may insert a row must not choose another clock.
CREATE OR REPLACE FUNCTION paper_rules_changed() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    changed_at timestamptz;
BEGIN
    EXECUTE format('SELECT %I.paper_now()', TG_TABLE_SCHEMA) INTO changed_at;
    EXECUTE format('DELETE FROM %I.paper_portfolio_rules WHERE portfolio = $1 AND revision >= $2', TG_TABLE_SCHEMA)
        USING NEW.portfolio, NEW.revision;
    EXECUTE format('INSERT INTO %1$I.paper_portfolio_rules'
                   ' SELECT * FROM jsonb_populate_record(NULL::%1$I.paper_portfolio_rules, $1)', TG_TABLE_SCHEMA)
        USING to_jsonb(NEW) || jsonb_build_object('at', changed_at);
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION paper_account_request_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.status <> 'pending' THEN
            RAISE EXCEPTION 'a request begins as pending; leave status, outcome and ended_at out' USING ERRCODE = 'check_violation';
        END IF;
        RETURN NEW;
    END IF;
    IF TG_OP = 'UPDATE' AND OLD.status = 'pending'
       AND to_jsonb(NEW) - ARRAY['status', 'outcome', 'ended_at'] = to_jsonb(OLD) - ARRAY['status', 'outcome', 'ended_at'] THEN
        IF current_setting('paper.writer', true) = 'PositionKeeper' THEN
            RETURN NEW;
        ELSIF NEW.status = 'cancelled' THEN
            NEW.outcome := coalesce(NEW.outcome, format('cancelled by %s', current_user));
            EXECUTE format('SELECT %I.paper_now()', TG_TABLE_SCHEMA) INTO NEW.ended_at;
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION 'a request for an account never changes; cancel it, or insert another' USING ERRCODE = 'check_violation';
END $$;
