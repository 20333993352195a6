"""Sixty days of made-up trading, reproducible by seed: the data of the report's picture and of its tests."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID, uuid5

from domain.analytics.funnel import funnel
from domain.analytics.performance import History
from domain.analytics.report import OpenPosition, Report, report
from domain.analytics.report_parts.buy_and_hold import BuyAndHold, Held, PriceLine, buy_and_hold, comparison
from domain.analytics.report_parts.trip_notes import TripNote
from domain.analytics.returns import Valuation
from domain.analytics.round_trips import Execution
from domain.trading.account.trades import Trade
from domain.trading.arithmetic import ZERO, divide, rate
from domain.trading.bookkeeping import apply
from domain.trading.decision import Reason
from domain.trading.events import Filled, SizedOrder, SizingEvidence
from domain.trading.instruments import Instrument
from domain.trading.open_orders.matching import match_market_order
from domain.trading.orders import Costs, ExecutionRules, Order, order_id
from domain.trading.portfolio import PortfolioRules, PortfolioState
from domain.trading.quotes import Quote
from domain.types import (
    Instant,
    OrderType,
    OutcomeStatus,
    PortfolioName,
    PositionId,
    PositionSide,
    PriceRule,
    Side,
    Symbol,
)
from domain.validation.criteria import Criteria
from domain.validation.operational import Operations
from domain.validation.verdict import Verdict, judge

FIRST_DAY = datetime(2026, 3, 2, tzinfo=UTC)
DAYS = 60
NAMESPACE = UUID("5d5f4a5e-3c83-4a5c-9f0e-6f0f2d9b7a10")
COSTS = Costs(Decimal("0.0005"), Decimal("0.001"), Decimal(1))
EXECUTION = ExecutionRules(PriceRule.LAST)
SOURCE = "simulated"
CROSSED = (
    "The 20-hour average crossed the 100-hour average from below, on rising volume; funding is flat, so the move is "
    "not crowded yet."
)
LISTED = (
    "News of the listing is not in the price yet. The order book is thin above, and a fill there would still leave two "
    "per cent to the first resistance. Should the volume fade within the hour, the reason for the position is gone, "
    "and it should be closed whatever its result is then; the stop is only for the case that nobody looks."
)
REASONS = CROSSED, "Oversold: three closes below the lower band while the market as a whole is up.", LISTED
"""What the agent says about an entry."""


@dataclass(frozen=True)
class Plan:
    """How a portfolio is traded.

    Attributes:
        symbols: with their first prices.
        drift: mean hourly change of those prices, a fraction.
        swing: standard deviation of that change.
        appetite: mean number of decisions an hour, at most 1.
        short: whether it opens short positions, too.
    """

    name: str
    currency: str
    capital: Decimal
    symbols: Mapping[str, str]
    strategies: tuple[str | None, ...]
    drift: float
    swing: float
    appetite: float
    short: bool = False


PLANS = (
    Plan(
        "default", "USDT", Decimal(10_000), {"BTC/USDT": "91250", "ETH/USDT": "3120", "SOL/USDT": "142"},
        ("momentum", "momentum", "mean reversion", None), 0.0004, 0.007, 0.22,
    ),
    Plan(
        "cautious", "USDT", Decimal(25_000), {"BTC/USDT": "91250", "ETH/USDT": "3120"}, ("trend",), 0.0001, 0.004, 0.08,
    ),
    Plan(
        "bold", "EUR", Decimal(5_000), {"BTC/EUR": "84100", "DOGE/EUR": "0.19512", "XRP/EUR": "2.1047"},
        ("breakout", "news"), -0.0001, 0.011, 0.3, short=True,
    ),
)  # fmt: skip


@dataclass
class _Desk:
    """One simulated portfolio and its history so far."""

    plan: Plan
    draw: random.Random
    prices: dict[str, Decimal]
    books: PortfolioState
    trades: list[Trade] = field(default_factory=list)
    executions: list[Execution] = field(default_factory=list)
    prices_by_hour: list[dict[str, Decimal]] = field(default_factory=list)
    valuations: list[Valuation] = field(default_factory=list)
    outcomes: Counter[tuple[str, str | None]] = field(default_factory=Counter)

    def hour(self, end: datetime) -> None:
        """Move the prices by an hour, decide with the plan's probability, and value the portfolio."""
        for symbol, price in self.prices.items():
            moved = Decimal(str(round(self.draw.gauss(1 + self.plan.drift, self.plan.swing), 5)))
            self.prices[symbol] = (price * moved).quantize(Decimal("0.00001"))
        if self.draw.random() < self.plan.appetite:
            self._decide(end - timedelta(minutes=self.draw.randint(1, 58)))
        self.prices_by_hour.append(dict(self.prices))
        marks = {Symbol(symbol): price for symbol, price in self.prices.items()}
        value = self.books.equity(marks)
        self.valuations.append(Valuation(end, value, value - self.books.cash))

    def _decide(self, at: datetime) -> None:
        for status, reason, chance in (
            (OutcomeStatus.IGNORED, Reason.HOLD, 0.16),
            (OutcomeStatus.IGNORED, Reason.LOW_CONFIDENCE, 0.2),
            (OutcomeStatus.REJECTED, Reason.NO_PRICE, 0.03),
            (OutcomeStatus.EXPIRED, Reason.EXPIRED, 0.02),
        ):
            if self.draw.random() < chance:
                self.outcomes[status, reason] += 1
                return
        symbol = self.draw.choice(sorted(self.prices))
        held = self.books.positions.get(Symbol(symbol))
        opens = Side.SELL if self.plan.short and self.draw.random() < 0.4 else Side.BUY
        if held is None:
            side, quantity = opens, self._size(symbol)
        elif self.draw.random() < 0.72:
            side = Side.SELL if held.side is PositionSide.LONG else Side.BUY
            quantity = held.quantity if self.draw.random() < 0.7 else (held.quantity / 2).quantize(Decimal("1e-8"))
        else:
            side, quantity = (Side.BUY if held.side is PositionSide.LONG else Side.SELL), self._size(symbol)
            if held.cost > self.plan.capital / 5:
                self.outcomes[OutcomeStatus.REJECTED, Reason.NO_ROOM] += 1
                return
        self._fill(symbol, side, quantity, at)

    def _size(self, symbol: str) -> Decimal:
        share = Decimal(str(round(self.draw.uniform(0.06, 0.2), 3)))
        return (self.plan.capital * share / self.prices[symbol]).quantize(Decimal("1e-8"))

    def _fill(self, symbol: str, side: Side, quantity: Decimal, at: datetime) -> None:
        seq = self.books.version + 1
        order = Order(
            order_id=order_id(uuid5(NAMESPACE, f"{self.plan.name} {seq}"), 1),
            decision_id=seq,
            portfolio=self.books.name,
            leg=1,
            seq=seq,
            instrument=Instrument(Symbol(symbol), self.plan.currency),
            side=side,
            order_type=OrderType.MARKET,
            quantity=quantity,
            costs=COSTS,
            execution=EXECUTION,
            created_at=at,
            strategy=self.draw.choice(self.plan.strategies),
        )
        quote = Quote(Symbol(symbol), self.prices[symbol], at, Instant(at, 0.0), SOURCE, real=False)
        event = match_market_order(
            SizedOrder(order, SizingEvidence(quote, self.plan.capital, {}, {}, self.books.version)), at
        )
        assert isinstance(event, Filled)
        fill = event.fill
        held = self.books.positions.get(Symbol(symbol))
        applied = apply(self.books, event)
        self.books = applied.state
        owner = held or applied.position
        assert owner is not None
        self.executions.append(
            Execution(
                applied.position_id, owner.symbol, owner.asset_class, owner.side, owner.strategy,
                fill.notional, fill.commission, fill.slippage, at, decision_id=seq,
                confidence=Decimal(60 + seq * 7 % 40) / 100,
            )
        )  # fmt: skip
        if applied.trade is not None:
            self.trades.append(applied.trade)
        self.outcomes[OutcomeStatus.EXECUTED, None] += 1

    def positions(self) -> Iterator[OpenPosition]:
        """Yield the open positions at the end."""
        for symbol, held in self.books.positions.items():
            mark = self.prices[symbol]
            won = held.unrealized(mark)
            yield OpenPosition(
                symbol, held.side.value, held.quantity, held.entry_price, mark, SOURCE, held.value(mark), won,
                rate(divide(won, held.cost)), held.strategy, held.opened_at,
            )  # fmt: skip


