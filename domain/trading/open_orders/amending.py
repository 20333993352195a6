"""AMEND decisions: new values of an open order, checked like those of a new order with its own reservation released."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from domain.immutable.records import replace
from domain.trading.arithmetic import ZERO, add, floor_to, money, multiply, plain, subtract
from domain.trading.decision import CancelTarget, PendingDecision, Reason, Refusal, refuse
from domain.trading.events import DecisionEnd, OrderAmended
from domain.trading.execution import worst_cost
from domain.trading.instruments import Instrument
from domain.trading.open_orders.exits import room_of_exit
from domain.trading.open_orders.matching import take_at_once, would_take
from domain.trading.open_orders.open_order import OpenOrder, OpenOrders
from domain.trading.open_orders.pricing import (
    STOP_REACHED,
    misplaced_exit,
    misplaced_trail,
    no_price,
    price_order,
    stop_is_reached,
)
from domain.trading.open_orders.step import StepOfPortfolio
from domain.trading.open_orders.terms import OrderTerms
from domain.trading.orders import Fill, Order
from domain.trading.portfolio import PortfolioState
from domain.trading.prices import BasePrice, base_price, mark
from domain.trading.quotes import Quote
from domain.trading.sizing import dust, too_small
from domain.types import Action, DecisionId, OrderStatus, OrderType, OutcomeStatus, Side, TimeInForce

AMENDABLE_STOPS = frozenset({OrderType.STOP, OrderType.STOP_LIMIT})
"""Types whose stop price an AMEND may set."""


@dataclass(frozen=True, slots=True)
class SizedAmend:
    """An AMEND decision on its way to the market.

    Attributes:
        decision: the AMEND itself.
        order: the order with its new values; as it is where they are checked at the market: see `amend`.
        quote: the market data that they were checked with.
        equity: the portfolio's, by which they were checked.
        version: of the portfolio.
        changes: what is new, for a person: ``limit 100 -> 101, quantity 5 -> 3``; empty where they are not checked yet.
    """

    decision: PendingDecision
    order: Order
    quote: Quote
    equity: Decimal
    version: int
    changes: str = ""

    @property
    def decision_id(self) -> DecisionId:
        """The id of the AMEND."""
        return self.decision.id

    def left_alone(self) -> Refusal:
        """Return the end of the decision where its order can be neither filled nor ended."""
        reason, detail = Reason.NOTHING_TO_AMEND, f"order {self.order.order_id} is left alone after an internal error"
        return Refusal(self.decision_id, self.order.portfolio, OutcomeStatus.REJECTED, reason, detail)


def amended_order(target: CancelTarget, open_orders: OpenOrders) -> OpenOrder | None:
    """Return the open order that an AMEND names; None if there is none."""
    if target.order_id is not None:
        return open_orders.get(target.order_id)
    of = target.decision_id
    return next((one for one in open_orders if one.order.decision_id == of and not one.order.is_exit), None)


def nothing_open(decision: PendingDecision) -> Refusal:
    """Refuse an AMEND that names no open order."""
    target = decision.target or CancelTarget()
    name = f"decision {target.decision_id}" if target.order_id is None else f"order {target.order_id}"
    return refuse(decision, Reason.NOTHING_TO_AMEND, f"no order of {name} is open")


def amended_instrument(
    decision: PendingDecision,
    open_orders: OpenOrders,
    queued: Iterable[tuple[PendingDecision, Instrument]],
    waiting: Iterable[PendingDecision],
) -> Instrument | Refusal:
    """Return the instrument of the order that an AMEND names, or the refusal where there is no such order.

    Args:
        decision: the AMEND.
        open_orders: of its portfolio.
        queued: the decisions of the portfolio that have their turn before the AMEND.
        waiting: the decisions that wait for a price.
    """
    target = decision.target or CancelTarget()
    if target.flaw is not None:
        return refuse(decision, Reason.NOTHING_TO_AMEND, target.flaw)
    if (open_order := amended_order(target, open_orders)) is not None:
        return open_order.order.instrument
    for other, instrument in queued:
        if other.id == target.decision_id and other.action is not Action.AMEND:
            return instrument
    if any(other.id == target.decision_id for other in waiting):
        detail = f"decision {target.decision_id} is not sized yet; CANCEL it and send another"
        return refuse(decision, Reason.NOTHING_TO_AMEND, detail)
    return nothing_open(decision)


def amend(
    decision: PendingDecision, state: PortfolioState, quote: Quote, equity: Decimal, now: datetime
) -> SizedAmend | Refusal:
    """Check the new values of an open order against the portfolio's state after every earlier decision.

    A new trail is checked at the market, where the order's mark is known: it moves without an event.

    Args:
        decision: the AMEND.
        state: the projection.
        quote: the market data of the order's symbol.
        equity: the portfolio's equity at the newest marks.
        now: the time of sizing.
    """
    if decision.expired(now):
        return refuse(decision, Reason.EXPIRED, f"at {decision.expiry}, before it was sized")
    before = amended_order(decision.target or CancelTarget(), state.open_orders)
    if before is None:
        return nothing_open(decision)
    if decision.terms.distance is not None and before.order.trail is not None:
        return SizedAmend(decision, before.order, quote, equity, state.version)
    return _checked(decision, before, state, quote, equity, now)


def _checked(
    decision: PendingDecision, before: OpenOrder, state: PortfolioState, quote: Quote, equity: Decimal, now: datetime
) -> SizedAmend | Refusal:
    order = _with_new_values(decision, before, state, quote, now)
    if isinstance(order, Refusal):
        return order
    quantity = order.quantity
    if order == before.order:
        return refuse(decision, Reason.NOTHING_TO_AMEND, "the order has these values already")
    only_less = replace(order, quantity=before.order.quantity) == before.order and quantity < before.order.quantity
    order = replace(order, seq=order.seq if only_less else state.version + 1, amended=True)
    after = replace(before, order=order)
    refusal = None
    if not only_less and order.side is Side.BUY and quote.no_buy is not None:
        refusal = refuse(decision, Reason.NO_PRICE, quote.no_buy)
    elif not only_less and order.price_source not in {None, quote.source}:
        detail = f"its prices come from {order.price_source}, and those of {quote.source} do not count for it"
        refusal = refuse(decision, Reason.INVALID, detail)
    elif quantity != before.filled:
        refusal = _refusal(decision, before, after, state, equity, quote)
    if refusal is None and order.post_only and not only_less and (touched := would_take(after, quote)) is not None:
        detail = f"at {plain(touched)} it would take, its limit would be {plain(order.limit_price or ZERO)}"
        refusal = refuse(decision, Reason.POST_ONLY, detail)
    if refusal is not None:
        return refusal
    return SizedAmend(decision, order, quote, equity, state.version, _changes(decision, before.order, order))


def _with_new_values(
    decision: PendingDecision, before: OpenOrder, state: PortfolioState, quote: Quote, now: datetime
) -> Order | Refusal:
    priced = _with_new_prices(decision, before, state, quote, now)
    if isinstance(priced, Refusal):
        return priced
    quantity = _quantity(decision, before, priced, state)
    return quantity if isinstance(quantity, Refusal) else replace(priced, quantity=quantity)


def _with_new_prices(
    decision: PendingDecision, before: OpenOrder, state: PortfolioState, quote: Quote, now: datetime
) -> Order | Refusal:
    """Return the order with its new prices and its new end; refuse what it cannot have."""
    order, terms = before.order, decision.terms
    kind = f"a {order.order_type} order"
    detail = None
    if terms.limit_price is not None and order.limit_price is None:
        detail = f"{kind} has no limit_price"
    elif terms.stop_price is not None and order.order_type not in AMENDABLE_STOPS:
        detail = f"{kind} has no stop_price that can be set"
    elif terms.distance is not None and order.trail is None:
        detail = f"{kind} has no trail"
    elif (terms.stop_price is not None or terms.distance is not None) and before.triggered_at is not None:
        detail = f"its stop was triggered at {_moment(before.triggered_at)}"
    elif terms.expires_at is not None and order.is_exit:
        detail = "an exit has no order_expires_at: it ends with its position"
    elif terms.expires_at is not None and terms.expires_at <= now:
        detail = f"order_expires_at {_moment(terms.expires_at)} is over"
    if detail is not None:
        return refuse(decision, Reason.INVALID, detail)
    wanted = OrderTerms(
        order.order_type,
        order.limit_price if terms.limit_price is None else terms.limit_price,
        order.stop_price if terms.stop_price is None else terms.stop_price,
    )
    rules = replace(state.rules, costs=order.costs, execution=order.execution)
    pricing = price_order(wanted, order.side, order.instrument, rules, BasePrice(ZERO), ZERO)
    if (detail := no_price(wanted, pricing, order.instrument.tick, ZERO)) is not None:
        return refuse(decision, Reason.INVALID, detail)
    priced = replace(order, limit_price=pricing.limit_price, stop_price=pricing.stop_price)
    if (trail := terms.distance) is not None and trail != order.trail:
        from_mark, tick = _mark_with(before, quote), order.instrument.tick
        stop = trail.stop_price(from_mark, order.side, tick)
        if (detail := misplaced_trail("trail", trail, stop, from_mark, tick)) is not None:
            return refuse(decision, Reason.INVALID, detail)
        priced = replace(priced, trail=trail, stop_price=stop)
    if terms.expires_at is None:
        return priced
    return replace(priced, time_in_force=TimeInForce.GTD, expires_at=terms.expires_at, calendar=None)


def _mark_with(before: OpenOrder, quote: Quote) -> Decimal:
    """Return the mark of a trailing order, with a quote that the state may not know yet."""
    order, present = before.order, mark(before.order.execution.price_rule, *quote.point)
    if before.mark is None or order.price_source not in {None, quote.source}:
        return present if before.mark is None else before.mark
    return max(before.mark, present) if order.side is Side.SELL else min(before.mark, present)


def _quantity(decision: PendingDecision, before: OpenOrder, order: Order, state: PortfolioState) -> Decimal | Refusal:
    """Return the new quantity of an order: rounded down to the step; what is filled where no rest is wanted."""
    requested, filled, instrument = decision.quantity, before.filled, order.instrument
    if requested is None:
        return order.quantity
    if requested < filled:
        detail = f"quantity {plain(requested)} is below {plain(filled)}, which is filled"
        return refuse(decision, Reason.INVALID, detail)
    rest = subtract(requested, filled)
    if order.side is Side.SELL and rest:
        most = _most(before, state)
        if order.is_exit and rest > most:
            detail = f"quantity {plain(requested)} is too large: {plain(most)} is held for this exit"
            return refuse(decision, Reason.INVALID, detail)
        if _is_all(order, rest, most):
            return add(filled, most)
    quantity = add(filled, floor_to(rest, instrument.step))
    if not quantity:
        return refuse(decision, Reason.TOO_SMALL, f"the quantity is less than one step of {plain(instrument.step)}")
    return quantity


def _is_all(order: Order, rest: Decimal, most: Decimal) -> bool:
    """Return whether a SELL takes all that is left to it: also where what it leaves could not be sold alone."""
    instrument, price = order.instrument, order.own_price
    if subtract(most, rest) < instrument.step:
        return True
    left = subtract(most, floor_to(rest, instrument.step))
    return not order.is_exit and price is not None and dust(left, price, instrument) is not None


def _most(before: OpenOrder, state: PortfolioState) -> Decimal:
    """Return the most that is left to a SELL order: what is held for an exit, or free without the order."""
    symbol = before.order.instrument.symbol
    if not before.order.is_exit:
        return add(state.free_quantity(symbol), before.held_back)
    held = state.positions.get(symbol)
    return room_of_exit(state.open_orders, before, held.quantity) if held is not None else ZERO


def _refusal(
    decision: PendingDecision, before: OpenOrder, after: OpenOrder, state: PortfolioState, equity: Decimal, quote: Quote
) -> Refusal | None:
    """Refuse new values that a new order could not have. An order that becomes no larger needs no more room or cash."""
    order, rules = after.order, state.rules
    instrument, rest = order.instrument, after.remaining
    base = base_price(quote, order.side, order.execution, state.taken_from(quote, order.side))
    (price, notional, at_market), (_, notional_before, at_market_before) = _counted(after, base), _counted(before, base)
    worth = f"{plain(rest)} at {plain(price)} is worth {plain(notional)}"
    if order.side is Side.BUY and notional > notional_before:
        held = state.positions.get(instrument.symbol)
        value = held.value(mark(rules.execution.price_rule, *quote.point)) if held is not None else ZERO
        others = subtract(state.open_orders.buy_notional(instrument.symbol), before.open_notional)
        room = subtract(subtract(money(multiply(rules.max_position_size, equity)), value), others)
        if notional > room:
            return refuse(decision, Reason.NO_ROOM, f"{worth}, the position limit leaves {plain(max(room, ZERO))}")
    needed, free = after.cash_needed(), add(state.free_cash, before.reserved)
    if (needed > before.reserved and needed > free) or (at_market > at_market_before and at_market > free):
        detail = f"{worth} and may cost {plain(max(needed, at_market))}, free cash is {plain(free)}"
        return refuse(decision, Reason.NO_CASH, detail)
    misplaced = misplaced_exit(order, price) or _beyond_mark(order, before.order, quote)
    if misplaced is not None:
        return refuse(decision, Reason.INVALID, misplaced)
    exempt = order.side is Side.SELL and (decision.quantity is None or rest == _most(before, state))
    return None if exempt else too_small(decision, order.quantity, price, rules, instrument)


def _counted(open_order: OpenOrder, base: BasePrice) -> tuple[Decimal, Decimal, Decimal]:
    """Return the price at which an order counts, what its rest is worth there, and what this may cost at the market.

    A stop BUY counts at the market where that is above its stop price, as a new one does; any other order costs nothing
    there.
    """
    order, rest, cost = open_order.order, open_order.remaining, ZERO
    price = order.own_price
    assert price is not None  # an order without any price does not rest
    if order.side is Side.BUY and order.limit_price is None and base.price > price:
        price = base.price
        cost = worst_cost(rest, base, order.instrument.tick, order.costs, order.execution.price_rule)
    return price, money(multiply(rest, price)), cost


def _beyond_mark(order: Order, before: Order, quote: Quote) -> str | None:
    """Return why the new price of an exit is on the wrong side of the mark; None where it is right."""
    if not order.is_exit:
        return None
    present = mark(order.execution.price_rule, *quote.point)
    stop, limit = order.stop_price, order.limit_price
    if order.trail != before.trail and stop is not None and stop >= present:
        return f"trail {order.trail} puts the stop at {plain(stop)}; it must be below the mark, {plain(present)}"
    if stop != before.stop_price and stop is not None and stop >= present:
        return f"stop_price {plain(stop)} must be below the mark, {plain(present)}"
    if limit != before.limit_price and limit is not None and limit <= present:
        return f"limit_price {plain(limit)} must be above the mark, {plain(present)}"
    return None


def _changes(decision: PendingDecision, before: Order, after: Order) -> str:
    """Return what is new of an order, for a person; a value that differs from the decision's is noted."""
    terms, parts = decision.terms, []
    for name, old, new, wanted in (
        ("limit", before.limit_price, after.limit_price, terms.limit_price),
        ("stop", before.stop_price, after.stop_price, terms.stop_price),
        ("quantity", before.quantity, after.quantity, decision.quantity),
    ):
        if old == new or old is None or new is None or (name == "stop" and after.trail is not None):
            continue
        noted = f" ({plain(wanted)} was requested)" if wanted is not None and wanted != new else ""
        parts.append(f"{name} {plain(old)} -> {plain(new)}{noted}")
    if before.trail != after.trail:
        parts.insert(0, f"trail {before.trail} -> {after.trail}")
    if before.expires_at != after.expires_at and after.expires_at is not None:
        old_end = _moment(before.expires_at) if before.expires_at is not None else "never"
        parts.append(f"expires {old_end} -> {_moment(after.expires_at)}")
    return ", ".join(parts)


