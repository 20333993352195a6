"""The thread that price sources share; `domain.trading.quotes.PriceSource` is the interface that they keep."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Sequence

from loguru import logger

from domain.errors import PaperTradingError
from domain.trading.instruments import InstrumentCatalog
from domain.trading.quotes import PriceListener
from domain.types import Clock, Symbol

STOP_WITHIN = 1.0
"""Seconds that `PriceSource.stop` waits for the source's thread."""


class Stopwatch:
    """How a source tells how long to wait; tests give one of their own that lets time pass at once."""

    # Bound here, so that a test which freezes the modules' clocks does not freeze the waiting.
    _monotonic: Callable[[], float] = staticmethod(time.monotonic)

    def seconds(self) -> float:
        """Return seconds since some moment; they never jump, unlike the wall clock."""
        return self._monotonic()

    def wait(self, stopped: threading.Event, seconds: float) -> bool:
        """Wait, but no longer than until ``stopped`` is set; return whether it is."""
        return stopped.wait(min(max(seconds, 0.0), threading.TIMEOUT_MAX))


class ThreadedSource(ABC):
    """A `PriceSource` that plays on one daemon thread; subclasses say what in `_play`.

    Attributes:
        book: what can be traded, known from the beginning.
        notes: what its figures rest on, a sentence each.
        troubles: nothing that it waits for.
    """

    name: str
    real = False
    notes: Sequence[str] = ()
    troubles: Sequence[str] = ()

    def __init__(self, book: InstrumentCatalog, clock: Clock, stopwatch: Stopwatch | None = None) -> None:
        self.book = book
        self._clock = clock
        self._stopwatch = stopwatch or Stopwatch()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, listener: PriceListener) -> None:
        """Begin to deliver to ``listener``; after a stop, go on where it stopped.

        Raises:
            RuntimeError: it is running.
        """
        if self._thread is not None and self._thread.is_alive():
            msg = f"the price source {self.name!r} is running already"
            raise RuntimeError(msg)
        # A new event for each thread: one that outlived its stop can never be woken up again.
        self._stopped = threading.Event()
        self._thread = threading.Thread(
            target=self._run, args=(listener, self._stopped), name=f"prices-{self.name}", daemon=True
        )
        self._thread.start()

    def subscribe(self, symbols: Collection[Symbol]) -> None:  # noqa: B027 - nothing is what it should do
        """Do nothing: every symbol is played anyway."""

    def unsubscribe(self, symbols: Collection[Symbol]) -> None:  # noqa: B027
        """Do nothing: every symbol is played anyway."""

    def stop(self) -> None:
        """Deliver nothing more; return when the thread has ended."""
        self._stopped.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(STOP_WITHIN)

    def _run(self, listener: PriceListener, stopped: threading.Event) -> None:
        try:
            listener.instruments_loaded(self.book)
            reason = self._play(listener, stopped)
        except PaperTradingError as error:
            reason = str(error)
        except Exception as error:  # noqa: BLE001 - a thread that dies unheard would look like a quiet market
            logger.exception("the price source {!r} failed", self.name)
            reason = f"the price source {self.name!r} failed: {type(error).__name__}: {error}"
        if not stopped.is_set():
            listener.source_ended(reason)

    @abstractmethod
    def _play(self, listener: PriceListener, stopped: threading.Event) -> str:
        """Deliver prices until ``stopped`` is set or there are no more; return the sentence that says why it ended."""
