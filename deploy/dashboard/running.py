"""Panels on decisions, validation, and the health of the process."""

from __future__ import annotations

import re

from deploy.dashboard.parts import (
    BLUE,
    COUNT,
    GREEN,
    GREY,
    ORANGE,
    RED,
    SECONDS,
    Panel,
    Row,
    bad_from,
    bars,
    coloured,
    stat,
    table,
    value_colours,
)
from deploy.dashboard.trading import BIN, STRATEGY_OR_NONE
from domain.analytics.funnel import AFTER_SIZING, AFTER_THRESHOLD, COUNTED
from domain.trading.decision import Reason
from persistence.stores.portfolios import DECIDED_IN

VALIDATION = "v_paper_validation"
"""Stored verdicts: one row for each run, day, portfolio and criterion."""
UPTIME = "paper_uptime"
AUDITS = "paper_audits"

# A decision with an order has the order's spelling of the symbol. The stages are those of domain/analytics/funnel.py:
# the first word of an outcome's reason tells how far the decision came, and a decision with an order was sized.
AFTER, SIZED, KNOWN, TRADES = (
    ", ".join(f"'{value}'" for value in sorted(values)) for values in (AFTER_THRESHOLD, AFTER_SIZING, Reason, COUNTED)
)
MADE = re.sub(r"\bd\.", "t.", DECIDED_IN.format("'$portfolio_id'"))

DECISION_STAGES = f"""
WITH decided AS (
    SELECT d.created_at, d.status, upper(btrim(d.decision)) IN ({TRADES}) AS trades,
           CASE WHEN d.status IN ('pending', 'open') THEN 'waiting' WHEN d.status = 'executed' THEN 'filled'
                WHEN d.order_id IS NOT NULL OR word IN ({SIZED}) THEN 'sized'
                WHEN word IN ({AFTER}) THEN 'above threshold'
                ELSE 'received' END AS stage,
           CASE WHEN word IN ({KNOWN}) THEN word ELSE d.status END AS reason
    FROM (SELECT t.*, split_part(t.outcome_reason, ':', 1) AS word, {STRATEGY_OR_NONE.format("t.strategy")} AS named
          FROM trading_decisions t WHERE {MADE} AND $__timeFilter(t.created_at)) d
    LEFT JOIN paper_orders o ON o.order_id = d.order_id
    WHERE coalesce(o.symbol, d.symbol) = ANY(ARRAY[${{symbol}}]::text[])
      AND named = ANY(ARRAY[${{strategy}}]::text[])
)
"""


def decision_stages_query(rest: str) -> str:
    """Return a query over the decisions received in the time range."""
    return DECISION_STAGES.strip() + "\n" + rest.strip()


FUNNEL = Panel(
    "bargauge",
    "Decision funnel",
    "Decisions received in the time range; those that are neither HOLD nor below the confidence threshold nor halted; "
    "those that were sized; those filled. A waiting decision counts as received only; a CANCEL, AMEND or PROTECT not.",
    decision_stages_query("""
SELECT name AS stage, decisions FROM (
    SELECT count(*) AS received, count(*) FILTER (WHERE stage IN ('above threshold', 'sized', 'filled')) AS above,
           count(*) FILTER (WHERE stage IN ('sized', 'filled')) AS sized,
           count(*) FILTER (WHERE stage = 'filled') AS filled
    FROM decided WHERE trades
) counted
CROSS JOIN LATERAL (VALUES ('received', received), ('above threshold', above), ('sized', sized), ('filled', filled))
    AS each(name, decisions)
"""),
    8,
    defaults=COUNT | {"min": 0} | coloured(BLUE),
    options={
        "reduceOptions": {"values": True, "calcs": ["lastNotNull"], "fields": "/^decisions$/"},
        "orientation": "horizontal",
        "displayMode": "basic",
        "showUnfilled": True,
    },
)

REASONS = table(
    "Why decisions went no further",
    "Decisions without a fill, by the last stage that they reached and the first words of their outcome's reason; and "
    "waiting ones.",
    decision_stages_query("""
SELECT CASE stage WHEN 'waiting' THEN 'received' ELSE stage END AS "last stage",
       CASE stage WHEN 'waiting' THEN 'waiting' ELSE reason END AS reason, count(*) AS decisions
FROM decided WHERE trades AND stage <> 'filled' GROUP BY 1, 2 ORDER BY 3 DESC, 2
"""),
    7,
    empty="Every decision was filled.",
    defaults=COUNT,
)

