"""What stands in a file of prices: cells of text, read as numbers, times and symbols, and what a row of them says."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import NamedTuple, NoReturn

from domain.errors import SettingsError
from domain.trading.arithmetic import CONTEXT, ZERO, multiply
from domain.trading.decision import MAX_AMOUNT
from domain.types import Symbol

MOST_DECIMALS = 18
"""Prices are stored as NUMERIC(38,18)."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SMALLEST = Decimal("1e-18")
_THOUSAND, _MILLION = Decimal(1_000), Decimal(1_000_000)
_UNIX = re.compile(r"(?!\d{8}$)\d+(\.\d+)?", re.ASCII)  # eight digits are a date, 20260131
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_FIRST_MILLISECOND = Decimal("1e11")  # as seconds it would be the year 5138, as milliseconds it is 1973
_FIRST_MICROSECOND = Decimal("1e14")
_SYMBOL = re.compile(r"[^\x00-\x20/:]+(/[^\x00-\x20/:]+(:[^\x00-\x20/]+)?)?")


class Entry(NamedTuple):
    """What a row of a file says: a price, and when it came to be one.

    Attributes:
        begin: of what the row is about; a price by itself begins and ends at once.
        end: when ``price`` was the price; None for a bar that does not say how long it is.
    """

    begin: datetime
    end: datetime | None
    symbol: Symbol
    price: Decimal
    bid: Decimal | None
    ask: Decimal | None
    volume: Decimal | None


class Row(NamedTuple):
    """One price of a file, at its moment; see `Quote`."""

    time: datetime
    symbol: Symbol
    price: Decimal
    bid: Decimal | None
    ask: Decimal | None
    volume: Decimal | None


class Wrong(Exception):
    """What is wrong with a row or a header; whoever knows the file and the line says where."""


def refuse(path: Path, what: str, place: str = "") -> NoReturn:
    """Raise the `SettingsError` that says what is wrong with the file, at a place such as ``line 3``."""
    where = f", {place}" if place else ""
    msg = f"prices = {path}{where}: {what}"
    raise SettingsError(msg) from None


def shown(text: str) -> str:
    """Return ``text`` in quotes, short enough for a sentence."""
    return repr(text if len(text) <= 60 else text[:57] + "…")


def number(name: str, text: str, *, rounded: bool = False) -> Decimal | None:
    """Return the exact number in the column ``name``, or one ``rounded`` to 18 decimals; None where nothing is written.

    Raises:
        Wrong: it is no number, not above 0 (a volume may be 0), not below 1e20, or has more than 18 decimals.
    """
    if not text:
        return None
    # The pattern first: Decimal would also take 1_000, NaN and other alphabets' digits.
    try:
        value = Decimal(text) if _NUMBER.fullmatch(text) else None
    except InvalidOperation:
        value = None
    if value is None:
        raise Wrong(f"{name} is {shown(text)}, it must be a number such as 110485.85")
    zero_allowed = name == "volume"  # a moment in which nothing was traded
    if not (ZERO < value < MAX_AMOUNT or (zero_allowed and value == ZERO)):
        least = "at least" if zero_allowed else "above"
        raise Wrong(f"{name} is {shown(text)}, it must be {least} 0 and below 1e20")
    if _exponent(value) < -MOST_DECIMALS:
        if rounded:
            return storable(value)
        raise Wrong(f"{name} is {shown(text)}, it may have at most {MOST_DECIMALS} decimals")
    return value


def storable(value: Decimal) -> Decimal:
    """Return ``value`` rounded to 18 decimals, or as it is if it has no more."""
    return CONTEXT.quantize(value, _SMALLEST) if _exponent(value) < -MOST_DECIMALS else value


def _exponent(value: Decimal) -> int:
    exponent = value.as_tuple().exponent
    assert isinstance(exponent, int)
    return exponent


def symbol(text: str) -> Symbol:
    """Return the symbol that ``text`` is.

    Raises:
        Wrong: it is none.
    """
    if not _SYMBOL.fullmatch(text):
        raise Wrong(f"symbol is {shown(text)}, it must be one such as BTC/USDT")
    return Symbol(text)


def moment(name: str, text: str) -> datetime:
    """Return the time in the column ``name``: ISO 8601 (without an offset: UTC), or unix seconds or milliseconds.

    Raises:
        Wrong: it is no time.
    """
    try:
        if _UNIX.fullmatch(text):
            count = Decimal(text)
            if count >= _FIRST_MICROSECOND:
                raise Wrong(f"{name} is {shown(text)}, it must be in seconds or milliseconds")
            micro = multiply(count, _THOUSAND if count >= _FIRST_MILLISECOND else _MILLION)
            return EPOCH + timedelta(microseconds=int(micro))
        time = datetime.fromisoformat(text)
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):
        raise Wrong(f"{name} is {shown(text)}, it must be one such as 2026-01-31T12:00:00Z or unix seconds") from None
