"""The texts by which a secret of the settings may appear elsewhere: its spellings, and the parts of an address."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable, Iterator
from urllib.parse import SplitResult, quote, quote_plus, unquote, urlsplit

MIN_SECRET_LENGTH = 4
"""Shorter passwords are not masked wherever they appear: they would match everywhere. `shapes` finds them, too."""
MIN_SECRET_PART_LENGTH = 10
"""The same for parts of an address's path or query; shorter ones are ordinary words."""
MIN_TOKEN_LENGTH = 8
"""The same for parts of the address of a service: the tokens of some have nine characters."""
LOCAL_HOSTS = frozenset({"127.0.0.1", "localhost"})
URL = re.compile(r"[A-Za-z0-9+.-]{1,40}://[^\s'\"]+")


def spellings(passwords: Iterable[str]) -> Iterator[str]:
    """Yield passwords as they are, and as URLs, JSON, HTML and Python write them."""
    for password in passwords:
        spelled = {password, quote(password), quote(password, safe=""), quote_plus(password), quote(password, " +")}
        spelled |= {json.dumps(password)[1:-1], repr(password)[1:-1], html.escape(password)}
        yield from (text for text in spelled if len(text) >= MIN_SECRET_LENGTH)


def of_url(url: str) -> Iterator[str]:
    """Yield the password of any URL, in each spelling."""
    password = _user_of(_split(url)).partition(":")[2]
    yield from spellings({password, unquote(password)} - {""})


def of_address(url: str) -> Iterator[str]:
    """Yield an address that is secret in full, and each part of it that may be a secret."""
    yield from of_url(url)
    parts = _split(url)
    texts = {url, parts.path, parts.query, f"{parts.path}?{parts.query}"}
    texts.update(re.split("[/?&=]", f"{parts.path}?{parts.query}"))
    texts |= {unquote(text) for text in texts}
    yield from (text for text in texts if len(text) >= MIN_SECRET_PART_LENGTH)


def of_service(address: str) -> Iterator[str]:
    """Yield the address of a service of Apprise, and each part of it that may be a token."""
    yield from of_text(address)
    rest, _, query = address.partition("://")[2].partition("?")
    values = [value for item in query.split("&") if (value := item.partition("=")[2])]
    user = rest.partition("/")[0].rpartition("@")[0]
    parts = {part for text in (rest, *values) for part in re.split("[/:@#,]", text) if len(part) >= MIN_TOKEN_LENGTH}
    parts |= {part for part in user.split(":")[1:] if len(part) >= MIN_SECRET_LENGTH}
    parts |= {value for value in values if len(value) >= MIN_TOKEN_LENGTH}
    parts |= {unquote(part) for part in parts}
    yield from parts - LOCAL_HOSTS


def of_text(text: str) -> Iterator[str]:
    """Yield a text that may be secret, such as a cookie, and its longer parts, but no host: people have to see it."""
    hosts = set()
    for url in URL.findall(text):
        yield from of_address(url)
        hosts.add(_split(url).netloc.rpartition("@")[2])
        user = _user_of(_split(url))  # may be a token, without a password
        yield from (part for part in (user, unquote(user), *user.split(":")) if len(part) >= MIN_SECRET_PART_LENGTH)
    parts = {part for part in re.split(r"[\s;,=&?/]", text) if len(part) >= MIN_SECRET_PART_LENGTH}
    yield from parts - hosts
    yield from {text, unquote(text), quote(text), json.dumps(text)[1:-1], repr(text)[1:-1]} - {""}


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:  # its host looks like an incomplete IPv6 address
        scheme, _, rest = url.partition("://")
        place, _, path = rest.partition("/")
        return SplitResult(scheme, place, f"/{path}", "", "")


def _user_of(parts: SplitResult) -> str:
    return parts.netloc.rpartition("@")[0]