def history(plan: Plan, seed: int, days: int = DAYS) -> tuple[History, _Desk]:
    """Return the history of a plan, and its desk at the end."""
    rules = PortfolioRules(
        PortfolioName(plan.name), plan.currency, plan.capital, COSTS, Decimal("0.2"), Decimal("0.6"), Decimal(10), ZERO
    )
    desk = _Desk(
        plan, random.Random(f"{seed} {plan.name}"), {symbol: Decimal(price) for symbol, price in plan.symbols.items()},
        PortfolioState.opened(rules),
    )  # fmt: skip
    for hour in range(1, days * 24 + 1):
        desk.hour(FIRST_DAY + timedelta(hours=hour))
    opening = Valuation(FIRST_DAY, plan.capital)
    until = FIRST_DAY + timedelta(days=days)
    return History.full(opening, until, desk.trades, desk.executions, tuple(desk.valuations)), desk


def reports(seed: int, days: int = DAYS) -> tuple[Report, ...]:
    """Return the reports on three portfolios."""
    return tuple(one(plan, seed, days) for plan in PLANS)


def one(plan: Plan, seed: int, days: int = DAYS, strategy: str | None = None, source: str = SOURCE) -> Report:
    """Return the report on one portfolio, or on one strategy in it."""
    past, desk = history(plan, seed, days)
    made = report(
        past,
        portfolio=plan.name,
        currency=plan.currency,
        initial_capital=plan.capital,
        strategy=strategy,
        funnel=funnel((status, reason, False, number) for (status, reason), number in desk.outcomes.items()),
        positions=[position for position in desk.positions() if strategy in {None, position.strategy}],
        price_sources=[source],
        price_sources_not_real=[source] if source == SOURCE else [],
        benchmarks=_benchmarks(plan, past, desk),
    )
    return replace(made, trip_notes=dict(_notes(made)))


