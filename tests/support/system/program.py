"""The real program in a process of its own, started by ``run.py`` as its users do."""

from __future__ import annotations

import atexit
import hashlib
import json
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.support.system.fork_server import ROOT, ForkedProcess, ForkServer

SERVING = "Serving"
TIMEOUT_S = 60.0
"""Seconds that a command may take; the machine may be busy."""


@dataclass(frozen=True)
class Ended:
    """Exit code and output of a command that has ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one JSON document on stdout."""
        return json.loads(self.out)


def environment(home: Path, **settings: str) -> dict[str, str]:
    """Return environment variables for the program: none of the caller's settings, and those given here."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PAPER_", "PG"))}
    return {
        **inherited,
        "PYTHONPATH": str(ROOT),
        "PAPER_HOME": str(home),
        **{f"PAPER_{name}".upper(): value for name, value in settings.items()},
    }


def run(*arguments: str, env: Mapping[str, str], cwd: Path = ROOT, timeout: float = TIMEOUT_S) -> Ended:
    """Run one command to its end."""
    with Program(*arguments, env=env, cwd=cwd) as program:
        return program.ended(timeout)


def run_all(*commands: str, env: Mapping[str, str]) -> list[Ended]:
    """Run independent commands four at a time; most of the second that each takes is the start of Python."""
    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(lambda command: run(*shlex.split(command), env=env), commands))


class _Forks:
    """Forks of the program, for commands that were started from scratch before: the same with fewer imports."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._started: set[str] = set()
        self._shared: Path | None = None
        self._server: ForkServer | None = None

    def share_starts(self, folder: Path) -> None:
        """Start each command from scratch once for all processes that run the tests.

        Args:
            folder: one that these processes share; it gets a file for each command.
        """
        self._shared = folder

    def start(self, arguments: Sequence[str], env: Mapping[str, str], cwd: Path) -> ForkedProcess | None:
        """Start a command as a fork; None if it must be started from scratch."""
        command = arguments[0] if arguments else ""
        with self._lock:
            if sys.platform != "linux" or self._is_first(command):
                return None
            if self._server is None:
                self._server = ForkServer()
                atexit.register(self._server.close)
        return self._server.start(arguments, env, cwd) if self._server.fits(env) else None

    def _is_first(self, command: str) -> bool:
        if command in self._started:
            return False
        self._started.add(command)
        if self._shared is None:
            return True
        try:
            (self._shared / f"started-{hashlib.sha256(command.encode()).hexdigest()[:16]}").touch(exist_ok=False)
        except FileExistsError:
            return False
        return True


FORKS = _Forks()


class Program:
    """A command that runs until a signal stops it.

    >>> with Program("start", env=environment(home, prices="simulated")) as service:
    ...     service.wait_for("Serving")
    ...     assert service.stop().code == 0
    """

    def __init__(self, *arguments: str, env: Mapping[str, str], cwd: Path = ROOT, umask: int = -1) -> None:
        forked = FORKS.start(arguments, env, cwd) if umask == -1 else None
        self._process = forked or subprocess.Popen(
            [sys.executable, str(ROOT / "run.py"), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=dict(env),
            cwd=cwd,
            umask=umask,
            # A group of its own, as a terminal's or a service manager's job is; Ctrl-C for pytest is not for it.
            start_new_session=True,
        )
        self.seconds_to_stop = 0.0
        self._output: dict[str, list[str]] = {"out": [], "err": []}
        self._changed = threading.Condition()
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._readers = [
            threading.Thread(target=self._read, args=(name, stream), daemon=True)
            for name, stream in (("out", self._process.stdout), ("err", self._process.stderr))
        ]
        for reader in self._readers:
            reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self.ended()

    @property
    def pid(self) -> int:
        return self._process.pid

    def printed(self, stream: str = "err") -> str:
        """Return what it has printed so far."""
        with self._changed:
            return "".join(self._output[stream])

    def wait_for(self, text: str = SERVING, stream: str = "err", timeout: float = TIMEOUT_S) -> None:
        """Wait until it has printed ``text``."""
        with self._changed:
            in_time = self._changed.wait_for(
                lambda: text in "".join(self._output[stream]) or self._process.poll() is not None, timeout
            )
            output = "".join(self._output[stream])
        assert in_time, f"{text!r} was not printed within {timeout:g} s: {output}"
        assert text in output, f"it ended with {self._process.poll()}: {self.printed('out')}{self.printed('err')}"

    def send(self, number: int = signal.SIGTERM) -> None:
        self._process.send_signal(number)

    def stop(self, number: int = signal.SIGTERM, timeout: float = TIMEOUT_S) -> Ended:
        """Send a signal, wait for the end, and return what it printed."""
        begin = time.monotonic()
        self.send(number)
        self._process.wait(timeout)
        self.seconds_to_stop = time.monotonic() - begin
        return self.ended()

    def ended(self, timeout: float = TIMEOUT_S) -> Ended:
        """Wait for the end and return what it printed."""
        code = self._process.wait(timeout)
        for reader in self._readers:
            reader.join(5)
        # Closing a stream that a thread still reads blocks for ever, and no signal ends that.
        assert not any(reader.is_alive() for reader in self._readers), (
            f"{self._process.args} has ended, but something that it started still holds its output: "
            f"{self.printed('out')}{self.printed('err')}"
        )
        for stream in (self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()
        return Ended(code, self.printed("out"), self.printed("err"))

    def _read(self, name: str, stream: Any) -> None:
        for line in stream:
            with self._changed:
                self._output[name].append(line)
                self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()


def until(condition: Callable[[], bool], description: str, timeout: float = 20.0) -> None:
    """Wait until ``condition`` is true, by polling."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout:g} s: {description}"
        time.sleep(0.05)
