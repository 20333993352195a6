"""The table of decisions: pending rows, outcomes without an order, and inserts of the intake."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from itertools import groupby
from typing import Any

import psycopg
from loguru import logger
from sqlalchemy import Engine

from domain.analytics.trade_stats import NO_STRATEGY
from domain.errors import (
    DatabaseBusy,
    DatabaseUnavailable,
    DatabaseUnsuitable,
    InvalidDecision,
    SubmissionInDoubt,
    WriteRefused,
)
from domain.retry_policy import RetryPolicy
from domain.trading.account.requests import AccountRequest
from domain.trading.decision import Accepted, Decision, Outcome, PendingDecision, Reason, Refusal
from domain.trading.open_orders.targets import targets_json
from domain.trading.open_orders.terms import TARGETED, OrderTerms
from domain.types import DEFAULT_PORTFOLIO, Action, DecisionId, Generation, Instant, OrderId, OutcomeStatus
from domain.wording import format_time, quoted
from persistence.connections import transaction
from persistence.error_translation import first_line, translated
from persistence.retry import retrying
from persistence.rows import KEEP_EXISTING, columns_of, insert_rows
from persistence.stores.books.account import read_pending
from persistence.stores.cancel_targets import resolve_target
from persistence.stores.decision_rows import STORED_NUMBERS, row_flaw, row_terms
from persistence.stores.store import Store

SENT = tuple(Decision.model_fields)
"""Columns that a sender fills."""
TERMS = (*columns_of(OrderTerms, ("expires_at",)), "order_expires_at")
"""Columns with the terms of an order."""
STRICT_RUNS = """(
    SELECT jsonb_agg(jsonb_build_array(name, portfolios, strategies) ORDER BY id) FROM paper_validation_runs
    WHERE ended_at IS NULL AND NOT allow_foreign)"""
"""The open validation runs that reject decisions of other strategies; NULL if there is none.

Strategies are not compared in SQL: PostgreSQL may compute a value of the row while it plans a condition on it, and an
error then concerns all rows. For all rows of a statement it reads the runs once.
"""
LIVES = """(
    SELECT jsonb_object_agg(name, jsonb_build_array(portfolio, created_at)) FROM paper_trading_config
    WHERE life > 1 AND replaced_at IS NULL)"""
"""By name, id and beginning of the present life of each portfolio that was begun anew; NULL if there is none.

A decision names a portfolio; from here on it has the id of a life. It is read once for all rows of a statement.
"""
CASTS = dict.fromkeys(STORED_NUMBERS, "d.{}::numeric") | {
    "take_profits": "d.{}::text",
    **dict.fromkeys(("created_at", "expires_at", "order_expires_at"), "d.{}::timestamptz"), "now": "paper_now()",
    "strict_runs": STRICT_RUNS, "lives": LIVES,
}  # fmt: skip
"""An adopted table may have floats, and times without zone; those are UTC, the session's zone."""
OWN = columns_of(PendingDecision, ("action", "received", "waited", "sent", "terms", "target"))
"""Columns that are fields of a `PendingDecision` as they are."""
READ = (*OWN, "decision", "target", *TERMS, "now", "strict_runs", "lives")
"""Columns that the DecisionWatcher reads, the database's time, the validation runs, and the lives of portfolios."""

# Never "id > last seen": a low id that commits late would never be read.
OLDEST = """
FROM trading_decisions d
WHERE d.processed_at IS NULL AND d.status = 'pending' AND d.id <> ALL(%s)
ORDER BY d.created_at, d.id LIMIT %s
"""
PENDING = f"SELECT {', '.join(CASTS.get(name, 'd.{}').format(name) for name in READ)} {OLDEST}"
PENDING_IDS = f"SELECT d.id {OLDEST}"
"""Only the ids, so that no value of an unreadable row is computed."""
PENDING_ONE = PENDING.replace("d.id <> ALL(%s)", "d.id = ANY(%s)")

LOOKUP_TIMEOUT_S = 10.0
"""How long a decision is looked up whose COMMIT was not answered."""
MAX_PREPARED_IDS = 100
"""Up to so many excluded ids the statement is prepared; with more, to plan it anew with a hashed array is faster."""
INSERT_LOCK_TIMEOUT = "500ms"
"""Short, because all other inserts wait meanwhile."""

EVIDENCE = ("reasoning", "current_price", "strategy")
"""Columns that no order depends on. They are left out if empty, because an adopted table may have a default."""

FIND = """
SELECT id, status, outcome_reason, order_id, uid, idempotency_key FROM trading_decisions
WHERE uid = ANY(%s::uuid[]) OR idempotency_key = ANY(%s::text[])
"""

OUTCOMES = "SELECT id, status, outcome_reason, order_id FROM trading_decisions WHERE id = ANY(%s)"


def id_literal(ids: Iterable[DecisionId]) -> str:
    """Return ids as an array literal, which takes the type of the column; an adopted table's may be any."""
    return f"{{{','.join(map(str, ids))}}}"


