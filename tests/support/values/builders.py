"""Builders of domain objects with defaults, so that a test states only the values that matter to it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import NAMESPACE_OID, UUID, uuid5

from domain.trading.bookkeeping import Result, apply
from domain.trading.decision import PendingDecision, Refusal
from domain.trading.events import Filled, SizedOrder, SizingEvidence
from domain.trading.instruments import Instrument
from domain.trading.open_orders.matching import match_market_order
from domain.trading.orders import Costs, ExecutionRules, Order, order_id
from domain.trading.portfolio import PortfolioRules, PortfolioState
from domain.trading.quotes import Quote
from domain.trading.sizing import size
from domain.types import Action, FeeRule, Instant, OrderType, OutcomeStatus, PortfolioName, PriceRule, Side, Symbol

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
Number = str | int | Decimal
BTC = Symbol("BTC/USDT")
ETH = Symbol("ETH/USDT")
BY_LAST = ExecutionRules(PriceRule.LAST)
"""The default of tests, most of which state a last trade alone."""
BY_QUOTE = ExecutionRules(PriceRule.QUOTE)


def uid(number: int) -> UUID:
    """Return the uid of the decision with this number; always the same."""
    return uuid5(NAMESPACE_OID, f"decision {number}")


def costs(slippage_pct: Number = "0.0005", commission_pct: Number = "0.001", min_commission: Number = 1) -> Costs:
    return Costs(Decimal(slippage_pct), Decimal(commission_pct), Decimal(min_commission))


def free() -> Costs:
    """Return costs of 0: fills are at the base price, without commission."""
    return costs(0, 0, 0)


def at_given_prices() -> Costs:
    """Return costs with the usual commission and without slippage."""
    return costs(slippage_pct=0)


def rules(
    portfolio: str = "default",
    *,
    currency: str = "USDT",
    initial_capital: Number = 10_000,
    costs: Costs = costs(),  # noqa: B008
    max_position_size: Number = "0.20",
    decision_confidence_threshold: Number = "0.6",
    min_notional: Number = 10,
    default_risk_score: Number = "0.3",
    execution: ExecutionRules = BY_LAST,
    revision: int = 1,
    fees: FeeRule = FeeRule.OWN,
) -> PortfolioRules:
    return PortfolioRules(
        portfolio=PortfolioName(portfolio),
        currency=currency,
        initial_capital=Decimal(initial_capital),
        costs=costs,
        max_position_size=Decimal(max_position_size),
        decision_confidence_threshold=Decimal(decision_confidence_threshold),
        min_notional=Decimal(min_notional),
        default_risk_score=Decimal(default_risk_score),
        execution=execution,
        revision=revision,
        fees=fees,
    )


def instrument(
    symbol: str = BTC,
    *,
    currency: str | None = "USDT",
    tick: Number = "0.01",
    step: Number = "0.00000001",
    min_notional: Number = 0,
    asset_class: str = "crypto",
    min_quantity: Number = 0,
) -> Instrument:
    numbers = Decimal(tick), Decimal(step), Decimal(min_notional)
    return Instrument(Symbol(symbol), currency, *numbers, asset_class, Decimal(min_quantity))


def instant(time: datetime = NOON) -> Instant:
    """Return a moment whose monotonic clock goes with the time."""
    return Instant(time, (time - NOON).total_seconds())


def quote(
    price: Number = 100,
    symbol: str = BTC,
    at: datetime = NOON,
    *,
    bid: Number | None = None,
    ask: Number | None = None,
    bid_size: Number | None = None,
    ask_size: Number | None = None,
) -> Quote:
    return Quote(
        Symbol(symbol),
        Decimal(price),
        price_time=at,
        seen=instant(at),
        source="test",
        real=True,
        bid=None if bid is None else Decimal(bid),
        ask=None if ask is None else Decimal(ask),
        bid_size=None if bid_size is None else Decimal(bid_size),
        ask_size=None if ask_size is None else Decimal(ask_size),
    )


def received(
    action: str = "BUY",
    *,
    number: int = 1,
    symbol: str = BTC,
    confidence: Number = "0.80",
    risk_score: Number | None = None,
    quantity: Number | None = None,
    strategy: str | None = None,
    portfolio: str = "default",
    expires_at: datetime | None = None,
) -> PendingDecision:
    return PendingDecision(
        id=number,
        uid=uid(number),
        symbol=symbol,
        action=Action(action),
        confidence=Decimal(confidence),
        risk_score=None if risk_score is None else Decimal(risk_score),
        quantity=None if quantity is None else Decimal(quantity),
        strategy=strategy,
        portfolio=PortfolioName(portfolio),
        created_at=NOON - timedelta(seconds=1),
        expires_at=expires_at,
        received=instant(),
    )


def market_order(
    side: str = "BUY",
    quantity: Number = 1,
    price: Number = 100,
    *,
    seq: int = 1,
    costs: Costs = costs(),  # noqa: B008
    instrument: Instrument = instrument(),  # noqa: B008
    order_type: OrderType = OrderType.MARKET,
    limit_price: Number | None = None,
    execution: ExecutionRules = BY_LAST,
    strategy: str | None = None,
) -> SizedOrder:
    """Return an order with the evidence of a sizing that need not have happened."""
    order = Order(
        order_id=order_id(uid(seq), 1),
        decision_id=seq,
        portfolio=PortfolioName("default"),
        leg=1,
        seq=seq,
        instrument=instrument,
        side=Side(side),
        order_type=order_type,
        quantity=Decimal(quantity),
        costs=costs,
        execution=execution,
        created_at=NOON,
        strategy=strategy,
        limit_price=None if limit_price is None else Decimal(limit_price),
    )
    return SizedOrder(order, SizingEvidence(quote(price, instrument.symbol), Decimal(10_000), {}, {}, seq - 1))


def filled(order: SizedOrder, at: datetime = NOON) -> Filled:
    """Return the event of an order; fail if it gets no fill."""
    event = match_market_order(order, at)
    assert isinstance(event, Filled), event
    return event


def deal(
    portfolio: PortfolioState,
    side: str,
    quantity: Number,
    price: Number,
    *,
    costs: Costs = at_given_prices(),  # noqa: B008
    symbol: str = BTC,
    at: datetime = NOON,
    strategy: str | None = None,
    asset_class: str = "crypto",
) -> Result:
    """Return the result of a fill at a fixed price, without tick, step or sizing."""
    what = instrument(symbol, tick="1e-12", step="1e-18", asset_class=asset_class)
    seq = portfolio.version + 1
    order = market_order(side, quantity, price, seq=seq, costs=costs, instrument=what, strategy=strategy)
    return apply(portfolio, filled(order, at))


def holding(
    *positions: tuple[Number, Number],
    costs: Costs = free(),  # noqa: B008
    symbol: str = BTC,
    of: PortfolioRules | None = None,
) -> PortfolioState:
    """Return a portfolio after buying each (quantity, price) in turn."""
    portfolio = PortfolioState.opened(of or rules())
    for quantity, price in positions:
        portfolio = deal(portfolio, "BUY", quantity, price, costs=costs, symbol=symbol).state
    return portfolio


def sized(
    decision: PendingDecision,
    portfolio: PortfolioState,
    price: Number = 100,
    *,
    of: Instrument = instrument(),  # noqa: B008
    marks: Mapping[Symbol, Decimal] | None = None,
    now: datetime = NOON,
) -> SizedOrder | Refusal:
    """Return the order or refusal of ``decision`` at base price ``price``."""
    base = quote(price, of.symbol)
    all_marks = {**(marks or {}), of.symbol: base.price}
    return size(decision, portfolio, of, base, portfolio.equity(all_marks), all_marks, now)


def ordered(
    decision: PendingDecision,
    portfolio: PortfolioState,
    price: Number = 100,
    *,
    of: Instrument = instrument(),  # noqa: B008
    marks: Mapping[Symbol, Decimal] | None = None,
) -> Order:
    """Return the order of a decision; fail if it gets none."""
    return sizing_of(decision, portfolio, price, of=of, marks=marks).order


def sizing_of(
    decision: PendingDecision,
    portfolio: PortfolioState,
    price: Number = 100,
    *,
    of: Instrument = instrument(),  # noqa: B008
    marks: Mapping[Symbol, Decimal] | None = None,
) -> SizedOrder:
    """Return the order of a decision with the evidence of its sizing; fail if it gets none."""
    result = sized(decision, portfolio, price, of=of, marks=marks)
    assert isinstance(result, SizedOrder), result
    return result


def refused(expected: str, result: SizedOrder | Refusal | None, status: OutcomeStatus = OutcomeStatus.REJECTED) -> None:
    """Assert that the decision got no order, with this status and reason."""
    assert isinstance(result, Refusal), result
    assert expected == result.sentence
    assert status == result.status
    assert (1, "default") == (result.decision_id, result.portfolio)
