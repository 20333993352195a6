"""Whether the prices of an exchange are its own: asked from its addresses, as ccxt knows them, over verified TLS.

Options of ccxt can send requests elsewhere, turn the check of certificates off, or choose a test system. Prices that
come so prove nothing about the market, unless the user names the hosts that count as the exchange's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from domain.errors import SettingsError
from domain.redaction.mask import mask
from domain.wording import joined, one_line, shortened
from market.exchange.venue import configured

HARMLESS = frozenset({
    "timeout", "ratelimit", "enableratelimit", "has", "headers", "useragent", "httpproxy", "httpsproxy", "socksproxy",
    "wsproxy", "wssproxy", "wssocksproxy", "fees", "markets", "precisionmode", "verbose", "streaming",
})  # fmt: skip
"""Options that change neither where requests go nor who answers them: a proxy passes TLS on as it is."""
SANDBOX = frozenset({"sandbox", "testnet", "sandboxmode", "enabledemotrading", "xsimulatedtrading"})
"""Names, within any option, that choose a test system."""
HOST_HEADER = "host"
PREFIXES = ("proxyUrl", "proxy_url", "proxy")
"""ccxt's options of an address that gets each request in place of the exchange, and passes it on."""
NOT_ASKED = frozenset({"logo", "doc", "fees", "referral", "api_management", "test", "demo"})
"""Parts of ccxt's table of addresses from which no price comes, or only those of a test system."""
UNVERIFIED = "unverified"
MAX_REASON_LENGTH = 200


@dataclass(frozen=True, slots=True)
class Access:
    """How an exchange is reached.

    Attributes:
        options: further options of ccxt's exchange, such as proxies.
        trusted_hosts: hosts, with or without a port, whose answers count as the exchange's.
    """

    options: Mapping[str, Any] = field(default_factory=dict)
    trusted_hosts: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Provenance:
    """Whose prices a source has.

    Attributes:
        name: of the source: the exchange's id, or ``unverified`` and this id, so that nothing takes the prices of the
            one for those of the other.
        real: whether they count as those of a real market.
        notes: what is unusual, as sentences for people, without secrets.
    """

    name: str
    real: bool
    notes: tuple[str, ...] = ()


class _Origin(NamedTuple):
    scheme: str
    host: str

    def __str__(self) -> str:
        return self.host if self.scheme in {"https", "wss"} else f"{self.scheme}://{self.host}"


def provenance(exchange_id: str, access: Access) -> Provenance:
    """Return whose prices an exchange that is reached in this way has. It connects to nothing."""
    doubts, notes = [], []
    if _may_be_foreign(access.options):
        own, origins = _own_origins(exchange_id), _origins(exchange_id, access.options)
        trusted = {origin for origin in origins if access.trusted_hosts & {origin.host, origin.host.rpartition(":")[0]}}
        if foreign := origins - own - trusted:
            doubts.append(
                f"prices of {exchange_id} come from {_names(foreign)}, which ccxt does not know as its address;"
                " exchange_trusted_hosts can name it"
            )
        if (check := _certificate_doubt(access.options)) is not None and origins - trusted:
            doubts.append(check)
        if named := (origins & trusted) - own:
            notes.append(f"prices of {exchange_id} come from {_names(named)}, as exchange_trusted_hosts allows")
    if any(name in SANDBOX and value for name, value in _names_in(access.options)):
        doubts.append(f"prices of {exchange_id} come from its test system, as exchange_options demands")
    if doubts:
        return Provenance(f"{UNVERIFIED} {exchange_id}", real=False, notes=(*doubts, *notes))
    return Provenance(exchange_id, real=True, notes=tuple(notes))


def _may_be_foreign(options: Mapping[str, Any]) -> bool:
    """Return whether ccxt has to be asked; to import it takes long, and most people set nothing of this kind."""
    others = {_plain(name) for name in options} - HARMLESS - {"options"}
    return bool(others) or any(name == HOST_HEADER for name, _ in _names_in(options))


def _certificate_doubt(options: Mapping[str, Any]) -> str | None:
    names = {_plain(name): value for name, value in options.items()}
    if not names.get("verify", True) or "sslcontext" in names:
        return "certificates are not checked (exchange_options: verify), so anybody on the way can send prices"
    if "cafile" in names:
        return "certificates are checked by a list of your own (exchange_options: cafile)"
    return None


@cache
def _own_origins(exchange_id: str) -> frozenset[_Origin]:
    return frozenset(_origins(exchange_id, {}))


def _origins(exchange_id: str, options: Mapping[str, Any]) -> set[_Origin]:
    """Return the origins that ccxt asks for public data with these options.

    Raises:
        SettingsError: ccxt refuses the options.
    """
    try:
        exchange = configured(exchange_id, options)
    except Exception as error:  # noqa: BLE001 - ccxt has many, of any kind
        reason = f"{type(error).__name__}: {shortened(one_line(mask(str(error))), MAX_REASON_LENGTH)}"
        raise SettingsError(f"setting exchange_options: ccxt refuses them ({reason})") from None
    exchange.session = None  # of the options; ccxt would complain that it was not closed
    parts = (part for name, part in (exchange.urls or {}).items() if name not in NOT_ASKED)
    texts = [text for part in parts for text in _texts(part)]
    texts += [text for name in PREFIXES if isinstance(text := getattr(exchange, name, None), str)]
    texts += [value for name, value in _names_in(options) if name == HOST_HEADER and isinstance(value, str)]
    if any("{hostname}" in text for text in texts):
        texts = [text.replace("{hostname}", str(exchange.hostname or "")) for text in texts]
    return {origin for text in texts if (origin := _origin(text)) is not None}


def _origin(address: str) -> _Origin | None:
    try:
        parts = urlsplit(address if "://" in address else f"https://{address}")
    except ValueError:
        return _Origin("", "an address that cannot be read")
    host = parts.netloc.rpartition("@")[2].lower()
    return _Origin(parts.scheme.lower(), host) if host else None


def _texts(part: object) -> Iterator[str]:
    """Yield the texts in a part of ccxt's table of addresses, however deep."""
    if isinstance(part, str):
        yield part
    elif isinstance(part, Mapping | list):
        for one in part.values() if isinstance(part, Mapping) else part:
            yield from _texts(one)


def _names_in(options: object) -> Iterator[tuple[str, object]]:
    """Yield each name in options, however deep, with its value."""
    if isinstance(options, Mapping):
        for name, value in options.items():
            yield _plain(name), value
            yield from _names_in(value)


def _plain(name: object) -> str:
    return str(name).replace("_", "").replace("-", "").lower()


def _names(origins: Iterable[_Origin]) -> str:
    return joined(sorted({str(origin) for origin in origins}))
