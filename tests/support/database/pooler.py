"""A real pgbouncer before a test database, in session or in transaction pooling."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from tests.support.database.server import free_port, url_of
from tests.support.system.running_system import until

CONFIGURATION = """
[databases]
* = host={host} port={port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {own_port}
unix_socket_dir =
auth_type = trust
auth_file = {folder}/users
pool_mode = {mode}
default_pool_size = 40
server_round_robin = {round_robin}
{more}
"""


def find_pgbouncer() -> str:
    """Return the path of pgbouncer; skip the test where there is none, or fail where PGBOUNCER_REQUIRED is 1."""
    named = os.environ.get("PGBOUNCER")
    path = shutil.which(named or "pgbouncer", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")
    if path is not None:
        return path
    problem = f"PGBOUNCER={named} is not a program" if named else "pgbouncer is not installed"
    reason = f"{problem}; install it (as root on Debian: .ci/pgbouncer), or name it with PGBOUNCER=/path/to/it"
    if os.environ.get("PGBOUNCER_REQUIRED") == "1":
        pytest.fail(f"PGBOUNCER_REQUIRED=1, but {reason}", pytrace=False)
    pytest.skip(reason)


@contextlib.contextmanager
def pooled(url: str, mode: str, *more: str, round_robin: bool = False) -> Iterator[str]:
    """Run pgbouncer before a database; yield the database's URL through it.

    Args:
        url: of the database.
        mode: how long a client keeps a session of the server: session or transaction.
        more: further lines of the configuration.
        round_robin: whether the session that was idle longest is taken, and not the one last used.
    """
    program = find_pgbouncer()
    params = conninfo_to_dict(url)
    own_port = free_port()
    folder = Path(tempfile.mkdtemp(prefix="paper-pooler-", dir="/tmp"))
    try:
        (folder / "users").write_text(f'"{params["user"]}" ""\n')
        (folder / "pgbouncer.ini").write_text(
            CONFIGURATION.format(
                host=params["host"], port=params.get("port", 5432), own_port=own_port, folder=folder, mode=mode,
                round_robin=int(round_robin), more="\n".join(more),
            )
        )  # fmt: skip
        options = {}
        if os.geteuid() == 0:  # which pgbouncer refuses to run as; the owner of the server's socket can reach it
            host = Path(str(params["host"]))
            owner = host.stat().st_uid if host.is_dir() else 65534
            options = {"user": owner, "group": owner if not host.is_dir() else host.stat().st_gid, "extra_groups": []}
            for path in (folder, *folder.iterdir()):
                os.chown(path, owner, -1)
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [program, "-q", str(folder / "pgbouncer.ini")],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", **options,
            )  # fmt: skip
        through = url_of({**params, "host": "127.0.0.1", "port": own_port})
        try:
            until(lambda: _answers(process, through, folder / "log"))
            yield through
        finally:
            process.terminate()
            process.wait(10)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _answers(process: subprocess.Popen[bytes], url: str, log: Path) -> bool:
    assert process.poll() is None, log.read_text()
    with contextlib.suppress(psycopg.OperationalError):
        psycopg.connect(url, connect_timeout=2).close()
        return True
    return False
