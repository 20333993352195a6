"""Settlement after a downtime: what the market did to the open orders of a portfolio while no process saw it.

::

    histories of the symbols ─► merged by market time, then by symbol ─► matched one after the other ─► events
                                                                         at the times of the market

The same histories give the same events, whether they are settled at once or a kill comes in between.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from types import MappingProxyType
from typing import NamedTuple

from domain.immutable.records import replace
from domain.trading.bookkeeping import Result
from domain.trading.open_orders.open_order import TrailingMark
from domain.trading.open_orders.sequencer import Sequencer
from domain.trading.portfolio import NO_PROGRESS, PortfolioState, Progress
from domain.trading.quotes import Bar, History, MarketData
from domain.types import DecisionId, Instant, OrderId, PortfolioName, Symbol


@dataclass(frozen=True, slots=True)
class Moment:
    """What happened to the open orders of a portfolio at one moment of the market: all of it, or nothing, is written.

    Attributes:
        seen_to: the market's time up to which everything is settled once this is written.
        marks: of the trailing orders that have moved by then.
    """

    results: tuple[Result, ...]
    seen_to: datetime | None
    marks: tuple[TrailingMark, ...] = ()


@dataclass(frozen=True, slots=True)
class SettledSpan:
    """What is recorded of a settlement: a row of ``paper_settlements``.

    Attributes:
        since: the market's time up to which the orders of the symbol had seen everything before.
        until: the time up to which they are settled.
        trades: number of trades that were fetched.
        bars: number of bars that were fetched.
        gap: why nobody knows what the market did; None where it is known.
    """

    portfolio: PortfolioName
    symbol: Symbol
    since: datetime
    until: datetime
    price_source: str
    trades: int
    bars: int
    gap: str | None


class Advance(NamedTuple):
    """How far open orders have come without an event; it is written in one transaction.

    Attributes:
        marks: of trailing orders.
        progress: of portfolios with open orders; the marks are those of these moments.
        spans: what is recorded of the settlements that have ended.
    """

    marks: tuple[TrailingMark, ...] = ()
    progress: Mapping[PortfolioName, Progress] = MappingProxyType({})
    spans: tuple[SettledSpan, ...] = ()


NO_ADVANCE = Advance()


def joined(advances: Iterable[Advance], present: Container[PortfolioName]) -> Advance:
    """Return several advances as one, without portfolios that are not present any more."""
    marks: dict[OrderId, TrailingMark] = {}
    progress: dict[PortfolioName, Progress] = {}
    spans: list[SettledSpan] = []
    for one in advances:
        marks |= {mark.order_id: mark for mark in one.marks}
        progress |= {name: of_portfolio for name, of_portfolio in one.progress.items() if name in present}
        spans += [span for span in one.spans if span.portfolio in present]
    return Advance(tuple(marks.values()), progress or NO_ADVANCE.progress, tuple(spans))


def symbols_to_settle(state: PortfolioState, source: str) -> dict[Symbol, datetime]:
    """Return the symbols of the open orders that a source can settle, each with the time since which it is asked.

    Nothing that happened before an order was made or amended, or before the symbol's last fill, can touch the order.
    """
    since: dict[Symbol, datetime] = {}
    for one in state.open_orders:
        order, symbol = one.order, one.order.instrument.symbol
        if order.price_source in {None, source}:
            times = [one.placed_at, state.progress.seen_to(symbol), state.open_orders.matched_at(symbol)]
            seen_to = max(time for time in times if time is not None)
            since[symbol] = min(seen_to, since.get(symbol, seen_to))
    return since


def progress_of(state: PortfolioState, seen_to: Mapping[Symbol, datetime]) -> Progress:
    """Return how far the open orders of a portfolio have seen the market.

    Data of one symbol may come later than those of others, so each symbol has its own time: what lies between the two
    is asked for after a downtime. A symbol of which nothing was seen is known up to when its orders were placed.

    Args:
        state: the portfolio.
        seen_to: of each symbol, the market's time up to which this process has matched everything.
    """
    times: dict[Symbol, datetime] = {}
    placed: dict[Symbol, datetime] = {}
    for one in state.open_orders:
        symbol = one.order.instrument.symbol
        ends = [time for time in (seen_to.get(symbol), state.progress.seen_to(symbol)) if time is not None]
        if ends:
            times[symbol] = max(ends)
        else:
            placed[symbol] = min(one.placed_at, placed.get(symbol, one.placed_at))
    data_at = max(times.values(), default=None)
    if data_at is None:
        return NO_PROGRESS
    return Progress(data_at, behind={symbol: time for symbol, time in (placed | times).items() if time < data_at})


def frozen_sources(state: PortfolioState, source: str) -> set[str]:
    """Return the sources of open orders that wait until their own source is configured again."""
    sources = {one.order.price_source for one in state.open_orders}
    return {name for name in sources if name is not None and name != source}


class Settlement:
    """The settlement of one portfolio.

    Args:
        state: the portfolio as it is stored.
        histories: of its symbols.
        until: the time up to which it is settled.
        first_no: the number of the first piece of data; all of them are below those that this process receives.
        now: the present moment.
        frozen: see `Sequencer.begin`.

    Attributes:
        sequencer: matches the data; its `about` tells which order it is at.
    """

    def __init__(
        self,
        state: PortfolioState,
        histories: Mapping[Symbol, History],
        until: datetime,
        first_no: int,
        now: Instant | None = None,
        frozen: frozenset[DecisionId] = frozenset(),
    ) -> None:
        self.sequencer = Sequencer()
        self._before = state
        self._until = until
        self._monotonic = now.monotonic if now is not None else 0.0
        self._frozen = frozen
        data = merged(state, histories, until)
        self._data = [replace(one, data_no=first_no + index) for index, one in enumerate(data)]
        stored = [one for symbol in sorted(histories) for one in histories[symbol].stored if one.market_time <= until]
        self._stored = [replace(one, data_no=first_no + len(data) + index) for index, one in enumerate(stored)]

    @property
    def state(self) -> PortfolioState:
        """The portfolio after the moments that were taken so far."""
        return self.sequencer.state(self._before.name) or self._before

    def moments(self) -> Iterator[Moment]:
        """Yield what happened, in the order of the market's times."""
        self.sequencer.begin([self._before], self._frozen)
        seen_to = self._before.progress.all_seen_to
        for time, pieces in groupby(self._data, key=lambda data: data.market_time):
            yield from self._expire(time, seen_to)
            results = [
                result
                for data in pieces
                for step in self.sequencer.on_data(_as_seen(data, self._monotonic), self._at(time))
                for result in step
            ]
            seen_to = time
            if results:
                yield self._moment(results, seen_to)
        for prices in self._stored:
            self.sequencer.on_stored(prices, self._at(prices.market_time))
        yield from self._expire(self._until, seen_to)

    def _expire(self, until: datetime, seen_to: datetime | None) -> Iterator[Moment]:
        """Yield the expiries up to a time, each at its own time."""
        expiries = {one.order.expires_at for one in self.state.open_orders}
        for time in sorted(time for time in expiries if time is not None and time <= until):
            results = [result for step in self.sequencer.on_time(self._at(time)) for result in step]
            if results:
                yield self._moment(results, seen_to)

    def _moment(self, results: list[Result], seen_to: datetime | None) -> Moment:
        return Moment(tuple(results), seen_to, self.sequencer.take_moved_marks())

    def _at(self, time: datetime) -> Instant:
        return Instant(time, self._monotonic)


