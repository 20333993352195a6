"""A log file on a full disk: one sentence, and another when it can be written again."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from console import log_file
from console.log_file import LogFile


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
