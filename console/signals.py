"""Signal handling of long commands: SIGTERM, Ctrl-C and a closed terminal start one orderly stop."""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from queue import SimpleQueue
from types import FrameType
from typing import Any, TypeVar

Result = TypeVar("Result")
LOOK_UP_SECONDS = 1.0
AGAIN_SECONDS = 0.005
"""Time after which a signal that came within a log call is sent again; a log call takes some 0.1 ms."""
MAX_LOG_SECONDS = 1.0
"""Time after which a log call is interrupted all the same: nobody reads what it writes."""
STOPPING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""Signals that request a stop."""

Handler = Callable[[int, FrameType | None], Any]


class Stop(BaseException):
    """A signal requested a stop."""


class Signals:
    """Handler of the stop signals: the first one raises `Stop` in the main thread, a later one calls `urgent`.

    A later SIGHUP is ignored, because a closed terminal sends several: its own and those of the shell.

    Attributes:
        urgent: called at a later SIGTERM or SIGINT, in a thread of its own; does nothing by default.
        requested: a signal has requested a stop.
    """

    def __init__(self) -> None:
        self.urgent: Callable[[], None] = lambda: None
        self.requested = False
        self._stopping = False
        self._put_off_since: float | None = None
        # A handler interrupts the main thread anywhere, also where that holds a lock, so it must not take one. It hands
        # on what could, through the one queue that Python allows in a handler.
        self._later: SimpleQueue[Callable[[], None]] = SimpleQueue()
        threading.Thread(target=self._do_later, name="signals", daemon=True).start()

    def ignore(self) -> None:
        """Ignore further signals: the stop has begun."""
        self._stopping = True

    def until(self, wait: Callable[[float], Result | None]) -> Result:
        """Wait until ``wait`` returns something, and return it; a signal ends that by `Stop`.

        Two signals would not: one that the system gives to another thread, because Python handles it in the main thread
        and that is not woken; and one that comes while a finalizer runs, where Python drops the exception. So the
        main thread looks up each second.

        Args:
            wait: waits up to a number of seconds; returns None if nothing has come.
        """
        while True:
            if self.requested:
                raise Stop
            if (result := wait(LOOK_UP_SECONDS)) is not None:
                return result

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal."""
        if number == signal.SIGHUP:
            leave_closed_streams()
        if self._stopping:
            if number != signal.SIGHUP:
                self._later.put(self.urgent)
        elif _is_logging(frame) and self._may_be_put_off():
            self._later.put(lambda: _send_again(number))
        else:
            self._stopping = self.requested = True
            raise Stop

    def _may_be_put_off(self) -> bool:
        now = time.monotonic()
        self._put_off_since = self._put_off_since or now
        return now - self._put_off_since < MAX_LOG_SECONDS

    def _do_later(self) -> None:
        while True:
            self._later.get()()


@contextmanager
def stoppable() -> Iterator[Signals]:
    """End the block at a signal; the block's own clean-up then runs without interruption.

    After a signal the handlers stay: a second Ctrl-C that comes late must not interrupt what the command still prints.
    """
    signals = Signals()
    print_exception = sys.unraisablehook

    def print_unless_stop(unraisable: sys.UnraisableHookArgs) -> None:
        if not isinstance(unraisable.exc_value, Stop):  # `Signals.until` looks for a stop that came in a finalizer
            print_exception(unraisable)

    sys.unraisablehook = print_unless_stop
    before = take_signals(dict.fromkeys(STOPPING, signals.handle))
    try:
        yield signals
    except Stop:
        pass
    finally:
        signals.ignore()
        sys.unraisablehook = print_exception
        if not signals.requested:
            restore_signals(before)


def _is_logging(frame: FrameType | None) -> bool:
    """Return whether loguru is at work: an exception there may leave its lock taken, and later lines are refused."""
    while frame is not None and not frame.f_globals.get("__name__", "").startswith("loguru."):
        frame = frame.f_back
    return frame is not None


def _send_again(number: int) -> None:
    """Send a signal to the main thread, which handles it there."""
    time.sleep(AGAIN_SECONDS)
    main_thread = threading.main_thread().ident
    assert main_thread is not None
    signal.pthread_kill(main_thread, number)


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
