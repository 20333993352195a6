"""Where the decisions of a backtest come from: a strategy that is called at bars, or a list that is known before."""

from __future__ import annotations

import time
import traceback
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import timedelta
from typing import Any, NamedTuple, Protocol

import numpy as np

from research.backtest.ids import name_bytes
from research.backtest.making import namespace_of
from research.backtest.pieces import PHASES, Market, Phase
from research.columns.bar_columns import time_of
from research.errors import StrategyError
from research.strategy import Intent, Strategy
from research.view import Account, Bar, View

MICROSECOND = timedelta(microseconds=1)
CHUNK_CALLS = 16_384
"""Calls of a strategy that are lists of Python's numbers at a time."""


class Wish(NamedTuple):
    """An intent at its moment.

    Attributes:
        moment: see `research.backtest.pieces`.
        symbol: place of its symbol in the market; None where the intent names it.
        uid: of the decision, as bytes.
        row: the number of the bar or of the row that it comes from; see `Feed.place`.
    """

    moment: int
    symbol: int | None
    intent: Intent
    uid: bytes
    row: int


class Feed(Protocol):
    """A source of decisions in the order of their moments."""

    def advance(self, until: int) -> Sequence[Wish]:
        """Return the next decisions of one moment before ``until``; empty where there are none."""

    def place(self, wish: Wish) -> str:
        """Return where an intent comes from, for messages."""


class ListFeed:
    """Decisions that are known before the run, such as those of a tape.

    Args:
        wishes: in the order of their moments.
        place: returns where one comes from, for messages.
    """

    def __init__(self, wishes: Iterable[Wish], place: Callable[[Wish], str]) -> None:
        self.place = place
        self._wishes = iter(wishes)
        self._next = next(self._wishes, None)

    def advance(self, until: int) -> Sequence[Wish]:
        """Return the next decisions of one moment before ``until``; empty where there are none."""
        first = self._next
        if first is None or first.moment >= until:
            return ()
        wishes = [first]
        for wish in self._wishes:
            if wish.moment != first.moment:
                self._next = wish
                return wishes
            wishes.append(wish)
        self._next = None
        return wishes


class StrategyFeed:
    """A strategy that is called at the close of each bar.

    Args:
        strategy: the strategy.
        market: whose bars it sees.
        account: where it reads its portfolio.
        begin: it is called at no bar that closes before, in microseconds since 1970.

    Attributes:
        calls: number of calls, a few thousands ahead.
        seconds: how long they took.
    """

    def __init__(self, strategy: Strategy[Any], market: Market, account: Sequence[Account], begin: int) -> None:
        self.calls = 0
        self.seconds = 0.0
        self._on_bar = strategy.on_bar
        self._strategy = strategy
        self._market = market
        self._namespace = namespace_of(strategy.name).bytes
        self._bars = [Bar(columns) for columns in market.columns]
        parts = zip(self._bars, market.columns, market.instruments, account, strict=True)
        self._views = [View(*part) for part in parts]
        self._chunks = _chunks(market, strategy, begin)
        self._chunk = _Chunk((), (), ())
        self._place = 0

    def advance(self, until: int) -> Sequence[Wish]:
        """Call the strategy at bars before ``until``, up to the first at which it wants something."""
        begun = time.perf_counter()
        try:
            return self._advance(until)
        finally:
            self.seconds += time.perf_counter() - begun

    def _advance(self, until: int) -> Sequence[Wish]:
        bars, views, on_bar = self._bars, self._views, self._on_bar
        several, number, bar, view = len(bars) > 1, 0, bars[0], views[0]
        while True:
            chunk = self._chunk
            symbols, indexes = chunk.symbols, chunk.bars
            stop = bisect_left(chunk.moments, until, self._place)
            for place in range(self._place, stop):
                if several:
                    number = symbols[place]
                    bar, view = bars[number], views[number]
                bar.index = indexes[place]
                try:
                    wanted = on_bar(bar, view)
                except Exception as error:
                    raise StrategyError(raised(self._strategy, error, bar)) from error
                if wanted is not None:
                    self._place = place + 1
                    if wishes := self._wishes(wanted, chunk.moments[place], number):
                        return wishes
            self._place = stop
            if stop < len(chunk.moments) or not self._next_chunk():
                return ()

    def _next_chunk(self) -> bool:
        chunk = next(self._chunks, None)
        if chunk is None:
            return False
        self.calls += len(chunk.moments)
        self._chunk, self._place = chunk, 0
        return True

    def _wishes(self, wanted: object, moment: int, number: int) -> list[Wish]:
        intents = (wanted,) if type(wanted) is Intent or not isinstance(wanted, list | tuple) else wanted
        bar, space = self._bars[number], self._namespace
        text = f"{bar.symbol} {moment // PHASES}"
        return [
            Wish(moment, number, intent, name_bytes(space, f"{text} {n}".encode()), bar.index)
            for n, intent in enumerate(intents)
        ]

    def place(self, wish: Wish) -> str:
        """Return where an intent comes from: the function of the strategy, with its line, and the bar."""
        assert wish.symbol is not None  # a strategy is called at a bar of a symbol
        bar = self._bars[wish.symbol]
        bar.index = wish.row
        return place_of(self._strategy, bar)


