-- Messages that made their actor crash twice: decisions that ended as internal errors, and what was dropped.
CREATE OR REPLACE VIEW v_paper_quarantine AS
SELECT format('%s-%s', epoch, number) AS reference, at, actor, message, decision_id, error, traceback
FROM paper_failures WHERE kind = 'quarantine' ORDER BY at, epoch, number;

-- What stands now: for each portfolio the last row that is about it, or about all.
CREATE OR REPLACE VIEW v_paper_halted AS
SELECT CASE WHEN c.replaced_at IS NULL THEN c.name ELSE c.name || '@' || c.life END AS portfolio, h.reason, h.by_whom, h.at,
       c.portfolio AS portfolio_id
FROM paper_trading_config c
CROSS JOIN LATERAL (
    SELECT * FROM paper_halts WHERE portfolio IS NULL OR portfolio = c.portfolio ORDER BY id DESC LIMIT 1
) h WHERE h.halted AND c.closed_at IS NULL;

-- Each criterion of each stored verdict.
CREATE OR REPLACE VIEW v_paper_validation AS
SELECT v.run_id, r.name AS run, r.started_at, r.ended_at, r.end_reason, v.day, paper_portfolio_label(v.portfolio) AS portfolio, c.part, c.criterion, c.title,
       c.required, c.seen, c.passed, c.evidence, v.operational, v.statistical, v.psr, v.accepted_by, v.ready,
       v.portfolio AS portfolio_id
FROM paper_validation_verdicts v
JOIN paper_validation_runs r ON r.id = v.run_id
CROSS JOIN LATERAL ROWS FROM (
    jsonb_to_recordset(v.criteria) AS (part text, criterion text, title text, required text, seen text, passed boolean, evidence jsonb)
) WITH ORDINALITY AS c(part, criterion, title, required, seen, passed, evidence, number)
ORDER BY v.run_id, v.day, v.portfolio, c.number;
