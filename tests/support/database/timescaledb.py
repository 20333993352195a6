"""TimescaleDB for tests: a configured server, Docker with a local image, or the development script."""

from __future__ import annotations

import os
import secrets
import subprocess
import time
from pathlib import Path
from typing import Any, ClassVar

import psycopg
from psycopg import sql

from tests.support.database.server import ROLE, Server, Unavailable, free_port, run, url_of

SCRIPT = Path(__file__).parents[3] / ".ci" / "timescaledb"
IMAGE = "timescale/timescaledb"
TIMESCALEDB = "timescaledb-17"
HOW_TO_GET_TIMESCALEDB = (
    "set TEST_TIMESCALEDB_URL to a role that may create databases, "
    f"or start Docker and `docker pull {IMAGE}:latest-pg17`, or set TIMESCALEDB_SCRIPT=1 (root on Debian)"
)


class ScriptedServer(Server):
    """TimescaleDB from the development script; see the comment at its top."""

    may_copy = True

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._url: str | None = None

    @property
    def admin_url(self) -> str:
        assert self._url is not None, f"{self.name} was never started"
        return self._url

    def _start(self) -> None:
        if self._url is None:
            # The first time on a machine it downloads some 100 MB.
            self._url = run([SCRIPT, "start"], timeout=900).strip()
        elif not self.answers():
            run([SCRIPT, "start", self._url])

    def _stop(self, immediate: bool) -> None:
        run([SCRIPT, "stop", "--keep", *(["--immediate"] if immediate else []), self.admin_url])

    def close(self) -> None:
        if self._url is not None:
            run([SCRIPT, "stop", "--immediate", self._url])
            self._url = None


class DockerServer(Server):
    """TimescaleDB from a local Docker image; nothing is pulled."""

    def __init__(self, name: str, image: str) -> None:
        super().__init__(name)
        self._image = image
        self._container: str | None = None
        self._port = 0

    @property
    def admin_url(self) -> str:
        assert self._container is not None, f"{self.name} was never started"
        return url_of({"user": "postgres", "dbname": "postgres", "host": "127.0.0.1", "port": self._port})

    def _start(self) -> None:
        if self._container is None:
            # Neither --rm nor -P: stop would take the data with it, and each start would get another port.
            self._port = free_port()
            container = f"paper-trading-tests-{secrets.token_hex(6)}"
            self._container = container  # before it exists, so that close() removes one that fails to start
            options = [f"--name={container}", f"--publish=127.0.0.1:{self._port}:5432", "--pull=never"]
            environment = ["--env=POSTGRES_HOST_AUTH_METHOD=trust", "--env=TIMESCALEDB_TELEMETRY=off"]
            settings = ["max_connections=200", "timescaledb.max_background_workers=32", "max_worker_processes=48"]
            server = ["postgres", *(option for setting in settings for option in ("-c", setting))]
            run(["docker", "run", "--detach", *options, *environment, self._image, *server])
        else:
            run(["docker", "start", self._container])
        # While the image initialises itself its server listens on a socket only, so an answer means: ready.
        deadline = time.monotonic() + 60
        while not self.answers():
            if time.monotonic() > deadline:
                raise RuntimeError(f"container {self._container} does not answer on port {self._port} after 60 s")
            time.sleep(0.1)

    def _stop(self, immediate: bool) -> None:
        assert self._container is not None, f"{self.name} was never started"
        # SIGINT is PostgreSQL's fast shutdown; SIGTERM would wait for every client to leave by itself.
        run(["docker", "kill", "--signal=KILL" if immediate else "--signal=INT", self._container])
        run(["docker", "wait", self._container], timeout=60)

    def close(self) -> None:
        if self._container is not None:
            run(["docker", "rm", "--force", "--volumes", self._container])
            self._container = None


class ConfiguredServer(Server):
    """A server that the user runs. Tests make databases on it and remove them, but never stop it."""

    may_stop: ClassVar[bool] = False

    def __init__(self, name: str, url: str) -> None:
        super().__init__(name)
        self._url = url
        self._databases: list[str] = []

    @property
    def admin_url(self) -> str:
        return self._url

    def _start(self) -> None:
        try:
            psycopg.connect(self._url, connect_timeout=5).close()
        except psycopg.Error as error:
            raise Unavailable(f"TEST_TIMESCALEDB_URL cannot be reached: {' '.join(str(error).split())}") from None

    def _stop(self, immediate: bool) -> None:
        raise Unavailable("tests may not stop the server that TEST_TIMESCALEDB_URL names")

    def create_database(self) -> str:
        url = super().create_database()
        self._databases.append(url)
        return url

    def close(self) -> None:
        for url in self._databases:
            self.drop_database(url)
        self._databases.clear()
        if self._password is not None and self._role is not None:
            with self.connect() as admin:
                admin.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(self._role)))
        self._role = self._password = None

    def _create_role(self, admin: psycopg.Connection[Any]) -> str:
        """A role of this session alone, with a password; the given role itself where it may create none."""
        row = admin.execute(
            "SELECT rolsuper, rolcreaterole, rolname FROM pg_roles WHERE rolname = current_user"
        ).fetchone()
        assert row is not None
        superuser, may_create, own_name = row
        if not (superuser or may_create):
            return str(own_name)
        role, password = f"{ROLE}_{secrets.token_hex(6)}", secrets.token_hex(16)
        admin.execute(
            sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(role), sql.Literal(password)),
        )
        self._role, self._password = role, password  # now, so that close() removes it whatever comes next
        if not superuser:  # who is no superuser gives a database only to a role that it belongs to
            admin.execute(sql.SQL("GRANT {} TO CURRENT_USER").format(sql.Identifier(role)))
        return role


def docker_image() -> str | None:
    """TimescaleDB's image on this machine, for PostgreSQL 17 if there is one; None without Docker or image."""
    try:
        if not run(["docker", "info", "--format={{.ServerVersion}}"], timeout=2).strip():
            return None
        listed = run(["docker", "image", "ls", "--format={{.Repository}}:{{.Tag}}", IMAGE], timeout=10).split()
    except (OSError, RuntimeError, subprocess.TimeoutExpired):
        return None
    images = [image for image in listed if not image.endswith("<none>")]
    return next((image for image in images if "pg17" in image), images[0] if images else None)


def find_timescaledb() -> Server:
    """TimescaleDB by the first way that this machine and its environment offer.

    Raises:
        Unavailable: there is none; the message says how to get one.
    """
    if url := os.environ.get("TEST_TIMESCALEDB_URL"):
        return ConfiguredServer(TIMESCALEDB, url)
    if image := docker_image():
        return DockerServer(TIMESCALEDB, image)
    if os.environ.get("TIMESCALEDB_SCRIPT") == "1":
        return ScriptedServer(TIMESCALEDB)
    raise Unavailable(f"there is no TimescaleDB; {HOW_TO_GET_TIMESCALEDB}")
