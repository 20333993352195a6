"""A program that runs for one delivery: with a hard time limit, and killed with all that it has started."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import IO

from console.errors import AlertFailed
from domain.wording import one_line

MAX_QUOTED_OUTPUT = 300
"""Characters of a program's output or a server's answer that an error quotes."""
MAX_OUTPUT = 65_536
"""Bytes of a program's output that are read, the last ones."""


class ChildProcess:
    """Runs a program without a shell, one at a time.

    Args:
        name: of the program in errors; never a secret.
        arguments: the program and its arguments.
    """

    def __init__(self, name: str, arguments: Sequence[str]) -> None:
        self._name = name
        self._arguments = list(arguments)
        self._process: subprocess.Popen[bytes] | None = None

    def run(self, content: bytes, limit: float, environment: Mapping[bytes, bytes]) -> bytes:
        """Run the program to its end; return the end of its output.

        Args:
            content: what it gets on stdin.
            limit: seconds after which it is killed.
            environment: its environment variables; it inherits none.

        Raises:
            AlertFailed: it cannot be run, does not end in time, or its exit code is not 0. The message quotes the end
                of its output.
        """
        # Its output goes to a file: a process that it leaves running would hold a pipe open.
        with tempfile.TemporaryFile() as output, self._running(output, environment) as process:
            try:
                process.communicate(content, timeout=limit)
            except subprocess.TimeoutExpired:
                raise AlertFailed(f"{self._name} did not end within {limit:g} s{quotation(_end(output))}") from None
            finally:
                if process.poll() is None:
                    _kill(process)
            if (code := process.returncode) != 0:
                ended = f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
                raise AlertFailed(f"{self._name} {ended}{quotation(_end(output))}")
            return _end(output)

    def abort(self) -> None:
        """Kill the program, if it runs; called from another thread."""
        if (process := self._process) is not None:
            _kill(process)

    @contextmanager
    def _running(self, output: IO[bytes], environment: Mapping[bytes, bytes]) -> Iterator[subprocess.Popen[bytes]]:
        try:
            process = subprocess.Popen(  # noqa: S603 - the arguments are the user's own setting, or this program's
                self._arguments,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,  # a process group, so that its children are killed with it
            )
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "its arguments cannot be passed to a program"
            raise AlertFailed(f"{self._name} cannot be run: {reason}") from None
        with process:
            self._process = process
            try:
                yield process
            finally:
                self._process = None


def quotation(output: bytes) -> str:
    """Return the end of a program's output, to be appended to a message."""
    line = one_line(output.decode(errors="replace")[-MAX_QUOTED_OUTPUT:])
    return f": {line}" if line else ""


def _end(output: IO[bytes]) -> bytes:
    size = output.seek(0, os.SEEK_END)
    output.seek(max(0, size - MAX_OUTPUT))
    return output.read()


def _kill(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError, PermissionError):  # it has just ended
        os.killpg(process.pid, signal.SIGKILL)
