"""Folding a portfolio's events by the rules of the books, and comparing each row with what the rules give."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

from domain.trading.account.applying import AccountResult
from domain.trading.bookkeeping import Result, apply
from domain.trading.events import Filled
from domain.trading.portfolio import PortfolioState
from domain.types import Liquidity, OrderId, OrderStatus
from persistence.replay.events import Contradiction, filled, of_account, of_order, taken_as_stored
from persistence.replay.reading import ACCOUNT, FILLS, EventRows, LedgerRows, Row, Stored
from persistence.stores.books.account import event_row as account_row
from persistence.stores.books.account import split_row
from persistence.stores.books.rows import (
    OrderChange,
    changed_columns,
    event_row,
    fill_row,
    order_row,
    position_row,
    take_result,
    trade_row,
)

Columns: TypeAlias = Mapping[str, Any]
NOT_COMPUTED = frozenset({"recovered", "time_mark", "exchange_time", "exchange_clock"})
"""Evidence that no rule gives: whether it was found out after a downtime, and the clock of the exchange."""
NOT_STORED_THEN = frozenset({"version", "data_no"})
"""Columns that are NULL in fills from before orders rested."""
OF_EARLIER_RULES = ("position_id", "cash_delta", "asset_delta")
"""Columns of a fill that is taken as stored which the rules give all the same."""
OF_ORDER = (
    "quantity", "limit_price", "stop_price", "seq", "amended", "status", "filled_quantity", "average_fill_price",
    "commission", "slippage", "since", "since_at", "reserved", "triggered_at", "filled_at", "ended_at", "end_reason",
)  # fmt: skip
"""Columns of an order that rested; what its sender wanted else, such as its end, is evidence."""
FILLED_AT_ONCE = (
    "seq", "side", "order_type", "equity", "quantity", "status", "filled_quantity", "average_fill_price", "commission",
    "slippage", "filled_at",
)  # fmt: skip


class Difference(NamedTuple):
    """The first value that is not what the rules give.

    Attributes:
        version: of the event; None where no event is to blame.
        subject: what the row is about, such as ``fill 1 of order …``.
        column: of the row.
        stored: the value in the database.
        computed: the value that the rules give, or a clause.
    """

    version: int | None
    subject: str
    column: str
    stored: object
    computed: object


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a replay shows.

    Attributes:
        portfolio: what people call it.
        state: after the last event that could be computed.
        counts: number of events by kind: ``fills``, ``order events``, ``account events``; of ``orders`` and ``trades``;
            and of ``fills as stored``, which older rules made.
        difference: the first one; None where every digit is the same.
    """

    portfolio: str
    state: PortfolioState
    counts: Mapping[str, int]
    difference: Difference | None


def replay(ledger: LedgerRows) -> Replayed:
    """Compute the events of a portfolio again, and compare them with what is stored.

    Args:
        ledger: all that is stored of it.
    """
    fold = _Fold(PortfolioState.opened(ledger.state.rules))
    difference: Difference | None = None
    try:
        for rows in ledger.events:
            fold.take(rows)
        fold.finish(ledger.state, ledger.positions)
    except _Differs as first:
        difference = first.difference
    return Replayed(ledger.state.label, fold.state, fold.counts, difference)


class _Differs(Exception):
    """Ends a replay at the first difference."""

    def __init__(self, difference: Difference) -> None:
        super().__init__(difference)
        self.difference = difference


