"""Settings that may hold secrets: what is stored of them as evidence, and what people see of them."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal

from domain.trading.arithmetic import plain

MASK = "********"
CREDENTIALS = re.compile(
    "key|secret|token|pass|uid|login|account|wallet|address|twofa|otp|pin|auth|cookie|credential|header|session|bearer"
    "|jwt|csrf|xsrf|signature|private|mnemonic|seed|user|proxy|proxies",
    re.IGNORECASE,
)
"""Whatever is named like this is a secret, even a number or a table; ccxt's ``requiredCredentials``, and a few more."""
HARMLESS = frozenset({
    "defaulttype", "defaultsubtype", "defaultsettle", "defaultmarginmode", "fetchmarkets", "type", "types", "subtype",
    "marginmode", "timeframe", "version",
})  # fmt: skip
"""Names of options of ccxt, in lower case, whose value is one of a few words. Any other text may be a secret."""
PLAIN_WORD = re.compile("[A-Za-z0-9][A-Za-z0-9_.-]{0,23}")
PLAIN_NAME = re.compile(r"[^:/=@?&;]{1,64}", re.DOTALL)
"""A name that is a name, and holds no address or assignment."""
LARGEST_PLAIN = 10**8
"""From here on a number may be an account or a session; times and limits are smaller."""
SHORTEST_SECRET, SHORTEST_TEXT = 4, 10
"""Characters. A shorter secret, or text that may be one, is not searched for in messages: most would hold it."""
DIGITS = 4
"""Hexadecimal, of a hash: a change goes unseen once in 65 536 times, and of a list of ten million passwords more than a
hundred would fit, so that none is known by it."""


def stored(value: object) -> object:
    """Return a setting as JSON can hold it: a Decimal as plain text, a sequence as a list, anything else as text."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, tuple | list):
        return [stored(each) for each in value]
    return _text(value)


def without_secrets(options: Mapping[str, object]) -> dict[str, object]:
    """Return a table that may hold secrets anywhere, so that a change can be seen and nothing of them.

    Names, numbers and truths stay; each text, and whatever has the name of a credential, is a few digits of its hash.
    """
    return {_name(name): _without(value, secret=_is_credential(name)) for name, value in options.items()}


def masked(options: Mapping[str, object]) -> dict[str, object]:
    """Return a table that may hold secrets anywhere, for people's eyes.

    What is known to be harmless stays: names, truths, ordinary numbers, and words of options that are `HARMLESS`. All
    else is masked, because a cookie may have any name; so is whatever has the name of a credential, as a whole.
    """
    return {
        _text(name) if PLAIN_NAME.fullmatch(str(name)) else MASK: _masked(name, value)
        for name, value in options.items()
    }


def masked_command(words: Sequence[str]) -> str:
    """Return a program and its arguments for people's eyes: the program alone, where it looks like one."""
    program = MASK if re.search("[=@:]", words[0]) else words[0]
    return " ".join([program, *[MASK][: len(words) - 1]])


def shown_text(value: object) -> str | None:
    """Return the value of a setting for people's eyes, without user and password of a URL; None where it has none."""
    if value is None:
        return None
    text = ", ".join(value) if isinstance(value, tuple) else str(value)
    return re.sub(r"://[^/\s'\"]*@", f"://{MASK}@", text)


def secret_texts(options: Mapping[str, object], *, secret: bool = False) -> Iterator[str]:
    """Yield the texts of a table that are masked and long enough to be searched for in messages.

    Args:
        options: the table.
        secret: it is within something that has the name of a credential.
    """
    for name, value in options.items():
        if not PLAIN_NAME.fullmatch(str(name)):
            yield str(name)
        yield from _secret_texts(name, value, secret=secret or _is_credential(name))


def _secret_texts(name: object, value: object, *, secret: bool) -> Iterator[str]:
    if isinstance(value, Mapping):
        yield from secret_texts(value, secret=secret)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _secret_texts(name, each, secret=secret)
    elif isinstance(value, bytes):
        yield from _secret_texts(name, value.decode("utf-8", "replace"), secret=secret)
    elif value is not None and not isinstance(value, bool) and (secret or _masked(name, value) == MASK):
        text = str(value)
        if len(text) >= (SHORTEST_SECRET if secret and isinstance(value, str) else SHORTEST_TEXT):
            yield text


def _masked(name: object, value: object) -> object:
    if value is None or isinstance(value, bool):
        return value
    if _is_credential(name):
        return MASK
    if isinstance(value, Mapping):
        return masked(value)
    if isinstance(value, list | tuple):
        return [_masked(name, each) for each in value]
    if isinstance(value, int | float):
        return value if abs(value) < LARGEST_PLAIN else MASK
    harmless = str(name).lower() in HARMLESS and isinstance(value, str) and PLAIN_WORD.fullmatch(value)
    return value if harmless else MASK


def _name(name: object) -> str:
    return _text(name) if PLAIN_NAME.fullmatch(str(name)) else _digest(str(name))


def _is_credential(name: object) -> bool:
    return CREDENTIALS.search(str(name)) is not None


def _without(value: object, *, secret: bool) -> object:
    if isinstance(value, Mapping):
        return {_name(name): _without(each, secret=secret or _is_credential(name)) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_without(each, secret=secret) for each in value]
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float) and not secret:
        return stored(value)
    return _digest(value)


def _text(value: object) -> str:
    """What PostgreSQL takes as text."""
    return str(value).replace("\0", "\\0").encode("utf-8", "replace").decode("utf-8")


def _digest(value: object) -> str:
    if isinstance(value, str | bytes | int | float | Decimal):
        told = repr(value)
    else:
        told = getattr(value, "isoformat", lambda: type(value).__qualname__)()  # a time, or an object of its own kind
    return f"#{hashlib.sha256(told.encode('utf-8', 'surrogatepass')).hexdigest()[:DIGITS]}"
