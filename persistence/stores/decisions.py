"""The table of decisions: pending rows, and outcomes without an order."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from itertools import count
from typing import Any

import psycopg
from loguru import logger

from domain.analytics.trade_stats import NO_STRATEGY
from domain.errors import (
    DatabaseBusy,
    DatabaseUnavailable,
    DatabaseUnsuitable,
    IdempotencyConflict,
    InvalidDecision,
    WriteRefused,
)
from domain.trading.account.requests import AccountRequest
from domain.trading.decision import Accepted, Decision, Outcome, PendingDecision, Reason, Refusal
from domain.trading.freshness.price_waits import EndedLeft, Left, LeftEnd
from domain.trading.open_orders.terms import TARGETED, OrderTerms
from domain.types import DEFAULT_PORTFOLIO, Action, DecisionId, Generation, Instant, OutcomeStatus
from domain.wording import format_time
from persistence.connections import transaction
from persistence.error_translation import first_line, translated
from persistence.lease import Lease
from persistence.rows import columns_of
from persistence.stores.books.account import read_pending
from persistence.stores.cancel_targets import TargetResolver
from persistence.stores.decision_rows import STORED_NUMBERS, row_flaw, row_terms
from persistence.stores.intake.submissions import find_decisions, id_literal, insert_decisions, read_outcomes
from persistence.stores.intake.turns import IN_TURN, end_left, require_current, turn_parameters
from persistence.stores.store import Store

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
    **dict.fromkeys(("expires_at", "order_expires_at"), "d.{}::timestamptz"), "now": "paper_now()",
    "created_at": "least(d.{}::timestamptz, d.received_at)", "strict_runs": STRICT_RUNS, "lives": LIVES,
}  # fmt: skip
"""An adopted table may have floats, and times without zone; those are UTC, the session's zone.

A decision is as old as its sender says, but never younger than its receipt.
"""
OWN = columns_of(PendingDecision, ("action", "received", "waited", "sent", "left_since", "terms", "target"))
"""Columns that are fields of a `PendingDecision` as they are."""
READ = (*OWN, "decision", "target", *TERMS, "now", "strict_runs", "lives")
"""Columns that the DecisionWatcher reads, the database's time, the validation runs, and the lives of portfolios."""

# Never "id > last seen": a low id that commits late would never be read. In the order in which the database got the
# rows, so that no sender overtakes; those from before that was stored come first, by the times that senders stated.
OLDEST = """
FROM trading_decisions d
WHERE d.processed_at IS NULL AND d.status = 'pending' AND d.id <> ALL(%s)
ORDER BY d.received_at NULLS FIRST, CASE WHEN d.received_at IS NULL THEN d.created_at END, d.id LIMIT %s
"""
COLUMNS = ", ".join(CASTS.get(name, "d.{}").format(name) for name in READ)
PENDING = f"SELECT {COLUMNS} {OLDEST}"
PENDING_IDS = f"SELECT d.id {OLDEST}"
"""Only the ids, so that no value of an unreadable row is computed."""
PENDING_ONE = f"""
SELECT {COLUMNS} FROM (SELECT * FROM trading_decisions WHERE id = ANY(%s) OFFSET 0) d
WHERE d.processed_at IS NULL AND d.status = 'pending'
"""
"""By its id; OFFSET 0 keeps the planner from looking for it in an index of pending rows."""
PENDING_IN_TURN, PENDING_IDS_IN_TURN = (IN_TURN.format(columns=columns) for columns in (COLUMNS, "d.id"))

MAX_PREPARED_IDS = 100
"""Up to so many excluded ids the statement is prepared; with more, to plan it anew with a hashed array is faster."""
BY_AGE_EVERY = 60
"""Of the reads that pass over decisions that are left."""
INSERT_LOCK_TIMEOUT = "500ms"
"""Short, because all other inserts wait meanwhile."""


