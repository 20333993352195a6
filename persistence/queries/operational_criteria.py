"""The records of the program's own operation, on which the operational criteria of a validation rest."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import psycopg

from domain.failures import FailureKind
from domain.trading.decision import Reason
from domain.trading.sessions.calendar import LONGEST_PAUSE
from domain.validation.criteria import MAX_EVIDENCE_ITEMS
from domain.validation.operational import RESTARTS, UPTIME_END_TOLERANCE, AuditFinding, Incident, Operations
from persistence.queries.listing.row_filter import FLAT_SYMBOL
from persistence.rows import one_row
from persistence.stores.portfolios import DECIDED_IN
from persistence.stores.validation_runs import STRATEGY

COUNTED_FAILURES = sorted({*RESTARTS, FailureKind.GAVE_UP, FailureKind.QUARANTINE})

# A span that ended just before the period may reach into it, because a run begins between two renewals.
SPANS = """
SELECT since, until FROM paper_uptime WHERE until >= %(since)s - %(tolerated)s AND since < %(until)s ORDER BY since
"""

FAILURES = """
SELECT format('%%s-%%s', epoch, number), at, kind, actor FROM paper_failures
WHERE at >= %(since)s AND at < %(until)s AND kind = ANY(%(kinds)s) ORDER BY at, epoch, number
"""

AUDITS = "SELECT count(*), max(at) FROM paper_audits WHERE at >= %(since)s AND at < %(until)s"

FINDINGS = """
SELECT id, at, differences FROM paper_audits
WHERE at >= %(since)s AND at < %(until)s AND differences <> '[]' ORDER BY id
"""

# NULL: all strategies count.
COUNTED = f"(%(strategies)s::text[] IS NULL OR {STRATEGY} = ANY(%(strategies)s))"

OWN = DECIDED_IN.format("%(portfolio)s")

# A sender may state any created_at; none is made later than the database got it. The first condition is for the index.
MADE_IN_PERIOD = """created_at >= %(since)s AND least(created_at, received_at) >= %(since)s
  AND least(created_at, received_at) < %(until)s"""

DECISIONS = f"""
SELECT count(*) FROM trading_decisions d
WHERE {OWN} AND {COUNTED} AND {MADE_IN_PERIOD}
"""

# A decision is late after its deadline and the grace. It counts in the period in which that time lies, and in each one
# at whose end it has no outcome. A sender may insert any created_at, which must not overflow here. A decision whose
# order may rest is in time if that order was accepted in time, however long it rests. Where its symbol has trading
# sessions, it may wait for the next one.
LATE = f"""
WITH with_sessions AS (
    SELECT {FLAT_SYMBOL} AS symbol
    FROM (SELECT settings -> 'calendars' AS calendars FROM paper_processes ORDER BY epoch DESC LIMIT 1) p
    CROSS JOIN LATERAL jsonb_object_keys(p.calendars) symbol
), asked AS (
    SELECT d.id, coalesce(o.created_at, d.processed_at) AS processed_at,
           least(coalesce(d.expires_at, least(d.created_at, d.received_at, '9999-12-20'::timestamptz)
                         + %(age)s * interval '1 second'
                         + CASE WHEN d.order_type <> 'market' AND {FLAT_SYMBOL.replace("symbol", "d.symbol")}
                                     IN (SELECT s.symbol FROM with_sessions s) THEN %(pause)s ELSE interval '0' END),
                 '9999-12-31'::timestamptz) + %(grace)s * interval '1 second' AS due
    FROM trading_decisions d
    LEFT JOIN paper_orders o ON o.order_id = d.order_id AND o.decision_id = d.id AND o.order_type <> 'market'
    WHERE {OWN} AND {COUNTED.replace("strategy,", "d.strategy,")}
)
SELECT id::text, to_char(due, 'YYYY-MM-DD HH24:MI:SS'),
       CASE WHEN processed_at <= %(until)s THEN to_char(processed_at, 'YYYY-MM-DD HH24:MI:SS') END,
       count(*) OVER ()
