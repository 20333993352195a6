"""A log file on a full disk, one that another user has prepared, and one in a flood of lines."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from console import log_file, logs
from console.log_file import RATES, FloodLimit, LogFile
from domain.errors import SettingsError


def test_a_full_disk_is_reported_once_and_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reports: list[str] = []
    path = tmp_path / "log.jsonl"
    sink = LogFile(path, reports.append)
    sink.write("first\n")
    stream, flush = sink._handler.stream, sink._handler.flush

    def refuse() -> Any:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(sink._handler, "flush", refuse)
    for _ in range(3):
        sink.write("lost\n")
    assert ["the log cannot be written (No space left on device); its lines are lost until it can be"] == reports
    monkeypatch.setattr(sink._handler, "flush", flush)
    sink.write("second\n")
    assert ["the log is written again; 3 lines may be lost"] == reports[1:]
    assert stream is sink._handler.stream
    sink.stop()
    assert ("first", "second") == (path.read_text().split()[0], path.read_text().split()[-1])
    assert 0o600 == path.stat().st_mode & 0o777


def test_it_is_rotated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_file, "MAX_BYTES", 100)
    monkeypatch.setattr(log_file, "MAX_OLD_FILES", 2)
    sink = LogFile(tmp_path / "log.jsonl", print)
    for _ in range(10):
        sink.write("x" * 60)
    sink.stop()
    assert ["log.jsonl", "log.jsonl.1", "log.jsonl.2"] == sorted(path.name for path in tmp_path.iterdir())


def test_a_prepared_link_or_pipe_is_refused_and_its_target_stays(tmp_path: Path) -> None:
    victim = tmp_path / "authorized_keys"
    victim.write_text("mine\n")
    path = tmp_path / "log.jsonl"
    path.symlink_to(victim)
    with pytest.raises(PermissionError, match="it is a link: remove it"):
        LogFile(path, print)
    path.unlink()
    os.link(victim, path)
    with pytest.raises(PermissionError, match="it has a second name"):
        LogFile(path, print)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(PermissionError, match="it is no regular file"):
        LogFile(path, print)
    assert "mine\n" == victim.read_text()


def test_half_a_character_loses_no_line(tmp_path: Path) -> None:
    reports: list[str] = []
    path = tmp_path / "log.jsonl"
    sink = LogFile(path, reports.append)
    sink.write('{"message": "\udc80"}\n')
    sink.stop()
    assert ([], {"message": "\udc80"}) == (reports, json.loads(path.read_text()))


def test_the_log_of_a_home_that_others_control_is_not_written(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    home.chmod(0o777)
    with pytest.raises(SettingsError, match=r"cannot write the log there .*it may be written by everybody: chmod go-w"):
        logs.to_file(home, "INFO")
    home.chmod(0o700)
    (home / "logs").mkdir()
    (home / "logs").chmod(0o777)
    with pytest.raises(SettingsError, match=f"{home}/logs: it may be written by everybody: chmod go-w {home}/logs"):
        logs.to_file(home, "INFO")


class Line(str):
    """A line as loguru hands it to a sink."""

    record: Any

    @classmethod
    def of(cls, message: str, line: int, level: int) -> Line:
        made = cls(json.dumps({"message": message}))
        time = datetime(2026, 1, 31, 12, tzinfo=UTC)
        made.record = {"time": time, "level": SimpleNamespace(no=level), "name": "a", "function": "f", "line": line}
        return made


def written(folder: Path) -> list[str]:
    return [json.loads(line)["message"] for line in (folder / "log.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("level", [20, 30, 40])
def test_a_flood_from_one_place_leaves_the_others_their_lines(level: int, tmp_path: Path) -> None:
    now = 0.0
    sink = LogFile(tmp_path / "log.jsonl", print)
    sink._limit = FloodLimit(lambda: now)
    rate = next(rate for least, rate in RATES.items() if level >= least)
    for number in range(10_000):
        sink.write(Line.of(f"flood {number}", 1, level))
    sink.write(Line.of("another", 2, level))
    now = 1.0
    for number in range(10):
        sink.write(Line.of(f"later {number}", 1, level))
    sink.stop()
    admitted = min(10, int(rate.per_second))
    left_out = [f"{10_000 - rate.burst} more lines of this place are left out, because they came too fast"]
    rest = [f"{10 - admitted} more lines of this place are left out, because they came too fast"] * (admitted < 10)
    assert [
        *(f"flood {number}" for number in range(rate.burst)),
        "another",
        *left_out,
        *(f"later {number}" for number in range(admitted)),
        *rest,
    ] == written(tmp_path)


def test_lines_that_are_there_on_request_are_all_written(tmp_path: Path) -> None:
    sink = LogFile(tmp_path / "log.jsonl", print)
    for number in range(2000):
        sink.write(Line.of(f"debug {number}", 1, 10))
    sink.stop()
    assert 2000 == len(written(tmp_path))
