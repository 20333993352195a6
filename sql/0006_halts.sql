-- Halts, and decisions that are sent once more.

-- Each row halts a portfolio, or lets it go on; the last one counts. Inserted by people and by the audit, never changed.
CREATE TABLE paper_halts (
    id        bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at        timestamptz NOT NULL DEFAULT now(),
    portfolio text,
    halted    boolean     NOT NULL,
    reason    text        NOT NULL,
    by_whom   text        NOT NULL DEFAULT current_user,
    CONSTRAINT "reason of a halt must be 1 to 1 000 characters" CHECK (reason ~ '[^[:space:]]' AND length(reason) <= 1000),
    CONSTRAINT "by_whom must be 1 to 100 characters" CHECK (by_whom ~ '[^[:space:]]' AND length(by_whom) <= 100)
);

CREATE FUNCTION paper_halt_stands() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a halt never changes; insert another row' USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER paper_halt_stands BEFORE UPDATE OR DELETE OR TRUNCATE ON paper_halts
    FOR EACH STATEMENT EXECUTE FUNCTION paper_halt_stands();
CREATE TRIGGER paper_halts_wake AFTER INSERT ON paper_halts
    FOR EACH STATEMENT EXECUTE FUNCTION paper_wake('paper_config');

-- A decision that was sent once more names the first one; of the type that ids have, in an adopted table, too.
DO $$
BEGIN
    EXECUTE format('ALTER TABLE trading_decisions ADD COLUMN IF NOT EXISTS retry_of %s',
                   (SELECT format_type(atttypid, atttypmod) FROM pg_attribute
                    WHERE attrelid = 'trading_decisions'::regclass AND attname = 'id'));
END $$;
