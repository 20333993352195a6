"""How answers look: JSON documents for programs, tables and well-set numbers for people."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Any
from uuid import UUID

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from domain import wording
from domain.failures import Failure
from domain.trading.arithmetic import plain
from domain.trading.quotes import NOT_REAL

MUTE = "has not said what it trades yet: it is asked again, and decisions that need a price wait, then are rejected"
NO_PROOF = "results prove nothing about real markets"
_SHOWING = Context(prec=60, rounding=ROUND_HALF_UP)
_WIDE = 500
COLOURS = {
    "executed": "green",
    "rejected": "red",
    "expired": "yellow",
    "cancelled": "yellow",
    "ignored": "bright_black",
    "pending": "cyan",
}


def document(value: object, *, indent: bool | None = None) -> str:
    """Return ``value`` as JSON: Decimals as plain strings, dates and times as ISO 8601 in UTC, durations in seconds.

    Args:
        value: what `json` takes, and the values named above.
        indent: for a person's eyes; by default where stdout is a terminal.
    """
    wide = sys.stdout.isatty() if indent is None else indent
    return json.dumps(value, default=_encoded, ensure_ascii=False, indent=2 if wide else None)


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
        case set() | frozenset() | tuple():
            return list(value)
    msg = f"{type(value).__name__} has no place in JSON"
    raise TypeError(msg)


def _fields(value: Any) -> dict[str, object]:
    named = {"reference": value.reference} if isinstance(value, Failure) else {}
    return {**named, **{each.name: getattr(value, each.name) for each in fields(value)}}


def answer(as_json: bool, value: object, tell: Callable[[], None]) -> None:
    """Print ``value`` as JSON, or have it told to a person."""
    if as_json:
        print(document(value))  # noqa: T201
    else:
        tell()


def terminal(*, stderr: bool = False) -> Console:
    """Return where to print for people; nothing is cut to the width of a screen."""
    stream = sys.stderr if stderr else sys.stdout
    return _Terminal(file=stream, width=None if stream.isatty() else _WIDE, highlight=False, markup=False)


class _Terminal(Console):
    """Leaves a line that is too long to the terminal, and pads none."""

    def print(self, *objects: Any, **options: Any) -> None:
        """Print as rich does, but whole lines without blanks at their ends."""
        if self.file.isatty():
            super().print(*objects, **{"crop": False, **options})
            return
        with self.capture() as captured:
            super().print(*objects, **{"crop": False, **options})
        self.file.write("\n".join(line.rstrip() for line in captured.get().split("\n")))
        self.file.flush()


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, right: Iterable[str] = ()) -> Table:
    """Return a table without lines; ``right`` names the columns of numbers."""
    numbers, rows = set(right), [tuple(map(visible, row)) for row in rows]
    result = Table(box=None, padding=(0, 2, 0, 0), show_edge=False, pad_edge=False, header_style="bold")
    for column in columns:
        justify = "right" if column in numbers else "left"
        result.add_column(column, justify=justify, no_wrap=True, overflow="ellipsis")  # type: ignore[arg-type]
    # A number that is cut is a wrong number: on a narrow terminal the lines are folded by the terminal instead.
    widths = [max(cell_len(cell) for cell in column) for column in zip(columns, *rows, strict=True)]
    needed = sum(widths) + 2 * (len(widths) - 1)
    result.width = needed + 1
    for row in rows:
        result.add_row(*(Text(cell, style=COLOURS.get(cell, "")) for cell in row))
    return result


def visible(text: str) -> str:
    """Return a text of anybody's with control characters written out: none reaches the terminal, or ends a line."""
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def amount(value: Decimal | None) -> str:
    """Write money for a person: ``8,892.72``."""
    return "–" if value is None else f"{value.quantize(Decimal('0.01'), context=_SHOWING):,f}"


def signed(value: Decimal | None) -> str:
    """Write a result for a person: ``+4.00``."""
    return "–" if value is None else f"{value.quantize(Decimal('0.01'), context=_SHOWING):+,f}"


def number(value: Decimal | None) -> str:
    """Write a price or quantity for a person, all of its digits: ``110,617.14``."""
    if value is None:
        return "–"
    return f"{Decimal(plain(value)):,f}"


def price(value: Decimal | None) -> str:
    """Write a price for a person, to eight digits and at least to the cent: ``3,965.80``, ``0.19512345``."""
    if value is None:
        return "–"
    digits = min(max(2, 7 - value.adjusted()), 18)
    text = plain(value.quantize(Decimal(1).scaleb(-digits), context=_SHOWING))
    cents = len(text.partition(".")[2])
    return f"{Decimal(text):,.{max(cents, 2)}f}"


def percent(value: Decimal | None, places: int = 2) -> str:
    """Write a fraction for a person: ``+0.57 %``."""
    if value is None:
        return "–"
    return f"{(value * 100).quantize(Decimal(1).scaleb(-places), context=_SHOWING):+f} %"


def size(value: int) -> str:
    """Write a number of bytes for a person: ``512 bytes``, ``1.2 MB``."""
    for unit, length in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if value >= length:
            return f"{value / length:.1f} {unit}"
    return f"{value} bytes"


def moment(value: datetime | None) -> str:
    """Write a time for a person, in UTC."""
    return "–" if value is None else wording.moment(value)


def duration(value: timedelta | None) -> str:
    """Write how long something lasted: ``3 d 4 h``, ``12 min``, ``8 s``."""
    return "–" if value is None else wording.lasted(value)


def sources_line(sources: Iterable[str]) -> str | None:
    """Return the sentence that marks results at prices which are not real; None where all are."""
    unreal = sorted(NOT_REAL & set(sources))
    return f"{' and '.join(unreal)} prices: {NO_PROOF}" if unreal else None


def mute(prices: Mapping[str, Any]) -> bool:
    """Say whether a price source, as a running process describes it, has never said what it trades: see `MUTE`."""
    return bool(prices["real"]) and prices["instruments"] is None
