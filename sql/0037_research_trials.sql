-- Sweeps over a strategy's parameters, and their trials: each is a row before it runs, so that every attempt counts.

-- What a sweep does, fixed before its first trial. The id follows from all the other columns but created_at.
CREATE TABLE research_sweeps (
    sweep         uuid        NOT NULL PRIMARY KEY,
    evaluation    text        NOT NULL,
    code_hash     text        NOT NULL,
    data_manifest text        NOT NULL,
    plan          jsonb       NOT NULL,
    created_at    timestamptz NOT NULL,
    CONSTRAINT "plan of a sweep must be an object" CHECK (jsonb_typeof(plan) = 'object')
);

-- One point of the space on one fold. Written by the sweep: pending, then running, then done or failed, once.
CREATE TABLE research_trials (
    sweep         uuid    NOT NULL REFERENCES research_sweeps,
    trial         integer NOT NULL,
    fold          integer NOT NULL,
    point         bigint  NOT NULL,
    parameters    jsonb   NOT NULL,
    seed          bigint  NOT NULL,
    code_hash     text    NOT NULL,
    data_manifest text    NOT NULL,
    state         text    NOT NULL,
    attempts      integer NOT NULL,
    worker        text,
    started_at    timestamptz,
    ended_at      timestamptz,
    in_sample     double precision,
    out_of_sample double precision,
    returns       double precision[],
    metrics       jsonb,
    error         text,
    PRIMARY KEY (sweep, trial, fold),
    CONSTRAINT "trials and folds are counted from 1" CHECK (trial > 0 AND fold > 0),
    CONSTRAINT "parameters of a trial must be an object" CHECK (jsonb_typeof(parameters) = 'object'),
    CONSTRAINT "state of a trial must be pending, running, done or failed" CHECK (state IN ('pending', 'running', 'done', 'failed')),
    CONSTRAINT "attempts of a trial must not be negative" CHECK (attempts >= 0),
    CONSTRAINT "a trial has returns where it is done, and an error where it failed"
        CHECK ((state = 'done') = (returns IS NOT NULL) AND (state = 'failed') = (error IS NOT NULL))
);

CREATE FUNCTION paper_trial_stands() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the result of a trial never changes, and a trial is never deleted: it counts as an attempt'
        USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER paper_trial_stands BEFORE UPDATE ON research_trials FOR EACH ROW
    WHEN (OLD.state IN ('done', 'failed')) EXECUTE FUNCTION paper_trial_stands();
CREATE TRIGGER paper_trial_stays BEFORE DELETE OR TRUNCATE ON research_trials
    FOR EACH STATEMENT EXECUTE FUNCTION paper_trial_stands();
