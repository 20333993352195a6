"""Matching: what a piece of market data does to one order."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from domain.immutable.records import replace
from domain.trading.arithmetic import ZERO, floor_to, multiply, plain
from domain.trading.decision import Reason, Refusal
from domain.trading.events import Filled, SizedOrder
from domain.trading.execution import fill_at, fill_order, provide
from domain.trading.open_orders.open_order import OpenOrder
from domain.trading.orders import ExecutionRules, Fill, NotFilled, Order
from domain.trading.portfolio import PortfolioState
from domain.trading.prices import base_price, mark, may_fill
from domain.trading.quotes import Bar, MarketData, Quote
from domain.types import OrderType, OutcomeStatus, PriceRule, Side, TimeInForce

IMMEDIATE = frozenset({TimeInForce.IOC, TimeInForce.FOK})
"""With these an order never rests."""
LIMITS = frozenset({OrderType.LIMIT, OrderType.STOP_LIMIT})
"""Types that have a limit."""


class Seen(NamedTuple):
    """A piece of market data as one price rule sees it.

    Attributes:
        high: the highest mark.
        low: the lowest mark.
        ask_low: the lowest price at which a resting BUY could have been filled.
        bid_high: the highest price at which a resting SELL could have been filled.
        volume: the most that resting orders together can get; None where unknown.
    """

    high: Decimal
    low: Decimal
    ask_low: Decimal
    bid_high: Decimal
    volume: Decimal | None


def match_market_order(sized: SizedOrder, time: datetime) -> Filled | Refusal:
    """Match a market order with the quote that it was sized from.

    Returns:
        The portfolio's next event, or the refusal of the order's decision.
    """
    order = sized.order
    fill = fill_order(order, sized.sizing.quote, time, sized.sizing.taken)
    if isinstance(fill, NotFilled):
        return Refusal(order.decision_id, order.portfolio, OutcomeStatus.REJECTED, Reason.NO_FILL, fill.reason)
    return Filled(sized.sizing.version + 1, order, sized.sizing, fill)


def see(data: MarketData, rules: ExecutionRules) -> Seen:
    """Return what orders with these rules see of a piece of market data."""
    if isinstance(data, Bar):
        volume = None if data.volume is None else multiply(rules.max_bar_share, data.volume)
        if data.by_quote is not None and rules.price_rule is PriceRule.QUOTE:
            return Seen(*data.by_quote[1:], volume)
        return Seen(data.high, data.low, data.low, data.high, volume)
    present = mark(rules.price_rule, *data.point)
    if data.is_trade:  # it triggers and moves what its mark reaches, and fills what its own price reaches
        return Seen(present, present, data.price, data.price, data.last_size)
    ask, bid = (base_price(data, side, rules).price for side in (Side.BUY, Side.SELL))
    return Seen(present, present, ask, bid, None)


def sees(open_order: OpenOrder, data: MarketData) -> bool:
    """Return whether market data are for this order: of its source, fresh, and not older than it or its last AMEND.

    A bar in which nothing was traded is for none.

    Data that were fetched after a downtime have numbers of their own, so their time tells whether they are older.
    """
    order = open_order.order
    if open_order.sees_after >= data.data_no or order.price_source not in {None, data.source}:
        return False
    if data.no_buy is not None and order.side is Side.BUY:
        return False
    if isinstance(data, Bar) and data.volume == ZERO:  # its prices repeat earlier ones
        return False
    if not may_fill(data, order.execution.price_rule):
        return False
    return not data.recovered or open_order.placed_at < data.market_time


def began_before(data: MarketData, open_order: OpenOrder, state: PortfolioState) -> bool:
    """Return whether a part of a bar lies before what the order may see: nobody knows where its prices lie.

    The worse side is assumed: the bar triggers a stop, and fills no limit.
    """
    if not isinstance(data, Bar):
        return False
    if data.folded:
        matched = state.open_orders.matched(data.symbol)
        return data.first_no <= max(open_order.sees_after, matched, state.progress.settled_no)
    if not data.recovered:
        return False
    seen_at = state.progress.seen_to(data.symbol)
    return data.begin < open_order.placed_at or (seen_at is not None and data.begin < seen_at)


def is_folded(data: MarketData) -> bool:
    """Return whether data stand for several pieces of which nobody knows any more what came when."""
    return isinstance(data, Bar) and data.folded


def priority(open_order: OpenOrder) -> tuple[Decimal, int]:
    """Return the place of an order among those of its kind: the one that the market reaches first, then by seq."""
    order = open_order.order
    if open_order.waits_for_trigger:
        stop = open_order.stop_price
        assert stop is not None  # it waits for a trigger
        return (-stop if order.side is Side.SELL else stop, order.seq)
    assert order.limit_price is not None  # it rests with a limit
    return (-order.limit_price if order.side is Side.BUY else order.limit_price, order.seq)


def extremes(data: MarketData) -> tuple[Decimal, Decimal]:
    """Return the lowest and the highest price in a piece of market data, by any price rule."""
    if isinstance(data, Bar):
        by_quote = data.by_quote or (data.open,)
        return min(data.low, *by_quote), max(data.high, *by_quote)
    prices = [price for price in data.point if price is not None]
    return min(prices), max(prices)


def reaches_stop(open_order: OpenOrder, seen: Seen) -> bool:
    """Return whether the mark has reached the stop price of an order that waits for it."""
    stop = open_order.stop_price
    assert stop is not None  # it waits for a trigger
    return seen.low <= stop if open_order.order.side is Side.SELL else seen.high >= stop


def trigger_quote(open_order: OpenOrder, data: MarketData) -> Quote:
    """Return the market data at which a triggered stop is filled.

    In a bar it is the open where the open is beyond the stop, as through a gap; else the stop price.
    """
    if isinstance(data, Quote):
        return data
    stop = open_order.stop_price
    assert stop is not None  # it waits for a trigger
    return data.at(_opening(open_order, data) if _opens_beyond(open_order, data) else stop)


def _opening(open_order: OpenOrder, bar: Bar) -> Decimal:
    """Return the first mark in a bar."""
    if bar.by_quote is not None and open_order.order.execution.price_rule is PriceRule.QUOTE:
        return bar.by_quote.first
    return bar.open


def _opens_beyond(open_order: OpenOrder, bar: Bar) -> bool:
    """Return whether the market of a bar opened beyond the stop price, as behind a gap."""
    stop = open_order.stop_price
    assert stop is not None  # it waits for a trigger
    opening = _opening(open_order, bar)
    return opening <= stop if open_order.order.side is Side.SELL else opening >= stop


def moved_mark(open_order: OpenOrder, seen: Seen, data_no: int) -> OpenOrder | None:
    """Return a trailing order whose mark follows market data; None where the data make no new extreme."""
    before, sells = open_order.mark, open_order.order.side is Side.SELL
    extreme = seen.high if sells else seen.low
    if before is not None and (extreme <= before if sells else extreme >= before):
        return None
    return replace(open_order, mark=extreme, mark_no=data_no)


def mark_moved_first(open_order: OpenOrder, data: MarketData, seen: Seen) -> bool:
    """Return whether the mark of a trailing order may have moved in a bar before its stop was reached.

    Then it would have been filled at a better price; the stop price before the bar is assumed.
    """
    if not open_order.trails or not isinstance(data, Bar) or _opens_beyond(open_order, data):
        return False
    return moved_mark(open_order, seen, data.data_no) is not None


def reaches_limit(open_order: OpenOrder, seen: Seen) -> bool:
    """Return whether the market has gone through the limit of a resting order, or touched it where that is enough."""
    order = open_order.order
    limit = order.limit_price
    assert limit is not None  # it rests with a limit
    if order.side is Side.BUY:
        return seen.ask_low < limit or (order.execution.fill_on_touch and seen.ask_low == limit)
    return seen.bid_high > limit or (order.execution.fill_on_touch and seen.bid_high == limit)


def take_at_once(
    open_order: OpenOrder, quote: Quote, taken: Decimal, at: datetime, *, ambiguous: bool = False
) -> Fill | NotFilled:
    """Fill what a new limit order can take at once: as much as the touch offers, at most its limit.

    Args:
        open_order: the order, which is new or has just been triggered.
        quote: the market data.
        taken: see `base_price`.
        at: the time of the fill.
        ambiguous: see `Fill.ambiguous`.
    """
    order = open_order.order
    base = base_price(quote, order.side, order.execution, taken)
    limit = order.limit_price
    assert limit is not None  # only limit orders take at once or rest
    if base.price > limit if order.side is Side.BUY else base.price < limit:
        return NotFilled("the market is beyond the limit")
    quantity = open_order.remaining
    if base.size is not None and base.size < quantity:
        quantity = floor_to(base.size, order.instrument.step)
    if not quantity:
        return NotFilled("nothing is left at the touch")
    return fill_at(order, open_order.part(quantity, ambiguous=ambiguous), quote, base, at)


def take_all(open_order: OpenOrder, quote: Quote, taken: Decimal, at: datetime, *, ambiguous: bool) -> Fill | NotFilled:
    """Fill the whole rest of a triggered stop order as a market order.

    Args:
        open_order: the order.
        quote: the market data.
        taken: see `base_price`.
        at: the time of the fill.
        ambiguous: see `Fill.ambiguous`.
    """
    order = open_order.order
    base = base_price(quote, order.side, order.execution, taken)
    return fill_at(order, open_order.part(open_order.remaining, ambiguous=ambiguous), quote, base, at)


def fill_resting(open_order: OpenOrder, data: MarketData, available: Decimal | None, at: datetime) -> Fill | NotFilled:
    """Fill a resting order whose limit the market has reached, as far as volume was seen.

    Args:
        open_order: the order.
        data: the market data.
        available: the volume that is left; None where unknown, which never limits.
        at: the time of the fill.
    """
    order, quantity = open_order.order, open_order.remaining
    if available is not None and available < quantity:
        quantity = floor_to(available, order.instrument.step)
    if not quantity:
        return NotFilled("no volume was left")
    assert order.limit_price is not None  # it rests with a limit
    quote = data if isinstance(data, Quote) else data.at(order.limit_price)
    return provide(order, open_order.part(quantity, ambiguous=is_folded(data)), quote, at)


def would_take(open_order: OpenOrder, quote: Quote) -> Decimal | None:
    """Return the price that a new limit order would take at once; None where it would rest."""
    order = open_order.order
    price = base_price(quote, order.side, order.execution).price
    limit = order.limit_price
    assert limit is not None  # only limit orders take at once or rest
    takes = price <= limit if order.side is Side.BUY else price >= limit
    return price if takes else None


def unplaced(open_order: OpenOrder, take: Fill | NotFilled, quote: Quote, at: datetime) -> Refusal | None:
    """Return why an order with these terms is not placed, given what it could take at once."""
    order, force = open_order.order, open_order.order.time_in_force
    if order.expires_at is not None and at >= order.expires_at:
        detail = f"{order.end}, before it could rest"
        return refused(order, OutcomeStatus.EXPIRED, Reason.EXPIRED, detail)
    if order.post_only and (touched := would_take(open_order, quote)) is not None:
        detail = f"at {plain(touched)} it would take, its limit is {plain(order.limit_price or ZERO)}"
        return refused(order, OutcomeStatus.REJECTED, Reason.POST_ONLY, detail)
    if force in IMMEDIATE and isinstance(take, NotFilled):
        reason = Reason.NO_FILL if would_take(open_order, quote) is None else Reason.NO_VOLUME
        return refused(order, OutcomeStatus.CANCELLED, reason, take.reason)
    if force is TimeInForce.FOK and isinstance(take, Fill) and take.quantity < order.quantity:
        detail = f"{plain(take.quantity)} of {plain(order.quantity)} are offered"
        return refused(order, OutcomeStatus.CANCELLED, Reason.NO_VOLUME, detail)
    return None


def refused(order: Order, status: OutcomeStatus, reason: Reason, detail: str) -> Refusal:
    """Return the refusal of a sized order."""
    return Refusal(order.decision_id, order.portfolio, status, reason, detail)