def _benchmarks(plan: Plan, past: History, desk: _Desk) -> tuple[BuyAndHold, ...]:
    first: dict[str, Execution] = {}
    for execution in past.trade_history.executions:
        first.setdefault(execution.symbol, execution)
    held = [Held(symbol, one.notional, one.at, crypto=True) for symbol, one in first.items()]
    wanted = comparison(held, None, past.until, plan.currency)
    if wanted is None:
        return ()
    lines = {}
    for symbol in wanted.symbols:
        hours = [min((at - FIRST_DAY) // timedelta(hours=1), len(desk.prices_by_hour) - 1) for at in wanted.times]
        prices = tuple(desk.prices_by_hour[hour].get(symbol) for hour in hours)
        reason = None if symbol in plan.symbols else f"no price of {symbol} is stored"
        lines[symbol] = PriceLine(symbol, prices, reason)
    return buy_and_hold(wanted, lines)


def _notes(made: Report) -> Iterator[tuple[PositionId, TripNote]]:
    for trip in made.round_trips:
        number = trip.decision_id or 0
        if number % 3:
            yield trip.position_id, TripNote(REASONS[number % len(REASONS)], number + 1, "decision", "momentum is gone")
        else:
            yield trip.position_id, TripNote(REASONS[number % len(REASONS)], number, "stop loss", None)


def verdict(plan: Plan, seed: int, days: int = DAYS) -> Verdict:
    """Return the verdict on a plan's portfolio, assuming that the program ran all the time."""
    past, desk = history(plan, seed, days)
    operations = Operations(
        past.opening.time, past.until, spans=[(past.opening.time, past.until)], audits=days * 288,
        last_audit=past.until, decisions=sum(desk.outcomes.values()),
    )  # fmt: skip
    return judge(plan.name, past, operations, Criteria(), real_prices=False, sources=[SOURCE])
