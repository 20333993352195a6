"""An engine with one portfolio that meets random decisions and quotes, for the laws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from domain.immutable.maps import ImmutableMap
from domain.trading.arithmetic import CONTEXT
from domain.trading.bookkeeping import Result
from domain.trading.decision import PendingDecision, Refusal
from domain.trading.engine import Engine
from domain.trading.instruments import Instrument, InstrumentCatalog
from domain.trading.portfolio import PortfolioRules, PortfolioState, Position
from domain.trading.quotes import Quote
from domain.trading.sizing import SizingRules
from domain.types import Action, Symbol
from tests.support.values.builders import NOON, instant, instrument, quote, received
from tests.support.values.strategies import INSTRUMENTS, Wish, price_of

SIZING = SizingRules(timedelta(seconds=1), timedelta(seconds=30), None, frozenset({"USD", "USDT", "USDC"}))
CATALOG = InstrumentCatalog(INSTRUMENTS)


def engine_of(*states: PortfolioState, what: Instrument = instrument()) -> Engine:  # noqa: B008
    """Return an engine of these portfolios, which trade one instrument."""
    engine = Engine(states, SIZING)
    assert [] == engine.on_instruments(InstrumentCatalog([what]), instant())
    return engine


def executed(engine: Engine, decision: PendingDecision, met: Quote) -> Result:
    """Return the result of a decision that meets this quote; fail if it is refused."""
    assert [] == engine.on_quotes([met], met.seen)
    (result,) = engine.on_decision(replace(decision, received=met.seen), met.seen)
    assert isinstance(result, Result), result
    return result


class Run:
    """An engine with one portfolio: its decisions, their prices and their outcomes."""

    def __init__(self, start: PortfolioRules) -> None:
        self.sent: list[tuple[PendingDecision, Quote]] = []
        self.outcomes: list[Result | Refusal] = []
        self.states: list[PortfolioState] = []
        self._name = start.portfolio
        self._quotes: dict[Symbol, Quote] = {}
        self._begin(PortfolioState.opened(start))

    def _begin(self, state: PortfolioState) -> None:
        self._engine = Engine([state], SIZING)
        assert [] == self._engine.on_instruments(CATALOG, instant())
        assert [] == self._engine.on_quotes(self._quotes.values(), instant())

    def quote(self, symbol: Symbol) -> Quote | None:
        """Return the newest quote of a symbol."""
        return self._quotes.get(symbol)

    @property
    def portfolio(self) -> PortfolioState:
        state = self._engine.state(self._name)
        assert state is not None
        return state

    def reload(self) -> None:
        """Begin again from the state that the database returns."""
        self._begin(reloaded(self.portfolio))

    def meet(self, decision: PendingDecision, base: Quote) -> None:
        """Process one decision at one price, which is seen when the decision is received."""
        if self._quotes.get(base.symbol) is not base:
            base = base if base.data_no else replace(base, data_no=len(self.sent) + 1)
            self._quotes[base.symbol] = base
            assert [] == self._engine.on_quotes([base], base.seen)
        (outcome,) = self._engine.on_decision(replace(decision, received=base.seen), base.seen)
        self.sent.append((decision, base))
        self.outcomes.append(outcome)
        self.states.append(self.portfolio)

    @property
    def applied(self) -> list[Result]:
        return [outcome for outcome in self.outcomes if isinstance(outcome, Result)]


def decided(wish: Wish, number: int, run: Run) -> tuple[PendingDecision, Quote]:
    """Return the decision for a wish, given the current positions and cash, and its price."""
    which, portfolio = wish.which, run.portfolio
    if wish.action is Action.SELL and portfolio.positions:
        which = [n for n, what in enumerate(INSTRUMENTS) if what.symbol in portfolio.positions][
            which % len(portfolio.positions)
        ]
    what, price = INSTRUMENTS[which], price_of(which, wish.factor)
    quantity = None
    if wish.share is not None and wish.action is Action.SELL and portfolio.positions:
        quantity = CONTEXT.multiply(portfolio.positions[what.symbol].quantity, wish.share)
    elif wish.share is not None and wish.action is Action.BUY:
        room = CONTEXT.multiply(max(portfolio.cash, Decimal(1)), portfolio.rules.max_position_size)
        quantity = CONTEXT.divide(CONTEXT.multiply(room, wish.share), price)
    decision = received(
        wish.action,
        number=number,
        symbol=what.symbol,
        confidence=wish.confidence,
        risk_score=wish.risk_score,
        quantity=None if quantity is None else CONTEXT.quantize(quantity, Decimal("1e-18")),
    )
    newest = run.quote(what.symbol)
    if wish.same_quote and newest is not None:
        return decision, newest
    met = quote(price, what.symbol, at=NOON + timedelta(seconds=number))
    return decision, replace(met, **wish.book.around(price, what))  # type: ignore[arg-type]


def lived(start: PortfolioRules, wanted: Sequence[Wish]) -> Run:
    run = Run(start)
    for number, wish in enumerate(wanted, start=1):
        run.meet(*decided(wish, number, run))
    return run


def stored(number: Decimal, scale: int) -> Decimal:
    """Return a number as NUMERIC(38, scale) returns it: rounded half up, with trailing zeros."""
    return Decimal(f"{CONTEXT.quantize(number, Decimal(1).scaleb(-scale)):f}")


def stored_position(position: Position) -> Position:
    return position._replace(
        quantity=stored(position.quantity, 18),
        cost=stored(position.cost, 12),
        entry_commission=stored(position.entry_commission, 12),
        last_price=stored(position.last_price, 18),
    )


def reloaded(portfolio: PortfolioState) -> PortfolioState:
    """Return the portfolio as the database returns it."""
    positions = ImmutableMap({symbol: stored_position(held) for symbol, held in portfolio.positions.items()})
    return replace(portfolio, cash=stored(portfolio.cash, 12), positions=positions)
