"""Sizing: from a decision and the portfolio's state to an order, or to a refusal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from domain.trading.arithmetic import ONE, ZERO, affordable, divide, floor_to, money, multiply, plain, subtract
from domain.trading.decision import PendingDecision, Reason, Refusal, refuse
from domain.trading.events import SizedOrder, SizingEvidence
from domain.trading.execution import worst_cost
from domain.trading.instruments import Instrument, Unresolved
from domain.trading.orders import Order, order_id
from domain.trading.portfolio import PortfolioRules, PortfolioState, Position
from domain.trading.prices import BasePrice, base_price, mark
from domain.trading.quotes import Quote
from domain.types import Action, Instant, OrderType, Side, Symbol

REFERENCE_CONFIDENCE = Decimal("0.80")
"""At this confidence, and without risk, a BUY may use all of ``max_position_size``."""
RISK_WEIGHT = Decimal("0.5")
LEG = 1
"""Number of the only leg of a decision."""


@dataclass(frozen=True, slots=True)
class SizedQuantity:
    """The quantity of an order, and a note for the outcome's reason."""

    quantity: Decimal
    note: str = ""


def pre_trade_check(
    decision: PendingDecision, rules: PortfolioRules, instrument: Instrument | Unresolved, same_currency: frozenset[str]
) -> Refusal | None:
    """Refuse a decision for a reason that needs no price.

    Args:
        decision: the decision.
        rules: the rules of its portfolio.
        instrument: what its symbol resolves to.
        same_currency: currencies that are exchanged 1:1.
    """
    if decision.action is Action.HOLD:
        return refuse(decision, Reason.HOLD, "nothing to do")
    if rules.halted is not None:
        return refuse(decision, Reason.HALTED, rules.halted)
    if decision.confidence < rules.decision_confidence_threshold:
        compared = f"{plain(decision.confidence)} is below {plain(rules.decision_confidence_threshold)}"
        return refuse(decision, Reason.LOW_CONFIDENCE, compared)
    if isinstance(instrument, Unresolved):
        return refuse(decision, Reason.UNKNOWN_SYMBOL, instrument.reason)
    quote, own = instrument.quote, rules.currency
    if quote not in {None, own} and not {quote, own} <= same_currency:
        return refuse(
            decision, Reason.OTHER_CURRENCY, f"{instrument.symbol} trades in {quote}, the portfolio holds {own}"
        )
    return None


def expire_if_stale(decision: PendingDecision, now: Instant, max_age: timedelta | None) -> Refusal | None:
    """Refuse a decision that has waited longer than ``max_age``, for example during a downtime. None: no limit."""
    if max_age is None or decision.age(now) <= max_age:
        return None
    limit = f"max_decision_age = {max_age.total_seconds():g} s"
    return refuse(decision, Reason.EXPIRED, f"it waited since {decision.created_at:%Y-%m-%d %H:%M:%S} UTC, {limit}")


def size(
    decision: PendingDecision,
    state: PortfolioState,
    instrument: Instrument,
    quote: Quote,
    equity: Decimal,
    marks: Mapping[Symbol, Decimal],
    now: datetime,
) -> SizedOrder | Refusal:
    """Size a decision that passed `pre_trade_check` against the portfolio's state after every earlier one.

    Args:
        decision: a BUY or a SELL.
        state: the projection.
        instrument: the instrument that is traded.
        quote: the market data; the fill uses the same quote.
        equity: the portfolio's equity at ``quote`` and ``marks``.
        marks: the newest mark of each symbol; it is kept as evidence and not copied.
        now: the time of sizing.

    Returns:
        The order with the portfolio's next ``seq``, or the refusal.
    """
    if decision.expired(now):
        return refuse(decision, Reason.EXPIRED, f"at {decision.expiry}, before it was sized")
    side = Side(decision.action)
    taken = state.taken_from(quote, side)
    base = base_price(quote, side, state.rules.execution, taken)
    held = state.positions.get(instrument.symbol)
    if side is Side.SELL:
        sized = _sell(decision, held, state.rules, instrument, base.price)
    else:
        held_value = held.value(mark(state.rules.execution.price_rule, *quote.point)) if held is not None else ZERO
        sized = _buy(decision, held_value, state, instrument, base, equity)
    if isinstance(sized, Refusal):
        return sized
    order = Order(
        order_id=order_id(decision.uid, LEG),
        decision_id=decision.id,
        portfolio=state.name,
        leg=LEG,
        seq=state.version + 1,
        instrument=instrument
        if decision.asset_class is None
        else replace(instrument, asset_class=decision.asset_class),
        side=side,
        order_type=OrderType.MARKET,
        quantity=sized.quantity,
        costs=state.rules.costs,
        execution=state.rules.execution,
        created_at=now,
        strategy=decision.strategy,
        note=sized.note,
    )
    evidence = SizingEvidence(quote, equity, marks, state.positions, state.version, state.rules.revision, taken)
    return SizedOrder(order, evidence)


def budget(equity: Decimal, confidence: Decimal, risk_score: Decimal, max_position_size: Decimal) -> Decimal:
    """Return the budget of a BUY, in money: ``max_position_size`` × equity × confidence / 0.80 × (1 − 0.5 × risk)."""
    risk_factor = subtract(ONE, multiply(RISK_WEIGHT, risk_score))
    wanted = multiply(multiply(max_position_size, equity), multiply(confidence, risk_factor))
    return money(divide(wanted, REFERENCE_CONFIDENCE))


def _min_notional(rules: PortfolioRules, instrument: Instrument) -> Decimal:
    return max(rules.min_notional, instrument.min_notional)


