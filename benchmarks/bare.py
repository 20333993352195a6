"""The baseline: a bare psycopg loop that writes the rows that the system wrote to the same tables.

It writes them for portfolios of its own. One process, one thread, one connection; rows are made before the clock
starts, so it measures what PostgreSQL and the driver take for these rows, and nothing else. Each group is one
transaction with the statements of the system's own: decisions ended by one UPDATE, COPY of orders, fills and trades,
positions upserted, cash set.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import psycopg
from psycopg.rows import dict_row

from benchmarks.decisions import CAPITAL, COLUMNS, Row
from domain.trading.arithmetic import add, subtract
from domain.trading.portfolio import Position
from domain.types import PositionId, PositionSide, Symbol
from persistence.stores.books.rows import position_row
from persistence.stores.books.states import save_positions

PREFIX = "bare-"
GROUP = 100

NEW_ORDERS = """
SELECT o.*, d.outcome_reason FROM paper_orders o JOIN trading_decisions d ON d.id = o.decision_id
WHERE o.decision_id > %s AND o.portfolio = ANY(%s) ORDER BY o.filled_at, o.portfolio, o.seq
"""
MARKS = """
SELECT m.* FROM paper_marks m JOIN paper_orders o ON (o.portfolio, o.seq) = (m.portfolio, m.marks_no)
WHERE o.order_id = ANY(%s)
"""
END_DECISIONS = """
UPDATE trading_decisions d
SET status = 'executed', outcome_reason = o.reason, order_id = o.order_id, processed_at = clock_timestamp()
FROM unnest(%s::bigint[], %s::text[], %s::uuid[]) AS o(id, reason, order_id)
WHERE d.id = o.id AND d.processed_at IS NULL
"""
SAVE_CASH = "UPDATE paper_trading_config SET current_capital = %s WHERE portfolio = %s"

Record = dict[str, Any]


@dataclass(slots=True)
class Group:
    """What one transaction writes, ready to be sent."""

    ids: list[int] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    order_ids: list[UUID] = field(default_factory=list)
    marks: list[Sequence[object]] = field(default_factory=list)
    orders: list[Sequence[object]] = field(default_factory=list)
    fills: list[Sequence[object]] = field(default_factory=list)
    trades: list[Sequence[object]] = field(default_factory=list)
    positions: dict[PositionId, dict[str, object]] = field(default_factory=dict)
    cash: dict[str, Decimal] = field(default_factory=dict)


class Mirror:
    """Repeats for portfolios ``bare-…`` what the system did for its own, so that their books balance too.

    Args:
        connection: of the PositionKeeper's kind, since only that one may set cash.
    """

    def __init__(self, connection: psycopg.Connection) -> None:
        self._connection = connection
        self._mirrored: dict[tuple[str, ...], int] = {}
        self._columns: dict[str, str] = {}
        self._position_ids: dict[PositionId, PositionId] = {}
        self._positions: dict[PositionId, Position] = {}
        self._cash: dict[str, Decimal] = {}

    def groups(self, portfolios: Sequence[str], size: int) -> list[Group]:
        """Prepare the rows of what the system has executed since the last call, and insert decisions for them.

        Args:
            portfolios: of the system.
            size: fills in a group.
        """
        names = tuple(portfolios)
        done = self._mirrored.get(names, 0)
        orders = self._read("paper_orders", NEW_ORDERS, [done, list(names)])
        ids = [order["order_id"] for order in orders]
        fills = {f["order_id"]: f for f in self._read("paper_fills", _of_orders("paper_fills"), [ids])}
        trades = {t["order_id"]: t for t in self._read("paper_trades", _of_orders("paper_trades"), [ids])}
        marks = {(m["portfolio"], m["marks_no"]): m for m in self._read("paper_marks", MARKS, [ids])}
        self._mirrored[names] = max((order["decision_id"] for order in orders), default=done)
        groups: list[Group] = []
        for order, decision_id in zip(orders, self._insert_decisions(orders), strict=True):
            if not groups or len(groups[-1].ids) == size:
                groups.append(Group())
            if (shared := marks.get((order["portfolio"], order["seq"]))) is not None:
                groups[-1].marks.append(list(_renamed(shared, {"portfolio": PREFIX + order["portfolio"]}).values()))
            self._add(groups[-1], decision_id, order, fills[order["order_id"]], trades.get(order["order_id"]))
        return groups

    def write(self, group: Group) -> None:
        """Write a group in one transaction. This is what is measured."""
        with self._connection.transaction(), self._connection.cursor() as cursor:
            cursor.execute(END_DECISIONS, [group.ids, group.reasons, group.order_ids])
            if group.marks:
                self._copy(cursor, "paper_marks", group.marks)
            self._copy(cursor, "paper_orders", group.orders)
            self._copy(cursor, "paper_fills", group.fills)
            if group.trades:
                self._copy(cursor, "paper_trades", group.trades)
            save_positions(cursor, list(group.positions.values()))
            cursor.executemany(SAVE_CASH, [(cash, name) for name, cash in group.cash.items()])

    def seconds(self, groups: Sequence[Group]) -> float:
        """Write groups one after the other; return how long that took."""
        begin = time.perf_counter()
        for group in groups:
            self.write(group)
        return time.perf_counter() - begin

    def _copy(self, cursor: psycopg.Cursor, table: str, rows: Sequence[Sequence[object]]) -> None:
        with cursor.copy(f"COPY {table} ({self._columns[table]}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)

    def _read(self, table: str, query: str, parameters: Sequence[object]) -> list[Record]:
        with self._connection.cursor(row_factory=dict_row) as cursor:
            records = cursor.execute(query, parameters).fetchall()
            assert cursor.description is not None
            self._columns[table] = ", ".join(c.name for c in cursor.description if c.name != "outcome_reason")
        return [{name: _sent(value) for name, value in record.items()} for record in records]

    def _insert_decisions(self, orders: Sequence[Record]) -> list[int]:
        uids = [uuid4() for _ in orders]
        with self._connection.transaction(), self._connection.cursor() as cursor:
            with cursor.copy(f"COPY trading_decisions (uid, {COLUMNS}) FROM STDIN") as copy:
                for uid, o in zip(uids, orders, strict=True):
                    name = PREFIX + o["portfolio"]
                    copy.write_row(
                        (uid, *Row(name, o["symbol"], o["side"], Decimal("0.8"), o["quantity"], "benchmark", None))
                    )
            rows = cursor.execute("SELECT uid, id FROM trading_decisions WHERE uid = ANY(%s)", [uids]).fetchall()
        by_uid: dict[UUID, int] = dict(rows)
        return [by_uid[uid] for uid in uids]

    def _add(self, group: Group, decision_id: int, order: Record, fill: Record, trade: Record | None) -> None:
        reason = order.pop("outcome_reason")
        theirs = fill["position_id"]
        renamed = {
            "order_id": uuid4(),
            "decision_id": decision_id,
            "portfolio": PREFIX + order["portfolio"],
            "position_id": self._position_ids.setdefault(theirs, PositionId(uuid4())),
        }
        order, fill = _renamed(order, renamed), _renamed(fill, renamed)
        group.ids.append(decision_id)
        group.reasons.append(reason)
        group.order_ids.append(renamed["order_id"])
        group.orders.append(list(order.values()))
        group.fills.append(list(fill.values()))
        if trade is not None:
            trade = _renamed(trade, renamed)
            group.trades.append(list(trade.values()))
        position = self._positions[fill["position_id"]] = self._moved(order, fill, trade)
        group.positions[position.position_id] = position_row(order["portfolio"], position)
        cash = self._cash[order["portfolio"]] = add(self._cash.get(order["portfolio"], CAPITAL), fill["cash_delta"])
        group.cash[order["portfolio"]] = cash

    def _moved(self, order: Record, fill: Record, trade: Record | None) -> Position:
        held = self._positions.get(fill["position_id"])
        if held is None:
            return Position(
                position_id=fill["position_id"],
                symbol=Symbol(fill["symbol"]),
                asset_class=fill["asset_class"],
                side=PositionSide.LONG,
                quantity=fill["quantity"],
                cost=fill["notional"],
                entry_commission=fill["commission"],
                last_price=fill["price"],
                opened_at=fill["filled_at"],
                strategy=order["strategy"],
            )
        if trade is None:
            cost, commission = add(held.cost, fill["notional"]), add(held.entry_commission, fill["commission"])
        else:
            cost = subtract(held.cost, trade["cost"])
            commission = subtract(held.entry_commission, trade["entry_commission"])
        quantity = add(held.quantity, fill["asset_delta"])
        return replace(held, quantity=quantity, cost=cost, entry_commission=commission, last_price=fill["price"])


def _of_orders(table: str) -> str:
    return f"SELECT * FROM {table} WHERE order_id = ANY(%s)"


def _sent(value: object) -> object:
    """Return a value as the system sends it: without the zeros that the column adds, documents as text."""
    if isinstance(value, Decimal):
        return value.normalize()
    return json.dumps(value) if isinstance(value, dict) else value


def _renamed(record: Record, renamed: Record) -> Record:
    return {name: renamed.get(name, value) for name, value in record.items()}
