"""The numbers for machines: what each is called, what it means, and where it comes from. docs/metrics.md has the table.

Names follow Prometheus' conventions: base units, ``_total`` for what only grows. Labels are few and bounded: actors,
outcomes, portfolios, symbols that are watched. None holds anything secret.
"""

from __future__ import annotations

import platform
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
    SummaryMetricFamily,
)

from actors.introspection.counters import BUCKETS, Counts
from actors.introspection.status import ActorStatus, SystemStatus
from actors.system import Facts
from console.display.format import instruments_unknown
from domain.types import PortfolioName
from persistence.database_timing import DatabaseTimings
from persistence.queries.metrics import Reading, Standing

MOST_SYMBOLS = 200
"""So many have their price's age told, those that are held first."""
Number = int | float | Decimal
Samples = Mapping[tuple[str, ...], Number | None]
"""By the values of the labels; None is not told."""
ALONE: tuple[str, ...] = ()


def up(*, running: bool) -> Metric:
    """Return whether somebody serves."""
    return _gauge("paper_up", "1 while the process that answers takes decisions, 0 while it starts or stops", running)


def build_info(version: str, facts: Facts | None) -> Metric:
    """Return what it is that runs."""
    labels = {"version": version, "python_version": platform.python_version()}
    if facts is not None:
        real = str(facts.real_prices).lower()
        labels |= {"database": facts.server, "price_source": facts.price_source, "real_prices": real}
    text = "Always 1; the labels tell the version, and at which prices it trades"
    return _gauge("paper_build_info", text, {tuple(labels.values()): 1}, *labels)


def of_process(status: SystemStatus, counts: Counts, facts: Facts) -> Iterator[Metric]:
    """Yield what the process knows by itself, whether its database is there or not."""
    yield _gauge("paper_epoch", "Processes that have held the lease, this one included", facts.epoch)
    yield _gauge("paper_generation", "Rebuilds of the decision path", counts.generation)
    paused = status.intake_paused_since is not None
    yield _gauge("paper_intake_paused", "1 while no decision is taken because the database is away", paused)
    yield from _decisions(counts)
    yield from _actors(status.actors)
    yield _counter(
        "paper_failures",
        "Crashes, hangs and other failures of actors",
        {(kind.name.lower(),): number for kind, number in counts.failures.items()},
        "kind",
    )
    yield _counter("paper_quarantined", "Decisions and messages put aside: an actor crashed twice", status.quarantined)
    yield _counter("paper_dead_letters", "Messages to an actor that had ended", status.dead_letters)
    yield _counter("paper_audits", "Comparisons of memory with the database", counts.audits)
    yield _counter("paper_audit_differences", "Portfolios in which an audit found a difference", counts.differences)


def _decisions(counts: Counts) -> Iterator[Metric]:
    yield _counter(
        "paper_decisions",
        "Decisions that this process took in, by what became of them",
        {(status.value, code): number for (status, code), number in counts.outcomes.items()},
        "outcome", "reason",
    )  # fmt: skip
    straight, waited = counts.under_way
    yield _gauge(
        "paper_decisions_under_way",
        "Decisions taken in that have no outcome yet, by whether they had to wait for a price",
        {("false",): straight, ("true",): waited},
        "waited_for_price",
    )
    took = HistogramMetricFamily(
        "paper_decision_duration_seconds",
        "From the moment a decision was taken in to the commit that ended it, by whether it had to wait for a price",
        labels=["outcome", "waited_for_price"],
    )
    for (status, had_to_wait), (numbers, seconds) in counts.durations.items():
        took.add_metric([status.value, str(had_to_wait).lower()], _cumulated(numbers), sum_value=seconds)
    yield took


def _cumulated(numbers: Sequence[int]) -> list[tuple[str, float]]:
    """Return counts by bucket as Prometheus wants them: each with all those below it."""
    bounds = [*map(str, BUCKETS), "+Inf"]
    return [(bound, sum(numbers[: place + 1])) for place, bound in enumerate(bounds)]


def _actors(actors: Iterable[ActorStatus]) -> Iterator[Metric]:
    def each(attribute: str) -> Samples:
        return {(actor.actor,): getattr(actor, attribute) or 0 for actor in actors}

    yield _gauge("paper_mailbox_messages", "Messages that wait for an actor", each("mailbox"), "actor")
    yield _gauge("paper_mailbox_messages_max", "Messages that ever waited at once for an actor", each("most"), "actor")
    yield _gauge(
        "paper_actor_busy_seconds", "Seconds that an actor has had its message in hand", each("busy_for"), "actor"
    )
    yield _counter("paper_messages_handled", "Messages that an actor has handled", each("handled"), "actor")
    yield _counter(
        "paper_actor_restarts", "Times that an actor crashed, hung or was replaced", each("restarts"), "actor"
    )


