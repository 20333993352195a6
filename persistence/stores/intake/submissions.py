"""Decisions that callers send: one row for each, found again by its uid or its sender's idempotency key."""

from __future__ import annotations

import json
import threading
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from itertools import groupby
from typing import Any

import psycopg
from sqlalchemy import Engine

from domain.errors import (
    DatabaseBusy,
    DatabaseUnavailable,
    IdempotencyConflict,
    InvalidDecision,
    SubmissionInDoubt,
    WriteRefused,
)
from domain.retry_policy import RetryPolicy
from domain.trading.decision import Accepted, Decision, Outcome
from domain.trading.open_orders.targets import targets_json
from domain.types import DecisionId, OrderId, OutcomeStatus
from domain.wording import quoted
from persistence.connections import transaction
from persistence.retry import retrying
from persistence.rows import KEEP_EXISTING, insert_rows, one_row

SENT = tuple(Decision.model_fields)
"""Columns that a sender fills."""
EVIDENCE = ("reasoning", "current_price", "strategy")
"""Columns that no order depends on. They are left out if empty, because an adopted table may have a default."""
CONTENT = (
    "symbol", "decision", "quantity", "confidence", "portfolio", "strategy", "target", "order_type", "limit_price",
    "stop_price", "time_in_force", "post_only", "reduce_only", "stop_loss", "stop_loss_pct", "take_profit",
    "take_profit_pct", "take_profits", "trail", "trail_pct", "trailing_stop", "trailing_stop_pct",
)  # fmt: skip
"""What two decisions of one key must have in common. A sender may find other reasons, prices and times at each try."""

SENDER = "coalesce(%(sent_by)s::text, session_user::text)"
FIND = f"""
SELECT id, status, outcome_reason, order_id, uid, idempotency_key FROM trading_decisions
WHERE uid = ANY(%(uids)s::uuid[])
   OR idempotency_key = ANY(%(keys)s::text[]) AND (sent_by IS NULL OR sent_by = {SENDER})
"""
OLDER_KEYS = "SELECT idempotency_key FROM trading_decisions WHERE idempotency_key = ANY(%s) AND sent_by IS NULL"
"""Of rows from before senders were stored; an INSERT with such a key is refused, whatever the conflict clause."""
HAS_DEFAULT = """EXISTS (
    SELECT FROM pg_attrdef f JOIN pg_attribute a ON a.attrelid = f.adrelid AND a.attnum = f.adnum
    WHERE f.adrelid = 'trading_decisions'::regclass AND a.attname = 'strategy')"""
STORED = dict.fromkeys(CONTENT, "d.{}") | {
    "decision": "upper(btrim(d.{}))",
    "order_type": "coalesce(d.{}, 'market')",
    **dict.fromkeys(("post_only", "reduce_only"), "coalesce(d.{}, false)"),
}
WANTED = dict.fromkeys(CONTENT, "n.{}") | {
    "take_profits": "%(take_profits)s::jsonb",
    "strategy": f"CASE WHEN n.{{0}} IS NULL AND {HAS_DEFAULT} THEN d.{{0}} ELSE n.{{0}} END",
}
COMPARED = ", ".join(
    f"CASE WHEN {STORED[name].format(name)} IS DISTINCT FROM {WANTED[name].format(name)} THEN '{name}' END"
    for name in CONTENT
)
# The new values get the types of the columns first: those of an adopted table may be floats.
DIFFERENCES = f"""
SELECT array_remove(ARRAY[{COMPARED}], NULL)
FROM trading_decisions d CROSS JOIN jsonb_populate_record(NULL::trading_decisions, %(values)s::jsonb) n
WHERE d.id = %(id)s
"""

LOOKUP_TIMEOUT_S = 10.0
"""How long a decision is looked up whose COMMIT was not answered."""

OUTCOMES = "SELECT id, status, outcome_reason, order_id FROM trading_decisions WHERE id = ANY(%s)"


def id_literal(ids: Iterable[DecisionId]) -> str:
    """Return ids as an array literal, which takes the type of the column; an adopted table's may be any."""
    return f"{{{','.join(map(str, ids))}}}"


def insert_decisions(
    cursor: psycopg.Cursor, decisions: Sequence[Decision], sent_by: str | None = None
) -> list[Accepted]:
    """Insert decisions, or find those whose uid or idempotency key exists already; return one result each, in order.

    Args:
        cursor: of a transaction.
        decisions: all of one sender.
        sent_by: the sender, where it is not the role of the session; only the owner of the table may name another.

    Raises:
        InvalidDecision: an argument is not a decision; nothing was inserted.
        IdempotencyConflict: its sender has used the key or the uid for other content.
    """
    rows = [_row(decision) | ({} if sent_by is None else {"sent_by": sent_by}) for decision in decisions]
    if keys := [decision.idempotency_key for decision in decisions if decision.idempotency_key is not None]:
        older = {key for (key,) in cursor.execute(OLDER_KEYS, [keys]).fetchall()}
        rows = [row for row in rows if row["idempotency_key"] not in older]
    # In order, because the ids give the sequence. Most senders use the same columns, so it is usually one statement.
    inserted = 0
    for _, group in groupby(rows, key=tuple):
        inserted += insert_rows(cursor, "trading_decisions", list(group), KEEP_EXISTING)
    accepted: list[Accepted] = []
    for decision in _find(cursor, decisions, sent_by, are_new=inserted == len(rows)):
        if isinstance(decision, IdempotencyConflict):
            raise decision
        if decision is None:
            raise WriteRefused(
                "a decision could not be inserted: another row of the table has its id, or a unique index of yours "
                "refuses its idempotency_key"
            )
        accepted.append(decision)
    return accepted


