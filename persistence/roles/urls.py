"""URLs of roles: made from that of the owner; and what one is worth to a process of the service's own user."""

from __future__ import annotations

import os
from pathlib import Path

from loguru import logger

from domain.files.owners import ROOT, user_name
from persistence.sessions.address import make_url, parse_url

OF_OWNER = ("user", "password", "passfile", "sslcert", "sslkey", "sslpassword", "requirepeer")
"""Parameters of the owner's URL that are his alone."""
PASSWORD_PLACE = "PASSWORD"  # nosec B105  # noqa: S105 - what stands in a URL for a password that is not known here


def role_url(owner_url: str, name: str, password: str | None = None, *, folder: Path | None = None) -> str:
    """Return the URL of a role.

    Args:
        owner_url: of the same database.
        name: of the role.
        password: None: the URL has the word PASSWORD in its place.
        folder: of the socket for roles of an embedded database; None: the role connects where the owner does.
    """
    parameters = {key: value for key, value in parse_url(owner_url).items() if key not in OF_OWNER}
    parameters |= {"user": name, "password": password or PASSWORD_PLACE}
    if folder is not None:
        # Who else may write into /tmp could put a socket of their own there: libpq then connects to no other user's.
        parameters |= {"host": str(folder), "requirepeer": user_name(folder.stat().st_uid)}
    return make_url(parameters)


def own_user_warning(database_url: str) -> str | None:
    """Return what a role's URL does not protect from this process; None where it protects.

    The URL of a role of an embedded database names the user whose server it is. A process of that user, and of root,
    can connect as the owner instead, without a password.
    """
    server_user, own = parse_url(database_url).get("requirepeer"), user_name(os.geteuid())
    if server_user is None or (server_user != own and os.geteuid() != ROOT):
        return None
    return (
        f"this process runs as {own}, who can become the owner of the database, so the role of this URL limits nothing:"
        " run what sends decisions as another user"
    )


def warn_of_own_user(database_url: str) -> None:
    """Log a warning where the role of a URL limits nothing; see `own_user_warning`."""
    if (warning := own_user_warning(database_url)) is not None:
        logger.warning(warning)
