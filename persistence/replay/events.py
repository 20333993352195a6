"""Events of a portfolio, made again from their rows and the state before them.

What the rules give is computed; a row states only what the rules cannot know: which quote came, how much of it was
left, what a person wanted. `persistence.replay.replaying` compares the rest with the row.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, TypeAlias

from domain.immutable.records import replace
from domain.recomputation import not_recomputable, quote_from_row
from domain.trading.account.requests import AccountKind, AccountRequest, Ratio
from domain.trading.arithmetic import ZERO, add, floor_to
from domain.trading.decision import Reason
from domain.trading.events import (
    AccountEvent,
    Adjusted,
    Closed,
    Deposited,
    Event,
    Filled,
    OrderAccepted,
    OrderAmended,
    OrderEnded,
    OrderTriggered,
    SizingEvidence,
    Withdrawn,
)
from domain.trading.execution import Part, fill_at, provide, slippage_amount
from domain.trading.open_orders.matching import LIMITS, see
from domain.trading.open_orders.open_order import STOPS, OpenOrder
from domain.trading.orders import Fill, NotFilled, Order, Trail
from domain.trading.portfolio import PortfolioState
from domain.trading.prices import base_price, mark
from domain.trading.quotes import Quote
from domain.types import Instant, Liquidity, OrderStatus, OrderType, PortfolioName, Side, Symbol
from persistence.stores.books.open_orders import order_from_row

Row: TypeAlias = Mapping[str, Any]
BY_DECISION = "by decision "
"""The reason of an AMEND begins with it."""


class Contradiction(Exception):
    """A row says what cannot have happened.

    Attributes:
        column: of the row.
        stored: its value.
        computed: the value that the rules give, or a clause that says why there is none.
    """

    def __init__(self, column: str, stored: object, computed: object) -> None:
        super().__init__(f"{column} is {stored}, and the rules give {computed}")
        self.column, self.stored, self.computed = column, stored, computed


def taken_as_stored(order: Row) -> bool:
    """Return whether the fills of an order cannot be computed: too little was stored of them then."""
    return not_recomputable(order) is not None or not order["has_rules"]


def filled(state: PortfolioState, row: Row, order_row: Row) -> Filled:
    """Return the event of a fill.

    Args:
        state: before it.
        row: of ``paper_fills``.
        order_row: of its order, with the rules of its revision.

    Raises:
        Contradiction: the rules give no such fill.
    """
    version, open_order = state.version + 1, state.open_orders.get(row["order_id"])
    quote = _quote_of_fill(row)
    if open_order is not None:
        fill = _as_stored(row, open_order.order, quote) if taken_as_stored(order_row) else _next_fill(open_order, row)
        return Filled(version, open_order.order, None, fill)
    order = replace(order_from_row(order_row), seq=version)
    if taken_as_stored(order_row):
        fill = _as_stored(row, order, quote)
    else:
        fill = _take(order, Part(order.quantity), quote, row)
    equity = _equity(state, order_row, order, quote)
    sizing = SizingEvidence(
        quote, order_row["equity"] if equity is None else equity, {}, state.positions, state.version
    )
    return Filled(version, order, sizing, fill)


def _quote_of_fill(row: Row) -> Quote:
    price = row["base_price"] if row["last_price"] is None else row["last_price"]
    return replace(quote_from_row({**row, "last_price": price}), data_no=row["data_no"] or 0)


def _as_stored(row: Row, order: Order, quote: Quote) -> Fill:
    slippage = slippage_amount(row["quantity"], row["price"], row["base_price"])
    return Fill(
        row["fill_no"], row["quantity"], row["price"], row["notional"], row["commission"], row["slippage_rate"],
        slippage, quote, row["filled_at"], row["base_price"], row["touch_size"], Liquidity(row["liquidity"]),
        order.side, order.execution.price_rule, None, row["ambiguous"],
    )  # fmt: skip


def _next_fill(open_order: OpenOrder, row: Row) -> Fill:
    """Return the next fill of an order that rests, or has just been accepted or triggered."""
    order, quote = open_order.order, _quote_of_fill(row)
    if open_order.waits_for_trigger:
        raise Contradiction("order_id", row["order_id"], "no fill before its trigger")
    if row["liquidity"] == Liquidity.MAKER:
        _require_reached(order, quote)
        return provide(order, open_order.part(row["quantity"], ambiguous=row["ambiguous"]), quote, row["filled_at"])
    quantity = open_order.remaining
    touch = row["touch_size"]
    if order.order_type in LIMITS and touch is not None and touch < quantity:
        quantity = floor_to(touch, order.instrument.step)
    return _take(order, open_order.part(quantity, ambiguous=row["ambiguous"]), quote, row)


def _require_reached(order: Order, quote: Quote) -> None:
    """Require that the market data of a maker's fill have reached its limit."""
    seen, limit = see(quote, order.execution), order.limit_price
    if limit is None:
        raise Contradiction("liquidity", Liquidity.MAKER.value, "an order without a limit is no maker")
    reached = seen.ask_low <= limit if order.side is Side.BUY else seen.bid_high >= limit
    if not reached:
        raise Contradiction("last_price", quote.price, f"no fill at the limit {limit}, which it does not reach")


