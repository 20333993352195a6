"""Who may connect to the embedded server, and how: its files ``pg_hba.conf`` and ``pg_ident.conf``."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg

from domain.files.owners import ROOT, user_name
from domain.files.private_files import written_atomically
from persistence.roles.accounts import end_sessions
from persistence.rows import one_row
from persistence.sessions.session import SETTINGS, open_privileged_session, open_session

OWN_ROLES = ("paper", "paper_backup", "postgres")
"""The owner of the database, the role that reads it for backups, and the superuser."""
MAP = "paper_trading"
"""Name of the map from users of the machine to roles, in the server's file pg_ident.conf."""
AUTHENTICATION = f"""\
# Written by `db role create` and at each start: who may connect, and how. The first line that fits counts.
local all {",".join(OWN_ROLES)} peer map={MAP}
local all all scram-sha-256
host all all all reject
"""
WITHOUT_ROLES = AUTHENTICATION.replace("scram-sha-256", "reject")
IDENTITIES = "# Written by `db role create` and at each start: which users of this machine may be which roles.\n"
OTHER_ROLES = "SELECT rolname FROM pg_catalog.pg_roles WHERE NOT rolname OPERATOR(pg_catalog.=) ANY(%s)"
RELOAD_TIMEOUT_S = 10.0
LOADED = "SELECT pg_catalog.pg_conf_load_time()"


def write_authentication(home: Path, user: tuple[int, int], authentication: str = AUTHENTICATION) -> None:
    """Write the server's files about who may connect, and how.

    The program's own roles are for processes of the user whose home it is, of this process's user, and of root.

    Args:
        home: of the service.
        user: user and group that run the server, who own these files.
        authentication: content of the file about how.
    """
    users = {user_name(uid) for uid in (home.stat().st_uid, os.geteuid(), ROOT)}
    lines = [f'{MAP} "{name}" {role}\n' for name in sorted(users) for role in OWN_ROLES]
    for name, content in (("pg_ident.conf", IDENTITIES + "".join(lines)), ("pg_hba.conf", authentication)):
        with written_atomically(home / "postgres" / name, user) as file:
            file.write(content.encode())


def reload_authentication(admin: psycopg.Connection, superuser: str) -> None:
    """Have the server read its files again, and connect by them as the superuser and as the owner.

    Raises:
        psycopg.OperationalError: one of them is refused.
    """
    (before,) = one_row(admin, LOADED)
    admin.execute("SELECT pg_catalog.pg_reload_conf()")
    deadline = time.monotonic() + RELOAD_TIMEOUT_S
    loaded = before
    while loaded == before and time.monotonic() < deadline:
        with open_privileged_session(superuser, "embedded", autocommit=True) as other:
            (loaded,) = one_row(other, LOADED)
        time.sleep(0.02)
    open_session(SETTINGS, superuser, user=OWN_ROLES[0], dbname=OWN_ROLES[0], autocommit=True).close()


@contextmanager
def closed_to_roles(superuser: str, home: Path, user: tuple[int, int]) -> Iterator[None]:
    """Keep the roles with a password out while the block runs, and end their sessions: a lock of theirs would block it.

    Should this process be killed, the next start of the server lets them in again.

    Args:
        superuser: connection string.
        home: of the service.
        user: user and group that run the server.
    """
    try:
        with open_privileged_session(superuser, "embedded", autocommit=True) as admin:
            write_authentication(home, user, WITHOUT_ROLES)
            reload_authentication(admin, superuser)
            others = admin.execute(OTHER_ROLES, [list(OWN_ROLES)]).fetchall()
            end_sessions(admin, [name for (name,) in others])
        yield
    finally:
        write_authentication(home, user)
        with (
            suppress(psycopg.OperationalError),  # the server is gone; its next start reads the file
            open_privileged_session(superuser, "embedded", autocommit=True) as admin,
        ):
            admin.execute("SELECT pg_catalog.pg_reload_conf()")
