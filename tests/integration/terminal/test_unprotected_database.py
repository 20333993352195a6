"""The way to a remote database that is not protected is named by check, by status and by the start."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from console.commands.serve import _warnings
from domain.errors import DatabaseUnavailable
from persistence.sessions import encryption
from persistence.sessions.encryption import weakness_of
from tests.support.screens.rendering import rendered
from tests.support.system.running_system import isolated_settings, running_system

OPEN = "is not encrypted: anybody on the way can read and change it (sslmode = prefer)"


@pytest.fixture
def remote(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have each server count as one on another machine."""
    monkeypatch.setattr(encryption, "_is_local_host", lambda _: False)


@pytest.mark.usefixtures("remote")
def test_check_and_status_have_a_line_about_it(embedded_url: str, tmp_path: Path) -> None:
    options = ["--home", str(tmp_path), "--database-url", embedded_url]
    for command in (["check", "--offline", "--prices", "simulated"], ["status"]):
        output = rendered(*command, *options, columns=400)
        assert 1 == sum(OPEN in line for line in output.lines), command
        document = json.loads(rendered(*command, *options, "--json", columns=80).out)
        weakness = document["database"]["weakness"] if command[0] == "check" else document["database_weakness"]
        assert OPEN in weakness


def test_a_local_database_has_no_such_line(embedded_url: str, tmp_path: Path) -> None:
    options = ["--home", str(tmp_path), "--database-url", embedded_url]
    assert "sslmode" not in rendered("status", *options, columns=400).out
    document = json.loads(rendered("status", "--json", *options, columns=80).out)
    assert document["database_weakness"] is None


@pytest.mark.usefixtures("remote")
def test_the_start_warns_once(embedded_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = isolated_settings(embedded_url, home=tmp_path)
    with running_system(embedded_url, home=tmp_path) as system:
        (warning,) = _warnings(system, settings)
        assert OPEN in warning

        def away(_: str) -> None:
            raise DatabaseUnavailable("it is away")

        monkeypatch.setattr("console.commands.serve.weakness_of", away)
        assert [] == _warnings(system, settings)


@pytest.mark.usefixtures("remote")
def test_the_mode_of_the_environment_counts(embedded_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGSSLMODE", "disable")
    sentence = weakness_of(embedded_url)
    assert sentence is not None
    assert "(sslmode = disable)" in sentence