def _take(order: Order, part: Part, quote: Quote, row: Row) -> Fill:
    """Return a taker's fill at what the row says was left at the touch, which is no more than the quote offered."""
    offered, touch = base_price(quote, order.side, order.execution), row["touch_size"]
    possible = touch is not None and offered.size is not None and ZERO <= touch <= offered.size
    fill = fill_at(order, part, quote, offered._replace(size=touch if possible else offered.size), row["filled_at"])
    if isinstance(fill, NotFilled):
        raise Contradiction("price", row["price"], f"no fill: {fill.reason}")
    return fill


def _equity(state: PortfolioState, order_row: Row, order: Order, quote: Quote | None) -> Decimal | None:
    """Return the equity that an order was sized by; None where a price that it needs is not stored."""
    own, table = order.instrument.symbol, order_row["marks_table"]
    if set(state.positions) - {own} and table is None:
        return None
    marks = {Symbol(symbol): Decimal(price) for symbol, price in (table or {}).items()}
    if quote is not None:
        marks[own] = mark(order.execution.price_rule, *quote.point)
    elif own in state.positions:
        return None
    return state.equity(marks)


def of_order(state: PortfolioState, row: Row, order_row: Row, *, after_taker: bool) -> Event:
    """Return an event of ``paper_order_events``.

    Args:
        state: before it.
        row: of the table.
        order_row: of the order, with the rules of its revision.
        after_taker: whether the last fill of the portfolio was a taker's.

    Raises:
        Contradiction: the rules allow no such event.
    """
    if row["kind"] == "accepted":
        return _accepted(state, row, order_row)
    before = state.open_orders.get(row["order_id"])
    if before is None:
        raise Contradiction("order_id", row["order_id"], "no such order is open")
    match row["kind"]:
        case "triggered":
            return _triggered(state, row, before, order_from_row(order_row).trail)
        case "amended":
            return _amended(state, row, before, after_taker=after_taker)
        case _:
            code, _, detail = (row["reason"] or "").partition(": ")
            if code not in set(Reason):
                raise Contradiction("reason", row["reason"], "a reason begins with a fixed word")
            status = OrderStatus(row["status"])
            return OrderEnded(
                state.version + 1, before.order, status, Reason(code), detail, row["at"], row["data_no"]
            )  # fmt: skip


def _accepted(state: PortfolioState, row: Row, order_row: Row) -> OrderAccepted:
    version, since = state.version + 1, row["data_no"]
    order = replace(
        order_from_row(order_row), quantity=row["quantity"], limit_price=row["limit_price"],
        stop_price=row["stop_price"], seq=version, amended=False,
    )  # fmt: skip
    reserved = ZERO if order.is_exit else OpenOrder(order, since).cash_needed()
    sizing = None
    if not order.is_exit and (equity := _equity(state, order_row, order, None)) is not None:
        nothing = Quote(order.instrument.symbol, ZERO, row["at"], Instant(row["at"], 0.0), "", real=False)
        sizing = SizingEvidence(nothing, equity, {}, state.positions, state.version)
    return OrderAccepted(version, order, sizing, reserved, since, row["at"], row["trail_mark"])


