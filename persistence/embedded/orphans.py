"""Processes that a killed program left in a folder: initdb goes on after the `kill -9` of the program that ran it."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path

import psutil

from persistence.embedded.errors import EmbeddedServerError

END_TIMEOUT_S = 10.0
"""How long a process may take to end, after each of two signals."""


def end_processes_in(folder: Path, owners: Collection[int]) -> int:
    """End the processes that work in a folder or name it in their command line; return how many there were.

    Args:
        folder: of the data.
        owners: uids of the users whose processes count; others may name the folder, too, and cannot be ended.

    Raises:
        EmbeddedServerError: one does not end.
    """
    count = 0
    # Each round may find what a process of the round before has started in the meantime.
    while orphans := [process for process in psutil.process_iter() if _works_in(process, folder, owners)]:
        count += len(orphans)
        for process in orphans:
            with suppress(psutil.NoSuchProcess):
                process.terminate()
        _, alive = psutil.wait_procs(orphans, END_TIMEOUT_S)
        for process in alive:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        if psutil.wait_procs(alive, END_TIMEOUT_S)[1]:
            raise EmbeddedServerError(f"A process of an earlier start that was killed still works in {folder}: end it.")
    return count


def await_starters(folder: Path, owners: Collection[int], started: Callable[[], bool]) -> None:
    """Wait while a pg_ctl or server that a killed program has run starts in a folder; for `END_TIMEOUT_S` at most.

    Args:
        folder: of the data.
        owners: uids of the users whose processes count.
        started: returns whether the server is there.
    """
    deadline = time.monotonic() + END_TIMEOUT_S
    while not started() and time.monotonic() < deadline:
        if not any(_starts(process, folder, owners) for process in psutil.process_iter()):
            return
        time.sleep(0.05)


def _starts(process: psutil.Process, folder: Path, owners: Collection[int]) -> bool:
    try:
        if process.uids().effective not in owners:
            return False
        words = process.cmdline()
        return bool(words) and Path(words[0]).name in {"pg_ctl", "postgres"} and str(folder) in words
    except (psutil.Error, OSError):
        return False


def _works_in(process: psutil.Process, folder: Path, owners: Collection[int]) -> bool:
    try:
        if process.status() == psutil.STATUS_ZOMBIE or process.uids().effective not in owners:
            return False
        words = process.cmdline()
        name = Path(words[0]).name if words else ""
        if name not in {"initdb", "postgres"}:
            return False
        return str(folder) in words or Path(process.cwd()).is_relative_to(folder)
    except (psutil.Error, OSError):  # it has ended, or is of another user, whose server this is not
        return False
