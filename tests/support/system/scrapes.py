"""What a scrape says, as Prometheus reads it."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

Labels = tuple[tuple[str, str], ...]


class Scrape:
    """The samples of one text."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.families = {family.name: family for family in text_string_to_metric_families(text)}

    def value(self, name: str, **labels: str) -> float | None:
        """The one sample of that name with these labels; None where there is none."""
        found = [value for given, value in self.by(name).items() if labels.items() <= dict(given).items()]
        assert len(found) <= 1, f"{name} {labels} is {len(found)} samples"
        return found[0] if found else None

    def by(self, name: str) -> dict[Labels, float]:
        """All samples of that name, by their labels in alphabetical order."""
        return {
            tuple(sorted(sample.labels.items())): sample.value
            for family in self.families.values()
            for sample in family.samples
            if sample.name == name
        }

    def above_zero(self, name: str) -> dict[tuple[str, ...], float]:
        """Samples of that name that are not 0, by the values of their labels."""
        return {tuple(value for _, value in labels): number for labels, number in self.by(name).items() if number}


class _Given(Collector):
    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = list(families)

    def collect(self) -> Iterator[Metric]:
        return iter(self._families)


def scrape(source: CollectorRegistry | Iterable[Metric]) -> Scrape:
    """What a registry, or these families, would tell."""
    if not isinstance(source, CollectorRegistry):
        given, source = _Given(source), CollectorRegistry()
        source.register(given)
    return Scrape(generate_latest(source).decode())


def fetch(port: int, timeout: float = 5.0) -> Scrape:
    """What the endpoint tells."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=timeout) as answer:
        assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        return Scrape(answer.read().decode())
