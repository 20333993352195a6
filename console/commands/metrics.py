"""``run.py metrics``: metrics of the running service, or of the database if it is not running."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

from loguru import logger
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from actors.settings import Settings
from console.database import has_database, opened
from console.debug.protocol import ConsoleConnection, socket_path
from console.display.format import print_document, print_exactly
from console.metrics.families import build_info, of_database, of_last_audit, of_lease, up
from console.options import AsJson, with_settings
from domain.errors import DatabaseError, NotRunning
from persistence.queries.metrics import MetricsReader, Reading
from persistence.version import version

SNAPSHOT_READ_TIMEOUT_S = 30.0
"""Longest time to read the history of snapshots, which a running service has in memory."""


@with_settings
def metrics(settings: Settings, as_json: AsJson = False) -> None:
    r"""Print the metrics of the service in Prometheus' text format, as its endpoint at metrics_port does.

    \b
      run.py metrics
      run.py metrics | grep paper_decisions

    The service must run on this machine with the same home. If it is not running, the metrics are those of the
    database, and paper_up is 0; the exit code is 0 too. With --json the samples are one document, values as strings.
    """
    text = _of_process(settings) or _of_database(settings)
    if as_json:
        print_document(samples(text))
    else:
        print_exactly(text)


def samples(text: str) -> list[dict[str, Any]]:
    """Return every sample of a text in Prometheus' format, with its labels."""
    return [
        {"name": sample.name, "type": family.type, "labels": sample.labels, "value": repr(sample.value)}
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    ]


def _of_process(settings: Settings) -> str | None:
    """Return the metrics of the running service; None if no service of this home and database runs here."""
    try:
        with ConsoleConnection(socket_path(settings)) as connection:
            return str(connection.ask("metrics")["text"])
    except NotRunning:
        return None


def _of_database(settings: Settings) -> str:
    """Return the metrics of the database; an embedded one is not created for that."""
    reading = None
    if has_database(settings):
        try:
            with opened(settings) as url, closing(MetricsReader(url, read_time=SNAPSHOT_READ_TIMEOUT_S)) as measures:
                reading = measures.look()
        except DatabaseError as error:
            logger.warning("no metrics from the database: {}", error)
    registry = CollectorRegistry()
    registry.register(_DatabaseCollector(reading))
    return generate_latest(registry).decode()


class _DatabaseCollector(Collector):
    """Collector of the metrics that the database provides while the service is not running."""

    def __init__(self, reading: Reading | None) -> None:
        self._reading = reading

    def collect(self) -> Iterator[Metric]:
        yield up(running=False)
        yield build_info(version(), None)
        yield from of_lease(None, self._reading)
        yield of_last_audit(None, self._reading)
        yield from of_database(self._reading, None)
