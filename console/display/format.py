"""Formats of answers: JSON documents for programs; numbers, times and texts for people."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import fields, is_dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Context, Decimal
from itertools import accumulate
from typing import IO, Any
from uuid import UUID

import typer
from rich.console import Console, ConsoleDimensions, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Span, Text

from console.display.times import local_times
from console.display.wrapping import wrap
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
MAX_EXACT_DIGITS, ROUNDED_DIGITS = 8, 6
"""Numbers in sentences for people: with more significant digits than the first, they are rounded to the second."""
MAX_NUMBER_LENGTH = 50
"""A longer number is none of this program: it stays as it is."""
_EXACT_NUMBER = re.compile(r"(?<![\w.,:/#-])\d+\.\d+(?![\w]|[.:/,-]\w)")
"""Decimal numbers of a sentence; no addresses, versions, times and parts of names."""
_ROUNDING = Context(prec=60, rounding=ROUND_HALF_UP)
_FOUR_DIGITS = Context(prec=4)
DEFAULT_SIZE = os.terminal_size((80, 24))
_UNLIMITED_COLUMNS = 500
"""Width where the output is no terminal."""


def document(value: object, *, indent: bool | None = None, stream: IO[str] | None = None) -> str:
    """Return ``value`` as JSON: Decimals as plain strings, dates and times as ISO 8601 in UTC, durations in seconds.

    On a terminal, characters that it would obey are JSON's escapes: the same value, and nothing that others sent
    changes the screen.

    Args:
        value: anything that `json` can write, and the types named above.
        indent: whether to indent, for people; by default on a terminal.
        stream: where it is to be written; by default stdout.
    """
    on_terminal = (stream or sys.stdout).isatty()
    indented = on_terminal if indent is None else indent
    text = json.dumps(_with_names(value), default=_encoded, ensure_ascii=False, indent=2 if indented else None)
    return wording.printable_json(text) if on_terminal else text


def print_document(value: object, *, indent: bool | None = None, stream: IO[str] | None = None) -> None:
    """Print a `document`; see there."""
    print(document(value, indent=indent, stream=stream), file=stream or sys.stdout, flush=True)


def confirmed(question: str) -> bool:
    """Ask the user on stderr; return whether the answer is yes."""
    return typer.confirm(wording.one_line(question), err=True)


def print_exactly(text: str, stream: IO[str] | None = None) -> None:
    """Write a text that other programs read: as it is, but without control characters where stdout is a terminal."""
    target = stream or sys.stdout
    target.write(wording.printable(text) if target.isatty() else text)
    target.flush()


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


def answer(as_json: bool, value: object, text: str | Callable[[], None]) -> None:
    """Print ``value`` as JSON, or for people: ``text``, a sentence, or what calling it prints."""
    if as_json:
        print_document(value)
    elif isinstance(text, str):
        terminal().print(wording.one_line(text))
    else:
        text()


def terminal(*, stderr: bool = False) -> Console:
    """Return a console that prints for people; on a terminal it wraps at words, elsewhere it wraps and cuts nothing."""
    stream = sys.stderr if stderr else sys.stdout
    return _Terminal(file=stream, highlight=False, markup=False, emoji=False)


class _Terminal(Console):
    """A console that cuts no line and pads none; see `terminal`.

    Whatever it prints is `domain.wording.printable`: text from outside cannot move the cursor, hide what is there or
    change the terminal in another way. Only the codes of rich itself, such as colours, are added.
    """

    @property
    def size(self) -> ConsoleDimensions:
        """Size of the terminal now, also of a dumb one; where there is none, lines are as long as they have to be."""
        if not self.file.isatty():
            return ConsoleDimensions(_UNLIMITED_COLUMNS, DEFAULT_SIZE.lines)
        return ConsoleDimensions(*terminal_size(self.file))

    @size.setter
    def size(self, _: tuple[int, int]) -> None:
        raise AttributeError("the size is the terminal's")

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Yield the parts of any object that rich can draw, such as a tree, their texts without control characters."""
        for segment in super().render(renderable, options):
            text = segment.text if segment.control else wording.printable(segment.text)
            yield segment if text == segment.text else Segment(text, segment.style)

    def print(self, *objects: Any, **options: Any) -> None:
        """Print as rich does, but wrap texts at words on a terminal; elsewhere no line has blanks at its end."""
        objects = tuple(map(_printable, objects))
        kept = len(objects) == 1 and isinstance(objects[0], str | Text) and "overflow" not in options
        if self.file.isatty():
            if kept and not (isinstance(objects[0], Text) and objects[0].no_wrap):
                objects = (Text("\n").join(wrap(objects[0], self.width)),)
            super().print(*objects, **{"crop": False, "soft_wrap": kept, **options})
            return
        with self.capture() as captured:
            super().print(*objects, **{"crop": False, "soft_wrap": kept, **options})
        self.file.write("\n".join(line.rstrip() for line in captured.get().split("\n")))
        self.file.flush()


