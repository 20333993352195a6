"""How much: from a decision and the portfolio as it stands to an order, or to the reason why there is none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from domain.trading.arithmetic import ONE, ZERO, affordable, divide, floor_to, money, multiply, plain, subtract
from domain.trading.decision import PendingDecision, Reason, Refusal, refuse
from domain.trading.execution import worst_cost
from domain.trading.instruments import Instrument, Unresolved
from domain.trading.orders import Order, order_id
from domain.trading.portfolio import Portfolio, PortfolioRules, Position
from domain.trading.quotes import Quote
from domain.types import Action, OrderType, Side, Symbol

REFERENCE_CONFIDENCE = Decimal("0.80")
"""The confidence that gets the whole of ``max_position_size``, before risk."""
RISK_WEIGHT = Decimal("0.5")
LEG = 1
"""A decision has one leg, until an order type brings more."""


@dataclass(frozen=True, slots=True)
class Sized:
    """A quantity, and what the outcome should say about it besides."""

    quantity: Decimal
    note: str = ""


def pre_trade_check(
    decision: PendingDecision, rules: PortfolioRules, instrument: Instrument | Unresolved, same_currency: frozenset[str]
) -> Refusal | None:
    """Refuse what needs no price to be refused.

    Args:
        decision: as it was taken in.
        rules: of its portfolio.
        instrument: what its symbol resolves to.
        same_currency: currencies that count 1:1.
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


def expire_if_stale(decision: PendingDecision, now: datetime, max_age: timedelta | None) -> Refusal | None:
    """Refuse what has waited longer than ``max_age``, as over a downtime; None: any age will do."""
    if max_age is None or decision.age(now) <= max_age:
        return None
    allowed = f"max_decision_age = {max_age.total_seconds():g} s"
    return refuse(decision, Reason.EXPIRED, f"it waited since {decision.created_at:%Y-%m-%d %H:%M:%S} UTC, {allowed}")


def size(
    decision: PendingDecision,
    portfolio: Portfolio,
    instrument: Instrument,
    quote: Quote,
    marks: Mapping[Symbol, Decimal],
    now: datetime,
) -> Order | Refusal:
    """Size a screened decision against the portfolio as it stands after every earlier one.

    Args:
        decision: a BUY or a SELL that `pre_trade_check` let pass.
        portfolio: the projection.
        instrument: what is traded.
        quote: the base price; the fill will use the same one.
        marks: latest price of each other symbol held.
        now: the moment of sizing.

    Returns:
        The order with the portfolio's next ``seq``, or the refusal.
    """
    if decision.expired(now):
        return refuse(decision, Reason.EXPIRED, f"at {decision.expiry}, before it was sized")
    held = portfolio.positions.get(instrument.symbol)
    others = {symbol: marks.get(symbol, p.last_price) for symbol, p in portfolio.positions.items()}
    others.pop(instrument.symbol, None)
    equity = portfolio.equity({**others, instrument.symbol: quote.price})
    if decision.action is Action.SELL:
        sized = _sell(decision, held, portfolio.rules, instrument, quote.price)
    else:
        sized = _buy(decision, held, portfolio, instrument, quote.price, equity)
    if isinstance(sized, Refusal):
        return sized
    return Order(
        order_id=order_id(decision.uid, LEG),
        decision_id=decision.id,
        portfolio=portfolio.name,
        leg=LEG,
        seq=portfolio.seq + 1,
        instrument=replace(instrument, asset_class=decision.asset_class or instrument.asset_class),
        side=Side(decision.action),
        order_type=OrderType.MARKET,
        quantity=sized.quantity,
        quote=quote,
        costs=portfolio.rules.costs,
        revision=portfolio.rules.revision,
        equity=equity,
        marks=others,
        created_at=now,
        strategy=decision.strategy,
        note=sized.note,
    )


def budget(equity: Decimal, confidence: Decimal, risk_score: Decimal, max_position_size: Decimal) -> Decimal:
    """Return what a BUY may spend, in money: cap × equity × confidence / 0.80 × (1 − 0.5 × risk)."""
    caution = subtract(ONE, multiply(RISK_WEIGHT, risk_score))
    wanted = multiply(multiply(max_position_size, equity), multiply(confidence, caution))
    return money(divide(wanted, REFERENCE_CONFIDENCE))


def _smallest(rules: PortfolioRules, instrument: Instrument) -> Decimal:
    return max(rules.min_notional, instrument.min_notional)