def raised(strategy: Strategy[Any], error: Exception, bar: Bar) -> str:
    """Return the sentence about an exception of a strategy, with the bar and the line."""
    frames = traceback.extract_tb(error.__traceback__)
    own = type(strategy).on_bar.__code__.co_filename
    frame = next((frame for frame in reversed(frames) if frame.filename == own), frames[-1])
    text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return f"{strategy.name} raised {text} at {bar!r} ({frame.filename}, line {frame.lineno})"


def place_of(strategy: Strategy[Any], bar: Bar) -> str:
    """Return where an intent comes from: the function of the strategy, with its line, and the bar."""
    code = type(strategy).on_bar.__code__
    return f"{strategy.name}.on_bar ({code.co_filename}, line {code.co_firstlineno}) at {bar!r}"


class _Chunk(NamedTuple):
    """Calls that follow each other: moment, symbol and bar of each."""

    moments: Sequence[int]
    symbols: Sequence[int]
    bars: Sequence[int]


def _chunks(market: Market, strategy: Strategy[Any], begin: int) -> Iterator[_Chunk]:
    """Yield the calls of a strategy in order, some thousands at a time."""
    every = None if strategy.every is None else strategy.every // MICROSECOND
    times = [columns.time for columns in market.columns]
    places = [max(strategy.warm_up - 1, int(np.searchsorted(time, begin)), 0) for time in times]
    share = max(CHUNK_CALLS // len(times), 1)
    while left := [number for number, time in enumerate(times) if places[number] < len(time)]:
        end = min(times[number][min(places[number] + share, len(times[number])) - 1] for number in left)
        moments, symbols, bars = [], [], []
        for number in left:
            stop = int(np.searchsorted(times[number], end, side="right"))
            chosen = np.arange(places[number], stop, dtype=np.int64)
            if every is not None:
                chosen = chosen[times[number][places[number] : stop] % every == 0]
            places[number] = stop
            moments.append(times[number][chosen] * PHASES + Phase.DECISION)
            symbols.append(np.full(len(chosen), number, dtype=np.int64))
            bars.append(chosen)
        columns = np.stack([np.concatenate(part) for part in (moments, symbols, bars)])
        if len(left) > 1:
            columns = columns[:, np.lexsort((columns[1], columns[0]))]
        yield _Chunk(*columns.tolist())


def signal_wishes(strategy: Strategy[Any], market: Market, begin: int) -> Iterator[Wish]:
    """Yield what the signals of a strategy want, in the order of their moments.

    Raises:
        StrategyError: the signals are not those of bars.
    """
    namespace, rows = namespace_of(strategy.name).bytes, []
    for number, columns in enumerate(market.columns):
        try:
            signals = strategy.signals(columns)
        except Exception as error:
            text = f"{type(error).__name__}: {error}"
            raise StrategyError(f"{strategy.name}.signals raised {text} for {columns.symbol}") from error
        if signals is None:
            continue
        bars, sides = np.asarray(signals.bars), np.asarray(signals.sides)
        if len(bars) != len(sides) or (len(bars) and not (bars.min() >= 0 and bars.max() < len(columns))):
            sentence = f"{strategy.name}.signals of {columns.symbol}: bars must be numbers of its {len(columns)} bars"
            raise StrategyError(f"{sentence}, with a side for each")
        kept = (columns.time[bars] >= begin) & (bars >= strategy.warm_up - 1)
        times = columns.time[bars[kept]]
        rows += [
            (micros, number, signals.buy if side > 0 else signals.sell, bar)
            for micros, side, bar in zip(times.tolist(), sides[kept].tolist(), bars[kept].tolist(), strict=True)
            if side
        ]
    rows.sort(key=lambda row: row[:2])
    for micros, number, intent, bar in rows:
        uid = name_bytes(namespace, f"{market.columns[number].symbol} {micros} 0".encode())
        yield Wish(micros * PHASES + Phase.DECISION, number, intent, uid, bar)


def place_of_signal(strategy: Strategy[Any], market: Market, wish: Wish) -> str:
    """Return where the intent of a signal comes from."""
    assert wish.symbol is not None  # a signal is one of a symbol
    symbol, time = market.columns[wish.symbol].symbol, time_of(wish.moment // PHASES)
    return f"{strategy.name}.signals at the bar of {symbol} that closes {time:%Y-%m-%d %H:%M:%S} UTC"
