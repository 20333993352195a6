"""Pending decisions in turn, and the ends of those that are left in the table.

A backlog of one portfolio or sender does not delay another's. Each portfolio has its turns, in which its decisions keep
their order. Others come with the oldest of all: those of portfolios that are unknown or closed, which are refused.
Beside the portfolios the senders have turns: a decision has the number that it has among all of its sender's, or that
of the one before it in its portfolio, if that is higher. So the order within a portfolio stands above the turns of
senders.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from math import ceil
from typing import Any

import psycopg

from domain.errors import Fenced
from domain.trading.decision import Outcome
from domain.trading.freshness.price_waits import PRICED, EndedLeft, Left, LeftEnd
from domain.types import DecisionId, Epoch, Generation, OutcomeStatus
from persistence.stores.intake.submissions import id_literal

PENDING_ROW = "d.processed_at IS NULL AND d.status = 'pending'"
ORDER = "d.received_at NULLS FIRST, CASE WHEN d.received_at IS NULL THEN d.created_at END, d.id"
"""The order of the table, as its indexes have it."""
PLACE = "d.received_at AS got, CASE WHEN d.received_at IS NULL THEN d.created_at::timestamptz END AS made"
"""The same order as columns: ``got NULLS FIRST, made, id``."""
GOT = "coalesce(d.received_at, d.created_at::timestamptz)"
"""When a decision came into the table."""
SENDER = "coalesce(d.sent_by, '')"
IS_PRICED = f"upper(btrim(d.decision)) IN ({', '.join(repr(action.value) for action in sorted(PRICED))})"
MIN_SHARE, MAX_SHARE = 25, 100
"""So many decisions of a portfolio have their turn in one read, as far as there are so many; the oldest of all fill the
rest."""

# A range, not an equation: so only the index that begins with the portfolio gives this order, whatever the planner
# believes about the number of decisions of a portfolio. OFFSET 0 keeps it from reading the table as a whole.
# Where decisions are left, the oldest of all would be looked for behind all of them. The same are found by portfolio,
# each along its index: the oldest of the open ones, and of others, whose names are looked for one after the other.
IN_TURN = f"""
WITH RECURSIVE left_of AS MATERIALIZED (
    SELECT c.name, h.symbol FROM unnest(%(portfolios)s::text[], %(symbols)s::text[]) AS h(portfolio, symbol)
    JOIN paper_trading_config c ON c.portfolio = h.portfolio
), lanes AS MATERIALIZED (
    SELECT c.name, (SELECT array_agg(h.symbol) FROM left_of h WHERE h.name = c.name) AS symbols
    FROM paper_trading_config c CROSS JOIN LATERAL (
        SELECT FROM trading_decisions d WHERE {PENDING_ROW} AND d.portfolio >= c.name AND d.portfolio <= c.name
        ORDER BY d.portfolio, {ORDER} LIMIT 1
    ) head WHERE c.closed_at IS NULL
), names (name) AS (
    (SELECT d.portfolio::text FROM trading_decisions d WHERE {PENDING_ROW} ORDER BY d.portfolio, {ORDER} LIMIT 1)
    UNION ALL
    SELECT next.portfolio FROM names n CROSS JOIN LATERAL (
        SELECT d.portfolio::text FROM trading_decisions d WHERE {PENDING_ROW} AND d.portfolio > n.name
        ORDER BY d.portfolio, {ORDER} LIMIT 1
    ) next
), turns AS MATERIALIZED (
    SELECT p.* FROM lanes l CROSS JOIN LATERAL (
        SELECT d.id, d.portfolio::text, {SENDER} AS sender, {PLACE},
               row_number() OVER (ORDER BY d.portfolio, {ORDER}) AS turn
        FROM trading_decisions d
        WHERE {PENDING_ROW} AND d.portfolio >= l.name AND d.portfolio <= l.name AND d.id <> ALL(%(under_way)s)
          AND (d.symbol = ANY(l.symbols) AND {IS_PRICED}) IS NOT TRUE
        ORDER BY d.portfolio, {ORDER} LIMIT %(each)s
    ) p WHERE %(passes)s OR l.symbols IS NULL
), others AS MATERIALIZED (
    SELECT p.* FROM names n CROSS JOIN LATERAL (
        SELECT d.id, d.portfolio::text, {SENDER} AS sender, {PLACE} FROM trading_decisions d
        WHERE {PENDING_ROW} AND d.portfolio >= n.name AND d.portfolio <= n.name AND d.id <> ALL(%(under_way)s)
          AND ((d.portfolio::text, d.symbol::text) IN (SELECT h.name, h.symbol FROM left_of h) AND {IS_PRICED})
              IS NOT TRUE
        ORDER BY d.portfolio, {ORDER} LIMIT %(limit)s
    ) p
    WHERE %(by_name)s AND n.name NOT IN (SELECT l.name FROM lanes l)
    LIMIT %(limit)s
), picked AS (
    SELECT * FROM turns WHERE turn <= %(share)s
    UNION ALL
    SELECT id, portfolio, sender, got, made, row_number() OVER (ORDER BY got NULLS FIRST, made, id)
    FROM (SELECT id, portfolio, sender, got, made FROM turns UNION ALL SELECT * FROM others) found
    WHERE %(by_name)s
    UNION ALL
    (SELECT d.id, d.portfolio::text, {SENDER}, {PLACE}, row_number() OVER (ORDER BY {ORDER})
     FROM trading_decisions d
     WHERE {PENDING_ROW} AND d.id <> ALL(%(under_way)s) AND %(passes)s AND NOT %(by_name)s
       AND ((d.portfolio::text, d.symbol::text) IN (SELECT h.name, h.symbol FROM left_of h) AND {IS_PRICED}) IS NOT TRUE
     ORDER BY {ORDER} LIMIT %(limit)s)
)
SELECT {{columns}}, (SELECT count(*) FROM lanes) FROM (
    SELECT id, max(number) OVER (PARTITION BY portfolio ORDER BY turn) AS rank, turn, got, made FROM (
        SELECT *, row_number() OVER (PARTITION BY sender ORDER BY turn, got NULLS FIRST, made, id) AS number FROM (
            SELECT id, portfolio, sender, got, made, min(turn) AS turn FROM picked GROUP BY 1, 2, 3, 4, 5
        ) once
    ) numbered ORDER BY rank, turn, got NULLS FIRST, made, id LIMIT %(limit)s
) t CROSS JOIN LATERAL (SELECT * FROM trading_decisions d WHERE d.id = t.id OFFSET 0) d
ORDER BY t.rank, t.turn, t.got NULLS FIRST, t.made, t.id
"""
"""With the number of portfolios that have pending decisions as the last column."""

FENCE = """
SELECT FROM paper_lease l CROSS JOIN paper_generation g
WHERE l.epoch = %s AND g.generation = %s FOR SHARE OF l, g
"""
BEFORE = f"AND (e.got, e.id) < (SELECT {GOT}, d.id FROM trading_decisions d WHERE d.id = %(before)s)"
# The oldest come first, so the limit may count before the age: no statement passes over more rows than it may end.
# By ctid, because the planner may look for each id in an index of pending rows; one that has changed has another.
END_LEFT = f"""
WITH due AS MATERIALIZED (
    SELECT e.row, h.portfolio, paper_now() - e.got AS waited,
           CASE WHEN e.expired THEN 'expired' ELSE h.status END AS status,
           CASE WHEN e.expired THEN 'expired: at ' || to_char(e.expires_at, 'YYYY-MM-DD HH24:MI:SS')
                                    || ' UTC, while it waited for a price' ELSE h.sentence END AS reason
    FROM unnest(%(portfolios)s::text[], %(symbols)s::text[], %(statuses)s::text[], %(sentences)s::text[],
                %(older_than)s::interval[], %(market_only)s::boolean[], %(senders)s::text[])
         AS h(portfolio, symbol, status, sentence, older_than, market_only, sender)
    JOIN paper_trading_config c ON c.portfolio = h.portfolio
    CROSS JOIN LATERAL (
        SELECT d.ctid AS row, d.id, {GOT} AS got, d.expires_at::timestamptz AS expires_at,
               coalesce(d.expires_at::timestamptz <= paper_now(), false) AS expired
        FROM trading_decisions d
        WHERE {PENDING_ROW} AND d.portfolio >= c.name AND d.portfolio <= c.name AND d.symbol = h.symbol AND {IS_PRICED}
          AND (NOT h.market_only OR coalesce(d.order_type, 'market') = 'market') AND d.id <> ALL(%(under_way)s)
          AND (h.sender IS NULL OR d.sent_by IS NULL OR d.sent_by = h.sender)
        ORDER BY d.portfolio, {ORDER} LIMIT %(limit)s
    ) e
    WHERE (h.older_than IS NULL OR e.got <= paper_now() - h.older_than) {{before}}
    LIMIT %(limit)s
)
UPDATE trading_decisions d
SET status = due.status, outcome_reason = due.reason, order_id = NULL, processed_at = paper_now()
FROM due WHERE d.ctid = due.row AND {PENDING_ROW}
RETURNING d.id, due.status, due.reason, due.portfolio, due.waited
"""


def turn_parameters(
    under_way: Collection[DecisionId], limit: int, left: Left, lanes: int, *, by_age: bool = False
) -> dict[str, Any]:
    """Return the parameters of `IN_TURN`.

    Args:
        under_way: the decisions that are not read again.
        limit: how many are read at most.
        left: which decisions are left.
        lanes: how many portfolios had pending decisions at the last read.
        by_age: look for the oldest of all by their age also where decisions are left: slow, and complete.
    """
    by_name = left.passes and bool(left.symbols) and not by_age
    share = min(MAX_SHARE, max(MIN_SHARE, ceil(limit / max(lanes, 1))))
    symbols = sorted(left.symbols)
    return {
        "portfolios": [of.portfolio for of in symbols],
        "symbols": [of.symbol for of in symbols],
        "under_way": id_literal(under_way),
        "share": share,
        "each": max(limit, share) if by_name else share,
        "by_name": by_name,
        "passes": left.passes,
        "limit": limit,
    }


def require_current(cursor: psycopg.Cursor, epoch: Epoch, generation: Generation) -> None:
    """Keep epoch and generation as they are until the end of the transaction.

    Raises:
        Fenced: they are not the current ones.
    """
    if not cursor.execute(FENCE, [epoch, generation]).fetchall():
        raise Fenced(f"generation {generation} of epoch {epoch} does not write any more")


def end_left(
    cursor: psycopg.Cursor,
    ends: Sequence[LeftEnd],
    under_way: Collection[DecisionId],
    limit: int,
    before: DecisionId | None,
) -> list[EndedLeft]:
    """End decisions in the table, in its order; the transaction holds the fence.

    Args:
        cursor: of the transaction.
        ends: of which, and how.
        under_way: decisions that do not end here.
        limit: how many end at most.
        before: only those that come before this decision; None: all.
    """
    parameters = {
        "portfolios": [end.of.portfolio for end in ends],
        "symbols": [end.of.symbol for end in ends],
        "statuses": [end.status.value for end in ends],
        "sentences": [end.sentence for end in ends],
        "older_than": [end.older_than for end in ends],
        "market_only": [end.market_only for end in ends],
        "senders": [end.sender for end in ends],
        "under_way": id_literal(under_way),
        "limit": limit,
    }
    statement = END_LEFT.format(before="" if before is None else BEFORE)
    if before is not None:
        parameters["before"] = before
    rows = cursor.execute(statement, parameters, prepare=False).fetchall()
    return [
        EndedLeft(Outcome(id_, OutcomeStatus(status), reason), portfolio, waited)
        for id_, status, reason, portfolio, waited in rows
    ]
