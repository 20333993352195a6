"""One step of a portfolio: the events that happen together, and what one event causes: exits, cuts, ends."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from functools import partial
from itertools import count

from domain.immutable.records import replace
from domain.trading.arithmetic import ZERO, add, ceil_to, money, multiply, negate, plain, round_to, subtract
from domain.trading.bookkeeping import Result, apply
from domain.trading.decision import Reason
from domain.trading.events import DecisionEnd, Event, Filled, OrderAccepted, OrderAmended, OrderEnded, OrderTriggered
from domain.trading.execution import worst_cost
from domain.trading.open_orders.exits import exits_of
from domain.trading.open_orders.matching import take_all, take_at_once
from domain.trading.open_orders.open_order import OpenOrder
from domain.trading.open_orders.targets import target_quantities
from domain.trading.orders import ExitPlan, Fill, Order, order_id
from domain.trading.portfolio import PortfolioState
from domain.trading.prices import base_price, mark
from domain.trading.quotes import Quote
from domain.trading.sizing import largest_covered
from domain.types import BUY, SELL, TAKER, Instant, OrderStatus, OrderType, TimeInForce

GTC = TimeInForce.GTC
LIMIT, STOP, STOP_LIMIT = OrderType.LIMIT, OrderType.STOP, OrderType.STOP_LIMIT


class StepOfPortfolio:
    """The events of one step of a portfolio, with the state after them. All of them are written, or none.

    Args:
        state: before the step.
        now: the time of the events.
        last_data: number of the last data of the symbol that is traded; a new order sees only later ones.
    """

    def __init__(self, state: PortfolioState, now: Instant, last_data: int = 0) -> None:
        self.state = state
        self.now = now
        self.last_data = last_data
        self.results: list[Result] = []

    @property
    def version(self) -> int:
        """The version of the next event."""
        return self.state.version + 1

    def add(self, event: Event) -> Result:
        """Apply an event."""
        result = apply(self.state, event)
        self.results.append(result)
        self.state = result.state
        return result

    def end(
        self,
        open_order: OpenOrder,
        status: OrderStatus,
        reason: Reason,
        detail: str,
        ends: tuple[DecisionEnd, ...] = (),
    ) -> None:
        """End an open order."""
        at = self.now.time
        self.add(OrderEnded(self.version, open_order.order, status, reason, detail, at, self.last_data, ends))

    def expire(self, open_order: OpenOrder, ends: tuple[DecisionEnd, ...] = ()) -> None:
        """End an order whose time has come."""
        self.end(open_order, OrderStatus.EXPIRED, Reason.EXPIRED, open_order.order.end, ends)

    def fill(self, order: Order, fill: Fill, filled: Filled | None = None) -> None:
        """Fill an order; then open or enlarge the exits of an entry, or end the rest of an exit's entry.

        Args:
            order: the order.
            fill: its next fill.
            filled: the event of an order that is new with it, as a market order is.
        """
        if order.parent is not None:
            self._make_room(order, fill.quantity)
        result = self.add(filled or Filled(self.version, order, None, fill))
        if order.exits is not None and order.side is BUY:
            self._open_or_enlarge(order, result)
        if order.parent is not None and (entry := self.state.open_orders.get(order.parent)) is not None:
            self.end(entry, OrderStatus.CANCELLED, Reason.CANCELLED, f"position closed by exit {order.order_id}")

    def _open_or_enlarge(self, entry: Order, result: Result) -> None:
        """Open the exits of an entry, or make them larger, by what a fill has bought."""
        fill, of_fill = result.fill, list(exit_orders(entry, result, self.now))
        assert entry.exits is not None
        siblings = exits_of(self.state.open_orders, entry.instrument.symbol, entry.order_id)
        # Not those of a PROTECT that have joined them: what these close does not grow with the entry.
        own = (one for one in siblings if one.order.decision_id == entry.decision_id)
        of_slot = {slot(entry.exits, one.order.leg): one for one in own}
        present = [of_slot.get(slot(entry.exits, wanted.leg)) for wanted in of_fill]
        quantities = [wanted.quantity for wanted in of_fill]
        # Shares that are rounded anew may take from the last target what others get; of a filled one nothing is left.
        last = present[-1] if present else None
        left = last.remaining if last is not None else ZERO
        short = subtract(negate(quantities[-1]), left) if quantities else ZERO
        for index in reversed(range(len(quantities))):
            if short <= ZERO:
                break
            if quantities[index] > ZERO and of_fill[index].order_type is LIMIT:
                cut = min(short, quantities[index])
                quantities[index], short = subtract(quantities[index], cut), subtract(short, cut)
                quantities[-1] = add(quantities[-1], cut)
        for wanted, one, quantity in zip(of_fill, present, quantities, strict=True):
            if one is None:
                if quantity > ZERO:
                    new = replace(wanted, quantity=quantity, seq=self.version)
                    first = first_mark(new, fill.quote)
                    self.add(OrderAccepted(self.version, new, None, ZERO, self.last_data, self.now.time, first))
            elif add(one.remaining, quantity) <= ZERO:
                self.end(one, OrderStatus.CANCELLED, Reason.CANCELLED, "its share is in the other targets")
            else:
                self._enlarge(one, wanted, quantity, fill)

    def _enlarge(self, present: OpenOrder, wanted: Order, quantity: Decimal, fill: Fill) -> None:
        since = self.last_data
        # Where market data filled the entry, the symbol's last fill tells which data are older.
        since_at = self.now.time if fill.liquidity is TAKER else None
        larger = replace(present.order, quantity=add(present.order.quantity, quantity))
        if present.order.trail is not None:  # its mark goes on
            since, since_at = present.since, None
        elif not larger.amended:  # a price that a decision has set stays
            larger = replace(larger, stop_price=wanted.stop_price, limit_price=wanted.limit_price)
        if larger != present.order:
            reason = "its entry was filled further"
            event = OrderAmended(self.version, larger, ZERO, since, self.now.time, reason, since_at=since_at)
            self.add(event)

    def _make_room(self, exit_order: Order, quantity: Decimal) -> None:
        """Reduce the open SELL orders of decisions to what is left after a fill of an exit, the youngest first."""
        symbol = exit_order.instrument.symbol
        excess = subtract(quantity, self.state.free_quantity(symbol))
        if excess <= ZERO:
            return
        for one in reversed([one for one in self.state.open_orders.of(symbol) if one.held_back]):
            cut = min(excess, one.remaining)
            if cut == one.remaining:
                detail = f"position closed by exit {exit_order.order_id}"
                self.end(one, OrderStatus.CANCELLED, Reason.CANCELLED, detail)
            else:
                note = joined_notes(one.order.note, f"{plain(cut)} less: an exit sold it")
                smaller = replace(one.order, quantity=subtract(one.order.quantity, cut), note=note)
                reason = f"exit {exit_order.order_id} sold a part of the position"
                self.add(OrderAmended(self.version, smaller, ZERO, one.since, self.now.time, reason))
            excess = subtract(excess, cut)
            if excess <= ZERO:
                return

    def trigger(self, open_order: OpenOrder, quote: Quote, *, ambiguous: bool) -> None:
        """Trigger a stop order: it becomes a market order and is filled, or a limit order, which may take at once."""
        order, at = open_order.order, self.now.time
        if open_order.trails:
            order = replace(order, stop_price=open_order.stop_price)
        triggered = self.add(OrderTriggered(self.version, order, quote, at, open_order.mark)).open_order
        assert triggered is not None
        taken = self.state.taken_from(quote, order.side)
        if order.order_type is STOP_LIMIT:
            take = take_at_once(triggered, quote, taken, at, ambiguous=ambiguous)
            if isinstance(take, Fill):
                self.fill(order, take)
            return
        if order.side is BUY:
            reduced = self._affordable(triggered, quote, taken)
            if reduced is None:
                detail = f"at the gap to {plain(quote.price)} it does not cover the smallest order"
                self.end(triggered, OrderStatus.REJECTED, Reason.NO_CASH, detail)
                return
            triggered = reduced
        fill = take_all(triggered, quote, taken, at, ambiguous=ambiguous)
        if isinstance(fill, Fill):
            self.fill(triggered.order, fill)
        else:
            self.end(triggered, OrderStatus.REJECTED, Reason.NO_FILL, fill.reason)

    def _affordable(self, open_order: OpenOrder, quote: Quote, taken: Decimal) -> OpenOrder | None:
        """Reduce a triggered BUY to what its reservation and the free cash pay; None if that is too small."""
        order, cash = open_order.order, add(self.state.free_cash, open_order.reserved)
        base = base_price(quote, order.side, order.execution, taken)
        rule, tick = order.execution.price_rule, order.instrument.tick
        cost = partial(worst_cost, base=base, tick=tick, costs=order.costs, rule=rule)
        quantity = largest_covered(open_order.remaining, order.instrument.step, cost, cash)
        if quantity == open_order.remaining:
            return open_order
        notional = money(multiply(quantity, base.price))
        minimum = max(self.state.rules.min_notional, order.instrument.min_notional)
        if quantity < max(order.instrument.min_quantity, order.instrument.step) or notional < minimum:
            return None
        reason = "the cash pays no more at the gap"
        note = joined_notes(order.note, f"{plain(order.quantity)} were wanted, {reason}")
        smaller = replace(order, quantity=add(open_order.filled, quantity), note=note)
        reserved = min(replace(open_order, order=smaller).cash_needed(), cash)
        event = OrderAmended(self.version, smaller, reserved, open_order.since, self.now.time, reason)
        return self.add(event).open_order


def first_mark(order: Order, quote: Quote) -> Decimal | None:
    """Return the first mark of a trailing order that is placed at a quote; None for any other order."""
    return mark(order.execution.price_rule, *quote.point) if order.trail is not None else None


def joined_notes(*notes: str) -> str:
    """Return the notes of an order as one."""
    return "; ".join(note for note in notes if note)


def slot(plan: ExitPlan, leg: int) -> int:
    """Return which exit of its entry an order is: 0 is the stop, 1 the first target."""
    return (leg - 2) % slots(plan)


def slots(plan: ExitPlan) -> int:
    """Return how many legs a group of exits takes up."""
    return 1 + max(len(plan.take_profits), 1)


def exit_orders(entry: Order, result: Result, now: Instant) -> Iterator[Order]:
    """Yield the exits of an entry for the fill of a result; their prices follow its average price.

    The quantity of each is that by which it grows; that of the last target may be negative. With one target the stop
    of the entry's first fill is leg 2 of the decision and its target leg 3, those of its second fill would be 4 and 5:
    they are used where the first ones have ended by then, since a number is never used twice.
    """
    plan = entry.exits
    assert plan is not None
    open_order, fill, step = result.open_order, result.fill, entry.instrument.step
    average = fill.price if open_order is None or open_order.average_price is None else open_order.average_price
    bought = fill.quantity if open_order is None else open_order.filled
    base = Order(
        entry.order_id, entry.decision_id, entry.portfolio, 2 + (fill.fill_no - 1) * slots(plan), entry.seq,
        entry.instrument, SELL, entry.order_type, fill.quantity, entry.costs, entry.execution, now.time,
        entry.strategy, time_in_force=GTC, parent=entry.order_id, rules_revision=entry.rules_revision,
        price_source=entry.price_source,
    )  # fmt: skip
    quantities = target_quantities(plan.take_profits, bought, step)
    if bought != fill.quantity:
        before = target_quantities(plan.take_profits, subtract(bought, fill.quantity), step)
        quantities = list(map(subtract, quantities, before))
    quote = fill.quote
    present = mark(entry.execution.price_rule, quote.price, quote.bid, quote.ask)
    yield from planned_exits(base, plan, average, present, quantities)


def planned_exits(
    base: Order, plan: ExitPlan, entry: Decimal, present: Decimal, quantities: Sequence[Decimal]
) -> Iterator[Order]:
    """Yield the exits of a plan: the stop with the leg of ``base``, the targets with the legs after it.

    Args:
        base: what all of them have in common, with the quantity of the stop.
        plan: the exits.
        entry: the average price of what they close.
        present: the mark, from which a trailing stop begins.
        quantities: of the targets.
    """
    assert base.parent is not None  # they are exits
    tick = base.instrument.tick
    if (level := plan.stop_loss) is not None:
        stop_price, first = max(round_to(level.below(entry), tick), tick), order_id(base.parent, base.leg)
        yield replace(base, order_id=first, order_type=STOP, stop_price=stop_price)
    if (trail := plan.trailing_stop) is not None:
        stop_price, first = max(trail.stop_price(present, SELL, tick), tick), order_id(base.parent, base.leg)
        yield replace(base, order_id=first, order_type=OrderType.TRAILING_STOP, stop_price=stop_price, trail=trail)
    for leg, target, quantity in zip(count(base.leg + 1), plan.take_profits, quantities, strict=False):
        yield replace(
            base, order_id=order_id(base.parent, leg), leg=leg, order_type=LIMIT, quantity=quantity,
            limit_price=ceil_to(target.level.above(entry), tick),
        )  # fmt: skip
