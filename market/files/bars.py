"""Rows with OHLC bars: each bar gives one price, its close, at the bar's end.

A bar's time is its begin, but its close is known only at its end; to deliver it earlier would be look-ahead.
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
from market.files.parsing import Entry, FormatError, Row, parse_number, parse_symbol, parse_time, quoted

TIMES = ("time", "timestamp", "date", "datetime")
"""Possible names of the column with a bar's begin."""
COLUMNS = ("symbol", "close", "open", "high", "low", "volume", "timeframe", "close_time")
MAX_DISTANCES = 10_000
"""A symbol whose times have more different distances has no typical length of its bars."""
MAX_NOTES = 10
"""The bar lengths of at most so many symbols are reported one by one."""
# M alone is a month, which has no length; so only the other letters may be capitals.
_TIMEFRAME = re.compile(r"([1-9]\d{0,3})([smhdwSHDW])", re.ASCII)
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
# Capitals, and a quote currency that begins with a letter: my-prices and DATA-2026 are no symbols.
_FILE_NAME = re.compile(r"([A-Z0-9]+)[-_]([A-Z][A-Z0-9]+)(?:[-_][1-9]\d*[A-Za-z])?", re.ASCII)


@dataclass(frozen=True, slots=True)
class BarLength:
    """The assumed length of a symbol's bars whose rows do not give it, and the distances between its times.

    Attributes:
        length: the most frequent distance.
        distances: number of distances between successive times.
        differing: number of distances other than ``length``.
        shortest: the smallest distance.
        longest: the largest.
    """

    length: timedelta
    distances: int
    differing: int
    shortest: timedelta
    longest: timedelta


def columns(names: Collection[str]) -> dict[str, str]:
    """Return the columns ``time`` and `COLUMNS` among a header's ``names`` in lower case, each with its name there.

    Raises:
        FormatError: a required one is missing, or two could be the price or the time.
    """
    if "price" in names or ("bid" in names and "ask" in names):
        other = "price" if "price" in names else "bid and ask"
        raise FormatError(f"the header names {other} and close; it must name {other} for prices or close for bars")
    times = [name for name in TIMES if name in names]
    if not times:
        raise FormatError(
            "the header names close, so it must name time, timestamp, date or datetime, when a bar begins"
        )
    if len(times) > 1:
        raise FormatError(f"the header names {' and '.join(times)}; it must name one of them, when a bar begins")
    return {"time": times[0]} | {name: name for name in COLUMNS if name in names}


def symbol_in(name: str) -> Symbol:
    """Return the symbol in a file's ``name`` (without its suffix).

    >>> symbol_in("BTC_USDT-1h")
    'BTC/USDT'

    Raises:
        FormatError: the name holds no symbol.
    """
    match = _FILE_NAME.fullmatch(name)
    if not match:
        raise FormatError("the header must name symbol, or the file be named for it, such as BTC-USDT or BTC_USDT-1h")
    return Symbol(f"{match[1]}/{match[2]}")


def entry(fields: Mapping[str, str]) -> Entry:
    """Return a bar's price; the bar ends at its ``close_time``, or else after its ``timeframe``.

    Raises:
        FormatError: a field is invalid or contradicts another.
    """
    close = parse_number("close", fields["close"])
    if close is None:
        raise FormatError("close is empty")
    open_, high, low = (parse_number(name, fields.get(name, "")) for name in ("open", "high", "low"))
    _require_order("low", low, "open", open_)
    _require_order("low", low, "close", close)
    _require_order("open", open_, "high", high)
    _require_order("close", close, "high", high)
    # Volumes are often sums of floats with many decimals; nothing is computed with them, so they are rounded.
    volume = parse_number("volume", fields.get("volume", ""), rounded=True)
    name = parse_symbol(fields["symbol"])
    begin = parse_time("time", fields["time"])
    return Entry(begin, _end(begin, fields), name, close, volume=volume)


def _require_order(lower: str, low: Decimal | None, upper: str, high: Decimal | None) -> None:
    if low is not None and high is not None and low > high:
        raise FormatError(f"{lower} {plain(low)} is above {upper} {plain(high)}")


def _end(begin: datetime, fields: Mapping[str, str]) -> datetime | None:
    if text := fields.get("close_time"):
        end = parse_time("close_time", text)
        if end < begin:
            raise FormatError(f"close_time {end.isoformat()} is before time {begin.isoformat()}")
        return end
    if text := fields.get("timeframe"):
        match = _TIMEFRAME.fullmatch(text)
        if not match:
            raise FormatError(
                f"timeframe is {quoted(text)}; it must be one such as 1m, 4h, 1d or 1w, or add close_time"
            )
        return _after(begin, timedelta(**{_UNITS[match[2].lower()]: int(match[1])}))
    return None


def _after(begin: datetime, length: timedelta) -> datetime:
    try:
        return begin + length
    except OverflowError:
        raise FormatError(f"the bar that begins at {begin.isoformat()} ends after the year 9999") from None


