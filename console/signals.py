"""How SIGTERM, Ctrl-C and a closed terminal end a command that runs for long: once, and in its own order."""

from __future__ import annotations

import os
import select
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

STOPPING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""Signals that ask for the stop."""

Handler = Callable[[int, FrameType | None], Any]


class Stop(BaseException):
    """Somebody asked for the stop."""


class Signals:
    """The first signal raises `Stop` in the main thread, wherever it is; later ones say that it is urgent.

    A later SIGHUP says nothing: a terminal that is closed sends several, its own and those of the shell.

    Attributes:
        urgent: called at a later SIGTERM or SIGINT; does nothing unless it is set.
    """

    def __init__(self) -> None:
        self.urgent: Callable[[], None] = lambda: None
        self._heard = False

    def ignore(self) -> None:
        """Let no signal disturb any more: the stop has begun."""
        self._heard = True

    def handle(self, number: int, _frame: object) -> None:
        """Take a signal."""
        if number == signal.SIGHUP:
            leave_closed_streams()
        if not self._heard:
            self._heard = True
            raise Stop
        if number != signal.SIGHUP:
            self.urgent()


@contextmanager
def stoppable() -> Iterator[Signals]:
    """Have a signal end what stands inside, whose own exits then run undisturbed."""
    signals = Signals()
    before = take_signals(dict.fromkeys(STOPPING, signals.handle))
    try:
        yield signals
    except Stop:
        pass
    finally:
        signals.ignore()
        restore_signals(before)


def take_signals(handlers: Mapping[signal.Signals, Handler]) -> dict[signal.Signals, Any]:
    """Set handlers of signals; return those before.

    A SIGHUP that is ignored stays so: that is how `nohup` has a program outlive its terminal.
    """
    taken = [number for number in handlers if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN]
    return {number: signal.signal(number, handlers[number]) for number in taken}


def restore_signals(before: Mapping[signal.Signals, Any]) -> None:
    """Set the handlers again that `take_signals` returned."""
    for number, handler in before.items():
        signal.signal(number, handler)


def leave_closed_streams() -> None:
    """Point stdout and stderr at nothing where their reader has gone, such as a terminal that was closed.

    Each write to it would fail, and Python's own last flush of it would spoil the exit code.
    """
    for stream in (sys.stdout, sys.stderr):
        with suppress(
            OSError, ValueError, AttributeError
        ):  # a stream that is no file, or closed, has no reader to lose
            descriptor = stream.fileno()
            poll = select.poll()
            poll.register(descriptor, 0)
            if any(events & (select.POLLHUP | select.POLLERR) for _, events in poll.poll(0)):
                nothing = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nothing, descriptor)
                os.close(nothing)