def _too_small(
    decision: PendingDecision, quantity: Decimal, price: Decimal, rules: PortfolioRules, instrument: Instrument
) -> Refusal | None:
    """Refuse an order that portfolio or venue would not take for its size; closing a whole position is exempt."""
    notional = money(multiply(quantity, price))
    smallest = _smallest(rules, instrument)
    if quantity == ZERO:
        detail = f"it is less than one step of {plain(instrument.step)} at {plain(price)}"
    elif notional < smallest:
        detail = f"{plain(quantity)} at {plain(price)} is worth {plain(notional)}, the least is {plain(smallest)}"
    elif quantity < instrument.min_quantity:
        detail = f"{plain(quantity)} is below the venue's least quantity, {plain(instrument.min_quantity)}"
    else:
        return None
    return refuse(decision, Reason.TOO_SMALL, detail)


def _sell(
    decision: PendingDecision, held: Position | None, rules: PortfolioRules, instrument: Instrument, price: Decimal
) -> Sized | Refusal:
    if held is None:
        return refuse(decision, Reason.NOTHING_HELD, f"there is no {instrument.symbol} to sell")
    asked = decision.quantity
    if asked is None or asked == held.quantity:
        return Sized(held.quantity)
    if asked > held.quantity:
        return Sized(held.quantity, f"all that was held, {plain(asked)} was asked for")
    quantity = floor_to(asked, instrument.step)
    return _too_small(decision, quantity, price, rules, instrument) or Sized(quantity)


def _buy(
    decision: PendingDecision,
    held: Position | None,
    portfolio: Portfolio,
    instrument: Instrument,
    price: Decimal,
    equity: Decimal,
) -> Sized | Refusal:
    rules = portfolio.rules
    if portfolio.cash <= ZERO:
        return refuse(decision, Reason.NO_CASH, f"free cash is {plain(portfolio.cash)}")
    cap = money(multiply(rules.max_position_size, equity))
    held_value = held.value(price) if held is not None else ZERO
    room = subtract(cap, held_value)
    if room <= ZERO:
        return refuse(
            decision, Reason.NO_ROOM, f"{instrument.symbol} is worth {plain(held_value)}, the cap is {plain(cap)}"
        )
    if decision.quantity is not None:
        sized = _asked(decision, decision.quantity, portfolio, instrument, price, room)
        if isinstance(sized, Refusal):
            return sized
        quantity = sized
    else:
        risk = rules.default_risk_score if decision.risk_score is None else decision.risk_score
        spend = min(budget(equity, decision.confidence, risk, rules.max_position_size), room)
        quantity = affordable(spend, price, instrument.step)
        wanted = quantity
        quantity = _paid_for(quantity, portfolio, instrument, price)
        if quantity < wanted and _too_small(decision, quantity, price, rules, instrument):
            least = max(_smallest(rules, instrument), money(multiply(instrument.min_quantity, price)))
            return refuse(
                decision,
                Reason.NO_CASH,
                f"free cash {plain(portfolio.cash)} does not buy the least, {plain(least)}, with its costs",
            )
    return _too_small(decision, quantity, price, rules, instrument) or Sized(quantity)


def _asked(
    decision: PendingDecision,
    asked: Decimal,
    portfolio: Portfolio,
    instrument: Instrument,
    price: Decimal,
    room: Decimal,
) -> Decimal | Refusal:
    """Return the user's own quantity to the step, or the rule that it breaks: it is rejected, never cut."""
    quantity = floor_to(asked, instrument.step)
    notional = money(multiply(quantity, price))
    worth = f"{plain(quantity)} at {plain(price)} is worth {plain(notional)}"
    if notional > room:
        return refuse(decision, Reason.NO_ROOM, f"{worth}, the room under max_position_size is {plain(room)}")
    cost = worst_cost(quantity, price, instrument.tick, portfolio.rules.costs)
    if quantity > ZERO and cost > portfolio.cash:
        return refuse(
            decision, Reason.NO_CASH, f"{worth} and may cost {plain(cost)}, free cash is {plain(portfolio.cash)}"
        )
    return quantity


def _paid_for(quantity: Decimal, portfolio: Portfolio, instrument: Instrument, price: Decimal) -> Decimal:
    """Return the largest multiple of the step up to ``quantity`` that free cash pays for at the worst price."""
    costs, step, tick = portfolio.rules.costs, instrument.step, instrument.tick

    def pays(candidate: Decimal) -> bool:
        return worst_cost(candidate, price, tick, costs) <= portfolio.cash

    if quantity == ZERO or pays(quantity):
        return quantity
    low, high = 0, int(divide(quantity, step))  # low is affordable (nothing costs nothing), high is not
    while high - low > 1:
        middle = (low + high) // 2
        if pays(multiply(Decimal(middle), step)):
            low = middle
        else:
            high = middle
    return multiply(Decimal(low), step)