class _Distances:
    """The distances between the times of one symbol's rows, where at least one of two rows has no end of its own."""

    def __init__(self) -> None:
        self.counts: Counter[timedelta] = Counter()
        self.latest: Entry | None = None
        self.has_open_end = False

    def add(self, bar: Entry) -> None:
        before, self.latest = self.latest, bar
        self.has_open_end = self.has_open_end or bar.end is None
        if before is None or (bar.end is not None and before.end is not None):
            return  # both have an end of their own
        if before.begin == bar.begin:
            if bar.end is None:
                raise FormatError(f"{bar.symbol} has two bars that begin at {bar.begin.isoformat()}")
            return
        self.counts[bar.begin - before.begin] += 1
        if len(self.counts) > MAX_DISTANCES:
            raise FormatError(
                f"{bar.symbol} has over {MAX_DISTANCES} different distances between its bars, so they have no"
                " common length; add a column timeframe, such as 1h, or close_time"
            )

    def length(self) -> BarLength | None:
        """Return the most frequent distance, the largest of equally frequent ones; None where every row has an end."""
        if not self.has_open_end or self.latest is None:
            return None
        if not self.counts:
            name = self.latest.symbol
            raise FormatError(f"{name} has only one bar; add a column timeframe, such as 1h, or close_time")
        # The largest of equally frequent ones: a late close is harmless, an early one is look-ahead.
        length = max(self.counts, key=lambda distance: (self.counts[distance], distance))
        _after(self.latest.begin, length)
        total = self.counts.total()
        return BarLength(length, total, total - self.counts[length], min(self.counts), max(self.counts))


def bar_lengths(entries: Iterable[Entry]) -> dict[Symbol, BarLength | None]:
    """Return each symbol of a file with the assumed length of its bars; None where all its rows have an end.

    It is the most frequent distance between two successive times of the symbol: one odd row does not shorten all bars.

    Raises:
        FormatError: the length of a bar cannot be determined.
    """
    by_symbol: dict[Symbol, _Distances] = {}  # in the order of the file, so that its messages do not change
    for bar in entries:
        by_symbol.setdefault(bar.symbol, _Distances()).add(bar)
    return {name: distances.length() for name, distances in by_symbol.items()}


def by_end(entries: Iterable[Entry], lengths: Mapping[Symbol, BarLength | None]) -> Iterator[Row]:
    """Yield the prices in the order of their times; the entries come in the order of their begins.

    Args:
        entries: the rows of the file.
        lengths: the assumed length of each symbol's bars, see `bar_lengths`.
    """
    # Bars of different lengths that begin together end one after the other; only those still open are in memory.
    open_bars: list[tuple[datetime, int, Entry]] = []
    for count, bar in enumerate(entries):
        while open_bars and open_bars[0][0] <= bar.begin:
            yield _row(heapq.heappop(open_bars))
        end = bar.end
        if end is None:
            assumed = lengths.get(bar.symbol)
            if assumed is None:
                raise FormatError(f"{bar.symbol} was not there when the file was checked")
            end = _after(bar.begin, assumed.length)
        heapq.heappush(open_bars, (end, count, bar))
    while open_bars:
        yield _row(heapq.heappop(open_bars))


def _row(ended: tuple[datetime, int, Entry]) -> Row:
    end, _, closed = ended
    return Row(end, *closed[2:])


def uneven_length_notes(lengths: Mapping[Symbol, BarLength | None]) -> list[str]:
    """Return a sentence for each symbol whose times do not all have the distance that its bars are long."""
    uneven = {name: bar for name, bar in lengths.items() if bar is not None and bar.differing}
    notes = [
        f"{name}: bars are assumed to be {timeframe(bar.length)} long, the most frequent distance between their times;"
        f" {bar.differing} of {bar.distances} distances differ"
        f" (from {timeframe(bar.shortest)} to {timeframe(bar.longest)})"
        for name, bar in islice(uneven.items(), MAX_NOTES)
    ]
    if len(uneven) > MAX_NOTES:
        notes.append(f"{len(uneven) - MAX_NOTES} more symbols have bars at different distances")
    return notes


def even_length_notes(lengths: Mapping[Symbol, BarLength | None]) -> list[str]:
    """Return a sentence for each length of bars on which all the distances of a symbol's times agree."""
    symbols: dict[timedelta, list[Symbol]] = {}
    for name, bar in lengths.items():
        if bar is not None and not bar.differing:
            symbols.setdefault(bar.length, []).append(name)
    return [
        f"bars are {timeframe(length)} long, the distance between all their times: {_join(names)}"
        for length, names in sorted(symbols.items())[:MAX_NOTES]
    ]


def _join(names: Sequence[Symbol]) -> str:
    more = f" and {len(names) - MAX_NOTES} more" if len(names) > MAX_NOTES else ""
    return ", ".join(names[:MAX_NOTES]) + more


def timeframe(length: timedelta) -> str:
    """Return a length as in the column ``timeframe``.

    >>> timeframe(timedelta(minutes=90))
    '90m'
    """
    for letter, unit in (("d", timedelta(days=1)), ("h", timedelta(hours=1)), ("m", timedelta(minutes=1))):
        if length >= unit and not length % unit:
            return f"{length // unit}{letter}"
    return f"{length.total_seconds():.15g}s"
