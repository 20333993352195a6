"""Rows that are OHLC bars: each gives one price, its close, at the moment of its end.

A bar's time is its begin, but its close is known at its end only; to play it earlier would show the future.
"""

from __future__ import annotations

import heapq
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import islice

from domain.trading.arithmetic import plain
from domain.types import Symbol
from market.files.parsing import Entry, Row, Wrong, moment, number, shown, symbol

TIMES = ("time", "timestamp", "date", "datetime")
"""Names for the column that says when a bar begins."""
COLUMNS = ("symbol", "close", "open", "high", "low", "volume", "timeframe", "close_time")
MOST_DISTANCES = 10_000
"""Of a symbol whose rows have more different distances, no length of its bars can be told."""
MOST_SENTENCES = 10
"""Of so many symbols the length of their bars is reported one by one."""
# M alone is a month, which has no length; so only the other letters may be capitals.
_TIMEFRAME = re.compile(r"([1-9]\d{0,3})([smhdwSHDW])", re.ASCII)
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
# Capitals, and a quote that begins with a letter: my-prices and DATA-2026 are no symbols.
_FILE_NAME = re.compile(r"([A-Z0-9]+)[-_]([A-Z][A-Z0-9]+)(?:[-_][1-9]\d*[A-Za-z])?", re.ASCII)


@dataclass(frozen=True, slots=True)
class BarLength:
    """How long the bars of a symbol are that do not say so, and what that rests on.

    Attributes:
        length: the most frequent distance.
        distances: how many there are between successive times.
        differing: how many of them are not ``length``.
        shortest: the smallest distance.
        longest: the largest.
    """

    length: timedelta
    distances: int
    differing: int
    shortest: timedelta
    longest: timedelta


def columns(names: Collection[str]) -> dict[str, str]:
    """Return which of a header's ``names``, in lower case, stand for the ``time`` and which of `COLUMNS`.

    Raises:
        Wrong: one that is needed is missing, or what a row's price or time is cannot be told.
    """
    if "price" in names or ("bid" in names and "ask" in names):
        other = "price" if "price" in names else "bid and ask"
        raise Wrong(f"the header names {other} and close, it must name {other} for prices or close for bars")
    times = [name for name in TIMES if name in names]
    if not times:
        raise Wrong("the header names close, so it must name time, timestamp, date or datetime, when a bar begins")
    if len(times) > 1:
        raise Wrong(f"the header names {' and '.join(times)}, it must name one of them, when a bar begins")
    return {"time": times[0]} | {name: name for name in COLUMNS if name in names}


def symbol_in(name: str) -> Symbol:
    """Return the symbol in a file's ``name`` without its ending.

    >>> symbol_in("BTC_USDT-1h")
    'BTC/USDT'

    Raises:
        Wrong: there is none.
    """
    found = _FILE_NAME.fullmatch(name)
    if not found:
        raise Wrong("the header must name symbol, or the file be named for it, such as BTC-USDT or BTC_USDT-1h")
    return Symbol(f"{found[1]}/{found[2]}")


def entry(cells: Mapping[str, str]) -> Entry:
    """Return what a bar says; it ends at its ``close_time``, or else when its ``timeframe`` is over.

    Raises:
        Wrong: it makes no sense.
    """
    close = number("close", cells["close"])
    if close is None:
        raise Wrong("close is empty")
    opened, high, low = (number(name, cells.get(name, "")) for name in ("open", "high", "low"))
    _in_order("low", low, "open", opened)
    _in_order("low", low, "close", close)
    _in_order("open", opened, "high", high)
    _in_order("close", close, "high", high)
    # Sums of floats have decimals without end; nothing is computed with a volume, so it is rounded, not refused.
    volume = number("volume", cells.get("volume", ""), rounded=True)
    name = symbol(cells["symbol"])
    begin = moment("time", cells["time"])
    return Entry(begin, _end(begin, cells), name, close, None, None, volume)


def _in_order(lower: str, low: Decimal | None, upper: str, high: Decimal | None) -> None:
    if low is not None and high is not None and low > high:
        raise Wrong(f"{lower} {plain(low)} is above {upper} {plain(high)}")


def _end(begin: datetime, cells: Mapping[str, str]) -> datetime | None:
    if text := cells.get("close_time"):
        end = moment("close_time", text)
        if end < begin:
            raise Wrong(f"close_time {end.isoformat()} is before time {begin.isoformat()}")
        return end
    if text := cells.get("timeframe"):
        found = _TIMEFRAME.fullmatch(text)
        if not found:
            raise Wrong(f"timeframe is {shown(text)}, it must be one such as 1m, 4h, 1d or 1w; else give close_time")
        return _after(begin, timedelta(**{_UNITS[found[2].lower()]: int(found[1])}))
    return None


def _after(begin: datetime, length: timedelta) -> datetime:
    try:
        return begin + length
    except OverflowError:
        raise Wrong(f"the bar that begins at {begin.isoformat()} ends after the year 9999") from None


