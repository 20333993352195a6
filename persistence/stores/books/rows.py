"""Rows of the books: what the tables keep of orders, fills, trades and positions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from domain.trading.account.applying import SplitOrder
from domain.trading.account.trades import Trade
from domain.trading.arithmetic import CONTEXT, ONE, STORED_QUANTUM, ZERO, plain
from domain.trading.bookkeeping import Result
from domain.trading.decision import Reason
from domain.trading.events import OrderAccepted, OrderAmended, OrderEnded, OrderTriggered
from domain.trading.freshness.age import Freshness
from domain.trading.open_orders.exits import ChangedExit
from domain.trading.open_orders.open_order import OpenOrder
from domain.trading.open_orders.targets import targets_json
from domain.trading.open_orders.terms import NO_EXITS
from domain.trading.orders import RULES_VERSION, Level, Order, Trail
from domain.trading.portfolio import Position
from domain.types import OrderId, OrderStatus, Symbol
from persistence.rows import Row


def shared_marks(group: Sequence[Result]) -> tuple[list[Row], list[int | None]]:
    """Return the rows of ``paper_marks`` as JSON takes them, and for each result the number of its row.

    Orders of a portfolio that were sized with one table of marks share a row, which holds what any of them needs. The
    number is None where no order is new, and for an order that needs no marks.
    """
    tables: dict[tuple[object, ...], tuple[Order, dict[Symbol, Decimal]]] = {}
    numbers: list[int | None] = []
    for result in group:
        order, sizing = result.event.order, result.event.sizing
        others = sizing.other_marks() if sizing is not None else None
        if sizing is None or not others:
            numbers.append(None)
            continue
        # A position without a mark counts at its last fill's price, which is no part of the table.
        unmarked = others.keys() - sizing.marks.keys()
        table = (order.portfolio, id(sizing.marks), *sorted((symbol, others[symbol]) for symbol in unmarked))
        first, marks = tables.setdefault(table, (order, {}))
        marks.update(others)
        numbers.append(first.seq)
    rows: list[Row] = [
        {
            "portfolio": first.portfolio, "marks_no": first.seq, "at": first.created_at.isoformat(),
            "marks": {symbol: plain(mark) for symbol, mark in marks.items()},
        }
        for first, marks in tables.values()
    ]  # fmt: skip
    return rows, numbers


def order_row(result: Result, marks_no: int | None = None) -> dict[str, object]:
    """Return the row of ``paper_orders`` of an order that was filled at once."""
    fill = result.fill
    return _new_row(result, marks_no) | {
        "quantity": result.order.quantity, "status": "filled", "filled_quantity": fill.quantity,
        "average_fill_price": fill.price, "commission": fill.commission, "slippage": fill.slippage,
        "filled_at": fill.filled_at,
    }  # fmt: skip


def _new_row(result: Result, marks_no: int | None) -> dict[str, object]:
    """Return the columns of ``paper_orders`` that a new order has and that no event changes."""
    # The values of enumerations: psycopg looks up how to send a member anew each time, which shows in the rate.
    order, sizing = result.event.order, result.event.sizing
    return {
        "order_id": order.order_id, "decision_id": order.decision_id, "portfolio": order.portfolio,
        "asset_class": order.instrument.asset_class, "leg": order.leg, "seq": order.seq,
        "symbol": order.instrument.symbol, "side": order.side.value, "order_type": order.order_type.value,
        "strategy": order.strategy, "config_revision": order.rules_revision,
        "equity": sizing.equity if sizing is not None else None, "created_at": order.created_at,
        "price_rule": order.execution.price_rule.value, "rules_version": RULES_VERSION, "tick": order.instrument.tick,
        "marks_no": marks_no, "maker_fee": order.costs.maker_fee, "taker_fee": order.costs.taker_fee,
    }  # fmt: skip


@dataclass(slots=True)
class OrderChange:
    """What the results of a group make of an order that rests, or has rested.

    Attributes:
        accepted: the result that made it; None where it was open before the group.
        marks_no: of its sizing.
        open_order: after the last of them.
        quantity: of the order; None: as it is stored, because nothing is left of the exit.
        end_reason: as `OrderEnded` or the fill that closed the position has it.
        mark: of a trailing stop, where an event states it; else it is ahead of the events, and written by itself.
    """

    accepted: Result | None
    marks_no: int | None
    open_order: OpenOrder
    quantity: Decimal | None = None
    status: OrderStatus = OrderStatus.OPEN
    filled_at: datetime | None = None
    ended_at: datetime | None = None
    end_reason: str | None = None
    mark: Decimal | None = None

    def take(self, result: Result) -> None:
        """Take one more result of the order."""
        assert result.open_order is not None  # it has been accepted
        self.open_order, self.status = result.open_order, result.status
        self.quantity = result.open_order.order.quantity
        if isinstance(result.event, OrderTriggered | OrderAmended) and result.event.mark is not None:
            self.mark = result.event.mark
        if isinstance(result.event, OrderEnded):
            self.ended_at, self.end_reason = result.event.at, f"{result.event.reason}: {result.event.detail}"
        elif self.status is OrderStatus.FILLED:
            self.filled_at = result.event.at

    def reduce(self, change: ChangedExit, by: Result) -> None:
        """Take the smaller quantity of an exit; where nothing is left of it, it keeps the last one and is cancelled."""
        self.open_order = change.open_order
        if not change.ended:
            self.quantity = change.open_order.order.quantity
            return
        self.status, self.ended_at = OrderStatus.CANCELLED, by.event.at
        self.end_reason = f"{Reason.CANCELLED}: position closed by order {by.order.order_id}"


def order_changes(group: Sequence[Result], marks: Sequence[int | None]) -> dict[OrderId, OrderChange]:
    """Return what a group makes of each order that rests or has rested; orders that were filled at once are not there.

    Args:
        group: whole units of results.
        marks: the number of the marks of each result.
    """
    changes: dict[OrderId, OrderChange] = {}
    for result, marks_no in zip(group, marks, strict=True):
        take_result(changes, result, marks_no)
    return changes


def take_result(changes: dict[OrderId, OrderChange], result: Result, marks_no: int | None = None) -> None:
    """Add to the changes of orders what one more result makes of them.

    Args:
        changes: by order; those of earlier results.
        result: the next one.
        marks_no: the number of its marks.
    """
    if result.open_order is not None:
        change = changes.get(result.order.order_id)
        if change is None:
            accepted = result if isinstance(result.event, OrderAccepted) else None
            change = changes[result.order.order_id] = OrderChange(accepted, marks_no, result.open_order)
        change.take(result)
    for reduced in result.exits:
        exit_id = reduced.open_order.order.order_id
        if exit_id not in changes:
            changes[exit_id] = OrderChange(None, None, reduced.open_order)
        changes[exit_id].reduce(reduced, result)


def accepted_row(change: OrderChange) -> dict[str, object]:
    """Return the row of ``paper_orders`` of an order that was accepted in this group."""
    assert change.accepted is not None
    order, instrument = change.open_order.order, change.open_order.order.instrument
    return (
        _new_row(change.accepted, change.marks_no)
        | changed_columns(change)
        | {
            "post_only": order.post_only, "reduce_only": order.reduce_only, "parent": order.parent,
            **_plan_columns(order),
            "trail_mark": change.open_order.mark, "trail_data_no": change.open_order.mark_no,
            "step": instrument.step, "min_quantity": instrument.min_quantity, "min_notional": instrument.min_notional,
            "quote_currency": instrument.quote, "price_source": order.price_source,
        }
    )  # fmt: skip


def _plan_columns(order: Order) -> dict[str, object]:
    plan = order.exits or NO_EXITS
    only = plan.take_profits[0].level if [one.share for one in plan.take_profits] == [ONE] else None
    return {
        **_amount_and_fraction("stop_loss", plan.stop_loss),
        **_amount_and_fraction("take_profit", only),
        "take_profits": targets_json(plan.take_profits) if plan.take_profits and only is None else None,
        **_amount_and_fraction("trailing_stop", plan.trailing_stop),
    }


def split_columns(order: SplitOrder) -> dict[str, object]:
    """Return the columns of ``paper_orders`` that a split changes in an open order."""
    one = order.after
    changed = changed_columns(OrderChange(None, None, one, one.order.quantity))
    return changed | _plan_columns(one.order) | {"trail_mark": one.mark}


def _amount_and_fraction(name: str, level: Level | Trail | None) -> dict[str, object]:
    """Return the two columns of a value that is an amount or a fraction."""
    is_fraction = level is not None and level.is_fraction
    value = level.value if level is not None else None
    return {name: None if is_fraction else value, f"{name}_pct": value if is_fraction else None}


def changed_columns(change: OrderChange) -> dict[str, object]:
    """Return the columns of ``paper_orders`` that events change."""
    open_order, order = change.open_order, change.open_order.order
    average = open_order.average_price
    return {
        "quantity": change.quantity, "limit_price": order.limit_price, "stop_price": order.stop_price,
        "seq": order.seq, "time_in_force": order.time_in_force.value if order.time_in_force is not None else None,
        "order_expires_at": order.expires_at, "calendar": order.calendar, "amended": order.amended,
        **_amount_and_fraction("trail", order.trail),
        "note": order.note or None, "status": change.status.value, "filled_quantity": open_order.filled,
        "average_fill_price": CONTEXT.quantize(average, STORED_QUANTUM) if average is not None else None,
        "commission": open_order.paid, "slippage": open_order.slippage, "since": open_order.since,
        "since_at": open_order.since_at,
        "reserved": open_order.reserved if change.status is OrderStatus.OPEN else ZERO,
        "triggered_at": open_order.triggered_at, "filled_at": change.filled_at, "ended_at": change.ended_at,
        "end_reason": change.end_reason,
    }  # fmt: skip


KINDS: Mapping[type, str] = {
    OrderAccepted: "accepted", OrderTriggered: "triggered", OrderAmended: "amended", OrderEnded: "ended"
}  # fmt: skip


def event_row(result: Result) -> dict[str, object]:
    """Return the row of ``paper_order_events`` of an event that is no fill."""
    event, order = result.event, result.order
    quote = event.quote if isinstance(event, OrderTriggered) else None
    reason = None
    if isinstance(event, OrderEnded):
        reason = f"{event.reason}: {event.detail}"
    elif isinstance(event, OrderAmended):
        reason = event.reason
    is_open = result.open_order is not None and result.status is OrderStatus.OPEN
    return {
        "portfolio": order.portfolio, "version": event.version, "order_id": order.order_id,
        "symbol": order.instrument.symbol, "kind": KINDS[type(event)],
        "at": event.at, "data_no": event.data_no, "quantity": order.quantity, "limit_price": order.limit_price,
        "stop_price": order.stop_price,
        "reserved": result.open_order.reserved if is_open and result.open_order is not None else ZERO,
        "status": result.status.value, "reason": reason,
        "price": quote.price if quote is not None else None, "bid": quote.bid if quote is not None else None,
        "ask": quote.ask if quote is not None else None,
        "price_time": quote.price_time if quote is not None else None,
        "price_seen_at": quote.seen_at if quote is not None else None,
        "price_source": quote.source if quote is not None else None, "recovered": result.recovered,
        "time_mark": quote.time_mark if quote is not None else None,
        "trail_mark": event.mark if isinstance(event, OrderAccepted | OrderTriggered | OrderAmended) else None,
    }  # fmt: skip


def fill_row(result: Result) -> dict[str, object]:
    """Return the row of ``paper_fills``."""
    order, fill = result.event.order, result.fill
    quote, costs = fill.quote, fill.costs
    return {
        "order_id": order.order_id, "fill_no": fill.fill_no, "position_id": result.position_id,
        "portfolio": order.portfolio, "asset_class": order.instrument.asset_class, "symbol": order.instrument.symbol,
        "side": order.side.value, "quantity": fill.quantity, "price": fill.price, "base_price": fill.base_price,
        "price_time": quote.price_time, "price_seen_at": quote.seen_at, "price_source": quote.source,
        "real_prices": quote.real, "last_price": quote.price, "bid": quote.bid, "ask": quote.ask,
        "bid_size": quote.bid_size, "ask_size": quote.ask_size, "last_size": quote.last_size,
        "touch_size": fill.touch_size, "liquidity": fill.liquidity.value, "slippage_rate": fill.slippage_rate,
        "notional": fill.notional, "commission": fill.commission, "cash_delta": result.cash_delta,
        "asset_delta": result.asset_delta, "filled_at": fill.filled_at, "spread_cost": costs.spread,
        "slippage_cost": costs.slippage, "size_cost": costs.size, "random_cost": costs.random,
        "version": result.event.version, "data_no": quote.data_no, "is_trade": quote.is_trade,
        "ambiguous": fill.ambiguous, "recovered": result.recovered, "time_mark": quote.time_mark,
        **_exchange_time(quote.freshness),
    }  # fmt: skip


def _exchange_time(freshness: Freshness | None) -> dict[str, object]:
    """Return the exchange's clock when a price arrived."""
    if freshness is None:
        return {"exchange_time": None, "exchange_clock": None}
    return {"exchange_time": freshness.exchange_time, "exchange_clock": freshness.clock.value}