def find_decisions(
    cursor: psycopg.Cursor, decisions: Sequence[Decision], sent_by: str | None = None
) -> list[Accepted | IdempotencyConflict | None]:
    """Find decisions by uid or their sender's idempotency key; None for each that is not in the table.

    Args:
        cursor: of a transaction.
        decisions: all of one sender.
        sent_by: see `insert_decisions`.
    """
    return _find(cursor, decisions, sent_by, are_new=False)


def _find(
    cursor: psycopg.Cursor, decisions: Sequence[Decision], sent_by: str | None, *, are_new: bool
) -> list[Accepted | IdempotencyConflict | None]:
    keys = [decision.idempotency_key for decision in decisions if decision.idempotency_key is not None]
    parameters = {"uids": [decision.uid for decision in decisions], "keys": keys, "sent_by": sent_by}
    rows = cursor.execute(FIND, parameters).fetchall()
    by_uid = {row[4]: row for row in rows}
    by_key = {row[5]: row for row in rows if row[5] is not None}
    results: list[Accepted | IdempotencyConflict | None] = []
    for decision in decisions:
        row = by_uid.get(decision.uid) or by_key.get(decision.idempotency_key or "")
        if row is None:
            results.append(None)
            continue
        conflict = None if are_new and row[4] == decision.uid else _conflict(cursor, row, decision)
        results.append(conflict or Accepted(row[0], outcome_of(row)))
    return results


def _conflict(cursor: psycopg.Cursor, row: Sequence[Any], decision: Decision) -> IdempotencyConflict | None:
    """Return the error where the stored decision of a row has other content."""
    values = _row(decision)
    parameters = {
        "id": row[0],
        "take_profits": values["take_profits"],
        "values": json.dumps({name: values.get(name) for name in CONTENT if name != "take_profits"}, default=str),
    }
    (fields,) = one_row(cursor, DIFFERENCES, parameters)
    if not fields:
        return None
    if row[4] == decision.uid:
        return IdempotencyConflict("uid", str(decision.uid), row[0], fields)
    return IdempotencyConflict("idempotency_key", quoted(decision.idempotency_key), row[0], fields)


def look_up(engine: Engine, decision: Decision, closed: threading.Event) -> Accepted:
    """Look up a decision whose COMMIT was not answered, as soon as the database is back; insert nothing.

    Args:
        engine: of the database.
        decision: the sent decision.
        closed: ends the look-up when it is set.

    Raises:
        IdempotencyConflict: another decision of this sender has its key, and other content.
        SubmissionInDoubt: the decision is not in the table, or the table cannot be read; its COMMIT may be under way.
    """
    policy = RetryPolicy((DatabaseUnavailable, DatabaseBusy), limit_s=LOOKUP_TIMEOUT_S)
    with suppress(*policy.errors):
        accepted = retrying(policy, closed)(lambda: _look_up(engine, decision))
        if isinstance(accepted, IdempotencyConflict):
            raise accepted
        if accepted is not None:
            return accepted
    raise SubmissionInDoubt(decision.uid)


def _look_up(engine: Engine, decision: Decision) -> Accepted | IdempotencyConflict | None:
    with transaction(engine) as cursor:
        return find_decisions(cursor, [decision])[0]


def read_outcomes(cursor: psycopg.Cursor, ids: Collection[DecisionId]) -> dict[DecisionId, Outcome | None]:
    """Return the outcomes of decisions: None for a pending one, no entry for one whose row is gone.

    One whose order rests in the market has the status ``open``.
    """
    return {row[0]: outcome_of(row) for row in cursor.execute(OUTCOMES, [id_literal(ids)]).fetchall()}


def outcome_of(row: Sequence[Any]) -> Outcome | None:
    """Return the outcome of a row that begins with id, status, reason and order; None while it is pending."""
    id_, status, reason, order_id = row[:4]
    if status == "pending":
        return None
    return Outcome(id_, OutcomeStatus(status), reason or "", OrderId(order_id) if order_id else None)


def _row(decision: Decision) -> dict[str, object]:
    """Return the columns to insert for a decision, with their values."""
    try:
        row = {name: getattr(decision, name) for name in SENT} | {
            "decision": decision.decision.value,
            "order_type": decision.order_type.value,
            "take_profits": targets_json(decision.take_profits) if decision.take_profits else None,
            "time_in_force": decision.time_in_force.value if decision.time_in_force is not None else None,
        }
    except AttributeError:  # None, a dictionary, or a decision that pydantic's model_copy changed unchecked
        msg = f"submit() takes a Decision made with Decision(…), not {quoted(decision)}"
        raise InvalidDecision(msg, "no_decision") from None
    return {name: value for name, value in row.items() if value is not None or name not in EVIDENCE}