class _Distances:
    """The distances between the times of one symbol's rows, as far as a row that does not say its end needs them."""

    def __init__(self) -> None:
        self.counts: Counter[timedelta] = Counter()
        self.latest: Entry | None = None
        self.silent = False

    def add(self, opened: Entry) -> None:
        before, self.latest = self.latest, opened
        self.silent = self.silent or opened.end is None
        if before is None or (opened.end is not None and before.end is not None):
            return  # both say when they end
        if before.begin == opened.begin:
            if opened.end is None:
                raise Wrong(f"{opened.symbol} has two bars that begin at {opened.begin.isoformat()}")
            return
        self.counts[opened.begin - before.begin] += 1
        if len(self.counts) > MOST_DISTANCES:
            raise Wrong(
                f"{opened.symbol} has over {MOST_DISTANCES} different distances between its bars, so they have no"
                " common length; a column timeframe, such as 1h, or close_time must tell each one's"
            )

    def length(self) -> BarLength | None:
        """Return the most frequent distance, of equally frequent ones the largest; None where every row has an end."""
        if not self.silent or self.latest is None:
            return None
        if not self.counts:
            name = self.latest.symbol
            raise Wrong(f"{name} has one bar only, a column timeframe, such as 1h, or close_time must tell its length")
        # Of two that are as frequent the larger: a close that is known late is harmless, one known early is the future.
        length = max(self.counts, key=lambda distance: (self.counts[distance], distance))
        _after(self.latest.begin, length)
        total = self.counts.total()
        return BarLength(length, total, total - self.counts[length], min(self.counts), max(self.counts))


def lengths(entries: Iterable[Entry]) -> dict[Symbol, BarLength | None]:
    """Return each symbol of a file, with the length of its bars where rows do not say when they end, else None.

    It is the most frequent distance between two successive times of the symbol: one odd row does not shorten all bars.

    Raises:
        Wrong: nothing tells how long a bar is.
    """
    found: dict[Symbol, _Distances] = {}  # in the order of the file, so that the same file gives the same sentence
    for opened in entries:
        found.setdefault(opened.symbol, _Distances()).add(opened)
    return {name: distances.length() for name, distances in found.items()}


def by_end(entries: Iterable[Entry], known: Mapping[Symbol, BarLength | None]) -> Iterator[Row]:
    """Yield the prices in the order of their moments; entries come in that of their begins.

    Args:
        entries: what the rows say.
        known: how long each symbol's bars are, where they do not say when they end.
    """
    # Bars of different lengths that begin together end one after the other; only those still open are in memory.
    waiting: list[tuple[datetime, int, Entry]] = []
    for count, opened in enumerate(entries):
        while waiting and waiting[0][0] <= opened.begin:
            yield _row(heapq.heappop(waiting))
        end = opened.end
        if end is None:
            bar = known.get(opened.symbol)
            if bar is None:
                raise Wrong(f"{opened.symbol} was not there when the file was checked")
            end = _after(opened.begin, bar.length)
        heapq.heappush(waiting, (end, count, opened))
    while waiting:
        yield _row(heapq.heappop(waiting))


def _row(ended: tuple[datetime, int, Entry]) -> Row:
    end, _, closed = ended
    return Row(end, *closed[2:])


def differing(known: Mapping[Symbol, BarLength | None]) -> list[str]:
    """Return a sentence for each symbol whose rows do not all have the distance that its bars are long."""
    uneven = {name: bar for name, bar in known.items() if bar is not None and bar.differing}
    sentences = [
        f"{name}: bars are taken to be {timeframe(bar.length)} long, the most frequent distance of their times;"
        f" {bar.differing} of {bar.distances} distances differ"
        f" (from {timeframe(bar.shortest)} to {timeframe(bar.longest)})"
        for name, bar in islice(uneven.items(), MOST_SENTENCES)
    ]
    if len(uneven) > MOST_SENTENCES:
        sentences.append(f"bars of {len(uneven) - MOST_SENTENCES} more symbols have distances that differ")
    return sentences


def even(known: Mapping[Symbol, BarLength | None]) -> list[str]:
    """Return a sentence for each length of bars that all the distances of a symbol's rows agree on."""
    symbols: dict[timedelta, list[Symbol]] = {}
    for name, bar in known.items():
        if bar is not None and not bar.differing:
            symbols.setdefault(bar.length, []).append(name)
    return [
        f"bars are {timeframe(length)} long, as all distances of their times: {_listed(names)}"
        for length, names in sorted(symbols.items())[:MOST_SENTENCES]
    ]


def _listed(names: Sequence[Symbol]) -> str:
    more = f" and {len(names) - MOST_SENTENCES} more" if len(names) > MOST_SENTENCES else ""
    return ", ".join(names[:MOST_SENTENCES]) + more


def timeframe(length: timedelta) -> str:
    """Return a length as the column of that name spells it.

    >>> timeframe(timedelta(minutes=90))
    '90m'
    """
    for letter, unit in (("d", timedelta(days=1)), ("h", timedelta(hours=1)), ("m", timedelta(minutes=1))):
        if length >= unit and not length % unit:
            return f"{length // unit}{letter}"
    return f"{length.total_seconds():.15g}s"
