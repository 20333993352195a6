"""The start of the program without its imports: a fork of a process that has made them once.

A command imports for most of a second and works for a tenth. The server imports what the commands need. For each start
it forks; the fork gets arguments, environment, folder, output and a session of its own, then runs ``run.py`` as Python
does, and ends as Python does.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TextIO

ROOT = Path(__file__).parents[3]
SERVE = "import sys; from tests.support.system.fork_server import serve; serve(int(sys.argv[1]))"
IMPORTED_LATE = ("persistence.migrations.runner", "sqlalchemy.dialects.postgresql.psycopg")
"""What commands import while they run, besides the modules of `console.cli.COMMANDS`."""
MAX_REQUEST_BYTES = 1 << 17
START_TIMEOUT_S = 60.0
"""Seconds for a fork, and for the server's imports before the first one; the machine may be busy."""


def _pair() -> tuple[socket.socket, socket.socket]:
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)  # each message arrives as one


class ForkedProcess:
    """A program that the server has started, with the methods of :class:`subprocess.Popen` that tests need."""

    def __init__(self, args: Sequence[str], connection: socket.socket, stdout: TextIO, stderr: TextIO) -> None:
        self.args = list(args)
        self.stdout = stdout
        self.stderr = stderr
        self._connection = connection
        self._waits = threading.Lock()
        self._code: int | None = None
        connection.settimeout(START_TIMEOUT_S)
        self.pid = self._number()

    def poll(self) -> int | None:
        """Return the exit code; None while it runs."""
        if self._waits.acquire(blocking=False):  # another thread may be waiting
            self._waits.release()
            with contextlib.suppress(subprocess.TimeoutExpired):
                return self.wait(0)
        return self._code

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end and return the exit code; it is negative after a signal.

        Raises:
            subprocess.TimeoutExpired: it still runs after so many seconds.
        """
        with self._waits:
            if self._code is None:
                self._connection.settimeout(timeout)
                try:
                    self._code = self._number()
                except (BlockingIOError, TimeoutError):
                    raise subprocess.TimeoutExpired(self.args, timeout or 0) from None
                self._connection.close()
            return self._code

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def _number(self) -> int:
        message = self._connection.recv(64)
        assert message, f"the fork server has lost {self.args}"
        return int(message)


class ForkServer:
    """The process that forks; it ends with the one that has started it."""

    def __init__(self) -> None:
        self._environment = _foreign(os.environ) | {"PYTHONPATH": str(ROOT)}
        self._ignored = _ignored_signals()
        self._control, theirs = _pair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-c", SERVE, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env=self._environment,
                cwd=ROOT,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )

    def fits(self, env: Mapping[str, str]) -> bool:
        """Return whether a start from scratch would inherit the same: signals, and all variables but the program's."""
        return (_foreign(env), _ignored_signals()) == (self._environment, self._ignored)

    def start(self, arguments: Sequence[str], env: Mapping[str, str], cwd: Path) -> ForkedProcess:
        """Start ``run.py`` with these arguments."""
        connection, theirs = _pair()
        (out, out_end), (err, err_end) = os.pipe(), os.pipe()
        request = json.dumps({"arguments": list(arguments), "env": dict(env), "cwd": str(cwd)}).encode()
        with theirs:
            socket.send_fds(self._control, [request], [theirs.fileno(), out_end, err_end])
        os.close(out_end)
        os.close(err_end)
        return ForkedProcess(["run.py", *arguments], connection, os.fdopen(out), os.fdopen(err))

    def close(self) -> None:
        """End the server; a program that it has started goes on."""
        self._control.close()
        self._process.wait(60)


def _foreign(env: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in env.items() if not name.startswith(("PAPER_", "PG", "PYTEST_"))}


def _ignored_signals() -> set[int]:
    return {number for number in signal.valid_signals() if signal.getsignal(number) == signal.SIG_IGN}


def serve(control: int) -> None:
    """Fork for each request, until the process that sends them is gone.

    Args:
        control: descriptor of the socket from which requests come.
    """
    sys.path[0] = str(ROOT)
    commands = import_module("console.cli").COMMANDS.values()
    for name in {*IMPORTED_LATE, *(place.partition(":")[0] for place, _ in commands)}:
        import_module(name)
    gc.collect()
    gc.freeze()  # a collection in a fork would copy each page
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the processes that report exit codes
    with socket.socket(fileno=control) as requests:
        while True:
            request, descriptors, _, _ = socket.recv_fds(requests, MAX_REQUEST_BYTES, 3)
            if not request:
                return
            if os.fork() == 0:
                break
            for descriptor in descriptors:
                os.close(descriptor)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    _run(json.loads(request), *descriptors)


def _run(request: dict[str, str], connection: int, out: int, err: int) -> None:
    """Run the program in a second fork, and report its number and its exit code."""
    with socket.socket(fileno=connection) as reports:
        if pid := os.fork():
            os.close(out)
            os.close(err)
            _, status = os.waitpid(pid, 0)
            with contextlib.suppress(BrokenPipeError):  # nobody wants to know
                reports.send(b"%d" % os.waitstatus_to_exitcode(status))
            os._exit(0)
        os.setsid()
        for source, target in ((out, 1), (err, 2)):
            os.dup2(source, target)
            os.close(source)
        reports.send(b"%d" % os.getpid())
    os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(request["cwd"])
    sys.argv = [str(ROOT / "run.py"), *request["arguments"]]
    runpy.run_path(sys.argv[0], run_name="__main__")
