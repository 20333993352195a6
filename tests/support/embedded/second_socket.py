"""The second socket of an embedded server: fixtures and helpers of its tests."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from console.cli import main
from persistence.embedded.server import EmbeddedServer
from persistence.sessions.address import make_url, parse_url


@pytest.fixture
def shared(folder: Path) -> Path:
    """The folder of the second socket; the one above can be passed by others."""
    folder.chmod(0o755)
    return folder / "shared"


def created(home: Path, shared: Path, capsys: pytest.CaptureFixture[str], *options: str) -> dict[str, Any]:
    """Run `db role create agent --sender` with its options; return the document."""
    words = ["db", "role", "create", "agent", *(options or ["--sender"])]
    assert 0 == main([*words, f"--home={home}", f"--socket-folder={shared}", "--json"]), capsys.readouterr().err
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    return document


@contextmanager
def attached(home: Path) -> Iterator[EmbeddedServer]:
    """Run the block with a server of which this process is a user."""
    server = EmbeddedServer.attach(home)
    try:
        yield server
    finally:
        server.release()


@pytest.fixture
def served(home: Path) -> Iterator[EmbeddedServer]:
    """A server of which this process is a user."""
    with attached(home) as server:
        yield server


def connects(url: str, **changes: str) -> str | None:
    """Return None if a URL connects, else the server's words."""
    try:
        psycopg.connect(make_url(parse_url(url) | changes)).close()
    except psycopg.OperationalError as error:
        return str(error)
    return None
