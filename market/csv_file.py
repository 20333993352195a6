"""A CSV file of prices, played at the pace at which they were recorded, or faster."""

from __future__ import annotations

import csv
import re
import threading
from collections.abc import Generator, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from itertools import groupby, islice
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple, NoReturn, Protocol

from domain.arithmetic import CONTEXT, ZERO, add, divide, multiply, plain
from domain.decision import LARGEST
from domain.errors import SettingsError
from domain.market import Instrument, PriceListener, Quote, SymbolBook
from domain.words import Clock, Symbol
from market.source import Stopwatch, ThreadedSource

NAME = "file"
COLUMNS = ("time", "symbol", "price", "bid", "ask", "volume")
MOST_DECIMALS = 18
"""Prices are stored as NUMERIC(38,18)."""
_SMALLEST = Decimal("1e-18")
_TWO, _THOUSAND, _MILLION = Decimal(2), Decimal(1_000), Decimal(1_000_000)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNIX = re.compile(r"(?!\d{8}$)\d+(\.\d+)?", re.ASCII)  # eight digits are a date, 20260131
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_FIRST_MILLISECOND = Decimal("1e11")  # as seconds it would be the year 5138, as milliseconds it is 1973
_FIRST_MICROSECOND = Decimal("1e14")
_SYMBOL = re.compile(r"[^\x00-\x20/:]+(/[^\x00-\x20/:]+(:[^\x00-\x20/]+)?)?")


class Row(NamedTuple):
    """One price of the file; see `Quote`."""

    time: datetime
    symbol: Symbol
    price: Decimal
    bid: Decimal | None
    ask: Decimal | None
    volume: Decimal | None


class CsvPrices(ThreadedSource):
    """A file with a header that names ``time``, ``symbol``, ``price`` and, if it likes, ``bid``, ``ask``, ``volume``.

    Columns stand in any order, in upper or lower case; others are ignored. Times are ISO 8601 (without an offset: UTC)
    or unix seconds or milliseconds, and never go back. A row without price counts at the middle of bid and ask. Rows
    of one moment are played together, their time kept as ``Quote.price_time``.

    Args:
        path: of the file; all of it is checked here, one row after the other, and read again while it is played.
        speed: seconds of the file in a second of waiting: 1 as recorded, 60 a minute a second, ``math.inf`` as fast
            as possible.
        clock: tells when a price was seen.
        stopwatch: for tests.

    Raises:
        SettingsError: the file is missing, empty or malformed; one sentence with the line.
        ValueError: ``speed`` is not above 0.
    """

    name = NAME

    def __init__(self, path: Path, speed: float, clock: Clock, stopwatch: Stopwatch | None = None) -> None:
        if not speed > 0:
            msg = f"speed = {speed}: must be above 0; inf plays as fast as possible"
            raise ValueError(msg)
        symbols = dict.fromkeys(row.symbol for row in read(path))
        if not symbols:
            _refuse(path, "it has a header but no prices")
        super().__init__(SymbolBook(_instrument(symbol) for symbol in symbols), clock, stopwatch)
        self._path = path
        self._speed = speed
        self._played = 0

    def _play(self, listener: PriceListener, stopped: threading.Event) -> str:
        begin: datetime | None = None
        origin = self._stopwatch.seconds()
        with closing(read(self._path)) as rows:
            moments = groupby(rows, attrgetter("time"))
            for time, together in islice(moments, self._played, None):
                begin = begin or time
                due = origin + (time - begin).total_seconds() / self._speed
                early = due - self._stopwatch.seconds()
                if stopped.is_set() or (early > 0 and self._stopwatch.wait(stopped, early)):
                    break
                now = self._clock.now()
                listener.quotes_seen(tuple([_quote(row, now) for row in together]))
                self._played += 1
        return f"the price file {self._path} was played to its end, its last prices only grow older now"


class _Lines(Iterator[list[str]], Protocol):
    @property
    def line_num(self) -> int: ...


def read(path: Path) -> Generator[Row, None, None]:
    """Yield the file's rows, each checked.

    Raises:
        SettingsError: at the first thing that is wrong, with its line.
    """
    try:
        # utf-8-sig: spreadsheets like to put a byte order mark first.
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield from _rows(path, csv.reader(file, strict=True))
    except FileNotFoundError:
        _refuse(path, "there is no such file")
    except OSError as error:
        _refuse(path, f"it cannot be read: {error.strerror}")
    except UnicodeDecodeError:
        _refuse(path, "it is no text in UTF-8")


