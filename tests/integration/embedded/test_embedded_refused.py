"""The embedded server refuses what it cannot work with, in a message of one line."""

from __future__ import annotations

import fcntl
import os
import shutil
from pathlib import Path

import pytest

from domain.errors import SettingsError
from persistence.embedded import installation as installations
from persistence.embedded import server as server_module
from persistence.embedded.errors import EmbeddedServerError
from persistence.embedded.installation import Installation
from persistence.embedded.server import EmbeddedServer, running


def one_line(error: pytest.ExceptionInfo[BaseException]) -> str:
    text = str(error.value)
    assert "\n" not in text
    assert text.endswith(".")
    return text


def test_white_space_in_home_is_refused(folder: Path) -> None:
    with pytest.raises(SettingsError) as error:
        EmbeddedServer.attach(folder / "my home")
    assert f'home is "{folder}/my home"' in one_line(error)
    assert "database_url" in one_line(error)
    assert not (folder / "my home").exists()


@pytest.mark.parametrize("below", [".", "home"])
def test_home_that_is_a_file_is_refused(folder: Path, below: str) -> None:
    (folder / "file").touch()
    with pytest.raises(SettingsError) as error:
        EmbeddedServer.attach(folder / "file" / below)
    assert f"home is {folder / 'file' / below}" in one_line(error)
    assert not running(folder / "file" / below)


def test_data_of_another_major_version_is_refused(folder: Path) -> None:
    data = folder / "postgres"
    data.mkdir()
    (data / "PG_VERSION").write_text("12\n")
    with pytest.raises(EmbeddedServerError, match="made by PostgreSQL 12 and this program brings 1") as error:
        EmbeddedServer.attach(folder)
    assert "`run.py db upgrade` brings it over, with a backup first" in one_line(error)
    assert "set postgres_bin to the folder of the programs of PostgreSQL 12" in one_line(error)
    assert str(data) in one_line(error)
    (data / "PG_VERSION").write_text("99\n")
    with pytest.raises(EmbeddedServerError, match=r"made by PostgreSQL 99 .*, which is older: set") as error:
        EmbeddedServer.attach(folder, take_over=True)
    assert one_line(error)


def test_a_folder_with_something_else_is_left_alone(folder: Path) -> None:
    (folder / "postgres").mkdir()
    (folder / "postgres" / "letter").write_text("mine")
    with pytest.raises(EmbeddedServerError, match="move it away") as error:
        EmbeddedServer.attach(folder)
    assert one_line(error)
    assert (folder / "postgres" / "letter").read_text() == "mine"


def test_a_failed_start_gives_the_reason(home: Path) -> None:
    with (home / "postgres" / "postgresql.conf").open("a") as file:
        file.write("\nno_such_setting = 1\n")
    with pytest.raises(EmbeddedServerError, match=r"could not be started: .*errors") as error:
        EmbeddedServer.attach(home)
    assert one_line(error)
    assert not running(home)


def test_a_program_that_does_not_end_is_killed_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installations, "PROGRAM_TIMEOUT_S", 0.1)
    sleep = shutil.which("sleep")
    assert sleep is not None
    with pytest.raises(
        EmbeddedServerError, match=r"PostgreSQL's sleep did not end within 0\.1 s and was killed"
    ) as error:
        Installation(Path(sleep).parent, 18, 6).run("sleep", "60")
    assert one_line(error)


def test_a_lock_of_another_process_is_waited_for_a_limited_time(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "LOCK_TIMEOUT_S", 0.1)
    with (home / "postgres.attached").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(
            EmbeddedServerError, match=f"Another process keeps {home}/postgres.attached locked"
        ) as error:
            EmbeddedServer.attach(home)
    assert one_line(error)
    assert not running(home)


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere; the ordinary user's test covers it")
def test_home_that_cannot_be_written_is_refused(folder: Path) -> None:
    (folder / "shut").mkdir(mode=0o500)
    for home in (folder / "shut", folder / "shut" / "home"):
        with pytest.raises(SettingsError, match=f"home is {home}") as error:
            EmbeddedServer.attach(home)
        assert "database_url" in one_line(error)
