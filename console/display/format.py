"""Formats of answers: JSON documents for programs; numbers, times and texts for people."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Any
from uuid import UUID

from rich.console import Console

from domain import wording
from domain.currencies import decimals
from domain.failures import Failure
from domain.trading.arithmetic import plain

INSTRUMENTS_UNKNOWN = (
    "has not sent its list of instruments yet; retrying. Decisions that need a price wait, then are rejected"
)
NO_PROOF = "results prove nothing about real markets"
MIN_CAPITAL_FOR_CENTS = Decimal(10)
"""Amounts of a portfolio with less capital are shown with more digits."""
SMALL_CAPITAL_PLACES = 8
_ROUNDING = Context(prec=60, rounding=ROUND_HALF_UP)
_FOUR_DIGITS = Context(prec=4)
_UNLIMITED_COLUMNS = 500
"""Width where the output is no terminal."""


def document(value: object, *, indent: bool | None = None) -> str:
    """Return ``value`` as JSON: Decimals as plain strings, dates and times as ISO 8601 in UTC, durations in seconds.

    Args:
        value: anything that `json` can write, and the types named above.
        indent: whether to indent, for people; by default where stdout is a terminal.
    """
    indented = sys.stdout.isatty() if indent is None else indent
    return json.dumps(_with_names(value), default=_encoded, ensure_ascii=False, indent=2 if indented else None)


def _with_names(value: Any) -> Any:
    """Return ``value`` with its named tuples as objects; `json` alone writes them as lists."""
    match value:
        case Mapping():
            return {key: _with_names(one) for key, one in value.items()}
        case tuple() if hasattr(value, "_fields"):
            return {name: _with_names(getattr(value, name)) for name in value._fields}
        case list() | tuple():
            return [_with_names(one) for one in value]
    return value


def _encoded(value: object) -> object:  # noqa: PLR0911 - one line for each kind
    match value:
        case Decimal():
            return plain(value)
        case datetime():
            return value.astimezone(UTC).isoformat()
        case date():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case UUID():
            return str(value)
        case _ if is_dataclass(value) and not isinstance(value, type):
            return _fields(value)
        case Mapping():
            return dict(value)
        case set() | frozenset():
            return list(value)
    msg = f"{type(value).__name__} cannot be written as JSON"
    raise TypeError(msg)


def _fields(value: Any) -> dict[str, object]:
    reference = {"reference": value.reference} if isinstance(value, Failure) else {}
    return {**reference, **{field.name: _with_names(getattr(value, field.name)) for field in fields(value)}}


def answer(as_json: bool, value: object, print_text: Callable[[], None]) -> None:
    """Print ``value`` as JSON, or call ``print_text`` to print it for people."""
    if as_json:
        print(document(value))  # noqa: T201
    else:
        print_text()


def terminal(*, stderr: bool = False) -> Console:
    """Return a console that prints for people; no line is cut to the width of the screen."""
    stream = sys.stderr if stderr else sys.stdout
    return _Terminal(file=stream, width=None if stream.isatty() else _UNLIMITED_COLUMNS, highlight=False, markup=False)


class _Terminal(Console):
    """A console that neither cuts long lines nor pads short ones."""

    def print(self, *objects: Any, **options: Any) -> None:
        """Print as rich does, but without cutting lines and without blanks at their ends."""
        if self.file.isatty():
            super().print(*objects, **{"crop": False, **options})
            return
        with self.capture() as captured:
            super().print(*objects, **{"crop": False, **options})
        self.file.write("\n".join(line.rstrip() for line in captured.get().split("\n")))
        self.file.flush()


def print_fact(out: Console, label: str, text: str, style: str = "", label_width: int = 10) -> None:
    """Print a line with a label before its text."""
    out.print(f"{label:<{label_width}} {text}", style=style, soft_wrap=True)


def amount(value: Decimal | None, places: int = 2) -> str:
    """Format money or a ratio for people: ``8,892.72``."""
    return "–" if value is None else f"{value.quantize(Decimal(1).scaleb(-places), context=_ROUNDING):,f}"


def signed(value: Decimal | None, places: int = 2) -> str:
    """Format a result for people: ``+4.00``."""
    return "–" if value is None else f"{value.quantize(Decimal(1).scaleb(-places), context=_ROUNDING):+,f}"


def currency_places(currency: str, capital: Decimal | None = None) -> int:
    """Return the decimal places of amounts in a currency: 8 of BTC, 2 of USD, none of JPY.

    Args:
        currency: its code.
        capital: of the portfolio; where it is small, cents would hide its results.
    """
    is_small = capital is not None and capital < MIN_CAPITAL_FOR_CENTS
    return max(decimals(currency), SMALL_CAPITAL_PLACES) if is_small else decimals(currency)


def money(value: Decimal | None, currency: str) -> str:
    """Format an amount for people with the decimals of its currency: ``0.01449275`` BTC, ``8,892.72`` USD."""
    return amount(value, decimals(currency))


def signed_money(value: Decimal | None, currency: str) -> str:
    """Format a result for people with the decimals of its currency: ``+4.00``."""
    return signed(value, decimals(currency))


def number(value: Decimal | None) -> str:
    """Format a price or quantity for people with all its digits: ``110,617.14``."""
    if value is None:
        return "–"
    return f"{Decimal(plain(value)):,f}"


def short_number(value: Decimal) -> str:
    """Format a quantity for people with four digits: ``0.01442``."""
    return number(_FOUR_DIGITS.plus(value))


def fill(quantity: Decimal, at: Decimal) -> str:
    """Format a fill for people, its quantity with four digits: ``0.01442 @ 110,617.14``."""
    return f"{short_number(quantity)} @ {price(at)}"


def price(value: Decimal | None) -> str:
    """Format a price for people with eight digits, at least to the cent: ``3,965.80``, ``0.19512345``."""
    if value is None:
        return "–"
    digits = min(max(2, 7 - value.adjusted()), 18)
    text = plain(value.quantize(Decimal(1).scaleb(-digits), context=_ROUNDING))
    cents = len(text.partition(".")[2])
    return f"{Decimal(text):,.{max(cents, 2)}f}"


def percent(value: Decimal | None, places: int = 2, *, sign: bool = True) -> str:
    """Format a fraction for people, as a percentage: ``+0.57 %``; without ``sign``, only a negative one has a sign."""
    if value is None:
        return "–"
    return f"{(value * 100).quantize(Decimal(1).scaleb(-places), context=_ROUNDING):{'+' if sign else ''}f} %"


def size(value: int) -> str:
    """Format a number of bytes for people: ``512 bytes``, ``1.2 MB``."""
    for unit, length in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if value >= length:
            return f"{value / length:.1f} {unit}"
    return f"{value} bytes"


def moment(value: datetime | None) -> str:
    """Format a time for people, in UTC."""
    return "–" if value is None else wording.format_time(value)


def duration(value: timedelta | None) -> str:
    """Format a duration for people: ``3 d 4 h``, ``12 min``, ``8 s``."""
    return "–" if value is None else wording.format_duration(value)


def sources_line(not_real: Iterable[str]) -> str | None:
    """Return the warning for results at prices that are not real; None where all are.

    Args:
        not_real: names of the price sources whose prices are not a real market's.
    """
    names = " and ".join(map(wording.one_line, sorted(set(not_real))))
    return f"{names} prices: {NO_PROOF}" if names else None


def unreal_source(process: Mapping[str, Any] | None) -> list[str]:
    """Return the name of a process's price source, unless its prices are real or there is no process.

    Args:
        process: status of a process.
    """
    prices = process["prices"] if process is not None else None
    return [prices["source"]] if prices is not None and not prices["real"] else []


def instruments_unknown(prices: Mapping[str, Any]) -> bool:
    """Return whether a price source has never sent its list of instruments: see `INSTRUMENTS_UNKNOWN`.

    Args:
        prices: the part ``prices`` of a process's status.
    """
    return bool(prices["real"]) and prices["instruments"] is None
