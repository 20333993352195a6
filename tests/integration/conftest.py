"""Homes of the embedded server, for tests that are about it."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from persistence import schema
from persistence.embedded.locks import postmaster
from persistence.embedded.server import EmbeddedServer
from tests.support.database.servers import Server
from tests.support.screens import fixed_database
from tests.support.system.histories import as_of, write


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short one that pytest does not own: its rules for the modes of its own folders are not under test."""
    path = Path(tempfile.mkdtemp(prefix="emb")).resolve()
    yield path
    for file in path.glob(
        "**/postmaster.pid"
    ):  # left by a test that failed; what it names may be any process, even this
        if (server := postmaster(file.parent)) is not None:
            server.send_signal(signal.SIGQUIT)
            server.wait(10)
    shutil.rmtree(path)


@pytest.fixture(scope="session")
def seed() -> Iterator[Path]:
    """A home whose database is made already; a copy starts faster than a new one."""
    with tempfile.TemporaryDirectory(prefix="emb") as path:
        home = Path(path).resolve() / "home"
        EmbeddedServer.attach(home).release()
        yield home


@pytest.fixture
def home(folder: Path, seed: Path) -> Path:
    data = shutil.copytree(seed / "postgres", folder / "home" / "postgres")
    if os.geteuid() == 0:
        owner = pwd.getpwnam("pgserver")
        for path in (data, *data.rglob("*")):
            os.chown(path, owner.pw_uid, owner.pw_gid)
    return folder / "home"


@pytest.fixture(scope="session")
def sixty_days(embedded_server: Server) -> Iterator[str]:
    """The URL of a database with sixty days of three portfolios, and one in which nothing happened; only to be read."""
    made = embedded_server.create_database()
    write(made, seed=6)
    yield made
    embedded_server.drop_database(made)


@pytest.fixture(scope="module")
def fixed_url(embedded_server: Server) -> Iterator[str]:
    """The URL of the database that the screens of the documents show."""

    def fill(url: str) -> None:
        schema.upgrade(url)
        fixed_database.write(url)

    url = embedded_server.prepared_database(fill)
    yield url
    embedded_server.drop_database(url)


@pytest.fixture(scope="module")
def as_of_then() -> Iterator[None]:
    """What is read of `sixty_days` is read as of its own now."""
    with as_of():
        yield
