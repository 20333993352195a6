"""Sizing: from a decision and the portfolio's state to an order, or to a refusal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from domain.immutable.records import fast_frozen, replace
from domain.trading.arithmetic import ONE, ZERO, affordable, divide, floor_to, money, multiply, plain, subtract
from domain.trading.decision import MAX_AMOUNT, PendingDecision, Reason, Refusal, refuse
from domain.trading.events import SizedOrder, SizingEvidence
from domain.trading.instruments import NO_CALENDARS, Calendars, Instrument, Unresolved
from domain.trading.open_orders.pricing import Pricing, misplaced_exit, no_price, price_order, with_terms
from domain.trading.open_orders.terms import MARKET
from domain.trading.orders import Order, order_id
from domain.trading.portfolio import PortfolioRules, PortfolioState, Position
from domain.trading.prices import base_price, mark
from domain.trading.quotes import Quote
from domain.trading.sessions.calendar import NoSession
from domain.trading.sessions.decision_age import day_session
from domain.types import (
    AMEND,
    BUY,
    CANCEL,
    HOLD,
    PROTECT,
    SELL,
    Action,
    DecisionId,
    OutcomeStatus,
    PortfolioName,
    Side,
    Symbol,
)
from domain.wording import format_time

REFERENCE_CONFIDENCE = Decimal("0.80")
"""At this confidence, and without risk, a BUY may use all of ``max_position_size``."""
RISK_WEIGHT = Decimal("0.5")
SIDES: Mapping[Action, Side] = {Action.BUY: BUY, Action.SELL: SELL}
WITHOUT_TRADE = frozenset({CANCEL, HOLD})
LEG = 1
"""Number of a decision's own order; those of its exits are higher."""


@dataclass(frozen=True, slots=True)
class SizingRules:
    """The rules by which prices and decisions are accepted.

    Attributes:
        price_grace: a quote seen up to this long before the decision was received is fresh enough.
        max_price_age: a decision without a price for longer than this is rejected.
        max_decision_age: a decision that is older when it would be sized expires; None: no limit.
        same_currency: currencies that count 1:1.
        calendars: of the symbols that have sessions.
        source: name of the price source; None: portfolios of all sources trade.
    """

    price_grace: timedelta
    max_price_age: timedelta
    max_decision_age: timedelta | None
    same_currency: frozenset[str]
    calendars: Calendars = NO_CALENDARS
    source: str | None = None


@fast_frozen
@dataclass(frozen=True, slots=True)
class SizedQuantity:
    """The quantity of an order, and a note for the outcome's reason."""

    quantity: Decimal
    note: str = ""


def portfolio_check(decision: PendingDecision, state: PortfolioState, source: str | None) -> Refusal | None:
    """Refuse a decision of a portfolio that does not trade: it is closed, or has the prices of another source.

    A CANCEL ends what still rests there, and a HOLD asks for nothing.

    Args:
        decision: the decision.
        state: of its portfolio.
        source: name of the price source; None: any.
    """
    if decision.action in WITHOUT_TRADE:
        return None
    if state.closed is not None:
        return refuse(decision, Reason.CLOSED, f"{state.label}, since {format_time(state.closed)} UTC")
    if not state.has_source(source):
        detail = f"portfolio {state.label} trades at prices of {state.price_source}, the service has those of {source}"
        return refuse(decision, Reason.OTHER_SOURCE, detail)
    return None


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
    if decision.action is HOLD:
        return refuse(decision, Reason.HOLD, "nothing to do")
    if decision.action is AMEND:
        return None  # its order has passed
    return _order_check(decision, rules, instrument, same_currency)


def _order_check(
    decision: PendingDecision, rules: PortfolioRules, instrument: Instrument | Unresolved, same_currency: frozenset[str]
) -> Refusal | None:
    protects = decision.action is PROTECT
    if rules.halted is not None and rules.stops(reduces=decision.terms.reduce_only or protects):
        return refuse(decision, Reason.HALTED, rules.halted)
    if not protects and decision.confidence < rules.decision_confidence_threshold:
        compared = f"{plain(decision.confidence)} is below {plain(rules.decision_confidence_threshold)}"
        return refuse(decision, Reason.LOW_CONFIDENCE, compared)
    if isinstance(instrument, Unresolved):
        return refuse(decision, Reason.UNKNOWN_SYMBOL, instrument.reason)
    if instrument.quote != rules.currency and (refusal := _currency_check(decision, rules, instrument, same_currency)):
        return refusal
    if decision.terms is not MARKET and isinstance(session := day_session(decision, instrument), NoSession):
        return refuse(decision, Reason.INVALID, session.reason)
    return None


