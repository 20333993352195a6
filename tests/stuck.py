"""What a test that hangs has started, on stderr, shortly before the time limit ends it.

pytest's faulthandler writes where each thread of this process is (``faulthandler_timeout`` in pyproject.toml). Where a
test waits for another process, that says little: so each process below this one is listed, with the stacks of Python's
where py-spy is installed.
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

STACKS_WITHIN = 5.0
"""Seconds for the stacks of one process."""


@contextmanager
def processes_listed(test: str, after: float, out: int) -> Iterator[None]:
    """List the processes of a test that takes longer than ``after`` seconds; 0: never.

    Args:
        test: its id.
        after: seconds.
        out: descriptor of the file that the list is written to.
    """
    if not after:
        yield
        return
    timer = threading.Timer(after, write_processes, (test, out))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def write_processes(test: str, out: int) -> None:
    """Write each process that this one has started: id, parent, state, command line and Python's stacks."""
    lines = [f"{test} hangs; processes that this one has started:"]
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):  # it has just ended
            lines.append(f"{process.pid} of {process.ppid()}, {process.status()}: {' '.join(process.cmdline())[:200]}")
            lines.append(_stacks(process))
    os.write(out, ("\n".join(line for line in lines if line) + "\n").encode(errors="replace"))


def _stacks(process: psutil.Process) -> str:
    spy = shutil.which("py-spy", path=str(Path(sys.executable).parent)) or shutil.which("py-spy")
    if spy is None or "python" not in process.name():
        return ""
    command = [spy, "dump", "--pid", str(process.pid)]
    with suppress(OSError, subprocess.TimeoutExpired):
        return subprocess.run(command, capture_output=True, text=True, timeout=STACKS_WITHIN, check=False).stdout
    return ""
