"""The rows that the PositionKeeper would write, made of its groups by the functions that make them for the database."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from domain.trading.bookkeeping import Result
from domain.trading.events import Filled
from domain.trading.open_orders.protection import halts_after
from domain.trading.portfolio import PortfolioRules, PortfolioState
from domain.types import OrderId
from persistence.replay.reading import EVENTS, FILLS, ORDERS, TRADES, VERSION, LedgerRows, Stored, by_version
from persistence.replay.resting import NonEvents
from persistence.rows import columns_of
from persistence.stores.books.rows import (
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
from tests.support.actors.memory_stores import MemoryDatabase

NO_COLUMNS = (
    "limit_price", "stop_price", "time_in_force", "order_expires_at", "parent", "stop_loss", "stop_loss_pct",
    "take_profit", "take_profit_pct", "take_profits", "trail", "trail_pct", "trailing_stop", "trailing_stop_pct",
    "step", "min_quantity", "min_notional", "quote_currency", "note", "price_source", "calendar", "trail_mark", "since",
    "since_at", "triggered_at", "ended_at", "end_reason", "filled_at",
)  # fmt: skip
"""Columns that an order may leave NULL."""
DEFAULTS = {"post_only": False, "reduce_only": False, "amended": False, "reserved": 0}


class RecordingDatabase(MemoryDatabase):
    """A database in memory that keeps the groups that were committed, in their order."""

    def __init__(self) -> None:
        super().__init__()
        self.groups: list[list[Result]] = []

    def _write_group(self, group: Sequence[Result]) -> None:
        super()._write_group(group)
        self.groups.append(list(group))
        assert {} == halts_after(group)

    @property
    def results(self) -> list[Result]:
        """All events of all groups."""
        return [result for group in self.groups for result in group]


def ledger_rows(groups: Sequence[Sequence[Result]], rules: PortfolioRules, present: PortfolioState) -> LedgerRows:
    """Return what the database would hold of one portfolio after these groups."""
    orders: dict[OrderId, dict[str, Any]] = {}
    fills: list[Stored] = []
    events: list[Stored] = []
    trades: list[Stored] = []
    for group in groups:
        table, numbers = shared_marks(group)
        marks = {int(str(row["marks_no"])): row["marks"] for row in table}
        for result, number in zip(group, numbers, strict=True):
            version = result.event.version
            if result.open_order is None:
                row = order_row(result, number)
                orders[result.order.order_id] = row | {"marks_table": marks.get(number or 0), VERSION: version}
            if isinstance(result.event, Filled):
                fills.append(Stored(FILLS, fill_row(result) | {VERSION: version}))
                if result.trade is not None:
                    trades.append(Stored(TRADES, trade_row(result.trade) | {VERSION: version}))
            else:
                events.append(Stored(EVENTS, event_row(result) | {VERSION: version}))
        for id_, change in order_changes(group, numbers).items():
            if change.accepted is not None:
                table_of = marks.get(change.marks_no or 0)
                of_event = {"marks_table": table_of, VERSION: change.accepted.event.version}
                orders[id_] = accepted_row(change) | of_event
                continue
            columns = changed_columns(change)
            if columns["quantity"] is None:
                del columns["quantity"]
            orders[id_] |= columns
    of_rules = {name: getattr(rules.costs, name) for name in ("slippage_pct", "commission_pct", "min_commission")}
    of_rules |= {name: getattr(rules.execution, name) for name in columns_of(type(rules.execution), ("price_rule",))}
    more = {"currency": rules.currency, "has_rules": True, "price_rule_of_rules": rules.execution.price_rule.value}
    stored = [
        Stored(ORDERS, dict.fromkeys(NO_COLUMNS) | DEFAULTS | row | of_rules | more)
        for row in sorted(orders.values(), key=lambda row: (row[VERSION], row["leg"]))
    ]
    positions = [position_row(present.name, position) for position in present.positions.values()]
    return LedgerRows(present, by_version([stored, fills, events, trades]), positions, NonEvents())
