"""The real program as its users start it: ``run.py`` in a process of its own."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

ROOT = Path(__file__).parents[3]
SERVING = "Serving"
PATIENCE = 60.0
"""Seconds; the machine may be busy."""


@dataclass(frozen=True)
class Ended:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """stdout, which must be exactly one JSON document."""
        return json.loads(self.out)


def environment(home: Path, **settings: str) -> dict[str, str]:
    """What the program finds around it: nothing of the caller's own settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PAPER_", "PG"))}
    return {
        **kept,
        "PYTHONPATH": str(ROOT),
        "PAPER_HOME": str(home),
        **{f"PAPER_{name}".upper(): value for name, value in settings.items()},
    }


def run(*words: str, env: Mapping[str, str], cwd: Path = ROOT, timeout: float = PATIENCE) -> Ended:
    """Run one command to its end."""
    with Program(*words, env=env, cwd=cwd) as program:
        return program.ended(timeout)


def run_all(*commands: str, env: Mapping[str, str]) -> list[Ended]:
    """Run commands that do not disturb each other, a few at a time: most of a second of each is Python's own."""
    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(lambda command: run(*shlex.split(command), env=env), commands))


class Program:
    """A command that runs until it is told to stop.

    >>> with Program("start", env=environment(home, prices="simulated")) as service:
    ...     service.wait_for("Serving")
    ...     assert service.stop().code == 0
    """

    def __init__(self, *words: str, env: Mapping[str, str], cwd: Path = ROOT, umask: int = -1) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(ROOT / "run.py"), *words],
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
        self._said: dict[str, list[str]] = {"out": [], "err": []}
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

    def said(self, stream: str = "err") -> str:
        """What it has printed up to now."""
        with self._changed:
            return "".join(self._said[stream])

    def wait_for(self, words: str = SERVING, stream: str = "err", timeout: float = PATIENCE) -> None:
        """Wait until a line with these words is printed."""
        with self._changed:
            found = self._changed.wait_for(
                lambda: words in "".join(self._said[stream]) or self._process.poll() is not None, timeout
            )
            text = "".join(self._said[stream])
        assert found, f"{words!r} was not said within {timeout:g} s: {text}"
        assert words in text, f"it ended with {self._process.poll()}: {self.said('out')}{self.said('err')}"

    def send(self, number: int = signal.SIGTERM) -> None:
        self._process.send_signal(number)

    def stop(self, number: int = signal.SIGTERM, timeout: float = PATIENCE) -> Ended:
        """Tell it to stop; what it said, once it has."""
        begin = time.monotonic()
        self.send(number)
        self._process.wait(timeout)
        self.seconds_to_stop = time.monotonic() - begin
        return self.ended()

    def ended(self, timeout: float = PATIENCE) -> Ended:
        """What it said, once it has ended by itself."""
        code = self._process.wait(timeout)
        for reader in self._readers:
            reader.join(5)
        # Closing a stream that a thread still reads blocks for ever, and no signal ends that.
        assert not any(reader.is_alive() for reader in self._readers), (
            f"{self._process.args} has ended, but something that it started still holds its output: "
            f"{self.said('out')}{self.said('err')}"
        )
        for stream in (self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()
        return Ended(code, self.said("out"), self.said("err"))

    def _read(self, name: str, stream: Any) -> None:
        for line in stream:
            with self._changed:
                self._said[name].append(line)
                self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()


def until(done: Callable[[], bool], what: str, timeout: float = 20.0) -> None:
    """Look until it is so, for what tells nobody when it happens."""
    deadline = time.monotonic() + timeout
    while not done():
        assert time.monotonic() < deadline, f"not within {timeout:g} s: {what}"
        time.sleep(0.05)