FROM asked
WHERE due <= %(until)s AND (processed_at IS NULL OR processed_at > due)
  AND (due >= %(since)s OR processed_at IS NULL OR processed_at > %(until)s)
ORDER BY due, id LIMIT %(most)s
"""

NO_PRICE = f"""
SELECT id::text, count(*) OVER () FROM trading_decisions d
WHERE {OWN} AND {COUNTED} AND {MADE_IN_PERIOD}
  AND status = 'rejected' AND outcome_reason LIKE %(reason)s AND processed_at <= %(until)s
ORDER BY created_at, id LIMIT %(most)s
"""

FOREIGN = f"""
SELECT id::text, {STRATEGY}, status, count(*) OVER () FROM trading_decisions d
WHERE {OWN} AND NOT {COUNTED} AND least(created_at, received_at) < %(until)s
  AND (created_at >= %(since)s OR processed_at >= %(since)s OR processed_at IS NULL)
ORDER BY created_at, id LIMIT %(most)s
"""

LEDGER = "SELECT difference FROM v_paper_ledger_check"


def ledger_differences(cursor: psycopg.Cursor) -> tuple[str, ...]:
    """Return the rows of ``v_paper_ledger_check`` now; the view reads the whole ledger."""
    return tuple(difference for (difference,) in cursor.execute(LEDGER))


def read_operations(
    cursor: psycopg.Cursor,
    portfolio: str,
    since: datetime,
    until: datetime,
    max_price_age: float,
    grace: float,
    ledger: Sequence[str],
    strategies: Sequence[str] | None = None,
) -> Operations:
    """Return the records of a period.

    Args:
        cursor: of `persistence.queries.history.consistent_read`.
        portfolio: id of the one of the decisions; all other records are the whole program's.
        since: beginning of the period.
        until: end of the period.
        max_price_age: seconds from the creation of a decision without an expiry to its deadline.
        grace: seconds from the deadline until the decision is late.
        ledger: result of `ledger_differences`.
        strategies: whose decisions count; None: all.
    """
    parameters = {
        "portfolio": portfolio,
        "since": since,
        "until": until,
        "tolerated": UPTIME_END_TOLERANCE,
        "age": max_price_age,
        "grace": grace,
        "pause": LONGEST_PAUSE,
        "kinds": COUNTED_FAILURES,
        "reason": f"{Reason.NO_PRICE}%",
        "most": MAX_EVIDENCE_ITEMS,
        "strategies": None if strategies is None else list(strategies),
    }
    audits, last_audit = one_row(cursor, AUDITS, parameters)
    (decisions,) = one_row(cursor, DECISIONS, parameters)
    late = cursor.execute(LATE, parameters).fetchall()
    no_price = cursor.execute(NO_PRICE, parameters).fetchall()
    foreign = cursor.execute(FOREIGN, parameters).fetchall() if strategies is not None else []
    return Operations(
        since=since,
        until=until,
        spans=cursor.execute(SPANS, parameters).fetchall(),
        failures=[
            Incident(reference, at, FailureKind(kind), actor)
            for reference, at, kind, actor in cursor.execute(FAILURES, parameters).fetchall()
        ],
        audits=audits,
        last_audit=last_audit,
        findings=[
            AuditFinding(id_, at, tuple(map(str, differences)))
            for id_, at, differences in cursor.execute(FINDINGS, parameters)
        ],
        decisions=decisions,
        late=[f"decision {id_}, due at {due} UTC: {_when(ended)}" for id_, due, ended, _ in late],
        late_count=late[0][3] if late else 0,
        no_price=[id_ for id_, _ in no_price],
        no_price_count=no_price[0][1] if no_price else 0,
        ledger=ledger,
        foreign=[f"decision {id_} of {strategy} ({status})" for id_, strategy, status, _ in foreign],
        foreign_count=foreign[0][3] if foreign else 0,
    )


def _when(ended: str | None) -> str:
    return "no outcome yet" if ended is None else f"its outcome came at {ended}"