def _moment(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def amend_in(step: StepOfPortfolio, request: SizedAmend) -> Refusal | None:
    """Give an open order its new values, which were checked against the state of this version.

    It sees only data after that. Unless just its quantity is smaller, it is like a new order: it takes at once what the
    quote offers within its limit. Where all of it is filled already, it ends. The mark of a trailing stop goes on, also
    with another trail.

    Returns:
        The refusal of the AMEND where it cannot have a new trail.
    """
    order, number = request.order, request.decision_id
    before = step.state.open_orders.get(order.order_id)
    assert before is not None  # it was open in the same version
    if (expiry := before.order.expires_at) is not None and step.now.time >= expiry:
        ended = f"{Reason.NOTHING_TO_AMEND}: the order expired at {_moment(expiry)}"
        step.expire(before, (DecisionEnd(number, OutcomeStatus.REJECTED, ended),))
        return None
    if not request.changes:
        checked = _checked(request.decision, before, step.state, request.quote, request.equity, step.now.time)
        if isinstance(checked, Refusal):
            return checked
        order, request = checked.order, checked
    changes, trails_anew = request.changes, order.trail != before.order.trail
    has_new_stop = trails_anew or order.stop_price != before.order.stop_price
    if has_new_stop and stop_is_reached(order, order.stop_price, request.quote):
        changes += f"; {STOP_REACHED}"
    ends = (DecisionEnd(number, OutcomeStatus.EXECUTED, f"amended: {changes}", order.order_id),)
    if order.quantity == before.filled:
        step.end(before, OrderStatus.CANCELLED, Reason.CANCELLED, f"by decision {number}", ends)
        return None
    # Without a new trail the mark goes on, also by data that are on their way here.
    goes_on, at = before.trails and not trails_anew, step.now.time
    since, since_at = (before.since, None) if goes_on else (step.last_data, at)
    present = _mark_with(before, request.quote) if trails_anew else None
    reserved = replace(before, order=order).cash_needed()
    reason = f"by decision {number}: {changes}"
    event = OrderAmended(step.version, order, reserved, since, at, reason, present, ends, since_at)
    after = step.add(event).open_order
    assert after is not None
    halted = step.state.rules.stops(reduces=order.reduces)
    if order.seq == before.order.seq or order.limit_price is None or after.waits_for_trigger or halted:
        return None
    take = take_at_once(after, request.quote, step.state.taken_from(request.quote, order.side), at)
    if isinstance(take, Fill):
        step.fill(order, take)
    return None
