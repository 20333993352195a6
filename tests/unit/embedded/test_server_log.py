"""The log of the embedded server stays short."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest

from persistence.embedded import server_log


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_log, "MAX_BYTES", 100)


def write(log: Path, name: str) -> None:
    """Write 21 lines, which are too many; the last nine of them are kept."""
    with log.open("a", encoding="utf-8") as file:
        file.writelines(f"{name} {number:07}\n" for number in range(21))


def test_a_long_log_is_emptied_and_its_end_kept(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("short\n")
    assert not server_log.trim(log)
    assert "short\n" == log.read_text()
    for name in "abcde":
        with log.open("ab") as server:  # goes on to write, as the server does
            write(log, name)
            assert server_log.trim(log)
            server.write(b"after\n")
        assert "after\n" == log.read_text()
    old = {path.name: path.read_text() for path in tmp_path.iterdir() if path != log}
    assert {"log.1", "log.2", "log.3"} == old.keys()
    kept = "".join(f"e {number:07}\n" for number in range(11, 21))
    assert kept[kept.index("\n") + 1 :] == old["log.1"]
    assert ("d", "c") == (old["log.2"][0], old["log.3"][0])
    assert 0o600 == (tmp_path / "log.1").stat().st_mode & 0o777


def test_a_full_disk_costs_the_end_and_not_the_emptying(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(28, os.strerror(28))

    log = tmp_path / "log"
    write(log, "a")
    monkeypatch.setattr(server_log, "_keep", refuse)
    assert server_log.trim(log)
    assert (0, ["log"]) == (log.stat().st_size, [path.name for path in tmp_path.iterdir()])


def test_a_log_that_another_process_trims_or_that_is_missing_is_left_alone(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert not server_log.trim(log)
    write(log, "a")
    with log.open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        assert not server_log.trim(log)
    assert 210 == log.stat().st_size


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    write(tmp_path / "theirs", "a")
    (tmp_path / "log").symlink_to(tmp_path / "theirs")
    with pytest.raises(OSError, match="it is a link: remove it"):
        server_log.trim(tmp_path / "log")
    assert 210 == (tmp_path / "theirs").stat().st_size
