"""What a test that hangs has started, on stderr, shortly before the time limit ends it.

pytest's faulthandler writes where each thread of this process is, and ends it (``faulthandler_timeout`` in
pyproject.toml). Where a test waits for another process, that says little: so each process below this one is listed,
with the stacks of Python's where py-spy is installed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

BEFORE = 1.0
"""Seconds by which the list comes before faulthandler's stacks: both write to one file, and break each other."""
STACKS_WITHIN = 5.0
"""Seconds for the stacks of one process."""


@contextmanager
def processes_listed(test: str, after: float, out: int) -> Iterator[None]:
    """List the processes of a test that takes so long that faulthandler is about to write its stacks.

    Args:
        test: its id.
        after: seconds after which faulthandler writes; 0: never.
        out: descriptor of the file that the list is written to.
    """
    if not after:
        yield
        return
    timer = threading.Timer(max(0.1, after - BEFORE), write_processes, (test, out))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def write_processes(test: str, out: int) -> None:
    """Write each process that this one has started: id, parent, state, command line and Python's stacks."""
    _write(out, f"{test} hangs; processes that this one has started:")
    processes = psutil.Process().children(recursive=True)
    for process in processes:
        with suppress(psutil.Error):  # it has just ended
            command = " ".join(process.cmdline())[:200]
            _write(out, f"{process.pid} of {process.ppid()}, {process.status()}: {command}")
    for process in processes:  # last, because it takes longest
        with suppress(psutil.Error):
            _write(out, _stacks(process))


def _write(out: int, text: str) -> None:
    if text:
        os.write(out, f"{text}\n".encode(errors="replace"))


def _stacks(process: psutil.Process) -> str:
    spy = shutil.which("py-spy", path=str(Path(sys.executable).parent)) or shutil.which("py-spy")
    if spy is None or "python" not in process.name():
        return ""
    command = [spy, "dump", "--pid", str(process.pid)]
    with suppress(OSError, subprocess.TimeoutExpired):
        return subprocess.run(command, capture_output=True, text=True, timeout=STACKS_WITHIN, check=False).stdout
    return ""