def _printable(value: Any) -> Any:
    """Return a text that `terminal` prints, with escapes in place of control characters; another object as it is."""
    if isinstance(value, str):
        return wording.printable(value)
    return printable_text(value) if isinstance(value, Text) else value


def printable_text(text: Text, keep: str = "\n\t") -> Text:
    """Return a text with escapes in place of control characters but those of ``keep``, in the same styles."""
    if wording.escape_control(text.plain, keep) == text.plain:
        return text
    parts = [wording.escape_control(character, keep) for character in text.plain]
    starts = [0, *accumulate(map(len, parts))]
    clean = text.blank_copy("".join(parts))
    ends = len(parts)
    clean.spans = [Span(starts[min(span.start, ends)], starts[min(span.end, ends)], span.style) for span in text.spans]
    return clean


def terminal_size(stream: IO[str]) -> os.terminal_size:
    """Return the size of the terminal on a stream; COLUMNS and LINES take precedence, as everywhere."""
    size = DEFAULT_SIZE
    with suppress(OSError, ValueError):
        size = os.get_terminal_size(stream.fileno())
    named = [os.environ.get(name, "") for name in ("COLUMNS", "LINES")]
    numbers = [int(text) if text.isdecimal() else 0 for text in named]
    # A terminal that does not know its size says 0.
    columns, lines = (next(filter(None, sizes)) for sizes in zip(numbers, size, DEFAULT_SIZE, strict=True))
    return os.terminal_size((columns, lines))


def print_fact(out: Console, label: str, text: str, style: str = "", label_width: int = 10) -> None:
    """Print a label and its text, whose further lines begin below the first on a terminal."""
    fact = f"{label:<{label_width}} {wording.escape_control(text)}"
    hanging = label_width + 1 if label else 0  # without a label, the first line is indented itself
    lines = wrap(fact, out.width, hanging) if out.file.isatty() else [Text(fact)]
    for line in lines:
        line.no_wrap = True
        out.print(line, style=style)


def amount(value: Decimal | None, places: int = 2) -> str:
    """Format money or a ratio for people: ``8,892.72``; what rounds to zero has no minus."""
    return "–" if value is None else f"{value.quantize(Decimal(1).scaleb(-places), context=_ROUNDING):z,f}"


def signed(value: Decimal | None, places: int = 2) -> str:
    """Format a result for people: ``+4.00``."""
    return "–" if value is None else f"{value.quantize(Decimal(1).scaleb(-places), context=_ROUNDING):z+,f}"


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
    return f"{(value * 100).quantize(Decimal(1).scaleb(-places), context=_ROUNDING):z{'+' if sign else ''}f} %"


def size(value: int) -> str:
    """Format a number of bytes for people: ``512 bytes``, ``1.2 MB``."""
    for unit, length in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if value >= length:
            return f"{value / length:.1f} {unit}"
    return f"{value} bytes"


def sentence(text: str) -> str:
    """Return a stored sentence for people: on one line, its times in the zone of stdout, its numbers rounded.

    A number with more than eight digits gets six of them, at least to the cent: ``2038.0403324925`` is ``2,038.04``.
    The document of ``--json`` has the sentence as it is stored.
    """
    return _EXACT_NUMBER.sub(lambda match: _rounded(match[0]), local_times(wording.one_line(text)))


def _rounded(text: str) -> str:
    if len(text) > MAX_NUMBER_LENGTH:
        return text
    value = Decimal(text)
    if len(value.as_tuple().digits) > MAX_EXACT_DIGITS:
        places = max(ROUNDED_DIGITS - 1 - value.adjusted(), 2)
        value = Decimal(plain(value.quantize(Decimal(1).scaleb(-places), context=_ROUNDING)))
        if value and abs(value) >= 1:
            return f"{value:,.{max(2, len(plain(value).partition('.')[2]))}f}"
    return f"{value:,f}"


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
    live = prices.get("live", prices["real"])  # missing in the answer of an earlier version
    return bool(live) and prices["instruments"] is None