class DecisionStore(Store):
    """The table of decisions, for the DecisionWatcher."""

    ACTOR = "DecisionWatcher"

    def __init__(self, database_url: str, lease: Lease) -> None:
        super().__init__(database_url, lease)
        self._lanes = 1  # so many portfolios had pending decisions at the last read in turn
        self._passes = count(1)

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
                targets = TargetResolver(cursor)
                return [_from_row(targets, row, received) for row in rows]
        except (WriteRefused, UnicodeDecodeError):  # one row has an unreadable value; the other rows must still be read
            return self._pending_one_by_one(under_way, limit, received)

    def pending_in_turn(
        self, under_way: Collection[DecisionId], limit: int, received: Instant, left: Left
    ) -> list[PendingDecision | Refusal]:
        """Return up to ``limit`` decisions as `pending` does, but each portfolio and each sender has its turns.

        So the backlog of one does not delay another's. The decisions of a portfolio keep their order, and none is
        passed over but those that are left. There may be more than are returned, unless none is.

        Args:
            under_way: decisions that are not read again.
            limit: how many are read at most.
            received: the present moment.
            left: which decisions stay in the table.
        """
        # Of portfolios that do not exist, those behind very many others by their names would wait for ever.
        by_age = bool(left.symbols) and left.passes and next(self._passes) % BY_AGE_EVERY == 0
        parameters = turn_parameters(under_way, limit, left, self._lanes, by_age=by_age)
        try:
            with transaction(self.engine) as cursor:
                # Never prepared: with the limits as constants the planner reads each portfolio along its index.
                rows = cursor.execute(PENDING_IN_TURN, parameters, prepare=False).fetchall()
                self._lanes = rows[0][-1] if rows else 1
                targets = TargetResolver(cursor)
                return [_from_row(targets, row[:-1], received) for row in rows]
        except (WriteRefused, UnicodeDecodeError):  # as in `pending`
            with transaction(self.engine) as cursor:
                ids = cursor.execute(PENDING_IDS_IN_TURN, parameters, prepare=False).fetchall()
                targets = TargetResolver(cursor)
                return [_read_alone(cursor, targets, row[0], received) for row in ids]

    def end_left(
        self,
        generation: Generation,
        ends: Sequence[LeftEnd],
        under_way: Collection[DecisionId],
        limit: int,
        before: DecisionId | None = None,
    ) -> list[EndedLeft]:
        """End up to ``limit`` decisions that were left in the table, by one statement; return those that ended.

        Args:
            generation: of the decision path.
            ends: which, and how.
            under_way: decisions that do not end here.
            limit: how many end at most.
            before: only those that come before this decision; None: all.

        Raises:
            Fenced: generation or epoch is not the current one; nothing was written.
            WriteRefused: a trigger or rule of the user's refuses the end of one; nothing was written.
        """
        self._lease.require()
        with transaction(self.engine, "refusals") as cursor:
            require_current(cursor, self._lease.epoch, generation)
            return end_left(cursor, ends, under_way, limit, before)

    def account_requests(self, excluded: Collection[int]) -> list[AccountRequest]:
        """Return the requests for accounts that have not ended, oldest first, without the excluded ones."""
        with transaction(self.engine) as cursor:
            return read_pending(cursor, excluded)

    def _pending_one_by_one(
        self, under_way: Collection[DecisionId], limit: int, received: Instant
    ) -> list[PendingDecision | Refusal]:
        with transaction(self.engine) as cursor:
            ids = cursor.execute(PENDING_IDS, [id_literal(under_way), limit]).fetchall()
            targets = TargetResolver(cursor)
            return [_read_alone(cursor, targets, row[0], received) for row in ids]

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
            For each decision its row, or the error: it is refused, its key was used for another one, or an open
            transaction of another session holds its key or the table.

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

    def find(self, decisions: Sequence[Decision]) -> list[Accepted | IdempotencyConflict | None]:
        """Find decisions by uid or their sender's idempotency key; None for each that is not in the table."""
        with transaction(self.engine) as cursor:
            return find_decisions(cursor, decisions)

    def outcomes(self, ids: Collection[DecisionId]) -> Mapping[DecisionId, Outcome | None]:
        """Return the outcomes of decisions: None for one without an outcome, no entry for one whose row is gone."""
        with transaction(self.engine) as cursor:
            return read_outcomes(cursor, ids)


def _read_alone(
    cursor: psycopg.Cursor, targets: TargetResolver, id_: DecisionId, received: Instant
) -> PendingDecision | Refusal:
    try:
        with translated(), cursor.connection.transaction():  # a savepoint: the transaction must go on to the next rows
            rows = cursor.execute(PENDING_ONE, [id_literal([id_])]).fetchall()
    except UnicodeDecodeError as error:
        return _unreadable(id_, first_line(error))
    except WriteRefused as error:
        return _unreadable(id_, first_line(error.__cause__ or error))
    return _from_row(targets, rows[0], received) if rows else _unreadable(id_, "it changed while it was read")


def _unreadable(id_: DecisionId, reason: str) -> Refusal:
    return Refusal(id_, DEFAULT_PORTFOLIO, OutcomeStatus.REJECTED, Reason.INVALID, reason)


def _from_row(targets: TargetResolver, values: Sequence[Any], received: Instant) -> PendingDecision | Refusal:
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
    target = targets.resolve(row, action) if action in TARGETED else None
    own = {name: row[name] for name in OWN}
    waited = row["now"] - row["created_at"]
    return PendingDecision(**own, action=action, received=received, waited=waited, terms=terms, target=target)