def _rows(path: Path, lines: _Lines) -> Iterator[Row]:
    try:
        header = next(lines, None)
        if header is None:
            _refuse(path, "it is empty, but must begin with a header such as time,symbol,price")
        where = _columns(path, header)
        previous: datetime | None = None
        for fields in lines:
            if fields:  # an empty line is nothing
                row = _row(_named(fields, where, len(header)))
                if previous is not None and row.time < previous:
                    raise _Wrong(f"time goes back from {previous.isoformat()} to {row.time.isoformat()}")
                previous = row.time
                yield row
    except _Wrong as error:
        _refuse(path, str(error), lines.line_num)
    except csv.Error as error:
        _refuse(path, f"it is no CSV: {error}", lines.line_num)


class _Wrong(Exception):
    """What is wrong with a row."""


def _refuse(path: Path, what: str, line: int | None = None) -> NoReturn:
    where = f", line {line}" if line else ""
    msg = f"prices = {path}{where}: {what}"
    raise SettingsError(msg) from None


def _columns(path: Path, header: list[str]) -> dict[str, int]:
    """Return where each known column stands."""
    names = [name.strip().lower() for name in header]
    twice = [name for name in COLUMNS if names.count(name) > 1]
    if twice:
        _refuse(path, f"the header names {twice[0]} twice", 1)
    where = {name: names.index(name) for name in COLUMNS if name in names}
    missing = [name for name in ("time", "symbol") if name not in where]
    if "price" not in where and not {"bid", "ask"} <= where.keys():
        missing.append("price")
    if missing:
        _refuse(path, f"the header must name time, symbol and price, and lacks {', '.join(missing)}", 1)
    return where


def _named(fields: list[str], where: dict[str, int], width: int) -> dict[str, str]:
    if len(fields) != width:
        raise _Wrong(f"the row has {len(fields)} columns, the header {width}")
    return {column: fields[index].strip() for column, index in where.items()}


def _row(fields: dict[str, str]) -> Row:
    price, bid, ask, volume = (_number(name, fields.get(name, "")) for name in ("price", "bid", "ask", "volume"))
    if bid is not None and ask is not None and bid > ask:
        raise _Wrong(f"bid {plain(bid)} is above ask {plain(ask)}")
    if price is None:
        if bid is None or ask is None:
            raise _Wrong("price is empty, and so is bid or ask")
        price = _middle(bid, ask)
    symbol = fields["symbol"]
    if not _SYMBOL.fullmatch(symbol):
        raise _Wrong(f"symbol is {_shown(symbol)}, it must be one such as BTC/USDT")
    return Row(_time(fields["time"]), Symbol(symbol), price, bid, ask, volume)


def _number(name: str, text: str) -> Decimal | None:
    if not text:
        return None
    # The pattern first: Decimal would also take 1_000, NaN and other alphabets' digits.
    try:
        value = Decimal(text) if _NUMBER.fullmatch(text) else None
    except InvalidOperation:
        value = None
    if value is None:
        raise _Wrong(f"{name} is {_shown(text)}, it must be a number such as 110485.85")
    zero_allowed = name == "volume"  # a moment in which nothing was traded
    if not (ZERO < value < LARGEST or (zero_allowed and value == ZERO)):
        least = "at least" if zero_allowed else "above"
        raise _Wrong(f"{name} is {_shown(text)}, it must be {least} 0 and below 1e20")
    if _exponent(value) < -MOST_DECIMALS:
        raise _Wrong(f"{name} is {_shown(text)}, it may have at most {MOST_DECIMALS} decimals")
    return value


def _exponent(value: Decimal) -> int:
    exponent = value.as_tuple().exponent
    assert isinstance(exponent, int)
    return exponent


def _middle(bid: Decimal, ask: Decimal) -> Decimal:
    middle = divide(add(bid, ask), _TWO)
    return CONTEXT.quantize(middle, _SMALLEST) if _exponent(middle) < -MOST_DECIMALS else middle


def _time(text: str) -> datetime:
    try:
        if _UNIX.fullmatch(text):
            number = Decimal(text)
            if number >= _FIRST_MICROSECOND:
                raise _Wrong(f"time is {_shown(text)}, it must be in seconds or milliseconds")
            micro = multiply(number, _THOUSAND if number >= _FIRST_MILLISECOND else _MILLION)
            return _EPOCH + timedelta(microseconds=int(micro))
        time = datetime.fromisoformat(text)
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):
        raise _Wrong(f"time is {_shown(text)}, it must be one such as 2026-01-31T12:00:00Z or unix seconds") from None


def _shown(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "…")


def _instrument(symbol: Symbol) -> Instrument:
    _, slash, rest = symbol.partition("/")
    # BTC/USDT:USDT is a swap that is settled in what stands behind the colon; its prices are in what stands before.
    return Instrument(symbol, rest.partition(":")[0].upper() if slash else None)


def _quote(row: Row, seen_at: datetime) -> Quote:
    return Quote(row.symbol, row.price, row.time, seen_at, NAME, row.bid, row.ask, row.volume)