def trade_row(trade: Trade) -> dict[str, object]:
    """Return the row of ``paper_trades``."""
    return {
        "position_id": trade.position_id, "order_id": trade.order_id, "fill_no": trade.fill_no,
        "portfolio": trade.portfolio, "asset_class": trade.asset_class, "symbol": trade.symbol,
        "side": trade.side.value, "quantity": trade.quantity,
        "entry_price": CONTEXT.quantize(CONTEXT.divide(trade.cost, trade.quantity), STORED_QUANTUM),
        "exit_price": trade.exit_price, "cost": trade.cost, "exit_notional": trade.exit_notional,
        "entry_commission": trade.entry_commission, "exit_commission": trade.exit_commission,
        "entry_time": trade.entry_time, "exit_time": trade.exit_time,
        "hold_duration": trade.exit_time - trade.entry_time, "realized_pnl": trade.gross,
        "commission": trade.commission, "net_pnl": trade.net, "closes": trade.closes, "strategy": trade.strategy,
    }  # fmt: skip


def position_row(portfolio: str, position: Position) -> dict[str, object]:
    """Return the row of ``paper_positions``."""
    mark = position.last_price
    return {
        "position_id": position.position_id, "portfolio": portfolio, "asset_class": position.asset_class,
        "symbol": position.symbol, "side": position.side.value, "quantity": position.quantity, "cost": position.cost,
        "entry_commission": position.entry_commission,
        "entry_price": CONTEXT.quantize(position.entry_price, STORED_QUANTUM), "current_price": mark,
        "position_value": position.value(mark), "unrealized_pnl": position.unrealized(mark),
        "strategy": position.strategy, "opened_at": position.opened_at, "split_at": position.split_at,
    }  # fmt: skip
