"""The log file, those beside it, and the lines that are written while it is read."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from console import log_file
from console.log_file import LogFile
from console.log_lines.entries import Entry, EntryFilter
from console.log_lines.files import LogFiles

BEGIN = datetime(2026, 1, 31, 12, tzinfo=UTC)


def line(number: int, **values: Any) -> str:
    """Return a line of the log, a minute after the one before."""
    time = (BEGIN + timedelta(minutes=number)).isoformat()
    return json.dumps({"time": time, "level": "INFO", "message": f"line {number}", **values})


def messages(entries: list[Entry]) -> list[str]:
    return [str(entry.values["message"]) for entry in entries]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A log of nine lines in three files; the older ones beside it."""
    for name, numbers in (("log.jsonl.2", range(3)), ("log.jsonl.1", range(3, 6)), ("log.jsonl", range(6, 9))):
        levels = {4: "WARNING", 7: "ERROR"}
        lines = [line(n, level=levels.get(n, "INFO"), decision=n % 2) for n in numbers]
        (tmp_path / name).write_text("".join(f"{text}\n" for text in lines), encoding="utf-8")
    return tmp_path / "log.jsonl"


@pytest.mark.parametrize(
    ("wanted", "limit", "numbers"),
    [
        (EntryFilter(), None, [0, 1, 2, 3, 4, 5, 6, 7, 8]),
        (EntryFilter(), 2, [7, 8]),
        (EntryFilter(), 4, [5, 6, 7, 8]),
        (EntryFilter(decision="1"), None, [1, 3, 5, 7]),
        (EntryFilter(decision="1"), 3, [3, 5, 7]),
        (EntryFilter(decision="11"), None, []),
        (EntryFilter(level="WARNING"), None, [4, 7]),
        (EntryFilter(level="ERROR"), None, [7]),
        (EntryFilter(since=BEGIN + timedelta(minutes=4)), None, [4, 5, 6, 7, 8]),
        (EntryFilter(since=BEGIN + timedelta(minutes=4), decision="1", level="ERROR"), None, [7]),
        (EntryFilter(since=BEGIN + timedelta(hours=1)), None, []),
    ],
)
def test_the_last_lines_come_from_all_files(
    path: Path, wanted: EntryFilter, limit: int | None, numbers: list[int]
) -> None:
    with LogFiles(path) as files:
        assert [f"line {number}" for number in numbers] == messages(files.last(wanted, limit))


def test_a_line_that_is_no_object_is_a_message(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_bytes(b'{"torn": \n[1]\n\n' + line(1, time="never").encode() + b"\n\xff\n")
    with LogFiles(path) as files:
        entries = files.last(EntryFilter())
        assert ['{"torn": ', "[1]", "line 1", "�"] == messages(entries)
        assert [None] * 4 == [entry.time for entry in entries]
        assert {"message": '{"torn": '} == json.loads(entries[0].text)
        assert [] == files.last(EntryFilter(since=BEGIN))


def test_without_a_file_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        LogFiles(tmp_path / "log.jsonl")


@pytest.fixture
def sink(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LogFile]:
    """The log of a program, which is rotated after two lines."""
    monkeypatch.setattr(log_file, "MAX_BYTES", 250)
    sink = LogFile(tmp_path / "log.jsonl", print)
    yield sink
    sink.stop()


def new_messages(files: LogFiles) -> list[str]:
    return messages([Entry.parse(text) for text in files.new_lines()])


def test_new_lines_come_over_rotations_each_once(sink: LogFile, tmp_path: Path) -> None:
    sink.write(line(0))
    with LogFiles(tmp_path / "log.jsonl") as files:
        assert ["line 0"] == messages(files.last(EntryFilter()))
        assert [] == new_messages(files)
        sink.write(line(1))
        assert ["line 1"] == new_messages(files)
        for first, last in ((2, 3), (3, 4), (4, 9), (9, 20)):  # without a rotation, over one, over two, over three
            for number in range(first, last):
                sink.write(line(number))
            assert [f"line {number}" for number in range(first, last)] == new_messages(files)
        assert [] == new_messages(files)
    assert 6 == len(list(tmp_path.glob("log.jsonl.*")))


def test_lines_that_were_pushed_out_are_missing_and_the_others_come(
    sink: LogFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink.write(line(0))
    with LogFiles(tmp_path / "log.jsonl") as files:
        files.last(EntryFilter())
        for number in range(1, 40):
            sink.write(line(number))
        left = [json.loads(text)["message"] for file in tmp_path.iterdir() for text in file.read_text().splitlines()]
        assert sorted(["line 1", "line 2", *left]) == sorted(new_messages(files))  # the first file was still open
        assert {"line 3", "line 4", "line 5"}.isdisjoint(left)


def test_a_line_is_printed_when_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    text = f"{line(1)}\n"
    path.write_text(text[:20])
    with LogFiles(path) as files, path.open("a") as file:
        assert [] == files.last(EntryFilter())
        assert [] == new_messages(files)
        file.write(text[20:] + text[:5])
        file.flush()
        assert ["line 1"] == new_messages(files)


def test_a_log_that_somebody_emptied_is_read_from_its_begin(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text(f"{line(1)}\n{line(2)}\n")
    with LogFiles(path) as files:
        files.last(EntryFilter())
        path.write_text("")
        assert [] == new_messages(files)
        path.write_text(f"{line(3)}\n")
        assert ["line 3"] == new_messages(files)


def test_a_log_whose_folder_is_gone_may_come_back(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text(f"{line(1)}\n")
    with LogFiles(path) as files:
        files.last(EntryFilter())
        path.unlink()
        assert [] == new_messages(files)
        path.write_text(f"{line(2)}\n")
        assert ["line 2"] == new_messages(files)


def test_a_link_or_pipe_in_place_of_a_log_is_not_read(path: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text(line(1))
    path.unlink()
    path.symlink_to(secret)
    with pytest.raises(PermissionError, match="it is a link"):
        LogFiles(path)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(PermissionError, match="it is no regular file"):
        LogFiles(path)
