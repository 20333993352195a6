"""How SIGTERM and Ctrl-C end a command that runs for long: once, and in its own order."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

BOTH = (signal.SIGTERM, signal.SIGINT)


class Stop(BaseException):
    """Somebody asked for the stop."""


class Signals:
    """The first signal raises `Stop` in the main thread, wherever it is; later ones say that it is urgent.

    Attributes:
        urgent: called at a later signal; does nothing unless it is set.
    """

    def __init__(self) -> None:
        self.urgent: Callable[[], None] = lambda: None
        self._heard = False

    def ignore(self) -> None:
        """Let no signal disturb any more: the stop has begun."""
        self._heard = True

    def handle(self, _number: int, _frame: object) -> None:
        """Take a signal."""
        if not self._heard:
            self._heard = True
            raise Stop
        self.urgent()


@contextmanager
def stoppable() -> Iterator[Signals]:
    """Have a signal end what stands inside, whose own exits then run undisturbed."""
    signals = Signals()
    before = {each: signal.signal(each, signals.handle) for each in BOTH}
    try:
        yield signals
    except Stop:
        pass
    finally:
        signals.ignore()
        for each, handler in before.items():
            signal.signal(each, handler)
