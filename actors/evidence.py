"""Settings as evidence: what is stored of them for ever, where many may read it."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping
from decimal import Decimal

from domain.arithmetic import plain

CREDENTIALS = re.compile(
    "key|secret|token|pass|uid|login|account|wallet|address|twofa|otp|pin|auth|cookie|credential", re.IGNORECASE
)
"""Whatever is named like this is a secret, even a number or a table; ccxt's ``requiredCredentials``, and a few more."""
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
    return {_text(name): _without(value, secret=_is_credential(name)) for name, value in options.items()}


def _is_credential(name: object) -> bool:
    return CREDENTIALS.search(str(name)) is not None


def _without(value: object, *, secret: bool) -> object:
    if isinstance(value, Mapping):
        return {_text(name): _without(each, secret=secret or _is_credential(name)) for name, each in value.items()}
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
