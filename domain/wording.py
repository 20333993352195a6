"""Texts for people: messages about invalid values, counts with their noun, times and durations."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from domain.trading.arithmetic import plain

MAX_QUOTED_LENGTH = 60
FORMULA_BEGINS = ("=", "+", "-", "@", "\t", "\r")
"""First characters of a text that a spreadsheet would run as a formula."""
NAME = r"^[^\x00-\x1f]+$"
FREE_TEXT = r"^[^\x00]*$"
CURRENCY = r"^[A-Z0-9]{2,20}$"
EXCHANGE = r"^[a-z0-9_]{1,40}$"
ASSET_CLASS = r"^[a-z][a-z0-9_]{0,39}$"
SCHEMA = r"^[a-z_][a-z0-9_]{0,62}$"
PATTERNS = {
    NAME: "must be text without control characters, not empty",
    FREE_TEXT: "must be text without NUL characters",
    CURRENCY: "must be 2 to 20 letters and digits in upper case",
    EXCHANGE: "must be the id of an exchange as ccxt spells it, such as kraken",
    ASSET_CLASS: "must be a word in small letters, such as equity",
    SCHEMA: "must be a schema's name in lower case, such as public",
}
"""Patterns that values must match, with the message for a value that does not."""


def quoted(value: object) -> str:
    """Return an input value as quoted text for a message, shortened."""
    try:
        text = str(value) if isinstance(value, Decimal) else repr(value)
    except ValueError:  # an int with more digits than Python converts to text
        text = "a number of thousands of digits"
    return shortened(text, MAX_QUOTED_LENGTH)


def shortened(text: str, max_length: int) -> str:
    """Return a text of at most ``max_length`` characters, with an ellipsis where it was cut."""
    return text if len(text) <= max_length else text[: max_length - 1] + "…"


def escape_control(text: str, keep: str = "") -> str:
    """Return a text without characters that a terminal obeys, or that change how others look: as escapes instead.

    These are control characters, those of C1 included, which change the direction of writing or are invisible, and
    parts of characters that no encoding can write.

    Args:
        text: any text.
        keep: characters that stay although they are among these.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in keep else repr(c)[1:-1] for c in text)


def printable(text: str) -> str:
    """Return a text of any number of lines for a terminal; see `escape_control`. Line ends and tabs stay."""
    return escape_control(text, keep="\n\t")


def printable_json(document: str) -> str:
    """Return a document of JSON for a terminal: the same value, with escapes of JSON where `printable` has escapes."""
    if document.isprintable():
        return document
    return "".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in document)


def one_line(value: object) -> str:
    """Return any value as text on one line, with other control characters written as escapes."""
    return escape_control(" ".join(str(value).split()))


def did_you_mean(name: str, candidates: Iterable[str], most: int = 1) -> str:
    """Return the end of a sentence that suggests the names most like ``name``; empty if none is like it.

    Args:
        name: name as a person typed it; its case does not matter.
        candidates: names that exist.
        most: number of suggestions at most.
    """
    by_folded = {candidate.casefold(): candidate for candidate in candidates}
    similar = difflib.get_close_matches(name.casefold(), sorted(by_folded), n=most)
    names = " or ".join(one_line(by_folded[folded]) for folded in similar)
    return f"; did you mean {names}?" if similar else ""


def _bound(value: object) -> object:
    if isinstance(value, float):
        return f"{value:.15g}"
    match = re.fullmatch(r"Decimal\('(.+)'\)", str(value))  # pydantic's text for a bound that is a Decimal
    return plain(Decimal(match[1])) if match else value


def requirement(error: Mapping[str, Any]) -> str:
    """Return the requirement that a value did not meet, as text: ``must be at most 1``.

    Args:
        error: one of pydantic's ``ErrorDetails``.
    """
    context: Mapping[str, Any] = {name: _bound(value) for name, value in error.get("ctx", {}).items()}
    sentences = {
        "greater_than": "must be above {gt}",
        "greater_than_equal": "must be at least {ge}",
        "less_than": "must be below {lt}",
        "less_than_equal": "must be at most {le}",
        "decimal_max_places": "must have at most {decimal_places} digits after the decimal point",
        "string_too_long": "must be at most {max_length} characters",
        "string_type": "must be text",
        "enum": "must be {expected}",
        "timezone_aware": "must have a time zone, as in 2026-01-31T12:00:00Z",
        "datetime_parsing": "must be a moment such as 2026-01-31T12:00:00Z",
        "datetime_from_date_parsing": "must be a moment such as 2026-01-31T12:00:00Z",
        "datetime_type": "must be a moment such as 2026-01-31T12:00:00Z",
        "uuid_parsing": "must be a UUID",
        "uuid_type": "must be a UUID",
        "string_unicode": "must be text that UTF-8 can encode",
        "int_parsing": "must be a whole number",
        "int_from_float": "must be a whole number",
        "int_type": "must be a whole number",
        "finite_number": "must be a finite number",
        "tuple_type": "must be a list of words",
        "path_type": "must be a path",
        "float_parsing": "must be a number",
        "bool_parsing": "must be true or false",
        "bool_type": "must be true or false",
        "decimal_type": "must be a decimal number such as 0.75",
    }
    pattern = PATTERNS.get(context.get("pattern", ""))
    if pattern is not None:
        return pattern
    if error["type"] in sentences:
        return sentences[error["type"]].format_map(context).replace("'", "")
    message: str = error["msg"].removeprefix("Value error, ")
    return message[0].lower() + message[1:]


def joined(words: Iterable[str]) -> str:
    """Join words for a sentence: *a*, *a and b*, *a, b and c*."""
    *most, last = words
    return f"{', '.join(most)} and {last}" if most else last


def alternatives(words: Iterable[str]) -> str:
    """Join words of which one is meant: *a*, *a or b*, *a, b or c*."""
    *most, last = words
    return f"{', '.join(most)} or {last}" if most else last


def counted(number: int, one: str, many: str | None = None) -> str:
    """Return a number with its noun: *1 day*, *3 days*."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def format_time(at: datetime) -> str:
    """Format a time for a person, in UTC: *2026-01-31 12:00:00*."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def format_duration(span: timedelta) -> str:
    """Format a duration for a person: *3 d 4 h*, *12 min*, *8 s*."""
    seconds = int(span.total_seconds())
    for unit, length, smaller, part in (("d", 86_400, "h", 3_600), ("h", 3_600, "min", 60), ("min", 60, "s", 1)):
        if seconds >= length:
            rest = seconds % length // part
            return f"{seconds // length} {unit}" + (f" {rest} {smaller}" if rest else "")
    return f"{seconds} s"