OUTCOMES = bars(
    "Decisions by outcome",
    "By the time of their receipt.",
    decision_stages_query(f"""
SELECT {BIN.format("created_at")} AS time,
       count(*) FILTER (WHERE status = 'executed') AS "executed",
       count(*) FILTER (WHERE status = 'rejected') AS "rejected",
       count(*) FILTER (WHERE status = 'ignored') AS "ignored",
       count(*) FILTER (WHERE status IN ('expired', 'cancelled')) AS "expired or cancelled",
       count(*) FILTER (WHERE status IN ('pending', 'open')) AS "waiting"
FROM decided GROUP BY 1 ORDER BY 1
"""),
    9,
    stacked=True,
    defaults=COUNT,
    fields={
        "executed": coloured(GREEN),
        "rejected": coloured(RED),
        "ignored": coloured(GREY),
        "expired or cancelled": coloured(ORANGE),
        "waiting": coloured(BLUE),
    },
    finest="1m",
)

NEWEST = f"""
WITH newest AS (
    SELECT run_id, day FROM {VALIDATION} WHERE portfolio = '$portfolio'
    ORDER BY started_at DESC, run_id DESC, day DESC LIMIT 1
)
"""
NO_RUN = "No verdict is stored; start a run with run.py validate start."

VERDICT = stat(
    "Validation: verdict of $portfolio",
    "The last stored verdict of the newest validation run (v_paper_validation). Ready means: the run goes on, at real "
    "prices, and both parts are passed, or the statistical part is underpowered and a person accepted it. PSR: the "
    "probability that the true Sharpe ratio is above 0.",
    NEWEST.strip()
    + f"""
SELECT v.run AS "run", v.day::text AS "day", v.operational AS "operational", v.statistical AS "statistical",
       v.psr AS "PSR(0)",
       CASE WHEN v.ended_at IS NOT NULL THEN 'the run has ended' WHEN v.ready THEN 'ready' ELSE 'not ready' END
           AS "real money",
       coalesce(v.accepted_by, 'nobody') AS "accepted by"
FROM {VALIDATION} v JOIN newest USING (run_id, day) WHERE v.portfolio = '$portfolio' LIMIT 1
""",
    24,
    defaults={"noValue": NO_RUN} | coloured(BLUE),
    fields={"PSR(0)": {"unit": "percentunit", "decimals": 1}},
)

PASSED = value_colours(passed=GREEN, failed=RED, underpowered=ORANGE)

CRITERIA = table(
    "Validation: criteria",
    "Requirement and result of each criterion of that verdict.",
    NEWEST.strip()
    + f"""
SELECT v.part, v.title AS criterion, v.required, v.seen,
       CASE WHEN v.passed THEN 'passed' ELSE 'failed' END AS verdict
FROM {VALIDATION} v JOIN newest USING (run_id, day) WHERE v.portfolio = '$portfolio' ORDER BY v.part, v.criterion
""",
    15,
    empty=NO_RUN,
    height=9,
    fields={"verdict": PASSED},
)

VERDICTS = table(
    "Validation: day by day",
    "The stored verdicts of the time range, of all runs of the portfolio.",
    f"""
    SELECT DISTINCT day::text AS day, run, operational, statistical, psr AS "PSR(0)",
           CASE WHEN ready THEN 'ready' ELSE 'not ready' END AS "real money"
    FROM {VALIDATION} WHERE portfolio = '$portfolio'
      AND day BETWEEN ($__timeFrom()::timestamptz AT TIME ZONE 'UTC')::date
                  AND ($__timeTo()::timestamptz AT TIME ZONE 'UTC')::date
    ORDER BY 1 DESC, 2
    """,
    9,
    empty=NO_RUN,
    height=9,
    fields={"operational": PASSED, "statistical": PASSED, "PSR(0)": {"unit": "percentunit", "decimals": 1}},
)

HEALTH = stat(
    "Now",
    "The serving process renews the lease every 5 s. Counts are over all portfolios.",
    """
    SELECT CASE WHEN isfinite(r.renewed_at) THEN extract(epoch FROM now() - r.renewed_at) END AS "lease renewed ago",
           CASE WHEN isfinite(l.started_at) THEN extract(epoch FROM now() - l.started_at) END AS "process since",
           l.epoch AS "processes so far",
           (SELECT count(*) FROM trading_decisions WHERE processed_at IS NULL) AS "decisions waiting",
           (SELECT count(*) FROM v_paper_halted) AS "portfolios halted"
    FROM paper_lease l, paper_lease_renewal r
    """,
    15,
    defaults=COUNT | coloured(BLUE),
    fields={
        "lease renewed ago": SECONDS | bad_from(15) | {"noValue": "never"},
        "process since": SECONDS,
        "portfolios halted": bad_from(1),
    },
)

