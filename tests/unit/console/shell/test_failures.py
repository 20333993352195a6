"""What fails outside of the program: memory, threads, folders that may not be entered."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import paper_trading_actors
from console import cli
from console.cli import main
from console.report import files
from domain.errors import InvalidRequest, RestartLimitReached
from paper_trading_actors import NO_MEMORY

NOBODY = 65534


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Callable[[Exception], None]:
    """Makes each command raise an error."""

    def fail(error: Exception) -> None:
        def command_line(_: str) -> None:
            raise error

        monkeypatch.setattr(cli, "_command_line", command_line)

    return fail


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (MemoryError(), NO_MEMORY),
        (RuntimeError("can't start new thread"), NO_MEMORY),
        (OSError(errno.ENOMEM, "Cannot allocate memory", "/lib/x.so"), NO_MEMORY),
        (ImportError("/lib/x.so: failed to map segment from shared object"), NO_MEMORY),
        (
            RestartLimitReached('the Supervisor crashed: RuntimeError("can\'t start new thread")'),
            f'the Supervisor crashed: RuntimeError("can\'t start new thread"); {NO_MEMORY}',
        ),
        (PermissionError(errno.EACCES, "Permission denied", "/locked/x"), "cannot use /locked/x: Permission denied"),
        (RuntimeError("surprise"), "unexpected RuntimeError: surprise"),
    ],
)
def test_a_failure_of_the_system_is_one_sentence(
    failing: Callable[[Exception], None], error: Exception, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    failing(error)
    assert 1 == main(["status", "--json"])
    out, err = capsys.readouterr()
    assert (sentence, f"run.py: {sentence}\n") == (json.loads(out)["error"], err)


def test_an_import_without_memory_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def no_memory() -> None:
        raise MemoryError

    monkeypatch.setattr("sys.argv", ["run.py", "status"])
    monkeypatch.setattr(paper_trading_actors, "require_own_packages", no_memory)
    assert 1 == paper_trading_actors.main()
    assert f"run.py: {NO_MEMORY}\n" == capsys.readouterr().err


@contextmanager
def without_rights() -> Iterator[None]:
    """Run the block as a user who owns nothing, where this one is root."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_folder_that_may_not_be_entered_is_one_sentence(tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o000)
    with without_rights():
        with pytest.raises(InvalidRequest) as page:
            files.require_writable_file(locked / "inside" / "report.html")
        with pytest.raises(InvalidRequest) as tables:
            files.require_writable_folder(locked / "inside" / "tables", [], force=False)
    locked.chmod(0o700)
    reason = f"{locked / 'inside'} cannot be reached: Permission denied"
    assert f"--html {locked / 'inside' / 'report.html'}: {reason}" == str(page.value)
    assert f"--csv {locked / 'inside' / 'tables'}: {reason}" == str(tables.value)
