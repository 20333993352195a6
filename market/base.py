"""The base class of the price sources that need one thread; `domain.trading.quotes.PriceSource` is their interface."""

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
from domain.worker_thread import WorkerThread

STOP_TIMEOUT_S = 1.0
"""Longest time that `PriceSource.stop` waits for the source's thread."""


class MonotonicTimer:
    """A monotonic clock and an interruptible sleep; tests pass one whose time passes at once."""

    # Bound here, so that a test which freezes the modules' clocks does not freeze the sleep.
    _monotonic: Callable[[], float] = staticmethod(time.monotonic)

    def seconds(self) -> float:
        """Return seconds since a fixed moment; unlike the wall clock they never jump."""
        return self._monotonic()

    def wait(self, stopped: threading.Event, seconds: float) -> bool:
        """Sleep for ``seconds``, or until ``stopped`` is set; return whether it is."""
        return stopped.wait(min(max(seconds, 0.0), threading.TIMEOUT_MAX))


class ThreadedSource(ABC):
    """A `PriceSource` that delivers on one daemon thread; subclasses implement `_play`.

    Attributes:
        catalog: what can be traded, known from the beginning.
        notes: assumptions behind its prices, a sentence each.
        real: False, as its prices are simulated or recorded; a subclass with a market's own prices says True.
        troubles: empty, unless a subclass retries something.
    """

    name: str
    real = False
    notes: Sequence[str] = ()
    troubles: Sequence[str] = ()

    def __init__(self, catalog: InstrumentCatalog, clock: Clock, timer: MonotonicTimer | None = None) -> None:
        self.catalog = catalog
        self._clock = clock
        self._timer = timer or MonotonicTimer()
        self._worker: WorkerThread | None = None

    def start(self, listener: PriceListener) -> None:
        """Begin to deliver to ``listener``; after a stop, continue where it stopped.

        Raises:
            RuntimeError: it is running.
        """
        if self._worker is not None and self._worker.is_alive:
            raise RuntimeError(f"the price source {self.name!r} is running already")
        # A new one for each start: a thread that outlives its stop stays stopped.
        worker = self._worker = WorkerThread(f"prices-{self.name}", lambda: self._run(listener, worker.stopping))
        worker.start()

    def subscribe(self, symbols: Collection[Symbol]) -> None:  # noqa: B027 - a default that does nothing
        """Do nothing: every symbol is delivered anyway."""

    def unsubscribe(self, symbols: Collection[Symbol]) -> None:  # noqa: B027
        """Do nothing: every symbol is delivered anyway."""

    def stop(self) -> None:
        """Deliver nothing more; return when the thread has ended."""
        if self._worker is not None:
            self._worker.stop(STOP_TIMEOUT_S)

    def _run(self, listener: PriceListener, stopped: threading.Event) -> None:
        try:
            listener.instruments_loaded(self.catalog)
            reason = self._play(listener, stopped)
        except PaperTradingError as error:
            reason = str(error)
        except Exception as error:  # noqa: BLE001 - a thread that died silently would look like a quiet market
            logger.exception("the price source {!r} failed", self.name)
            reason = f"the price source {self.name!r} failed: {type(error).__name__}: {error}"
        if not stopped.is_set():
            listener.source_ended(reason)

    @abstractmethod
    def _play(self, listener: PriceListener, stopped: threading.Event) -> str:
        """Deliver prices until ``stopped`` is set or there are no more; return the reason of the end, a sentence."""