def _triggered(state: PortfolioState, row: Row, before: OpenOrder, trail: Trail | None) -> OrderTriggered:
    """Return the event of a trigger; the trail is the last one of the order, since splits and AMENDs come before it."""
    order, present = before.order, row["trail_mark"]
    quote = Quote(
        order.instrument.symbol, row["price"], row["price_time"], Instant(row["price_seen_at"], 0.0),
        row["price_source"], real=False, bid=row["bid"], ask=row["ask"], data_no=row["data_no"],
    )  # fmt: skip
    if trail is not None and present is not None:
        stop = max(trail.stop_price(present, order.side, order.instrument.tick), order.instrument.tick)
        order = replace(order, stop_price=stop)
    seen, wanted = mark(order.execution.price_rule, *quote.point), order.stop_price
    if wanted is None or order.order_type not in STOPS:
        raise Contradiction("kind", row["kind"], f"a {order.order_type} order has no trigger")
    if seen > wanted if order.side is Side.SELL else seen < wanted:
        raise Contradiction("price", seen, f"no trigger before the mark reaches {wanted}")
    return OrderTriggered(state.version + 1, order, quote, row["at"], present)


def _amended(state: PortfolioState, row: Row, before: OpenOrder, *, after_taker: bool) -> OrderAmended:
    """Return the event of new values: by a decision, or by the program where a fill left another quantity."""
    version, reason, at = state.version + 1, row["reason"] or "", row["at"]
    by_decision, grows = reason.startswith(BY_DECISION), reason == "its entry was filled further"
    changes = reason.partition(": ")[2].partition(";")[0]
    only_less = changes.startswith("quantity ") and "," not in changes and row["quantity"] < before.order.quantity
    order = replace(
        before.order, quantity=row["quantity"], limit_price=row["limit_price"], stop_price=row["stop_price"],
        seq=version if by_decision and not only_less else before.order.seq,
        amended=before.order.amended or by_decision,
    )  # fmt: skip
    needed = replace(before, order=order).cash_needed()
    goes_on = before.trails and row["trail_mark"] is None
    since, since_at, reserved = before.since, None, ZERO
    if by_decision:
        reserved = needed
        if not goes_on:
            since, since_at = row["data_no"], at
    elif grows and not goes_on:
        since, since_at = row["data_no"], at if after_taker else None
    elif order.order_type is not OrderType.LIMIT and order.side is Side.BUY:  # the cash pays no more at the gap
        reserved = min(needed, add(state.free_cash, before.reserved))
    return OrderAmended(
        version, order, reserved, since, at, reason, row["trail_mark"], since_at=since_at
    )  # fmt: skip


def of_account(state: PortfolioState, row: Row) -> AccountEvent:
    """Return an event of ``paper_account_events``."""
    kind, version, at = AccountKind(row["kind"]), state.version + 1, row["at"]
    request = AccountRequest(
        id=row["request_id"], uid=row["uid"], portfolio=PortfolioName(row["portfolio"]), kind=kind,
        reason=row["reason"], author=row["author"], requested_at=row["requested_at"],
        symbol=_symbol(row["symbol"]), amount=row["amount"], price=row["price"],
        ratio=None if row["ratio_new"] is None else Ratio(row["ratio_new"], row["ratio_old"]),
        new_symbol=_symbol(row["new_symbol"]),
    )  # fmt: skip
    if kind is AccountKind.DEPOSIT:
        return Deposited(version, request, at)
    if kind is AccountKind.WITHDRAWAL:
        return Withdrawn(version, request, at)
    return Closed(version, request, at) if kind.closes else Adjusted(version, request, at, row["data_no"])


def _symbol(name: str | None) -> Symbol | None:
    return None if name is None else Symbol(name)
