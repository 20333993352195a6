"""Parsers for the fields of price files (numbers, times, symbols), and the types of their rows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import NamedTuple, NoReturn

from domain.errors import SettingsError
from domain.trading.arithmetic import ZERO, multiply, storable
from domain.trading.decision import MAX_AMOUNT
from domain.types import Symbol

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_THOUSAND, _MILLION = Decimal(1_000), Decimal(1_000_000)
_UNIX = re.compile(r"(?!\d{8}$)\d+(\.\d+)?", re.ASCII)  # eight digits are a date, 20260131
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_FIRST_MILLISECOND = Decimal("1e11")  # as seconds it would be the year 5138, as milliseconds it is 1973
_FIRST_MICROSECOND = Decimal("1e14")
_SYMBOL = re.compile(r"[^\x00-\x20/:]+(/[^\x00-\x20/:]+(:[^\x00-\x20/]+)?)?")


class Entry(NamedTuple):
    """The price in a row of a file, and the period to which it belongs.

    Attributes:
        begin: of the bar; a single price begins and ends at once.
        end: the time of ``price``; None for a bar without a length of its own.
    """

    begin: datetime
    end: datetime | None
    symbol: Symbol
    price: Decimal
    bid: Decimal | None = None
    ask: Decimal | None = None
    volume: Decimal | None = None
    bid_size: Decimal | None = None
    ask_size: Decimal | None = None


class Row(NamedTuple):
    """One price of a file and its time; see `Quote`."""

    time: datetime
    symbol: Symbol
    price: Decimal
    bid: Decimal | None = None
    ask: Decimal | None = None
    volume: Decimal | None = None
    bid_size: Decimal | None = None
    ask_size: Decimal | None = None


class FormatError(Exception):
    """A defect of a row or a header; the caller adds the file and the line."""


def refuse(path: Path, reason: str, place: str = "") -> NoReturn:
    """Raise the `SettingsError` of a defect in a price file, at a place such as ``line 3``."""
    where = f", {place}" if place else ""
    raise SettingsError(f"prices = {path}{where}: {reason}") from None


@contextmanager
def refusing_unreadable(path: Path, *errors: type[Exception]) -> Iterator[None]:
    """Turn the errors of a file that cannot be read into refusals; ``errors`` are further ones besides Python's own."""
    unreadable: tuple[type[Exception], ...] = (OSError, ValueError, *errors)  # a NUL in the path is a ValueError
    try:
        yield
    except FileNotFoundError:
        refuse(path, "there is no such file")
    except unreadable as error:
        reason = getattr(error, "strerror", None) or (str(error).splitlines() or [type(error).__name__])[0]
        refuse(path, f"it cannot be read: {reason}")


def quoted(text: str) -> str:
    """Return ``text`` in quotes, shortened to 60 characters."""
    return repr(text if len(text) <= 60 else text[:57] + "…")


def parse_number(name: str, text: str, *, rounded: bool = False) -> Decimal | None:
    """Return the exact number in the column ``name``, or one ``rounded`` to 18 decimals; None for an empty field.

    Raises:
        FormatError: it is no number, not above 0 (a volume may be 0), not below 1e20, or has more than 18 decimals.
    """
    if not text:
        return None
    # The pattern first: Decimal would also take 1_000, NaN and other alphabets' digits.
    try:
        value = Decimal(text) if _NUMBER.fullmatch(text) else None
    except InvalidOperation:
        value = None
    if value is None:
        raise FormatError(f"{name} is {quoted(text)}; it must be a number such as 110485.85")
    zero_allowed = name == "volume"  # nothing was traded in that period
    if not (ZERO < value < MAX_AMOUNT or (zero_allowed and value == ZERO)):
        least = "at least" if zero_allowed else "above"
        raise FormatError(f"{name} is {quoted(text)}; it must be {least} 0 and below 1e20")
    stored = storable(value)
    if stored is not value and not rounded:
        raise FormatError(f"{name} is {quoted(text)}; it may have at most 18 decimals")
    return stored


def parse_symbol(text: str) -> Symbol:
    """Return ``text`` as a symbol.

    Raises:
        FormatError: it is not a valid symbol.
    """
    if not _SYMBOL.fullmatch(text):
        raise FormatError(f"symbol is {quoted(text)}; it must be one such as BTC/USDT")
    return Symbol(text)


def parse_time(name: str, text: str) -> datetime:
    """Return the time in the column ``name``: ISO 8601 (without an offset: UTC), or unix seconds or milliseconds.

    Raises:
        FormatError: it is not a valid time.
    """
    try:
        if _UNIX.fullmatch(text):
            count = Decimal(text)
            if count >= _FIRST_MICROSECOND:
                raise FormatError(f"{name} is {quoted(text)}; it must be in seconds or milliseconds")
            micro = multiply(count, _THOUSAND if count >= _FIRST_MILLISECOND else _MILLION)
            return EPOCH + timedelta(microseconds=int(micro))
        time = datetime.fromisoformat(text)
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):
        raise FormatError(
            f"{name} is {quoted(text)}; it must be one such as 2026-01-31T12:00:00Z or unix seconds"
        ) from None