@dataclass(slots=True)
class _Fold:
    """The state of a portfolio up to an event, and the orders that are not over by then.

    Attributes:
        changes: what became of orders that rest or have rested.
        orders: the stored rows of orders that are not over.
    """

    state: PortfolioState
    counts: Counter[str] = field(default_factory=Counter)
    changes: dict[OrderId, OrderChange] = field(default_factory=dict)
    orders: dict[OrderId, Row] = field(default_factory=dict)
    after_taker: bool = False

    def take(self, rows: EventRows) -> None:
        """Take what was written at the next version."""
        if rows.version is None:
            self._refuse_orphans(rows)
            return
        expected = self.state.version + 1
        if rows.version != expected:
            raise _Differs(Difference(expected, "event", "version", rows.version, expected))
        self.orders |= {row["order_id"]: row for row in rows.orders}
        self.counts["orders"] += len(rows.orders)
        if len(rows.events) != 1:
            count = len(rows.events)
            raise _Differs(Difference(expected, "event", "version", f"{count} events", "one event"))
        stored = rows.events[0]
        subject = _subject(stored)
        try:
            result = self._apply(stored)
        except Contradiction as one:
            raise _Differs(Difference(expected, subject, one.column, one.stored, one.computed)) from one
        except (ValueError, AssertionError) as error:  # `apply` refuses what cannot have happened
            raise _Differs(Difference(expected, subject, "version", expected, f"no such event: {error}")) from error
        self.state = result.state
        if isinstance(result, Result):
            self._compare_result(result, stored, subject)
        else:
            self._compare_account(result, stored.row, rows.splits, subject)
        self._compare_trades(result, rows.trades)

    def _refuse_orphans(self, rows: EventRows) -> None:
        for kind, orphans in (("order", rows.orders), ("trade of order", rows.trades)):
            for row in orphans:
                raise _Differs(Difference(None, f"{kind} {row['order_id']}", "version", None, "no event has made it"))

    def _apply(self, stored: Stored) -> Result | AccountResult:
        row = stored.row
        if stored.table == ACCOUNT:
            return apply(self.state, of_account(self.state, row))
        order = self.orders.get(row["order_id"])
        if order is None:
            raise Contradiction("order_id", row["order_id"], "no order of that id, or one that is over")
        if stored.table == FILLS:
            return apply(self.state, filled(self.state, row, order))
        return apply(self.state, of_order(self.state, row, order, after_taker=self.after_taker))

    def _compare_result(self, result: Result, stored: Stored, subject: str) -> None:
        version, row, event = result.event.version, stored.row, result.event
        if isinstance(event, Filled):
            order = self.orders[event.order.order_id]
            as_stored = taken_as_stored(order)
            self.counts["fills as stored" if as_stored else "fills"] += 1
            self.after_taker = event.fill.liquidity is not Liquidity.MAKER
            computed = fill_row(result)
            if as_stored:
                computed = {name: computed[name] for name in OF_EARLIER_RULES}
            elif order["price_rule"] != (rule := order["price_rule_of_rules"]):
                difference = Difference(version, _order(event.order.order_id), "price_rule", order["price_rule"], rule)
                raise _Differs(difference)
            older = NOT_STORED_THEN if row["version"] is None else frozenset[str]()
            _require_same(version, subject, computed, row, NOT_COMPUTED | older)
        else:
            self.counts["order events"] += 1
            _require_same(version, subject, event_row(result), row, NOT_COMPUTED)
        take_result(self.changes, result)
        own, touched = event.order.order_id, [one.open_order.order.order_id for one in result.exits]
        if result.open_order is None:
            wanted, order = order_row(result), self.orders.pop(own)
            _require_same(version, _order(own), {name: wanted[name] for name in FILLED_AT_ONCE}, order)
        else:
            touched.append(own)
            if event.sizing is not None:
                _require_same(version, _order(own), {"equity": event.sizing.equity}, self.orders[own])
        for order_id in dict.fromkeys(touched):
            if self.changes[order_id].status is not OrderStatus.OPEN:
                self._compare_order(order_id, version)

    def _compare_order(self, order_id: OrderId, version: int | None) -> None:
        """Compare an order with its row, which has the last state of it, and forget it."""
        change, stored = self.changes.pop(order_id), self.orders.pop(order_id)
        columns = changed_columns(change)
        _require_same(version, _order(order_id), {name: columns[name] for name in OF_ORDER}, stored)

    def _compare_account(self, result: AccountResult, stored: Row, splits: list[Row], subject: str) -> None:
        version = result.event.version
        self.counts["account events"] += 1
        _require_same(version, subject, account_row(result), stored)
        by_order = {row["order_id"]: row for row in splits}
        for order in result.orders:
            order_id = order.after.order.order_id
            row = by_order.pop(order_id, None)
            if row is None:
                raise _Differs(Difference(version, f"split of order {order_id}", "order_id", None, order_id))
            _require_same(version, f"split of order {order_id}", split_row(result, order), row, {"trail_mark"})
            change = self.changes[order_id]
            change.open_order, change.quantity = order.after, order.after.order.quantity
        for order_id in by_order:
            raise _Differs(Difference(version, f"split of order {order_id}", "order_id", order_id, None))

    def _compare_trades(self, result: Result | AccountResult, stored: list[Row]) -> None:
        version, trade = result.event.version, result.trade
        if trade is None or len(stored) != 1:
            expected = 0 if trade is None else 1
            if len(stored) != expected:
                raise _Differs(Difference(version, "trades", "number of rows", len(stored), expected))
            return
        self.counts["trades"] += 1
        subject = f"trade of fill {trade.fill_no} of order {trade.order_id}"
        _require_same(version, subject, trade_row(trade), stored[0])

    def finish(self, present: PortfolioState, positions: Iterable[Row]) -> None:
        """Compare the state after the last event with the present one."""
        state = self.state
        computed = {"version": state.version, "current_capital": state.cash, "closed_at": state.closed}
        stored = {"version": present.version, "current_capital": present.cash, "closed_at": present.closed}
        _require_same(None, f"portfolio {present.label}", computed, stored)
        rows = {row["symbol"]: row for row in positions}
        held = state.positions
        for symbol in sorted({*rows, *held}):
            position, row = held.get(symbol), rows.get(symbol)
            if position is None or row is None:
                quantities = (row["quantity"] if row else None, position.quantity if position is not None else None)
                raise _Differs(Difference(None, f"position {symbol}", "quantity", *quantities))
            _require_same(None, f"position {symbol}", position_row(state.name, position), row)
        for order_id in list(self.changes):
            self._compare_order(order_id, None)


def _order(order_id: OrderId) -> str:
    return f"order {order_id}"


def _subject(stored: Stored) -> str:
    row = stored.row
    if stored.table == ACCOUNT:
        return f"{row['kind']} by request {row['request_id']}"
    if stored.table == FILLS:
        return f"fill {row['fill_no']} of order {row['order_id']}"
    return f"event {row['kind']} of order {row['order_id']}"


def _require_same(
    version: int | None, subject: str, computed: Columns, stored: Columns, without: Set[str] = frozenset()
) -> None:
    """Require that a row has the values that the rules give."""
    for name, value in computed.items():
        if name not in without and stored[name] != value:
            raise _Differs(Difference(version, subject, name, stored[name], value))