def insert_decisions(cursor: psycopg.Cursor, decisions: Sequence[Decision]) -> list[Accepted]:
    """Insert decisions, or find those whose uid or idempotency key exists already; return one result each, in order.

    Raises:
        InvalidDecision: an argument is not a decision; nothing was inserted.
    """
    # In order, because the ids give the sequence. Most senders use the same columns, so it is usually one statement.
    for _, rows in groupby(map(_row, decisions), key=tuple):
        insert_rows(cursor, "trading_decisions", list(rows), KEEP_EXISTING)
    accepted = find_decisions(cursor, decisions)
    if None in accepted:
        raise WriteRefused("a decision could not be inserted: another row of the table has its id")
    return [decision for decision in accepted if decision is not None]


def find_decisions(cursor: psycopg.Cursor, decisions: Sequence[Decision]) -> list[Accepted | None]:
    """Find decisions by uid or idempotency key; None for each that is not in the table."""
    keys = [decision.idempotency_key for decision in decisions if decision.idempotency_key is not None]
    rows = cursor.execute(FIND, [[decision.uid for decision in decisions], keys]).fetchall()
    stored = [(row[4], row[5], Accepted(row[0], _outcome(row))) for row in rows]
    by_uid = {uid: accepted for uid, _, accepted in stored}
    by_key = {key: accepted for _, key, accepted in stored if key is not None}
    return [by_uid.get(d.uid) or by_key.get(d.idempotency_key or "") for d in decisions]


def look_up(engine: Engine, decision: Decision, closed: threading.Event) -> Accepted:
    """Look up a decision whose COMMIT was not answered, as soon as the database is back; insert nothing.

    Args:
        engine: of the database.
        decision: the sent decision.
        closed: ends the look-up when it is set.

    Raises:
        SubmissionInDoubt: the decision is not in the table, or the table cannot be read; its COMMIT may be under way.
    """
    policy = RetryPolicy((DatabaseUnavailable, DatabaseBusy), limit_s=LOOKUP_TIMEOUT_S)
    with suppress(*policy.errors):
        accepted = retrying(policy, closed)(lambda: _look_up(engine, decision))
        if accepted is not None:
            return accepted
    raise SubmissionInDoubt(decision.uid)


def _look_up(engine: Engine, decision: Decision) -> Accepted | None:
    with transaction(engine) as cursor:
        return find_decisions(cursor, [decision])[0]


def read_outcomes(cursor: psycopg.Cursor, ids: Collection[DecisionId]) -> dict[DecisionId, Outcome | None]:
    """Return the outcomes of decisions: None for a pending one, no entry for one whose row is gone.

    One whose order rests in the market has the status ``open``.
    """
    return {row[0]: _outcome(row) for row in cursor.execute(OUTCOMES, [id_literal(ids)]).fetchall()}


def _outcome(row: Sequence[Any]) -> Outcome | None:
    id_, status, reason, order_id = row[:4]
    if status == "pending":
        return None
    return Outcome(id_, OutcomeStatus(status), reason or "", OrderId(order_id) if order_id else None)


