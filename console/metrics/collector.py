"""Collector of Prometheus metrics: each scrape waits at most `DATABASE_TIMEOUT_S` for the database."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, wait
from contextlib import contextmanager
from typing import Generic, TypeVar

from loguru import logger
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from actors.system import TradingSystem
from console.metrics import families
from console.service.requests import Command
from domain.errors import PaperTradingError
from domain.worker_thread import call_in_thread
from persistence.database_timing import database_timings
from persistence.queries.metrics import MetricsReader, Reading
from persistence.version import version

DATABASE_TIMEOUT_S = 1.0
"""How long a scrape waits for the database; after that it has the metrics of the process alone."""
CLOSE_TIMEOUT_S = 0.5
"""How long `close` waits for a running query."""
T = TypeVar("T")


class MetricsCollector(Collector):
    """Metrics of this process; before it serves, and while it stops, only a few.

    Attributes:
        registry: of these metrics; several threads may scrape it at once.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self.registry)
        self._serving: tuple[TradingSystem, SharedQuery[Reading]] | None = None
        self.registry.register(self)

    @contextmanager
    def serving(self, system: TradingSystem) -> Iterator[None]:
        """Collect the metrics of a running system, until it is about to stop."""
        reader = MetricsReader(system.database_url)
        database = SharedQuery(reader.look)
        self._serving = system, database
        try:
            yield
        finally:
            self._serving = None
            database.close()
            reader.close()

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics."""
        serving = self._serving
        yield families.up(running=serving is not None)
        yield families.build_info(version(), serving[0].facts if serving is not None else None)
        yield families.of_round_trips(database_timings())
        if serving is not None:
            system, database = serving
            reading = database.answer()
            status, counts = system.status(), system.counts
            yield from families.of_process(status, counts, system.facts)
            yield from families.of_prices(status, system.clock.now())
            yield from families.of_lease(status, reading)
            yield families.of_last_audit(counts, reading)
            yield from families.of_database(reading, counts.fills)

    @property
    def commands(self) -> Mapping[str, Command]:
        """The console command ``metrics``, which answers with the text of the endpoint."""
        return {"metrics": lambda _: {"text": generate_latest(self.registry).decode()}}


class SharedQuery(Generic[T]):
    """A database query that runs in a thread of its own, so that a hanging server blocks no scrape.

    Callers that arrive while it runs share its result.

    Args:
        query: raises a `PaperTradingError` where the database does not answer.
    """

    def __init__(self, query: Callable[[], T]) -> None:
        self._query = query
        self._lock = threading.Lock()
        self._running: Future[T | None] | None = None

    def answer(self, timeout: float = DATABASE_TIMEOUT_S) -> T | None:
        """Return the result; None where it does not arrive within ``timeout`` seconds, or the query failed."""
        with self._lock:
            if self._running is None or self._running.done():
                self._running = call_in_thread("metrics", self._result)
            running = self._running
        try:
            return running.result(timeout)
        except TimeoutError:
            return None

    def close(self) -> None:
        """Wait up to `CLOSE_TIMEOUT_S` for a running query, so that its connection can be closed."""
        if (running := self._running) is not None:
            wait([running], CLOSE_TIMEOUT_S)

    def _result(self) -> T | None:
        try:
            return self._query()
        except PaperTradingError as error:
            logger.debug("no metrics from the database: {}", error)
        except Exception as error:  # noqa: BLE001 - a defect must not leave scrapes waiting
            logger.opt(exception=error).error("cannot read the metrics of the database: {!r}", error)
        return None
