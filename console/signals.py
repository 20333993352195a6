"""Signal handling of long commands: SIGTERM, Ctrl-C and a closed terminal start one orderly stop."""

from __future__ import annotations

import os
import select
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, TypeVar

Result = TypeVar("Result")
LOOK_UP_SECONDS = 1.0
STOPPING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""Signals that request a stop."""

Handler = Callable[[int, FrameType | None], Any]


class Stop(BaseException):
    """A signal requested a stop."""


class Signals:
    """Handler of the stop signals: the first one raises `Stop` in the main thread, a later one calls `urgent`.

    A later SIGHUP is ignored, because a closed terminal sends several: its own and those of the shell.

    Attributes:
        urgent: called at a later SIGTERM or SIGINT; does nothing by default.
        requested: a signal has requested a stop.
    """

    def __init__(self) -> None:
        self.urgent: Callable[[], None] = lambda: None
        self.requested = False
        self._stopping = False

    def ignore(self) -> None:
        """Ignore further signals: the stop has begun."""
        self._stopping = True

    def until(self, wait: Callable[[float], Result | None]) -> Result:
        """Wait until ``wait`` returns something, and return it; a signal ends that by `Stop`.

        Two signals would not: one that the system gives to another thread, because Python handles it in the main thread
        and that is not woken; and one that comes while a finalizer runs, where Python only prints an exception. So the
        main thread looks up each second.

        Args:
            wait: waits up to a number of seconds; returns None if nothing has come.
        """
        while True:
            if self.requested:
                raise Stop
            if (result := wait(LOOK_UP_SECONDS)) is not None:
                return result

    def handle(self, number: int, _frame: object) -> None:
        """Handle a signal."""
        if number == signal.SIGHUP:
            leave_closed_streams()
        if not self._stopping:
            self._stopping = self.requested = True
            raise Stop
        if number != signal.SIGHUP:
            self.urgent()


@contextmanager
def stoppable() -> Iterator[Signals]:
    """End the block at a signal; the block's own clean-up then runs without interruption.

    After a signal the handlers stay: a second Ctrl-C that comes late must not interrupt what the command still prints.
    """
    signals = Signals()
    before = take_signals(dict.fromkeys(STOPPING, signals.handle))
    try:
        yield signals
    except Stop:
        pass
    finally:
        signals.ignore()
        if not signals.requested:
            restore_signals(before)


def is_of_a_stop(error: BaseException | None) -> bool:
    """Return whether an error came from a stop by a signal, as that of a cancelled query does."""
    while error is not None and not isinstance(error, Stop):
        error = error.__cause__ or error.__context__
    return error is not None


def take_signals(handlers: Mapping[signal.Signals, Handler]) -> dict[signal.Signals, Any]:
    """Set signal handlers; return the previous ones.

    An ignored SIGHUP stays ignored, so that a program under `nohup` survives its terminal.
    """
    taken = [number for number in handlers if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN]
    return {number: signal.signal(number, handlers[number]) for number in taken}


def restore_signals(before: Mapping[signal.Signals, Any]) -> None:
    """Restore the handlers that `take_signals` returned."""
    for number, handler in before.items():
        signal.signal(number, handler)


def leave_closed_streams() -> None:
    """Redirect stdout and stderr to the null device if their reader has gone, such as a closed terminal.

    Otherwise each write would fail, and Python's last flush would change the exit code.
    """
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):  # not a file, or closed: there is no reader to lose
            descriptor = stream.fileno()
            poll = select.poll()
            poll.register(descriptor, 0)
            if any(events & (select.POLLHUP | select.POLLERR) for _, events in poll.poll(0)):
                null_device = os.open(os.devnull, os.O_WRONLY)
                os.dup2(null_device, descriptor)
                os.close(null_device)
