"""An agent: it calls a strategy at each bar that is complete, and sends what it wants, each decision once.

It has no clock and no thread: `LiveAgent.step` is called again and again. What tells it the time are the prices that
the service stores, so while the service is away nothing happens.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple, Protocol

from domain.errors import IdempotencyConflict
from domain.trading.decision import Decision
from domain.trading.instruments import Instrument
from domain.trading.portfolio import PortfolioState
from domain.types import Symbol
from domain.wording import counted
from research.backtest.feeds import place_of, raised
from research.backtest.making import InvalidIntent
from research.columns.bar_columns import EPOCH, BarColumns
from research.errors import StrategyFailed
from research.live.bars import KEPT_BARS, BarHistory, LiveBar, StoredPrice, bars_of_prices, begin_of
from research.live.intents import Place, decision_of
from research.strategy import Intent, Strategy
from research.view import Account, Bar, View

MICROSECOND = timedelta(microseconds=1)
MIN_LATE = timedelta(seconds=60)
"""A decision is too late where its bar ended longer ago than this, and longer than a bar lasts."""
MAX_DECIMALS = 12
SPARE = 4
"""So many times the warm-up are looked through for bars, because there may be gaps."""


class Newest(NamedTuple):
    """How far the stored prices of some symbols have come.

    Attributes:
        time: of the newest price; None without any.
        now: the present time, by the same clock.
    """

    time: datetime | None
    now: datetime


class LiveMarket(Protocol):
    """What an agent reads. Each method raises `DatabaseUnavailable` while the database is away."""

    def newest(self, symbols: Sequence[Symbol]) -> Newest:
        """Return how far the prices of the symbols have come."""

    def prices(self, symbol: Symbol, since: datetime, until: datetime) -> Sequence[StoredPrice]:
        """Return the prices of a symbol from a time on, up to another one, which is not included."""

    def portfolio(self) -> tuple[PortfolioState, Mapping[Symbol, Decimal]]:
        """Return the portfolio as it is committed, and the last price of each symbol that it holds."""


@dataclass(frozen=True, slots=True)
class AgentPlan:
    """What an agent does.

    Attributes:
        symbols: that it trades, in the order in which the strategy is called.
        length: of the bars.
        portfolio: its name.
    """

    strategy: Strategy[Any]
    symbols: Sequence[Symbol]
    length: timedelta
    portfolio: str


class _Waiting(NamedTuple):
    """A decision on its way to the service."""

    place: Place
    decision: Decision


class LiveAgent:
    """An agent; see the module.

    Args:
        plan: what it does.
        market: what it reads.
        send: commits a decision.
        say: takes sentences for people.
        history: bars from before the stored prices, by symbol.

    Attributes:
        calls: number of calls of the strategy.
    """

    def __init__(
        self,
        plan: AgentPlan,
        market: LiveMarket,
        send: Callable[[Decision], object],
        say: Callable[[str], object],
        history: Mapping[Symbol, Sequence[LiveBar]],
    ) -> None:
        self.calls = 0
        self._plan = plan
        self._market = market
        self._send = send
        self._say = say
        self._recorded = history
        self._bars = {symbol: BarHistory(symbol) for symbol in plan.symbols}
        self._until: datetime | None = None  # up to here all bars were taken
        self._waiting: deque[_Waiting] = deque()

    def step(self) -> None:
        """Take the bars that have become complete, if any; send what waits.

        Raises:
            StrategyFailed: the strategy raises, or wants what makes no sense.
            DatabaseUnavailable: the next call goes on where this one ended.
            SubmissionInDoubt: the same; what was stored is not stored again.
        """
        newest = self._market.newest(self._plan.symbols)
        self._send_waiting(newest)
        if newest.time is None:
            return
        until = begin_of(newest.time, self._plan.length)
        if self._until is None:
            self._warm_up(until)
        assert self._until is not None  # it has warmed up
        if until <= self._until:
            return
        # All that may fail is read before anything changes.
        since, length = self._until, self._plan.length
        bars = {one: bars_of_prices(self._market.prices(one, since, until), length) for one in self._plan.symbols}
        state, marks = self._market.portfolio()
        self._until = until
        for symbol, new in bars.items():
            self._bars[symbol].add(new)
        self._call(bars, state, dict(marks), newest)
        self._send_waiting(newest)

    def _warm_up(self, until: datetime) -> None:
        """Read the bars before the last one that is complete."""
        wanted, length = max(self._plan.strategy.warm_up, 1), self._plan.length
        begin = until - length
        stored: dict[Symbol, list[LiveBar]] = {}
        for symbol in self._plan.symbols:
            since = begin - wanted * length
            stored[symbol] = bars_of_prices(self._market.prices(symbol, since, begin), length)
            if len(stored[symbol]) < wanted:
                since = begin - SPARE * wanted * length
                stored[symbol] = bars_of_prices(self._market.prices(symbol, since, begin), length)
        for symbol, bars in stored.items():
            first = bars[0].begin if bars else begin
            recorded = [bar for bar in self._recorded.get(symbol, ()) if bar.end <= first]
            self._bars[symbol].add([*recorded, *bars])
            missing = self._plan.strategy.warm_up - 1 - len(self._bars[symbol])
            if missing > 0:
                self._say(f"{symbol}: {counted(missing, 'bar')} of the warm-up are missing; it is not called before")
        self._until = begin

    def _call(
        self, bars: Mapping[Symbol, Sequence[LiveBar]], state: PortfolioState, marks: dict[Symbol, Decimal],
        newest: Newest,
    ) -> None:  # fmt: skip
        """Call the strategy at each new bar, in the order of their times."""
        columns = {symbol: self._bars[symbol].columns() for symbol, new in bars.items() if new}
        in_order = sorted(
            ((bar.end, number, bar) for number, symbol in enumerate(self._plan.symbols) for bar in bars[symbol]),
            key=lambda one: one[:2],
        )
        unsent = 0
        for end, number, bar in in_order:
            symbol = self._plan.symbols[number]
            marks[symbol] = bar.close
            index = self._bars[symbol].number_of(bar)
            if index is None or not self._is_due(end, index):
                continue
            seen = columns[symbol].until(index + 1)
            view = (seen, Account.of(lambda: state, lambda _: state.equity(marks)))
            decisions = self._decide(symbol, end, index, *view)
            if decisions and self._is_late(end, newest):
                unsent += len(decisions)
                continue
            self._waiting.extend(decisions)
        if unsent:
            self._say(f"{counted(unsent, 'decision')} of bars that ended while nothing was served: too late, not sent")
        for history in self._bars.values():
            history.forget(max(KEPT_BARS, self._plan.strategy.warm_up))

    def _is_due(self, end: datetime, index: int) -> bool:
        strategy = self._plan.strategy
        on_grid = strategy.every is None or (end - EPOCH) % strategy.every == timedelta(0)
        return on_grid and index + 1 >= strategy.warm_up

    def _is_late(self, end: datetime, newest: Newest) -> bool:
        """Return whether a decision at the end of a bar is too late: another bar is complete, or it is long ago."""
        is_last = newest.time is not None and end >= begin_of(newest.time, self._plan.length)
        return not is_last or newest.now - end > max(self._plan.length, MIN_LATE)

    def _decide(
        self, symbol: Symbol, end: datetime, index: int, columns: BarColumns, account: Account
    ) -> list[_Waiting]:
        """Call the strategy at a bar; return what it wants as decisions."""
        strategy, bar = self._plan.strategy, Bar(columns)
        bar.index = index
        # Nothing tells the tick; the service rounds a price to it, and never to a worse one.
        tick = Decimal(1).scaleb(-min(columns.price_scale + 2, MAX_DECIMALS))
        instrument = Instrument(symbol, None, tick=tick)
        self.calls += 1
        try:
            if strategy.has_signals:
                wanted: object = _last_signal(strategy, columns)
            else:
                wanted = strategy.on_bar(bar, View(bar, columns, instrument, account))
        except Exception as error:
            raise StrategyFailed(raised(strategy, error, bar)) from error
        if wanted is None:
            return []
        decisions = []
        for number, intent in enumerate(wanted if isinstance(wanted, list | tuple) else (wanted,)):
            place = Place(strategy.name, self._plan.portfolio, symbol, end, number)
            try:
                decisions.append(_Waiting(place, decision_of(intent, place)))
            except InvalidIntent as error:
                raise StrategyFailed(f"{place_of(strategy, bar)}: {error}") from None
        return decisions

    def _send_waiting(self, newest: Newest) -> None:
        """Send the decisions that wait, in order; one that has waited too long is dropped."""
        while self._waiting:
            place, decision = self._waiting[0]
            if newest.now - place.time > max(self._plan.length, MIN_LATE):
                self._say(f"the decision of {place.key} could not be sent in time, and is dropped")
            else:
                try:
                    self._send(decision)
                except IdempotencyConflict as conflict:
                    self._say(f"the bar of {place.key} was decided before a restart: {conflict}")
                    self._drop(place)
                    continue
            self._waiting.popleft()

    def _drop(self, place: Place) -> None:
        """Drop what waits of a bar: before a restart the strategy has decided it otherwise, and that counts."""
        self._waiting = deque(one for one in self._waiting if one.place._replace(number=0) != place._replace(number=0))


def _last_signal(strategy: Strategy[Any], columns: BarColumns) -> Intent | None:
    """Return what the signals of a strategy want at the last bar."""
    signals = strategy.signals(columns)
    if signals is None or not len(signals.bars) or int(signals.bars[-1]) != len(columns) - 1:
        return None
    side = int(signals.sides[-1])
    return None if side == 0 else signals.buy if side > 0 else signals.sell