def _too_small(
    decision: PendingDecision, quantity: Decimal, price: Decimal, rules: PortfolioRules, instrument: Instrument
) -> Refusal | None:
    """Refuse an order below a minimum of the portfolio or the venue. An order that closes a position is exempt."""
    notional = money(multiply(quantity, price))
    minimum = _min_notional(rules, instrument)
    if quantity == ZERO:
        detail = f"the quantity is less than one step of {plain(instrument.step)} at {plain(price)}"
    elif notional < minimum:
        detail = f"{plain(quantity)} at {plain(price)} is worth {plain(notional)}, the minimum is {plain(minimum)}"
    elif quantity < instrument.min_quantity:
        detail = f"{plain(quantity)} is below the venue's minimum quantity, {plain(instrument.min_quantity)}"
    else:
        return None
    return refuse(decision, Reason.TOO_SMALL, detail)


def _sell(
    decision: PendingDecision, held: Position | None, rules: PortfolioRules, instrument: Instrument, price: Decimal
) -> SizedQuantity | Refusal:
    if held is None:
        return refuse(decision, Reason.NOTHING_HELD, f"there is no {instrument.symbol} to sell")
    requested = decision.quantity
    if requested is None or requested == held.quantity:
        return SizedQuantity(held.quantity)
    if requested > held.quantity or subtract(held.quantity, requested) < instrument.step:
        return SizedQuantity(held.quantity, f"the whole position, the decision requested {plain(requested)}")
    quantity = floor_to(requested, instrument.step)
    too_small = _too_small(decision, quantity, price, rules, instrument)
    if too_small is not None:
        return too_small
    if (dust := _dust(subtract(held.quantity, quantity), price, instrument)) is not None:
        return SizedQuantity(held.quantity, f"the whole position: after {plain(quantity)}, {dust}")
    return SizedQuantity(quantity)


def _dust(rest: Decimal, price: Decimal, instrument: Instrument) -> str | None:
    """Return why the rest of a position could not be sold alone; None where it could."""
    if rest < instrument.min_quantity:
        return f"{plain(rest)} would be left, below the venue's minimum quantity, {plain(instrument.min_quantity)}"
    value = money(multiply(rest, price))
    if value < instrument.min_notional:
        left = f"{plain(rest)} worth {plain(value)} would be left"
        return f"{left}, below the venue's minimum value, {plain(instrument.min_notional)}"
    return None


def _buy(
    decision: PendingDecision,
    held_value: Decimal,
    portfolio: PortfolioState,
    instrument: Instrument,
    base: BasePrice,
    equity: Decimal,
) -> SizedQuantity | Refusal:
    rules, price = portfolio.rules, base.price
    if portfolio.cash <= ZERO:
        return refuse(decision, Reason.NO_CASH, f"free cash is {plain(portfolio.cash)}")
    limit = money(multiply(rules.max_position_size, equity))
    headroom = subtract(limit, held_value)
    if headroom <= ZERO:
        worth = f"{instrument.symbol} is worth {plain(held_value)}"
        return refuse(decision, Reason.NO_ROOM, f"{worth}, the position limit is {plain(limit)}")
    if decision.quantity is not None:
        requested = _requested(decision, decision.quantity, portfolio, instrument, base, headroom)
        if isinstance(requested, Refusal):
            return requested
        quantity = requested
    else:
        risk = rules.default_risk_score if decision.risk_score is None else decision.risk_score
        spend = min(budget(equity, decision.confidence, risk, rules.max_position_size), headroom)
        wanted = affordable(spend, price, instrument.step)
        quantity = _limit_to_cash(wanted, portfolio, instrument, base)
        if quantity < wanted and _too_small(decision, quantity, price, rules, instrument):
            minimum = max(_min_notional(rules, instrument), money(multiply(instrument.min_quantity, price)))
            return refuse(
                decision,
                Reason.NO_CASH,
                f"free cash {plain(portfolio.cash)} does not cover the minimum order of {plain(minimum)} and its costs",
            )
    return _too_small(decision, quantity, price, rules, instrument) or SizedQuantity(quantity)


def _requested(
    decision: PendingDecision,
    requested: Decimal,
    portfolio: PortfolioState,
    instrument: Instrument,
    base: BasePrice,
    headroom: Decimal,
) -> Decimal | Refusal:
    """Return the decision's own quantity, rounded down to the step; a quantity that breaks a rule is never reduced."""
    quantity = floor_to(requested, instrument.step)
    notional = money(multiply(quantity, base.price))
    worth = f"{plain(quantity)} at {plain(base.price)} is worth {plain(notional)}"
    if notional > headroom:
        return refuse(decision, Reason.NO_ROOM, f"{worth}, the position limit leaves {plain(headroom)}")
    rules = portfolio.rules
    cost = worst_cost(quantity, base, instrument.tick, rules.costs, rules.execution.price_rule)
    if quantity > ZERO and cost > portfolio.cash:
        return refuse(
            decision, Reason.NO_CASH, f"{worth} and may cost {plain(cost)}, free cash is {plain(portfolio.cash)}"
        )
    return quantity


def _limit_to_cash(quantity: Decimal, portfolio: PortfolioState, instrument: Instrument, base: BasePrice) -> Decimal:
    """Return the largest multiple of the step, at most ``quantity``, whose worst cost free cash covers."""
    costs, step, tick = portfolio.rules.costs, instrument.step, instrument.tick
    rule = portfolio.rules.execution.price_rule

    def covered(candidate: Decimal) -> bool:
        return worst_cost(candidate, base, tick, costs, rule) <= portfolio.cash

    if quantity == ZERO or covered(quantity):
        return quantity
    low, high = 0, int(divide(quantity, step))  # low is affordable, high is not
    while high - low > 1:
        middle = (low + high) // 2
        if covered(multiply(Decimal(middle), step)):
            low = middle
        else:
            high = middle
    return multiply(Decimal(low), step)
