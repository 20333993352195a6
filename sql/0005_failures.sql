-- What went wrong inside the program. Written by the Supervisor.

-- A failure's name for people is epoch-number, such as 12-3.
CREATE TABLE paper_failures (
    epoch       bigint      NOT NULL,
    number      bigint      NOT NULL,
    at          timestamptz NOT NULL,
    kind        text        NOT NULL,
    generation  bigint      NOT NULL,
    actor       text        NOT NULL,
    message     text        NOT NULL,
    decision_id text,
    error       text        NOT NULL,
    traceback   text        NOT NULL,
    PRIMARY KEY (epoch, number),
    CONSTRAINT "kind must be one of the known words"
        CHECK (kind IN ('crash', 'hang', 'thread ended', 'replaced', 'quarantine', 'gave up'))
);
CREATE INDEX paper_failures_decision ON paper_failures (decision_id) WHERE decision_id IS NOT NULL;

CREATE TRIGGER paper_writer_guard BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON paper_failures FOR EACH STATEMENT
    WHEN (current_setting('paper.writer', true) IS DISTINCT FROM 'Supervisor') EXECUTE FUNCTION paper_writer_guard();
