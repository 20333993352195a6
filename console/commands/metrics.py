"""``run.py metrics``: the numbers for machines, of the running process, else what the database says."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from loguru import logger
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from actors.settings import Settings
from console.database import opened
from console.debug.protocol import ConsoleConnection, socket_path
from console.display.format import document
from console.metrics.families import build_info, of_database, of_last_audit, of_lease, up
from console.options import AsJson, DatabaseUrl, Home, LogLevel, quiet_settings
from domain.errors import DatabaseError, NotRunning
from persistence.queries.metrics import MetricsReader, Reading
from persistence.version import version

PATIENCE = 30.0
"""Seconds in which the history of snapshots is read where nothing runs that knows it."""


def metrics(
    as_json: AsJson = False, home: Home = None, database_url: DatabaseUrl = None, log_level: LogLevel = None
) -> None:
    r"""What the endpoint of a running process tells that has metrics_port set, in Prometheus' text format.

    \b
      run.py metrics
      run.py metrics | grep paper_decisions

    Of a process on this machine with the same home. With nothing running it tells what the database says, and
    paper_up 0; it exits 0 all the same. With --json the same samples are one document, values as strings.
    """
    settings = quiet_settings(home=home, database_url=database_url, log_level=log_level)
    text = _of_process(settings) or _at_rest(settings)
    if as_json:
        print(document(samples(text)))  # noqa: T201
    else:
        sys.stdout.write(text)


def samples(text: str) -> list[dict[str, Any]]:
    """Return every sample of a text as Prometheus takes it, with its labels."""
    return [
        {"name": sample.name, "type": family.type, "labels": sample.labels, "value": repr(sample.value)}
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    ]


def _of_process(settings: Settings) -> str | None:
    """Return what the running process tells; None where none of this home and database runs here."""
    try:
        with ConsoleConnection(socket_path(settings)) as line:
            return str(line.ask("metrics")["text"])
    except NotRunning:
        return None


def _at_rest(settings: Settings) -> str:
    """Return what the database tells; no embedded one is made for that."""
    reading = None
    if settings.url is not None or (settings.home / "postgres").exists():
        try:
            with opened(settings) as url:
                measures = MetricsReader(url, read_time=PATIENCE)
                try:
                    reading = measures.look()
                finally:
                    measures.close()
        except DatabaseError as error:
            logger.warning("no metrics from the database: {}", error)
    registry = CollectorRegistry()
    registry.register(_AtRest(reading))
    return generate_latest(registry).decode()


class _AtRest(Collector):
    """What is known where nothing runs."""

    def __init__(self, reading: Reading | None) -> None:
        self._reading = reading

    def collect(self) -> Iterator[Metric]:
        yield up(running=False)
        yield build_info(version(), None)
        yield from of_lease(None, self._reading)
        yield of_last_audit(None, self._reading)
        yield from of_database(self._reading, None)