SERVED = stat(
    "Uptime in the time range",
    "Share of the time range, from the first process on, in which a process served with its lease (paper_uptime); and "
    "the number of such spans.",
    f"""
    WITH asked AS (
        -- NULL must stay NULL here: greatest() and least() would ignore it.
        SELECT CASE WHEN min(since) IS NOT NULL THEN greatest(min(since), $__timeFrom()) END AS first,
               least(now(), $__timeTo()) AS last
        FROM {UPTIME}
    ), spans AS (
        SELECT count(*) AS number, sum(least(until, $__timeTo()) - greatest(since, $__timeFrom())) AS served
        FROM {UPTIME} WHERE until >= $__timeFrom() AND since <= $__timeTo()
    )
    SELECT CASE WHEN last > first THEN
                least(1, coalesce(extract(epoch FROM served), 0) / extract(epoch FROM last - first)) END AS "served",
           number AS "spans"
    FROM asked, spans
    """,
    9,
    defaults=COUNT | coloured(BLUE),
    fields={"served": {"unit": "percentunit", "decimals": 3}},
)

TIMELINE = Panel(
    "state-timeline",
    "Served",
    "Spans in which a process served with its lease; a gap is more than 10 s without it.",
    f"""
    SELECT time, state AS "process" FROM (
        SELECT greatest(since, $__timeFrom()) AS time, 'serves' AS state FROM {UPTIME}
        WHERE until >= $__timeFrom() AND since <= $__timeTo()
        UNION ALL
        SELECT until, 'down' FROM {UPTIME}
        WHERE $__timeFilter(until) AND until < now() - interval '10 seconds'
    ) changes ORDER BY time, state
    """,
    24,
    height=4,
    defaults={"custom": {"fillOpacity": 80, "lineWidth": 0}}
    | {
        "mappings": [
            {
                "type": "value",
                "options": {"serves": {"color": GREEN, "index": 0}, "down": {"color": RED, "index": 1}},
            }
        ]
    },
    options={"showValue": "auto", "mergeValues": True, "legend": {"showLegend": False}},
)

FAILURES = table(
    "Failures of actors",
    "Crashes, hangs and quarantined decisions of the time range, the last 100 (paper_failures). Nothing is lost: the "
    "path is rebuilt from the tables each time. Investigate several in a row.",
    """
    SELECT at, epoch || '-' || number AS reference, kind, actor, message, decision_id AS decision, error
    FROM paper_failures WHERE $__timeFilter(at) AND kind <> 'replaced'
    ORDER BY at DESC, epoch DESC, number DESC LIMIT 100
    """,
    24,
    empty="Nothing failed.",
    height=7,
    fields={"kind": value_colours(crash=ORANGE, hang=ORANGE, quarantine=RED) | {"custom.width": 110}},
)

HALTED = table(
    "Halted portfolios",
    "They trade nothing until a person resumes them (run.py resume).",
    "SELECT portfolio, at AS since, by_whom AS by, reason FROM v_paper_halted ORDER BY at",
    8,
    empty="None is halted.",
    height=6,
)

BOOKS = table(
    "Differences in the books",
    "v_paper_ledger_check: a sentence for each difference between cash, positions, trades, fills and outcomes.",
    """
    -- A limit on the view itself makes PostgreSQL choose a plan that is slow on a long history.
    WITH found AS MATERIALIZED (SELECT portfolio, what, difference FROM v_paper_ledger_check)
    SELECT * FROM found ORDER BY portfolio, what, difference LIMIT 100
    """,
    8,
    empty="The books balance.",
    height=6,
)

AUDITED = table(
    "Audits",
    "Comparisons of the process's memory with the database in the time range, the last 100 (paper_audits).",
    f"""
    SELECT at, portfolios, jsonb_array_length(differences) AS "differences found",
           (SELECT string_agg(sentence, '; ') FROM jsonb_array_elements_text(differences) sentence) AS what
    FROM {AUDITS} WHERE $__timeFilter(at) ORDER BY at DESC LIMIT 100
    """,
    8,
    empty="No audit in the time range.",
    height=6,
    fields={"differences found": bad_from(1) | {"custom.cellOptions": {"type": "color-text"}}},
)

ROWS = (
    Row("Decisions", (FUNNEL, REASONS, OUTCOMES)),
    Row("Validation", (VERDICT, CRITERIA, VERDICTS)),
    Row("Health", (HEALTH, SERVED, TIMELINE, HALTED, BOOKS, AUDITED, FAILURES)),
)