def _currency_check(
    decision: PendingDecision, rules: PortfolioRules, instrument: Instrument, same_currency: frozenset[str]
) -> Refusal | None:
    quote, own, name = instrument.quote, rules.currency, instrument.symbol
    if quote is None:
        if decision.action is not Action.BUY:  # what an earlier version bought can be sold and protected
            return None
        detail = f"the currency of {name}'s prices is unknown; a name such as {name}/USD, or quote_currency, tells it"
        return refuse(decision, Reason.OTHER_CURRENCY, detail)
    if {quote, own} <= same_currency:
        return None
    return refuse(decision, Reason.OTHER_CURRENCY, f"{name} trades in {quote}, the portfolio holds {own}")


def unknown_portfolio(decision: PendingDecision) -> Refusal:
    """Refuse a decision because there is no such portfolio."""
    return refuse(decision, Reason.UNKNOWN_PORTFOLIO, f"there is no portfolio {decision.portfolio!r}")


def removed_portfolio(decision_id: DecisionId, portfolio: PortfolioName) -> Refusal:
    """Refuse a decision whose portfolio was removed while it was on its way."""
    detail = f"portfolio {portfolio!r} was removed"
    return Refusal(decision_id, portfolio, OutcomeStatus.REJECTED, Reason.UNKNOWN_PORTFOLIO, detail)


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
        quote: the market data; the fill of a market order uses the same quote.
        equity: the portfolio's equity at ``quote`` and ``marks``.
        marks: the newest mark of each symbol; it is kept as evidence and not copied.
        now: the time of sizing.

    Returns:
        The order, which makes the portfolio's next event, or the refusal.
    """
    if decision.expired(now):
        return refuse(decision, Reason.EXPIRED, f"at {decision.expiry}, before it was sized")
    side, terms, rules = SIDES[decision.action], decision.terms, state.rules
    if side is BUY and quote.no_buy is not None:
        return refuse(decision, Reason.NO_PRICE, quote.no_buy)
    taken = state.taken_from(quote, side)
    present = mark(rules.execution.price_rule, quote.price, quote.bid, quote.ask)
    base = base_price(quote, side, rules.execution, taken)
    pricing = price_order(terms, side, instrument, rules, base, present)
    detail = None if terms is MARKET else no_price(terms, pricing, instrument.tick, present)
    if detail is not None:
        return refuse(decision, Reason.INVALID, detail)
    held = state.positions.get(instrument.symbol)
    if side is SELL:
        sized = _sell(decision, held, state, instrument, pricing.price)
    else:
        value = held.value(present) if held is not None else ZERO
        sized = _buy(decision, value, state, instrument, pricing, equity)
    if isinstance(sized, Refusal):
        return sized
    of_class = decision.asset_class
    order = Order(
        order_id(decision.uid, LEG), decision.id, rules.portfolio, LEG, state.version + 1,
        instrument if of_class is None else replace(instrument, asset_class=of_class), side, terms.order_type,
        sized.quantity, pricing.costs, rules.execution, now, decision.strategy, sized.note,
        rules_revision=rules.revision,
    )  # fmt: skip
    if terms is not MARKET:
        order = with_terms(order, terms, pricing, quote)
        session = day_session(decision, instrument)
        assert not isinstance(session, NoSession)  # `pre_trade_check` has refused it
        if session is not None:
            order = replace(order, expires_at=session.closes, calendar=session.calendar)
    if side is BUY:
        if order.exits is None and (defaults := rules.default_exits) is not None:
            order = replace(order, exits=defaults, price_source=quote.source)
        if (detail := misplaced_exit(order, pricing.price)) is not None:
            return refuse(decision, Reason.INVALID, detail)
    evidence = SizingEvidence(quote, equity, marks, state.positions, state.version, taken)
    return SizedOrder(order, evidence)


def budget(equity: Decimal, confidence: Decimal, risk_score: Decimal, max_position_size: Decimal) -> Decimal:
    """Return the budget of a BUY, in money: ``max_position_size`` × equity × confidence / 0.80 × (1 − 0.5 × risk)."""
    risk_factor = subtract(ONE, multiply(RISK_WEIGHT, risk_score))
    wanted = multiply(multiply(max_position_size, equity), multiply(confidence, risk_factor))
    return money(divide(wanted, REFERENCE_CONFIDENCE))


def _min_notional(rules: PortfolioRules, instrument: Instrument) -> Decimal:
    return max(rules.min_notional, instrument.min_notional)


def too_small(
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
    decision: PendingDecision, held: Position | None, state: PortfolioState, instrument: Instrument, price: Decimal
) -> SizedQuantity | Refusal:
    if held is None:
        return refuse(decision, Reason.NOTHING_HELD, f"there is no {instrument.symbol} to sell")
    free = state.free_quantity(instrument.symbol)
    if free <= ZERO:
        holders = [o.order for o in state.open_orders.of(instrument.symbol) if o.held_back]
        names = ", ".join(f"decision {order.decision_id}" for order in holders)
        return refuse(decision, Reason.NOTHING_HELD, f"all of it is in open SELL orders ({names})")
    all_ = "the whole position" if free == held.quantity else f"all that is free of {plain(held.quantity)}"
    requested = free if decision.quantity is None else decision.quantity
    if requested == free:
        return SizedQuantity(free, "" if free == held.quantity else all_)
    if requested > free or subtract(free, requested) < instrument.step:
        return SizedQuantity(free, f"{all_}, the decision requested {plain(requested)}")
    quantity = floor_to(requested, instrument.step)
    left = dust(subtract(free, quantity), price, instrument)
    return too_small(decision, quantity, price, state.rules, instrument) or (
        SizedQuantity(quantity) if left is None else SizedQuantity(free, f"{all_}: after {plain(quantity)}, {left}")
    )


def dust(rest: Decimal, price: Decimal, instrument: Instrument) -> str | None:
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
    state: PortfolioState,
    instrument: Instrument,
    pricing: Pricing,
    equity: Decimal,
) -> SizedQuantity | Refusal:
    rules, price, cash = state.rules, pricing.price, state.free_cash
    if cash <= ZERO:
        return refuse(decision, Reason.NO_CASH, f"free cash is {plain(cash)}")
    limit = money(multiply(rules.max_position_size, equity))
    ordered = state.open_orders.buy_notional(instrument.symbol)
    headroom = subtract(subtract(limit, held_value), ordered)
    if headroom <= ZERO:
        worth = f"{instrument.symbol} is worth {plain(held_value)}"
        worth += f", open orders {plain(ordered)}" if ordered else ""
        return refuse(decision, Reason.NO_ROOM, f"{worth}, the position limit is {plain(limit)}")
    if decision.quantity is not None:
        requested = _requested(decision, decision.quantity, cash, instrument, pricing, headroom)
        if isinstance(requested, Refusal):
            return requested
        quantity = requested
    else:
        risk = rules.default_risk_score if decision.risk_score is None else decision.risk_score
        spend = min(budget(equity, decision.confidence, risk, rules.max_position_size), headroom)
        wanted = affordable(spend, price, instrument.step)
        quantity = largest_covered(wanted, instrument.step, pricing.cost, cash)
        if quantity < wanted and too_small(decision, quantity, price, rules, instrument):
            minimum = max(_min_notional(rules, instrument), money(multiply(instrument.min_quantity, price)))
            return refuse(
                decision,
                Reason.NO_CASH,
                f"free cash {plain(cash)} does not cover the minimum order of {plain(minimum)} and its costs",
            )
    if quantity >= MAX_AMOUNT:
        detail = f"{plain(quantity)} {instrument.symbol} is more than an order can hold, which is below 1e20"
        return refuse(decision, Reason.NO_ROOM, detail)
    return too_small(decision, quantity, price, rules, instrument) or SizedQuantity(quantity)


def _requested(
    decision: PendingDecision,
    requested: Decimal,
    cash: Decimal,
    instrument: Instrument,
    pricing: Pricing,
    headroom: Decimal,
) -> Decimal | Refusal:
    """Return the decision's own quantity, rounded down to the step; a quantity that breaks a rule is never reduced."""
    quantity = floor_to(requested, instrument.step)
    notional = money(multiply(quantity, pricing.price))
    worth = f"{plain(quantity)} at {plain(pricing.price)} is worth {plain(notional)}"
    if notional > headroom:
        return refuse(decision, Reason.NO_ROOM, f"{worth}, the position limit leaves {plain(headroom)}")
    cost = pricing.cost(quantity)
    if quantity > ZERO and cost > cash:
        return refuse(decision, Reason.NO_CASH, f"{worth} and may cost {plain(cost)}, free cash is {plain(cash)}")
    return quantity


def largest_covered(quantity: Decimal, step: Decimal, cost: Callable[[Decimal], Decimal], cash: Decimal) -> Decimal:
    """Return the largest multiple of ``step``, at most ``quantity``, whose cost ``cash`` covers."""
    if quantity == ZERO or cost(quantity) <= cash:
        return quantity
    low, high = 0, int(divide(quantity, step))  # low is affordable, high is not
    while high - low > 1:
        middle = (low + high) // 2
        if cost(multiply(Decimal(middle), step)) <= cash:
            low = middle
        else:
            high = middle
    return multiply(Decimal(low), step)
