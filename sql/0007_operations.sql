-- Evidence of operations: which processes served, under which settings; when; and what the audits found. Never deleted.

-- Each process that took the lease, with the settings that can change what a decision becomes, or what is measured.
CREATE TABLE paper_processes (
    epoch      bigint      PRIMARY KEY,
    holder     text        NOT NULL,
    version    text        NOT NULL,
    settings   jsonb       NOT NULL,
    started_at timestamptz NOT NULL,
    CONSTRAINT "settings of a process must be an object" CHECK (jsonb_typeof(settings) = 'object')
);

-- Spans in which a process served with its lease: the last one grows at each renewal, by the database's clock.
CREATE TABLE paper_uptime (
    epoch bigint      NOT NULL,
    since timestamptz NOT NULL,
    until timestamptz NOT NULL,
    PRIMARY KEY (epoch, since),
    CONSTRAINT "a span must not end before it begins" CHECK (until >= since)
);

-- Each comparison of memory with the database; differences is a list of sentences, empty where there is none.
CREATE TABLE paper_audits (
    id          bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at          timestamptz NOT NULL DEFAULT clock_timestamp(),
    epoch       bigint      NOT NULL,
    portfolios  integer     NOT NULL,
    differences jsonb       NOT NULL,
    CONSTRAINT "differences of an audit must be a list" CHECK (jsonb_typeof(differences) = 'array'),
    CONSTRAINT "portfolios of an audit must be 0 or more" CHECK (portfolios >= 0)
);
CREATE INDEX paper_audits_at ON paper_audits (at);

CREATE TRIGGER paper_writer_guard BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON paper_processes FOR EACH STATEMENT
    WHEN (current_setting('paper.writer', true) IS DISTINCT FROM 'Supervisor') EXECUTE FUNCTION paper_writer_guard();
CREATE TRIGGER paper_writer_guard BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON paper_uptime FOR EACH STATEMENT
    WHEN (current_setting('paper.writer', true) IS DISTINCT FROM 'Supervisor') EXECUTE FUNCTION paper_writer_guard();
CREATE TRIGGER paper_writer_guard BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON paper_audits FOR EACH STATEMENT
    WHEN (current_setting('paper.writer', true) IS DISTINCT FROM 'PositionKeeper') EXECUTE FUNCTION paper_writer_guard();
