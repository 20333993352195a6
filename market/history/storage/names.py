"""Names of files and folders for exchanges, symbols and timeframes: no text becomes a path by itself.

Every character that is not in a small safe set is percent-encoded, and so is every letter of the other case. So names
that differ in case only are different files on every file system, and none of them is ``..``, hidden, or reserved.
"""

from __future__ import annotations

import hashlib
import string

from domain.errors import SettingsError
from domain.wording import quoted

UPPER = frozenset(string.ascii_uppercase + string.digits + "-_")
"""Characters of symbols that stay as they are."""
LOWER = frozenset(string.ascii_lowercase + string.digits + "-_")
"""Characters of exchanges and timeframes that stay as they are."""
MAX_NAME_LENGTH = 120
"""A longer name is cut, and ends with a hash of the whole text."""
HASH_MARK = "~"
"""Stands before the hash of a long name; it is in no other name."""
MAX_TEXT_LENGTH = 1_000
_RESERVED = frozenset(
    {"CON", "PRN", "AUX", "NUL"} | {f"{port}{number}" for port in ("COM", "LPT") for number in range(10)}
)


def symbol_name(symbol: str) -> str:
    """Return the name of a symbol's folder.

    >>> symbol_name("BTC/USDT")
    'BTC%2FUSDT'

    Raises:
        SettingsError: the symbol is empty, too long, or no text that can be written.
    """
    return _encoded("symbol", symbol, UPPER)


def exchange_name(exchange: str) -> str:
    """Return the name of an exchange's folder.

    Raises:
        SettingsError: the exchange is empty, too long, or no text that can be written.
    """
    return _encoded("exchange", exchange, LOWER)


def timeframe_name(timeframe: str) -> str:
    """Return the name of a timeframe's file without its suffix: a minute and a month differ in more than their case.

    >>> timeframe_name("1m"), timeframe_name("1M")
    ('1m', '1%4D')
    """
    return _encoded("timeframe", timeframe, LOWER)


def _encoded(what: str, text: str, safe: frozenset[str]) -> str:
    if not text or len(text) > MAX_TEXT_LENGTH:
        raise SettingsError(f"{what} {quoted(text)} must have 1 to {MAX_TEXT_LENGTH} characters")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise SettingsError(f"{what} {quoted(text)} must be text that UTF-8 can encode") from None
    first_safe = safe if text.upper() not in _RESERVED else frozenset()
    name = _percent(text[0], first_safe) + "".join(_percent(character, safe) for character in text[1:])
    if len(name) <= MAX_NAME_LENGTH:
        return name
    digest = hashlib.sha256(text.encode("utf-8")).hexdigest()
    # Without a part of a character at the end, so that the beginning stays readable.
    kept = name[: MAX_NAME_LENGTH - len(digest) - len(HASH_MARK)].rstrip("%")
    return f"{kept}{HASH_MARK}{digest}"


def _percent(character: str, safe: frozenset[str]) -> str:
    if character in safe:
        return character
    return "".join(f"%{byte:02X}" for byte in character.encode("utf-8"))
