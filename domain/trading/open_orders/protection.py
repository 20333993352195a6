"""Protection: the exits of a PROTECT, positions that no stop closes, and portfolios to halt because one may be lost."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from domain.immutable.records import replace
from domain.trading.arithmetic import ZERO, money, plain, subtract, total
from domain.trading.bookkeeping import Result, describe
from domain.trading.decision import PendingDecision, Reason, Refusal, refuse
from domain.trading.events import DecisionEnd, OrderAccepted, OrderEnded
from domain.trading.instruments import Instrument
from domain.trading.open_orders.exits import exit_groups
from domain.trading.open_orders.open_order import STOPS
from domain.trading.open_orders.pricing import misplaced, rounded_exits
from domain.trading.open_orders.step import StepOfPortfolio, first_mark, planned_exits, slots
from domain.trading.open_orders.targets import target_quantities, too_small_targets
from domain.trading.open_orders.terms import NO_EXITS
from domain.trading.orders import ExitPlan, Order, order_id
from domain.trading.portfolio import PortfolioState, Position
from domain.trading.prices import mark
from domain.trading.quotes import Quote
from domain.trading.sizing import LEG
from domain.types import (
    DecisionId,
    OrderId,
    OrderStatus,
    OrderType,
    OutcomeStatus,
    PortfolioName,
    PositionSide,
    Side,
    Symbol,
    TimeInForce,
)


def halts_after(group: Iterable[Result]) -> dict[PortfolioName, str]:
    """Return the portfolios of a group that must be halted, each with the reason.

    An order that made the program fail twice has ended without being filled, and its exits with it. A halt by the audit
    stays: it stops more.
    """
    reasons: dict[PortfolioName, str] = {}
    for result in group:
        event, state = result.event, result.state
        if isinstance(event, OrderEnded) and event.reason is Reason.INTERNAL_ERROR and not state.rules.halted_by_audit:
            text = f"order {event.order.order_id} ended by an internal error, so a position may have lost its stop"
            reasons.setdefault(state.name, text)
    return reasons


def lost_stops(group: Iterable[Result], states: Mapping[PortfolioName, PortfolioState]) -> Iterator[str]:
    """Yield a sentence for each position that is not protected any more because the program itself ended an order.

    An internal error is not among these: its portfolio is halted, see `halts_after`.

    Args:
        group: what has happened.
        states: the portfolios after it.
    """
    for result in group:
        event, order = result.event, result.order
        if not isinstance(event, OrderEnded) or event.status is not OrderStatus.REJECTED or order.side is Side.BUY:
            continue
        state, symbol = states[order.portfolio], order.instrument.symbol
        if event.reason is Reason.INTERNAL_ERROR or symbol not in state.positions or order.order_type not in STOPS:
            continue
        if positions := _described(state, {symbol: _stopped(state, symbol)}):
            detail = f"order {order.order_id} ended rejected: {event.reason}: {event.detail}"
            yield f"portfolio {state.label}: no stop closes {positions}; {detail}"


def halt_for_frozen(state: PortfolioState, frozen: Collection[DecisionId]) -> str | None:
    """Return why a portfolio must be halted that has open orders of these decisions, which cannot even be ended."""
    ids = [str(one.order.order_id) for one in state.open_orders if one.order.decision_id in frozen]
    if not ids or state.rules.halted is not None:
        return None
    return f"order {ids[0]} can be neither filled nor ended, so a position may have lost its stop; it is left alone"


def unprotected(state: PortfolioState) -> str:
    """Return the positions that no open stop closes whole: ``0.5 BTC/USDT, 2 of 3 ETH/USDT``; empty if all are."""
    return _described(state, {symbol: _stopped(state, symbol) for symbol in state.positions})


def held(state: PortfolioState) -> str:
    """Return all positions, as `unprotected` does where no stop is filled."""
    return _described(state, dict.fromkeys(state.positions, ZERO))


@dataclass(frozen=True, slots=True)
class SizedProtection:
    """A PROTECT decision on its way to the market.

    Attributes:
        decision_id: of the PROTECT.
        exits: the orders that it places, at least one.
        quote: the market data that their prices were checked with.
        version: of the portfolio.
        reason: of the decision's outcome.
    """

    decision_id: DecisionId
    exits: tuple[Order, ...]
    quote: Quote
    version: int
    reason: str

    @property
    def portfolio(self) -> PortfolioName:
        """The portfolio of the position."""
        return self.exits[0].portfolio


def protect(
    decision: PendingDecision, state: PortfolioState, instrument: Instrument, quote: Quote, now: datetime
) -> SizedProtection | Refusal:
    """Return the exits that a position lacks; those of the portfolio where the decision names none.

    What no exit closes gets a group of its own. A group of exits without a stop gets the stop, and one without targets
    the targets, as large as it is.

    Args:
        decision: the PROTECT.
        state: the projection.
        instrument: that of the position.
        quote: the market data of the instrument.
        now: the time of sizing.
    """
    if decision.expired(now):
        return refuse(decision, Reason.EXPIRED, f"at {decision.expiry}, before it was sized")
    position = state.positions.get(instrument.symbol)
    if position is None or position.side is not PositionSide.LONG:
        return refuse(decision, Reason.NOTHING_HELD, f"there is no {instrument.symbol} to protect")
    plan = decision.terms.exits or state.rules.default_exits
    if plan is None:
        detail = f"it names no exit, and portfolio {state.label} has no default_stop_loss and no default_take_profit"
        return refuse(decision, Reason.INVALID, detail)
    shortfalls = _shortfalls(state, position, plan, order_id(decision.uid, LEG))
    if not shortfalls:
        return refuse(decision, Reason.NOTHING_TO_PROTECT, _all_covered(state, position))
    exits = _exits(decision, state, instrument, shortfalls, quote, now)
    if isinstance(exits, Refusal):
        return exits
    note = f"bought at {plain(money(position.entry_price))} on average{_exits_before(state, position, shortfalls)}"
    missing = [
        clause
        for lack in shortfalls
        for clause in too_small_targets(lack.plan.take_profits, lack.quantity, instrument.step)
    ]
    note = "; ".join([note, *rounded_exits(plan, instrument.tick), *missing])
    listed = "; ".join(describe(order) for order in exits)
    return SizedProtection(decision.id, exits, quote, state.version, f"protected: {listed} ({note})")


@dataclass(frozen=True, slots=True)
class _Shortfall:
    """The exits that a part of a position lacks."""

    parent: OrderId
    quantity: Decimal
    plan: ExitPlan


def _shortfalls(state: PortfolioState, position: Position, plan: ExitPlan, own: OrderId) -> list[_Shortfall]:
    """Return which exits of a plan the groups of a position lack, and what has no exit at all.

    Args:
        state: of the portfolio.
        position: the position.
        plan: the exits that are wanted.
        own: what the exits of what has none have in common.
    """
    only_stop, only_targets = replace(plan, take_profits=()), ExitPlan(take_profits=plan.take_profits)
    shortfalls, rest = [], position.quantity
    for group in exit_groups(state.open_orders, position.symbol):
        rest = subtract(rest, group.size)
        if not group.stops and only_stop != NO_EXITS:
            shortfalls.append(_Shortfall(group.parent, group.size, only_stop))
        if not group.targets and only_targets != NO_EXITS:
            shortfalls.append(_Shortfall(group.parent, group.size, only_targets))
    return [*shortfalls, _Shortfall(own, rest, plan)] if rest > ZERO else shortfalls


def _exits_before(state: PortfolioState, position: Position, shortfalls: Sequence[_Shortfall]) -> str:
    """Return clauses that tell what part of a position had all its exits before, and what part lacked a kind."""
    groups = exit_groups(state.open_orders, position.symbol)
    lacking = {one.parent for one in shortfalls}
    covered = total(group.size for group in groups if group.parent not in lacking)
    clauses = f"; {plain(covered)} of {plain(position.quantity)} had exits before" if covered else ""
    joined = [one for one in shortfalls if one.parent in {group.parent for group in groups}]
    without_target = total(one.quantity for one in joined if one.plan.take_profits)
    without_stop = total(one.quantity for one in joined if not one.plan.take_profits)
    for size, kind in ((without_stop, "stop"), (without_target, "target")):
        clauses += f"; {plain(size)} of {plain(position.quantity)} had no {kind} before" if size else ""
    return clauses


def _all_covered(state: PortfolioState, position: Position) -> str:
    """Return which exits close a position whole, and what a stop of an entry lacks: there is only one, so it grows."""
    exits = state.open_orders.exits(position.symbol)
    names = " and ".join(f"{one.order.order_type} order {one.order.order_id}" for one in exits)
    sizes = {group.parent: group.size for group in exit_groups(state.open_orders, position.symbol)}
    lacking = ""
    for stop in (one for one in exits if one.order.order_type in STOPS):
        size = sizes[stop.order.parent] if stop.order.parent is not None else stop.remaining
        if stop.remaining < size:
            closes = f"closes only {plain(stop.remaining)} of {plain(size)}"
            lacking += f"stop order {stop.order.order_id} {closes}: AMEND its quantity; "
    return f"{lacking}all {plain(position.quantity)} {position.symbol} has exits; AMEND or CANCEL {names}"


def _exits(
    decision: PendingDecision,
    state: PortfolioState,
    instrument: Instrument,
    shortfalls: Sequence[_Shortfall],
    quote: Quote,
    now: datetime,
) -> tuple[Order, ...] | Refusal:
    """Return the orders that end the shortfalls of a position, or the refusal where one of them cannot be."""
    rules, position = state.rules, state.positions[instrument.symbol]
    present = mark(rules.execution.price_rule, *quote.point)
    for lack in shortfalls:
        if (flaw := misplaced(lack.plan, position.entry_price, present, instrument.tick, "the present")) is not None:
            return refuse(decision, Reason.INVALID, flaw)
    own = order_id(decision.uid, LEG)
    base = Order(
        order_id=own,
        decision_id=decision.id,
        portfolio=state.name,
        leg=LEG + 1,
        seq=state.version + 1,
        instrument=replace(instrument, asset_class=position.asset_class),
        side=Side.SELL,
        order_type=OrderType.STOP,
        quantity=ZERO,
        costs=rules.costs_of(instrument),
        execution=rules.execution,
        created_at=now,
        strategy=decision.strategy,
        time_in_force=TimeInForce.GTC,
        parent=own,  # the id that an entry of the decision would have
        price_source=quote.source,
        rules_revision=rules.revision,
    )
    exits: list[Order] = []
    leg = base.leg
    for lack in shortfalls:
        quantities = target_quantities(lack.plan.take_profits, lack.quantity, instrument.step)
        part = replace(base, leg=leg, quantity=lack.quantity)
        planned = planned_exits(part, lack.plan, position.entry_price, present, quantities)
        # Their ids are of this decision, also where they join a group that is there already.
        exits += [replace(order, parent=lack.parent) for order in planned if order.quantity]
        leg += slots(lack.plan)
    if exits:
        return tuple(exits)
    amounts = " and ".join(plain(lack.quantity) for lack in shortfalls)
    return refuse(
        decision, Reason.TOO_SMALL, f"the shares of {amounts} are less than one step of {plain(instrument.step)}"
    )


def protect_in(step: StepOfPortfolio, request: SizedProtection) -> None:
    """Place the exits of a PROTECT, which were checked against the state of this version; the last ends the decision.

    They see only data after that.
    """
    first, number = request.exits[0].order_id, request.decision_id
    end = DecisionEnd(number, OutcomeStatus.EXECUTED, request.reason, first)
    for order in request.exits:
        placed, ends = replace(order, seq=step.version), (end,) if order is request.exits[-1] else ()
        begin = first_mark(placed, request.quote)
        step.add(OrderAccepted(step.version, placed, None, ZERO, step.last_data, step.now.time, begin, ends))


def _stopped(state: PortfolioState, symbol: Symbol) -> Decimal:
    """Return the quantity that open SELL stops close."""
    orders = state.open_orders.of(symbol)
    return total(one.remaining for one in orders if one.order.order_type in STOPS and one.order.side is Side.SELL)


def _described(state: PortfolioState, stopped: Mapping[Symbol, Decimal]) -> str:
    parts = []
    for symbol in sorted(stopped):
        position = state.positions[symbol]
        rest = subtract(position.quantity, stopped[symbol])
        if rest > ZERO:
            of = f" of {plain(position.quantity)}" if rest < position.quantity else ""
            parts.append(f"{plain(rest)}{of} {symbol}")
    return ", ".join(parts)
