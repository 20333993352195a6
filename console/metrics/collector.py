"""Who collects the numbers for machines at each scrape, and never waits longer than `DATABASE_WITHIN` for any."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, wait
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Generic, TypeVar

from loguru import logger
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from actors.system import TradingSystem
from console.metrics.families import (
    build_info,
    of_database,
    of_last_audit,
    of_lease,
    of_prices,
    of_process,
    of_round_trips,
    up,
)
from console.service.requests import Command
from domain.errors import PaperTradingError
from persistence.database_timing import database_timings
from persistence.queries.metrics import MetricsReader, Reading
from persistence.version import version

DATABASE_WITHIN = 1.0
"""Seconds that a scrape waits for the database; then it tells what the process knows, and that the database is away."""
HANGING = 0.5
"""Seconds that the end waits for a question under way."""
T = TypeVar("T")


class MetricsCollector(Collector):
    """What is measured of this process: not much before it serves, and while it stops.

    Attributes:
        registry: to be scraped, from any thread and by several at once.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        for each in (ProcessCollector, PlatformCollector, GCCollector):
            each(registry=self.registry)
        self._serving: _Serving | None = None
        self.registry.register(self)

    @contextmanager
    def serving(self, system: TradingSystem) -> Iterator[None]:
        """Measure a system that runs, until it is about to stop."""
        measures = MetricsReader(system.database_url)
        database = Asked(measures.look)
        self._serving = _Serving(system, database)
        try:
            yield
        finally:
            self._serving = None
            database.close()
            measures.close()

    def collect(self) -> Iterator[Metric]:
        """Yield all there is now."""
        serving = self._serving
        yield up(running=serving is not None)
        yield build_info(version(), serving.system.facts if serving is not None else None)
        yield of_round_trips(database_timings())
        if serving is not None:
            yield from serving.collect()

    @property
    def commands(self) -> Mapping[str, Command]:
        """What a console can ask: the text that the endpoint gives."""
        return {"metrics": lambda _: {"text": generate_latest(self.registry).decode()}}


class _Serving:
    """A system, and the way to its database."""

    def __init__(self, system: TradingSystem, database: Asked[Reading]) -> None:
        self.system = system
        self._database = database

    def collect(self) -> Iterator[Metric]:
        """Yield what the process knows, and what its database adds."""
        reading = self._database.answer()
        status, counts = self.system.status(), self.system.counts
        yield from of_process(status, counts, self.system.facts)
        yield from of_prices(status, datetime.now(UTC))
        yield from of_lease(status, reading)
        yield of_last_audit(counts, reading)
        yield from of_database(reading, counts.fills)


class Asked(Generic[T]):
    """A question to the database, asked in a thread of its own: a server that hangs must not make anybody else hang.

    Args:
        question: raises a `PaperTradingError` where there is no answer.
    """

    def __init__(self, question: Callable[[], T]) -> None:
        self._question = question
        self._lock = threading.Lock()
        self._asked: Future[T | None] | None = None

    def answer(self, within: float = DATABASE_WITHIN) -> T | None:
        """Return the answer, None where none comes within so many seconds; who asks meanwhile gets the same one."""
        with self._lock:
            if self._asked is None:
                self._asked = Future()
                threading.Thread(target=self._ask, args=(self._asked,), name="metrics", daemon=True).start()
            asked = self._asked
        try:
            return asked.result(within)
        except TimeoutError:
            return None

    def close(self) -> None:
        """Wait a moment for a question that is under way; its connection can be closed then."""
        if (asked := self._asked) is not None:
            wait([asked], HANGING)

    def _ask(self, asked: Future[T | None]) -> None:
        found = None
        try:
            found = self._question()
        except PaperTradingError as error:
            logger.debug("the database adds no numbers: {}", error)
        except Exception as error:  # noqa: BLE001 - a defect here must not leave anybody waiting
            logger.opt(exception=error).error("the database's numbers could not be read: {!r}", error)
        finally:
            with self._lock:
                self._asked = None
            asked.set_result(found)
