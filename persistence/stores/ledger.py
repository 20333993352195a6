"""The books, which the PositionKeeper reads and writes: one transaction for a group of events."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import psycopg

from domain.errors import DecisionsEnded, Fenced
from domain.trading.account.changes import AccountChange, outcome_of
from domain.trading.account.requests import AccountRefusal, AccountRequest
from domain.trading.bookkeeping import Result
from domain.trading.events import DecisionEnd, Filled
from domain.trading.open_orders.protection import halts_after
from domain.trading.open_orders.settlement import Advance
from domain.trading.portfolio import AUDIT_HALT, PortfolioRules, PortfolioState
from domain.types import DecisionId, Generation, OutcomeStatus, PortfolioName
from persistence.connections import transaction
from persistence.lease import writing
from persistence.rows import KEEP_EXISTING, copy_rows, insert_rows, one_row, row_from
from persistence.stores.books.account import end_request, write_change
from persistence.stores.books.lives import write_end
from persistence.stores.books.loading import read_rules, read_states
from persistence.stores.books.open_orders import save_marks
from persistence.stores.books.rows import (
    OrderChange,
    accepted_row,
    changed_columns,
    event_row,
    fill_row,
    order_changes,
    order_row,
    position_row,
    shared_marks,
    trade_row,
)
from persistence.stores.books.states import SAVE_PROGRESS, behind_column, save_positions, save_states
from persistence.stores.store import Store


class LedgerStore(Store):
    """The books in the database: one connection, one transaction at a time, fenced by epoch and generation."""

    ACTOR, HOT, WRITES_OPEN = "PositionKeeper", True, True

    def raise_generation(self, generation: Generation) -> None:
        """Commit ``generation``; wait for an open transaction of an older one.

        Raises:
            Fenced: another process holds the lease now, or a later generation has begun.
        """
        with writing(self.engine, self._lease, "generation") as cursor:
            # An equal generation is a COMMIT whose answer was lost; a higher one means that this thread was abandoned.
            raised = cursor.execute(
                "UPDATE paper_generation SET generation = %(new)s WHERE generation <= %(new)s", {"new": generation}
            )
            if not raised.rowcount:
                raise Fenced(f"generation {generation} of epoch {self._lease.epoch} is over")

    def last_generation(self) -> Generation:
        """Return the last committed generation."""
        with transaction(self.engine) as cursor:
            return Generation(*one_row(cursor, "SELECT generation FROM paper_generation"))

    def load(self) -> tuple[PortfolioState, ...]:
        """Return the committed state of every portfolio, without its history."""
        with transaction(self.engine) as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            return read_states(cursor)

    def rules(self) -> tuple[PortfolioRules, ...]:
        """Return the current rules of every portfolio."""
        with transaction(self.engine) as cursor:
            return read_rules(cursor)

    def commit(self, generation: Generation, group: Sequence[Result]) -> None:
        """Write a group of events, in their order, with what they make of orders and decisions, in one transaction.

        A portfolio of which an order ends by an internal error is halted with it, so that no crash separates the two.

        Args:
            generation: of the decision path that made the group.
            group: whole units of results, each with the portfolio's state after it; later states build on earlier ones.

        Raises:
            Fenced: generation or epoch is not the current one, a portfolio was deleted and created again, or an order
                that was open in memory is not open in the database.
            DecisionsEnded: some decisions had ended already, or are gone.
            DatabaseUnavailable: with ``in_doubt`` only a reload shows whether the COMMIT happened.
            DatabaseBusy: a lock or deadlock; the same group may be written again.
            WriteRefused: the database refuses a value.
        """
        self._lease.require()
        with transaction(self.engine, "fills") as cursor:
            self._write(cursor, generation, group)

    def commit_account(self, generation: Generation, request: AccountRequest, changes: Sequence[AccountChange]) -> None:
        """Write the changes of accounts and the end of the request, with the ends of orders that come before them.

        Raises:
            Fenced: generation or epoch is not the current one, or the request has ended already; the books are to be
                read again.
            DatabaseUnavailable: with ``in_doubt`` only a reload shows whether the COMMIT happened.
            DatabaseBusy: a lock or deadlock; the same may be written again.
            WriteRefused: the database refuses a value.
        """
        self._lease.require()
        with transaction(self.engine, "account") as cursor:
            self._require_generation(cursor, generation)
            end_request(cursor, request, "done", outcome_of(changes))
            for ended, change in changes:
                if ended:
                    self._write(cursor, generation, ended)
                write_change(cursor, change)
                save_states(cursor, [change], [])
                write_end(cursor, change)

    def refuse_account(self, generation: Generation, refusal: AccountRefusal) -> None:
        """End a request that changes nothing; for the errors see `commit_account`."""
        self._lease.require()
        with transaction(self.engine, "account") as cursor:
            self._require_generation(cursor, generation)
            end_request(cursor, refusal.request, "refused", refusal.reason)

    def _require_generation(self, cursor: psycopg.Cursor, generation: Generation) -> None:
        self._end_decisions(cursor, generation, 0, ids=[], statuses=[], reasons=[], order_ids=[])

    def _write(self, cursor: psycopg.Cursor, generation: Generation, group: Sequence[Result]) -> None:
        self._end_or_open(cursor, generation, group)
        marks, numbers = shared_marks(group)
        changes = list(order_changes(group, numbers).values())
        filled_at_once = ((r, no) for r, no in zip(group, numbers, strict=True) if r.open_order is None)
        copy_rows(cursor, "paper_orders", (order_row(result, number) for result, number in filled_at_once))
        copy_rows(cursor, "paper_orders", (accepted_row(one) for one in changes if one.accepted is not None))
        _update_orders(cursor, [one for one in changes if one.accepted is None])
        fills = [result for result in group if isinstance(result.event, Filled)]
        copy_rows(cursor, "paper_fills", map(fill_row, fills))
        copy_rows(cursor, "paper_trades", (trade_row(fill.trade) for fill in fills if fill.trade is not None))
        if len(fills) < len(group):
            events = (event_row(result) for result in group if not isinstance(result.event, Filled))
            copy_rows(cursor, "paper_order_events", events)
        _save_positions(cursor, fills)
        save_states(cursor, group, marks)
        if halts := halts_after(group):
            _halt(cursor, halts, by_whom="program")
        moved = [mark for result in group for mark in result.state.progress.marks]
        if moved:
            save_marks(cursor, self._lease.epoch, generation, moved)

    def _end_or_open(self, cursor: psycopg.Cursor, generation: Generation, group: Sequence[Result]) -> None:
        """End the decisions that the group ends, and open those whose orders rest after it."""
        ends: dict[DecisionId, DecisionEnd] = {end.decision_id: end for result in group for end in result.ends}
        for result in group:
            order = result.order
            if result.opens and order.decision_id not in ends:
                reason = result.sentence
                ends[order.decision_id] = DecisionEnd(order.decision_id, OutcomeStatus.OPEN, reason, order.order_id)
        only_executed = all(end.status is OutcomeStatus.EXECUTED for end in ends.values())
        done = self._end_decisions(
            cursor,
            generation,
            group[0].order.decision_id,
            ids=list(ends),
            statuses=[] if only_executed else [end.status.value for end in ends.values()],
            reasons=[end.reason for end in ends.values()],
            order_ids=[end.order_id for end in ends.values()],
        )
        if missing := ends.keys() - done:
            raise DecisionsEnded(missing)

    def save_advance(self, generation: Generation, advance: Advance) -> None:
        """Write how far open orders have come: marks of those that are not open any more are left out.

        Raises:
            Fenced: generation or epoch is not the current one; nothing was written.
            DatabaseUnavailable: with ``in_doubt`` it may be written; the same may be written again.
        """
        self._lease.require()
        with transaction(self.engine, "marks") as cursor:
            if not save_marks(cursor, self._lease.epoch, generation, advance.marks):
                raise Fenced(f"generation {generation} of epoch {self._lease.epoch} does not write any more")
            columns = [
                list(advance.progress),
                [progress.data_at for progress in advance.progress.values()],
                [progress.settled_no for progress in advance.progress.values()],
                [behind_column(progress) for progress in advance.progress.values()],
            ]
            cursor.execute(SAVE_PROGRESS, columns)
            insert_rows(cursor, "paper_settlements", [row_from(span) for span in advance.spans], KEEP_EXISTING)

    def record_audit(self, portfolios: int, differences: Mapping[PortfolioName, str]) -> None:
        """Store a comparison of memory with the database and halt the portfolios that differ, in one transaction.

        Args:
            portfolios: number of compared portfolios.
            differences: a message for each portfolio that differs.

        Raises:
            Fenced: another process holds the lease now; nothing was written.
            DatabaseUnavailable: with ``in_doubt`` if it is not known whether the COMMIT happened.
        """
        with writing(self.engine, self._lease) as cursor:
            # The halts first: none is later than its audit.
            reasons = {name: f"{AUDIT_HALT}{difference}"[:1000] for name, difference in differences.items()}
            _halt(cursor, reasons, by_whom="audit")
            messages = json.dumps(list(differences.values()))
            audit = {"epoch": self._lease.epoch, "portfolios": portfolios, "differences": messages}
            insert_rows(cursor, "paper_audits", [audit])

    def halt(self, portfolio: PortfolioName, reason: str) -> None:
        """Halt a portfolio.

        Raises:
            Fenced: another process holds the lease now; nothing was written.
            DatabaseUnavailable: with ``in_doubt`` if it is not known whether the COMMIT happened.
        """
        with writing(self.engine, self._lease) as cursor:
            _halt(cursor, {portfolio: reason}, by_whom="program")


def _halt(cursor: psycopg.Cursor, reasons: Mapping[PortfolioName, str], *, by_whom: str) -> None:
    rows = [{"portfolio": n, "halted": True, "reason": reason, "by_whom": by_whom} for n, reason in reasons.items()]
    insert_rows(cursor, "paper_halts", rows)


def _update_orders(cursor: psycopg.Cursor, changes: Sequence[OrderChange]) -> None:
    """Write the present values of orders that were open before."""
    if not changes:
        return
    rows = [changed_columns(change) for change in changes]
    columns = ", ".join(f"{name} = %({name})s" for name in rows[0] if name != "quantity")
    columns += ", quantity = coalesce(%(quantity)s, quantity), trail_mark = coalesce(%(trail_mark)s, trail_mark)"
    for row, change in zip(rows, changes, strict=True):
        row |= {"order_id": change.open_order.order.order_id, "trail_mark": change.mark}
    cursor.executemany(f"UPDATE paper_orders SET {columns} WHERE order_id = %(order_id)s AND status = 'open'", rows)
    if cursor.rowcount != len(rows):
        raise Fenced("an order that was open is not in the database, or has ended there")


def _save_positions(cursor: psycopg.Cursor, fills: Sequence[Result]) -> None:
    touched = {result.position_id: result for result in fills}
    flat = [position_id for position_id, result in touched.items() if result.position is None]
    if flat:
        cursor.execute("DELETE FROM paper_positions WHERE position_id = ANY(%s)", [flat])
    rows = [position_row(a.state.name, a.position) for a in touched.values() if a.position is not None]
    save_positions(cursor, rows)