def of_prices(status: SystemStatus, now: datetime) -> Iterator[Metric]:
    """Yield how old prices are, and how their source is; of the source nothing while the PriceTracker is busy."""
    prices = status.prices
    ill = prices is not None and (prices["ended"] or instruments_unknown(prices) or prices["silent"])
    yield _gauge(
        "paper_price_source_healthy",
        "1 while every price that is needed comes; 0 if the source has ended, says nothing, or a symbol is silent",
        {(prices["source"],): not ill} if prices is not None else {},
        "source",
    )
    silent = len(prices["silent"]) if prices is not None else None
    yield _gauge("paper_symbols_silent", "Symbols needed, without a price for longer than max_price_age", silent)
    seen: Mapping[str, datetime] = prices["last_seen"] if prices is not None else {}
    ages: Samples = {(symbol,): max(0.0, (now - at).total_seconds()) for symbol, at in [*seen.items()][:MOST_SYMBOLS]}
    yield _gauge("paper_price_age_seconds", "Seconds since the newest price of a watched symbol came", ages, "symbol")
    yield _counter("paper_prices_dropped", "Prices that were not stored; trading had them", status.prices_dropped)
    aside = prices["set_aside"] if prices is not None else None
    yield _counter("paper_prices_set_aside", "Prices too far from the last one to be believed at once", aside)


def of_round_trips(trips: Mapping[str, DatabaseTimings]) -> Metric:
    """Return how often the database was asked, and how long the answers took."""
    text = "Round trips to the database: statements, COPY, BEGIN and COMMIT, by who waited for the answer"
    family = SummaryMetricFamily("paper_database_round_trip_seconds", text, labels=["client"])
    for name, each in sorted(trips.items()):
        family.add_metric([name], count_value=each.count, sum_value=each.seconds)
    return family


def of_lease(status: SystemStatus | None, reading: Reading | None) -> Iterator[Metric]:
    """Yield how the lease is: as the process knows it, else as the database does."""
    held, ago = (status.lease_held, status.lease_renewed_ago) if status is not None else (None, None)
    if status is None and reading is not None:
        renewed = reading.served["renewed_ago"]
        held, ago = bool(reading.served["running"]), renewed.total_seconds() if renewed is not None else None
    yield _gauge("paper_lease_held", "1 while the lease is held: without it nothing is written", held)
    yield _gauge(
        "paper_lease_renewal_age_seconds", "Seconds since the lease was renewed, every 5 s if all is well", ago
    )


def of_last_audit(counts: Counts | None, reading: Reading | None) -> Metric:
    """Return how long ago the last audit was: as the process knows it, else as the database does."""
    ago = counts.seconds_since_audit if counts is not None else None
    if ago is None and reading is not None and reading.audited_ago is not None:
        ago = reading.audited_ago.total_seconds()
    return _gauge("paper_audit_age_seconds", "Seconds since the last audit; missing before the first", ago)


def of_database(reading: Reading | None, fills: Mapping[PortfolioName, int] | None) -> Iterator[Metric]:
    """Yield what the database says; without it no amounts, because old ones would look like news.

    Args:
        reading: None while the database does not answer.
        fills: that this process has made; None where none runs.
    """
    yield _gauge("paper_database_up", "1 if the database answered this time", reading is not None)
    waiting = reading.waiting if reading is not None else None
    yield _gauge("paper_decisions_waiting", "Decisions in the table without outcome, at most 100 000", waiting)
    standings = reading.portfolios if reading is not None else ()
    names = [each.row["portfolio"] for each in standings]
    if fills is not None:
        known: Samples = {(name,): fills.get(name, 0) for name in dict.fromkeys([*names, *fills])}
        yield _counter("paper_fills", "Fills that this process committed", known, "portfolio")
    yield from _portfolios(standings)


def _portfolios(standings: Sequence[Standing]) -> Iterator[Metric]:
    def money(name: str) -> Samples:
        return {(each.row["portfolio"], each.row["currency"]): each.row[name] for each in standings}

    labels = "portfolio", "currency"
    yield _gauge("paper_portfolio_equity", "Cash and positions, at the last market prices", money("worth"), *labels)
    yield _gauge("paper_portfolio_cash", "Cash", money("cash"), *labels)
    capital = money("initial_capital")
    yield _gauge("paper_portfolio_initial_capital", "What the portfolio began with", capital, *labels)

    def each_one(samples: Iterable[Number | None]) -> Samples:
        return {(standing.row["portfolio"],): sample for standing, sample in zip(standings, samples, strict=True)}

    for name, text, samples in (
        ("positions", "Open positions", [each.row["held"] for each in standings]),
        ("halted", "1 while nothing is traded: somebody, or the audit, has halted it", [_halted(s) for s in standings]),
        ("drawdown_ratio", "Fall from the highest value, a fraction of it", [each.drawdown for each in standings]),
        ("max_drawdown_ratio", "The largest such fall up to now", [each.max_drawdown for each in standings]),
    ):
        yield _gauge(f"paper_portfolio_{name}", text, each_one(samples), "portfolio")


def _halted(standing: Standing) -> bool:
    return standing.row["halted"] is not None


def _gauge(name: str, text: str, value: Samples | Number | None, *labels: str) -> Metric:
    return _filled(GaugeMetricFamily(name, text, labels=labels), value)


def _counter(name: str, text: str, value: Samples | Number | None, *labels: str) -> Metric:
    return _filled(CounterMetricFamily(name, text, labels=labels), value)


def _filled(family: Any, value: Samples | Number | None) -> Metric:
    samples = value if isinstance(value, Mapping) else {ALONE: value}
    for labels, sample in samples.items():
        if sample is not None:
            family.add_metric(labels, float(sample))
    filled: Metric = family
    return filled
