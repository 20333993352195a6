"""The status of a process for people."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from console.display.process_status import print_process


def printed(**changes: Any) -> str:
    """Return what is printed of a process that has no actors."""
    process = {
        "intake_paused_since": None, "lease_held": True, "prices": None, "dead_letters": 0, "prices_dropped": 0,
        "actors": [], "failures": [],
    }  # fmt: skip
    out = Console(file=io.StringIO(), width=200, highlight=False)
    print_process(process | changes, out)
    assert isinstance(out.file, io.StringIO)
    return out.file.getvalue()


@pytest.mark.parametrize(("limit", "expected"), [(256, 1), (65_536, 0), (None, 0)])
def test_a_limit_of_open_files_that_is_too_low_has_a_line(limit: int | None, expected: int) -> None:
    assert expected == printed(open_files_limit=limit).count("this process may have 256 files and connections open")


def test_an_earlier_version_names_no_limit() -> None:
    assert "files" not in printed()
