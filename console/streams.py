"""stdin, stdout and stderr as a shell leaves them: closed, full, or in an encoding that cannot write every text."""

from __future__ import annotations

import codecs
import io
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import ParamSpec, TypeVar

from console.errors import OutputFailed
from domain.wording import printable

P = ParamSpec("P")
T = TypeVar("T")
ERROR_HANDLER = "paper-trading"
SUBSTITUTES = str.maketrans({
    "–": "-", "—": "-", "−": "-", "…": "...", "×": "x", "·": ".", "✓": "+", "✗": "x", "≥": ">=", "≤": "<=", "→": "->",
    "●": "*", "“": '"', "”": '"', "„": '"', "’": "'", "│": "|", "─": "-", "√": "sqrt", "Σ": "sum", "∞": "inf",
})  # fmt: skip
"""For people: what this program writes of itself, where an encoding has no such character; any other becomes a ?."""


@contextmanager
def _failing() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputFailed(f"cannot write the output: {error.strerror or error}") from error


def _failing_alike(method: Callable[P, T]) -> Callable[P, T]:
    """Return a method of stdout whose errors are the program's; that of a reader which has ended stays."""

    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        with _failing():
            return method(*args, **kwargs)

    return call


def prepare_streams(*, as_json: bool, own_process: bool) -> None:
    """Make the three streams usable, whatever they are.

    A closed one becomes the null device, so that no file or connection gets its number, to which a library may write. A
    character that an encoding does not have is replaced; in a JSON document by its escape, so that nothing is lost.

    Args:
        as_json: whether stdout gets a JSON document.
        own_process: whether the process ends with the command, so that its streams may be changed for good.
    """
    if own_process:
        _open_closed_streams()
        if isinstance(sys.stdout, io.TextIOWrapper):
            # The stream stays what it is: a caller may keep it, and another one on its buffer would ask for its place.
            sys.stdout.write = _failing_alike(sys.stdout.write)  # type: ignore[method-assign]
            sys.stdout.flush = _failing_alike(sys.stdout.flush)  # type: ignore[method-assign]
    codecs.register_error(ERROR_HANDLER, _escaped if as_json else _substituted)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and codecs.lookup(stream.encoding).name != "utf-8":
            stream.reconfigure(errors=ERROR_HANDLER)


def _open_closed_streams() -> None:
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        try:
            os.fstat(number)
        except OSError:
            null_device = os.open(os.devnull, os.O_RDWR)
            if null_device != number:
                os.dup2(null_device, number)
                os.close(null_device)
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115 - as long as Python


def _escaped(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    return json.dumps(error.object[error.start : error.end])[1:-1], error.end


def _substituted(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    text = error.object[error.start : error.end].translate(SUBSTITUTES)
    return text.encode("ascii", "replace").decode("ascii"), error.end


def drop_full_streams() -> None:
    """Redirect streams that take no more to the null device, or Python's last flush would change the exit code."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()  # what could not be written may still be in its buffer
        except (OSError, OutputFailed):
            null_device = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null_device, stream.fileno())
            os.close(null_device)
            stream.flush()


def print_for_people(text: str) -> None:
    """Print a line on stderr; one that a closed or full stream does not take is left out."""
    with suppress(OSError):
        print(printable(text), file=sys.stderr, flush=True)  # noqa: T201
