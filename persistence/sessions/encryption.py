"""Whether others on the network between this program and its database could read or change what is sent."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from contextlib import closing

from persistence.connections import connect
from persistence.error_translation import translated
from persistence.sessions.address import display_address, parse_url

VERIFIED = "verify-full"
ADVICE = "write sslmode=verify-full into database_url (docs/operations.md)"
MEANINGS = {
    "verify-ca": "is encrypted, but any server with a certificate of the same authority passes for the right one",
    "require": "is encrypted, but any server passes for the right one",
}
"""What modes of libpq do not promise, where the connection is encrypted."""


def weakness_of(database_url: str) -> str | None:
    """Return how the connection to a database is not protected, as a sentence; None where it is.

    A server on this machine needs no protection. To any other one a connection is made, because its settings may also
    stand in variables and in a file of services.

    Args:
        database_url: the database.

    Raises:
        DatabaseError: it does not answer.
    """
    parameters = parse_url(database_url)
    if "service" not in parameters and "host" in parameters and _is_local(parameters):
        return None
    with translated(), closing(connect(database_url, "probe")) as connection:
        options = {option.keyword.decode(): option.val.decode() for option in connection.pgconn.info if option.val}
        is_encrypted = bool(connection.pgconn.ssl_in_use)
    return weakness({**options, **parameters}, display_address(database_url), is_encrypted=is_encrypted)


def weakness(options: Mapping[str, str], place: str, *, is_encrypted: bool) -> str | None:
    """Return what is not protected, as `weakness_of`.

    Args:
        options: libpq's, in effect.
        place: of the database, for people.
        is_encrypted: whether TLS is used now.
    """
    mode = options.get("sslmode") or "prefer"
    if _is_local(options) or mode == VERIFIED or options.get("gssencmode") == "require":
        return None
    if not is_encrypted:
        meaning = "is not encrypted: anybody on the way can read and change it"
    else:
        meaning = MEANINGS.get(mode, "is encrypted now, but would do without, and any server passes for the right one")
    return f"the connection to the database {place} {meaning} (sslmode = {mode}); {ADVICE}"


def _is_local(options: Mapping[str, str]) -> bool:
    hosts = (options.get("hostaddr") or options.get("host") or "").split(",")
    return all(map(_is_local_host, hosts))


def _is_local_host(host: str) -> bool:
    if not host or host.startswith(("/", "@")) or host == "localhost":  # a socket, or this machine
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