def _as_seen(data: MarketData, monotonic: float) -> MarketData:
    """Return data as if they had been seen when they happened."""
    return replace(data, seen=Instant(data.market_time, monotonic))


def merged(state: PortfolioState, histories: Mapping[Symbol, History], until: datetime) -> list[MarketData]:
    """Return the data of all symbols by market time, then by symbol, without those that the orders have seen.

    Data of one symbol and one time stay in their order.
    """
    pieces: list[MarketData] = []
    for symbol in sorted(histories):
        seen = [state.progress.seen_to(symbol), state.open_orders.matched_at(symbol)]
        seen_to = max((time for time in seen if time is not None), default=None)
        pieces += [
            data
            for data in histories[symbol].data
            if data.market_time <= until and (seen_to is None or data.market_time > seen_to)
        ]
    return sorted(pieces, key=lambda data: data.market_time)  # a stable sort: the symbols stay in their order


def settled_spans(
    state: PortfolioState, histories: Mapping[Symbol, History], until: datetime, source: str
) -> list[SettledSpan]:
    """Return what is recorded of the settlement of a portfolio."""
    spans = []
    for symbol, since in sorted(symbols_to_settle(state, source).items()):
        history = histories.get(symbol, History(unknown="the price source did not answer in time"))
        bars = sum(isinstance(data, Bar) for data in history.data)
        trades = len(history.data) - bars
        spans.append(SettledSpan(state.name, symbol, since, until, source, trades, bars, history.unknown))
    return spans
