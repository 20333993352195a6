"""Redaction of settings that may hold secrets: the form that is stored as evidence, and the form that people see."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal

from domain.redaction.mask import MASK as MASK  # noqa: PLC0414 - the settings take it from here
from domain.redaction.mask import mask
from domain.trading.arithmetic import plain

CREDENTIALS = re.compile(
    "key|secret|token|pass|uid|login|account|wallet|address|twofa|otp|pin|auth|cookie|credential|header|session|bearer"
    "|jwt|csrf|xsrf|signature|private|mnemonic|seed|user|proxy|proxies",
    re.IGNORECASE,
)
"""Names of secrets, also of numbers and tables: those of ccxt's ``requiredCredentials``, and a few more."""
HARMLESS = frozenset({
    "defaulttype", "defaultsubtype", "defaultsettle", "defaultmarginmode", "fetchmarkets", "type", "types", "subtype",
    "marginmode", "timeframe", "version",
})  # fmt: skip
"""Names of ccxt options, in lower case, whose value is one of a few words. Any other text may be a secret."""
PLAIN_WORD = re.compile("[A-Za-z0-9][A-Za-z0-9_.-]{0,23}")
PLAIN_NAME = re.compile(r"[^:/=@?&;]{1,64}", re.DOTALL)
"""A name that holds no address and no assignment."""
MIN_ACCOUNT_NUMBER = 10**8
"""From here on a number may be an account or a session; times and limits are smaller."""
MIN_SECRET_LENGTH, MIN_TEXT_LENGTH = 4, 10
"""Characters that a secret, and a text that may be one, need to be masked in messages; shorter ones are in most."""
DIGEST_DIGITS = 4
"""Hexadecimal digits of a hash. One change in 65 536 goes unseen; and more than a hundred of a list of ten million
passwords have the same digits, so that the digits do not reveal which one it is."""


def stored(value: object) -> object:
    """Return a setting as JSON can hold it: a Decimal as plain text, a list and a table as such, others as text."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else _float_text(value)
    if isinstance(value, tuple | list):
        return [stored(item) for item in value]
    if isinstance(value, Mapping):
        return {str(name): stored(item) for name, item in value.items()}
    return _text(value)


def without_secrets(options: Mapping[str, object]) -> dict[str, object]:
    """Return a table for storage: changes of its values are visible, the secrets in it are not.

    Names, numbers and booleans stay. Each text, and each value with the name of a credential, becomes some digits of
    its hash.
    """
    return {_name(name): _without(value, secret=_is_credential(name)) for name, value in options.items()}


def masked(options: Mapping[str, object]) -> dict[str, object]:
    """Return a table for people, with everything masked that may be a secret.

    Only harmless values stay: names, booleans, ordinary numbers, and words of options in `HARMLESS`. All others are
    masked, because a cookie may have any name; a value with the name of a credential is masked as a whole.
    """
    return {
        _text(name) if PLAIN_NAME.fullmatch(str(name)) else MASK: _masked(name, value)
        for name, value in options.items()
    }


def masked_command(arguments: Sequence[str]) -> str:
    """Return a command line for people: the program, unless it looks like a secret, and a mask for its arguments."""
    program = MASK if re.search("[=@:]", arguments[0]) else arguments[0]
    return " ".join([program, *[MASK][: len(arguments) - 1]])


def masked_service(address: str) -> str:
    """Return the address of a service of Apprise for people: ``tgram://********``."""
    return f"{address.partition('://')[0]}://{MASK}"


def _float_text(value: float) -> str:
    return "max" if value == math.inf else str(value)


def shown_text(value: object) -> str | None:
    """Return the value of a setting for people, without the user and password of a URL; None for no value."""
    if value is None:
        return None
    if isinstance(value, float):
        return _float_text(value)
    return mask(", ".join(value) if isinstance(value, tuple) else str(value))


def secret_texts(value: object, name: object = "", *, secret: bool = False) -> Iterator[str]:
    """Yield the masked texts of a table that are long enough to be masked in messages too.

    Args:
        value: the table, or a value in it.
        name: the name of the value.
        secret: whether the value, or a table around it, has the name of a credential.
    """
    if isinstance(value, Mapping):
        for key, item in value.items():
            if not PLAIN_NAME.fullmatch(str(key)):
                yield str(key)
            yield from secret_texts(item, key, secret=secret or _is_credential(key))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from secret_texts(item, name, secret=secret)
    elif isinstance(value, bytes):
        yield from secret_texts(value.decode("utf-8", "replace"), name, secret=secret)
    elif value is not None and not isinstance(value, bool) and (secret or _masked(name, value) == MASK):
        text = str(value)
        if len(text) >= (MIN_SECRET_LENGTH if secret and isinstance(value, str) else MIN_TEXT_LENGTH):
            yield text


def _masked(name: object, value: object) -> object:
    if value is None or isinstance(value, bool):
        return value
    if _is_credential(name):
        return MASK
    if isinstance(value, Mapping):
        return masked(value)
    if isinstance(value, list | tuple):
        return [_masked(name, item) for item in value]
    if isinstance(value, int | float):
        return value if abs(value) < MIN_ACCOUNT_NUMBER else MASK
    harmless = str(name).lower() in HARMLESS and isinstance(value, str) and PLAIN_WORD.fullmatch(value)
    return value if harmless else MASK


def _name(name: object) -> str:
    return _text(name) if PLAIN_NAME.fullmatch(str(name)) else _digest(str(name))


def _is_credential(name: object) -> bool:
    return CREDENTIALS.search(str(name)) is not None


def _without(value: object, *, secret: bool) -> object:
    if isinstance(value, Mapping):
        return {_name(name): _without(item, secret=secret or _is_credential(name)) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without(item, secret=secret) for item in value]
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float) and not secret:
        return stored(value)
    return _digest(value)


def _text(value: object) -> str:
    """Return a value as text that PostgreSQL accepts."""
    return str(value).replace("\0", "\\0").encode("utf-8", "replace").decode("utf-8")


def _digest(value: object) -> str:
    if isinstance(value, str | bytes | int | float | Decimal):
        text = repr(value)
    else:
        text = getattr(value, "isoformat", lambda: type(value).__qualname__)()  # a time, or any other object
    return f"#{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:DIGEST_DIGITS]}"
