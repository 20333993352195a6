"""Rows that are OHLC bars: each gives one price, its close, at the moment of its end.

A bar's time is its begin, but its close is known at its end only; to play it earlier would show the future.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from decimal import Decimal

from domain.arithmetic import plain
from domain.words import Symbol
from market.cells import Entry, Row, Wrong, moment, number, shown, symbol

TIMES = ("time", "timestamp", "date", "datetime")
"""Names for the column that says when a bar begins."""
COLUMNS = ("symbol", "close", "open", "high", "low", "volume", "timeframe", "close_time")
_NO_TIME = timedelta()
# M alone is a month, which has no length; so only the other letters may be capitals.
_TIMEFRAME = re.compile(r"([1-9]\d{0,3})([smhdwSHDW])", re.ASCII)
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
# Capitals, and a quote that begins with a letter: my-prices and DATA-2026 are no symbols.
_FILE_NAME = re.compile(r"([A-Z0-9]+)[-_]([A-Z][A-Z0-9]+)(?:[-_][1-9]\d*[A-Za-z])?", re.ASCII)


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


def lengths(entries: Iterable[Entry]) -> dict[Symbol, timedelta]:
    """Return for each symbol the smallest distance between two of its times: how long a bar is that does not say so.

    A symbol whose rows all say when they end has the length of what its times tell, if anything.

    Raises:
        Wrong: nothing tells how long a bar is.
    """
    found: dict[Symbol, timedelta] = {}
    latest: dict[Symbol, datetime] = {}
    silent: dict[Symbol, None] = {}  # in the order of the file, so that the same file gives the same sentence
    for opened in entries:
        name, begin = opened.symbol, opened.begin
        known = found.setdefault(name, _NO_TIME)
        before = latest.get(name)
        if opened.end is None:
            if begin == before:
                raise Wrong(f"{name} has two bars that begin at {begin.isoformat()}")
            silent[name] = None
        if before is not None and before < begin and (not known or begin - before < known):
            found[name] = begin - before
        latest[name] = begin
    for name in silent:
        if not found[name]:
            raise Wrong(f"{name} has one bar only, a column timeframe, such as 1h, or close_time must tell its length")
        _after(latest[name], found[name])
    return found


def by_end(entries: Iterable[Entry], known: Mapping[Symbol, timedelta]) -> Iterator[Row]:
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
            if opened.symbol not in known:
                raise Wrong(f"{opened.symbol} was not there when the file was checked")
            end = _after(opened.begin, known[opened.symbol])
        heapq.heappush(waiting, (end, count, opened))
    while waiting:
        yield _row(heapq.heappop(waiting))


def _row(ended: tuple[datetime, int, Entry]) -> Row:
    end, _, closed = ended
    return Row(end, *closed[2:])