class DecisionStore(Store):
    """The table of decisions, for the DecisionWatcher."""

    ACTOR = "DecisionWatcher"

    def pending(
        self, under_way: Collection[DecisionId], limit: int, received: Instant
    ) -> list[PendingDecision | Refusal]:
        """Return up to ``limit`` decisions without outcome that are not under way, oldest first.

        An invalid row, which can exist if a constraint was dropped, is returned as its refusal. So is a row with a
        value that the server cannot compute or send, or that Python cannot represent.
        """
        try:
            with transaction(self.engine) as cursor:
                # With many ids the statement is not prepared: PostgreSQL hashes the array only if it is a constant of
                # the column's own type, which is also why it is a literal.
                prepare = False if len(under_way) > MAX_PREPARED_IDS else None
                cursor.execute(PENDING, [id_literal(under_way), limit], prepare=prepare)
                rows = cursor.fetchall()
                return [_from_row(cursor, row, received) for row in rows]
        except (WriteRefused, UnicodeDecodeError):  # one row has an unreadable value; the other rows must still be read
            return self._pending_one_by_one(under_way, limit, received)

    def account_requests(self, excluded: Collection[int]) -> list[AccountRequest]:
        """Return the requests for accounts that have not ended, oldest first, without the excluded ones."""
        with transaction(self.engine) as cursor:
            return read_pending(cursor, excluded)

    def _pending_one_by_one(
        self, under_way: Collection[DecisionId], limit: int, received: Instant
    ) -> list[PendingDecision | Refusal]:
        with transaction(self.engine) as cursor:
            ids = cursor.execute(PENDING_IDS, [id_literal(under_way), limit]).fetchall()
            return [_read_alone(cursor, row[0], received) for row in ids]

    def end(self, generation: Generation, refusals: Sequence[Refusal]) -> set[DecisionId]:
        """Write the outcomes of decisions that get no order.

        Returns:
            The ids that this call ended. The others had ended already, are gone, or a trigger or rule of the user's
            refuses the update, which is logged.

        Raises:
            Fenced: generation or epoch is not the current one; nothing was written.
            DatabaseUnavailable: this connection or that of the lease is lost.
        """
        self._lease.require()
        try:
            return self._end(generation, refusals)
        except WriteRefused as refused:
            if len(refusals) == 1:
                id_ = refusals[0].decision_id
                logger.bind(decision=id_).error("the row of decision {} cannot be ended: {}", id_, refused)
                return set()
            return {id_ for refusal in refusals for id_ in self.end(generation, [refusal])}

    def _end(self, generation: Generation, refusals: Sequence[Refusal]) -> set[DecisionId]:
        with transaction(self.engine, "refusals") as cursor:
            return self._end_decisions(
                cursor,
                generation,
                refusals[0].decision_id,
                ids=[refusal.decision_id for refusal in refusals],
                statuses=[refusal.status.value for refusal in refusals],
                reasons=[refusal.sentence for refusal in refusals],
                order_ids=[],
            )

    def insert(
        self, decisions: Sequence[Decision]
    ) -> list[Accepted | InvalidDecision | WriteRefused | DatabaseBusy | DatabaseUnsuitable]:
        """Insert and commit decisions; one that the database refuses does not affect the others.

        Returns:
            For each decision its row, or the error: refused, or an open transaction of another session holds its
            idempotency key or the table.

        Raises:
            DatabaseUnavailable: the connection is lost; with ``in_doubt`` also if some decisions were committed before.
        """
        try:
            with transaction(self.engine, "submitted") as cursor:
                cursor.execute(f"SET LOCAL lock_timeout = '{INSERT_LOCK_TIMEOUT}'")
                return list(insert_decisions(cursor, decisions))
        except (InvalidDecision, WriteRefused, DatabaseBusy, DatabaseUnsuitable) as refused:
            if len(decisions) == 1:
                return [refused]
        return self._insert_each(decisions)

    def _insert_each(
        self, decisions: Sequence[Decision]
    ) -> list[Accepted | InvalidDecision | WriteRefused | DatabaseBusy | DatabaseUnsuitable]:
        results: list[Accepted | InvalidDecision | WriteRefused | DatabaseBusy | DatabaseUnsuitable] = []
        for decision in decisions:
            try:
                results += self.insert([decision])
            except DatabaseUnavailable as error:
                committed = any(isinstance(result, Accepted) for result in results)
                raise DatabaseUnavailable(str(error), in_doubt=error.in_doubt or committed) from error
        return results

    def find(self, decisions: Sequence[Decision]) -> list[Accepted | None]:
        """Find decisions by uid or idempotency key; None for each that is not in the table."""
        with transaction(self.engine) as cursor:
            return find_decisions(cursor, decisions)

    def outcomes(self, ids: Collection[DecisionId]) -> Mapping[DecisionId, Outcome | None]:
        """Return the outcomes of decisions: None for one without an outcome, no entry for one whose row is gone."""
        with transaction(self.engine) as cursor:
            return read_outcomes(cursor, ids)


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


def _read_alone(cursor: psycopg.Cursor, id_: DecisionId, received: Instant) -> PendingDecision | Refusal:
    try:
        with translated(), cursor.connection.transaction():  # a savepoint: the transaction must go on to the next rows
            rows = cursor.execute(PENDING_ONE, [id_literal([id_]), 1]).fetchall()
    except UnicodeDecodeError as error:
        return _unreadable(id_, first_line(error))
    except WriteRefused as error:
        return _unreadable(id_, first_line(error.__cause__ or error))
    return _from_row(cursor, rows[0], received) if rows else _unreadable(id_, "it changed while it was read")


def _unreadable(id_: DecisionId, reason: str) -> Refusal:
    return Refusal(id_, DEFAULT_PORTFOLIO, OutcomeStatus.REJECTED, Reason.INVALID, reason)


def _from_row(cursor: psycopg.Cursor, values: Sequence[Any], received: Instant) -> PendingDecision | Refusal:
    row = dict(zip(READ, values, strict=True))  # psycopg's own rows by name take longer
    flaw = row_flaw(row)
    if flaw is not None:
        return _unreadable(row["id"], flaw)
    if (life := (row["lives"] or {}).get(row["portfolio"])) is not None:
        present, began = life[0], datetime.fromisoformat(life[1])
        if row["created_at"] < began:
            detail = f"{row['portfolio']} was begun anew at {format_time(began)} UTC, after the decision was made"
            return Refusal(row["id"], row["portfolio"], OutcomeStatus.REJECTED, Reason.CLOSED, detail)
        row["portfolio"] = present
    strategy = row["strategy"] or NO_STRATEGY
    for run, portfolios, strategies in row["strict_runs"] or ():
        if row["portfolio"] in portfolios and strategy not in strategies:
            detail = f"run {run} is not bound to strategy {strategy}"
            return Refusal(row["id"], row["portfolio"], OutcomeStatus.REJECTED, Reason.UNDER_VALIDATION, detail)
    terms, action = row_terms(row), Action(row["decision"].strip().upper())
    target = resolve_target(cursor, row, action) if action in TARGETED else None
    own = {name: row[name] for name in OWN}
    waited = row["now"] - row["created_at"]
    return PendingDecision(**own, action=action, received=received, waited=waited, terms=terms, target=target)
