"""Scrapes of metrics, parsed as Prometheus parses them."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

Labels = tuple[tuple[str, str], ...]


class Scrape:
    """The samples of one scrape."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.families = {family.name: family for family in text_string_to_metric_families(text)}

    def value(self, name: str, **labels: str) -> float | None:
        """Return the only sample of that name with these labels; None where there is none."""
        values = [value for pairs, value in self.by(name).items() if labels.items() <= dict(pairs).items()]
        assert len(values) <= 1, f"{name} {labels} is {len(values)} samples"
        return values[0] if values else None

    def by(self, name: str) -> dict[Labels, float]:
        """Return all samples of that name by their labels, which are in alphabetical order."""
        return {
            tuple(sorted(sample.labels.items())): sample.value
            for family in self.families.values()
            for sample in family.samples
            if sample.name == name
        }

    def above_zero(self, name: str) -> dict[tuple[str, ...], float]:
        """Return the samples of that name that are not 0, by the values of their labels."""
        return {tuple(value for _, value in labels): number for labels, number in self.by(name).items() if number}


class _FixedCollector(Collector):
    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = list(families)

    def collect(self) -> Iterator[Metric]:
        return iter(self._families)


def scrape(source: CollectorRegistry | Iterable[Metric]) -> Scrape:
    """Return a scrape of a registry, or of these families."""
    if not isinstance(source, CollectorRegistry):
        collector, source = _FixedCollector(source), CollectorRegistry()
        source.register(collector)
    return Scrape(generate_latest(source).decode())


def fetch(port: int, timeout: float = 5.0) -> Scrape:
    """Return a scrape of the endpoint."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=timeout) as answer:
        assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        return Scrape(answer.read().decode())
