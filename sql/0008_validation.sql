-- The gate to real money: validation runs, the verdict of each day, and who takes an underpowered result as enough.

-- A run and what it is bound to. Inserted by people, ended once by the first process that sees a change, never deleted.
CREATE TABLE paper_validation_runs (
    id         bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name       text        NOT NULL,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    by_whom    text        NOT NULL DEFAULT current_user,
    epoch      bigint      NOT NULL,
    version    text        NOT NULL,
    settings   jsonb       NOT NULL,
    portfolios jsonb       NOT NULL,
    strategies text[]      NOT NULL,
    criteria   jsonb       NOT NULL,
    ended_at   timestamptz,
    end_reason text,
    CONSTRAINT "name of a validation run was used before" UNIQUE (name),
    CONSTRAINT "name of a validation run must be 1 to 100 characters"
        CHECK (name ~ '^[^[:cntrl:]]{1,100}$' AND name = btrim(name)),
    CONSTRAINT "by_whom of a validation run must be 1 to 100 characters" CHECK (by_whom ~ '[^[:space:]]' AND length(by_whom) <= 100),
    CONSTRAINT "a validation run has at least one portfolio"
        CHECK (jsonb_typeof(portfolios) = 'object' AND portfolios <> '{}'),
    CONSTRAINT "a validation run has at least one strategy" CHECK (cardinality(strategies) > 0),
    CONSTRAINT "settings and criteria of a validation run must be objects"
        CHECK (jsonb_typeof(settings) = 'object' AND jsonb_typeof(criteria) = 'object'),
    CONSTRAINT "a validation run ends with a reason"
        CHECK ((ended_at IS NULL) = (end_reason IS NULL) AND ended_at >= started_at AND end_reason ~ '[^[:space:]]')
);

-- The verdict at the end of a UTC day on one portfolio of a run. Written by the serving process.
CREATE TABLE paper_validation_verdicts (
    run_id      bigint         NOT NULL REFERENCES paper_validation_runs,
    day         date           NOT NULL,
    portfolio   text           NOT NULL,
    operational text           NOT NULL,
    statistical text           NOT NULL,
    psr         numeric(38,12),
    accepted_by text,
    ready       boolean        NOT NULL,
    criteria    jsonb          NOT NULL,
    notes       jsonb          NOT NULL,
    written_at  timestamptz    NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (run_id, day, portfolio),
    CONSTRAINT "operational must be passed or failed" CHECK (operational IN ('passed', 'failed')),
    CONSTRAINT "statistical must be passed, failed or underpowered" CHECK (statistical IN ('passed', 'failed', 'underpowered')),
    CONSTRAINT "psr must be a probability" CHECK (psr >= 0 AND psr <= 1),
    CONSTRAINT "criteria and notes of a verdict must be lists"
        CHECK (jsonb_typeof(criteria) = 'array' AND jsonb_typeof(notes) = 'array')
);

-- Who takes an underpowered result of a run as enough; it counts from then on. Inserted by people, never changed.
CREATE TABLE paper_validation_acceptances (
    id        bigint         GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id    bigint         NOT NULL REFERENCES paper_validation_runs,
    portfolio text           NOT NULL,
    at        timestamptz    NOT NULL DEFAULT clock_timestamp(),
    by_whom   text           NOT NULL,
    psr       numeric(38,12),
    CONSTRAINT "by_whom of an acceptance must be 1 to 100 characters" CHECK (by_whom ~ '[^[:space:]]' AND length(by_whom) <= 100),
    CONSTRAINT "psr of an acceptance must be a probability" CHECK (psr >= 0 AND psr <= 1)
);

-- One run a portfolio at a time. Who begins another meanwhile waits here, and then sees the first one.
CREATE FUNCTION paper_validation_begins() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    taken record;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('paper_validation_runs'));
    SELECT p.portfolio, r.name INTO taken
    FROM paper_validation_runs r CROSS JOIN LATERAL jsonb_object_keys(r.portfolios) AS p(portfolio)
    WHERE r.ended_at IS NULL AND jsonb_exists(NEW.portfolios, p.portfolio) ORDER BY 1 LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'portfolio % is in validation run % already, which must end first', taken.portfolio, taken.name
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER paper_validation_begins BEFORE INSERT ON paper_validation_runs
    FOR EACH ROW EXECUTE FUNCTION paper_validation_begins();

CREATE FUNCTION paper_validation_stands() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'what was validated never changes; a run only ends, once' USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER paper_validation_ends_once BEFORE UPDATE ON paper_validation_runs FOR EACH ROW
    WHEN (OLD.ended_at IS NOT NULL
          OR (to_jsonb(NEW) - 'ended_at' - 'end_reason') IS DISTINCT FROM (to_jsonb(OLD) - 'ended_at' - 'end_reason'))
    EXECUTE FUNCTION paper_validation_stands();
CREATE TRIGGER paper_validation_stands BEFORE DELETE OR TRUNCATE ON paper_validation_runs
    FOR EACH STATEMENT EXECUTE FUNCTION paper_validation_stands();
CREATE TRIGGER paper_validation_stands BEFORE UPDATE OR DELETE OR TRUNCATE ON paper_validation_acceptances
    FOR EACH STATEMENT EXECUTE FUNCTION paper_validation_stands();
CREATE TRIGGER paper_writer_guard BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON paper_validation_verdicts FOR EACH STATEMENT
    WHEN (current_setting('paper.writer', true) IS DISTINCT FROM 'Validation') EXECUTE FUNCTION paper_writer_guard();
