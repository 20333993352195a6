"""Metric families: name, help text and source of each metric. docs/metrics.md lists them.

Names follow Prometheus' conventions: base units, ``_total`` for counters. Labels are few and bounded: actors,
outcomes, portfolios, watched symbols. None contains a secret.
"""

from __future__ import annotations

import math
import platform
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
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
from actors.introspection.facts import Facts
from actors.introspection.status import ActorStatus, SystemStatus
from console.display.format import instruments_unknown
from domain.failures import FailureKind
from domain.types import PortfolioName
from persistence.database_timing import DatabaseTimings
from persistence.queries.metrics import Reading, Standing

MAX_SYMBOLS = 200
"""Symbols with a price age; those of open positions come first."""
Number = int | float | Decimal
Samples = Mapping[tuple[str, ...], Number | None]
"""Samples by label values; None is left out."""
NO_LABELS: tuple[str, ...] = ()


def up(*, running: bool) -> Metric:
    """Return whether the process serves."""
    return _gauge("paper_up", "1 while the process that answers takes decisions, 0 while it starts or stops", running)


def build_info(version: str, facts: Facts | None) -> Metric:
    """Return version, database and price source as labels."""
    labels = {"version": version, "python_version": platform.python_version()}
    if facts is not None:
        real = str(facts.real_prices).lower()
        labels |= {"database": facts.server, "price_source": facts.price_source, "real_prices": real}
    text = "Always 1; the labels hold the version and the price source"
    return _gauge("paper_build_info", text, {tuple(labels.values()): 1}, *labels)


def of_process(status: SystemStatus, counts: Counts, facts: Facts) -> Iterator[Metric]:
    """Yield the metrics that need no database."""
    yield _gauge("paper_epoch", "Processes that have held the lease, this one included", facts.epoch)
    yield _gauge("paper_generation", "Rebuilds of the decision path", counts.generation)
    paused = status.intake_paused_since is not None
    yield _gauge("paper_intake_paused", "1 while no decision is taken because the database is unreachable", paused)
    text = "1 while a disk is nearly full, under home or of the database"
    yield _gauge("paper_disk_full", text, status.disk_problem is not None)
    text = "1 while the clocks of this machine and the database disagree, or the database's was set"
    yield _gauge("paper_clock_wrong", text, status.clock_problem is not None)
    free = math.nan if status.free_bytes is None else status.free_bytes
    yield _gauge("paper_home_free_bytes", "Free space under home", free)
    yield from _decisions(counts)
    yield from _actors(status.actors)
    failures: Samples = {
        (kind.name.lower(),): number for kind, number in counts.failures.items() if kind is not FailureKind.REPLACED
    }
    yield _counter("paper_failures", "Crashes, hangs and other failures of actors", failures, "kind")
    text = "Decisions and messages in quarantine, after they crashed an actor twice"
    yield _counter("paper_quarantined", text, status.quarantined)
    yield _counter("paper_dead_letters", "Messages to an actor that had ended", status.dead_letters)
    yield _counter("paper_audits", "Comparisons of memory with the database", counts.audits)
    yield _counter("paper_audit_differences", "Portfolios in which an audit found a difference", counts.differences)


def _decisions(counts: Counts) -> Iterator[Metric]:
    outcomes: Samples = {(status.value, code): number for (status, code), number in counts.outcomes.items()}
    text = "Decisions that this process received and that have ended, by outcome and reason"
    yield _counter("paper_decisions", text, outcomes, "outcome", "reason")
    straight, waited = counts.under_way
    under_way: Samples = {("false",): straight, ("true",): waited}
    text = "Decisions received without an outcome yet, by whether they had to wait for a price"
    yield _gauge("paper_decisions_under_way", text, under_way, "waited_for_price")
    text = "Time from the receipt of a decision to the commit of its outcome, by whether it had to wait for a price"
    labels = "outcome", "waited_for_price"
    took = HistogramMetricFamily("paper_decision_duration_seconds", text, labels=labels)
    for (status, had_to_wait), (numbers, seconds) in counts.durations.items():
        took.add_metric([status.value, str(had_to_wait).lower()], _cumulated(numbers), sum_value=seconds)
    yield took


def _cumulated(numbers: Sequence[int]) -> list[tuple[str, float]]:
    """Return the cumulative counts of a histogram: each bucket includes all smaller ones."""
    bounds = [*map(str, BUCKETS), "+Inf"]
    return [(bound, sum(numbers[: place + 1])) for place, bound in enumerate(bounds)]


def _actors(actors: Collection[ActorStatus]) -> Iterator[Metric]:
    for family, name, text, attribute in (
        (_gauge, "paper_mailbox_messages", "Messages that wait for an actor", "mailbox"),
        (_gauge, "paper_mailbox_messages_max", "Most messages that ever waited at once for an actor", "most"),
        (_gauge, "paper_actor_busy_seconds", "Seconds that an actor has been handling its current message", "busy_for"),
        (_counter, "paper_messages_handled", "Messages that an actor has handled", "handled"),
        (_counter, "paper_actor_restarts", "Times that an actor crashed or hung, and was restarted", "restarts"),
        (_counter, "paper_actor_restarts_by_hand", "Restarts that a person asked for", "restarted_by_hand"),
    ):
        yield family(name, text, {(actor.actor,): getattr(actor, attribute) or 0 for actor in actors}, "actor")


def of_prices(status: SystemStatus, now: datetime) -> Iterator[Metric]:
    """Yield the age of prices and the health of their source; no source health while the PriceTracker is busy."""
    prices = status.prices
    unhealthy = prices is not None and (
        prices["ended"] or instruments_unknown(prices) or prices["silent"] or prices["frozen"]
    )
    text = (
        "1 while all needed prices arrive; 0 if the source ended, has no instruments, or a symbol is silent or frozen"
    )
    healthy: Samples = {(prices["source"],): not unhealthy} if prices is not None else {}
    yield _gauge("paper_price_source_healthy", text, healthy, "source")
    silent = len(prices["silent"]) if prices is not None else None
    yield _gauge("paper_symbols_silent", "Symbols needed, without a price for longer than max_price_age", silent)
    frozen = len(prices["frozen"]) if prices is not None else None
    yield _gauge("paper_symbols_frozen", "Symbols of which the source repeats one answer while others change", frozen)
    last_seen: Mapping[str, datetime] = prices["last_seen"] if prices is not None else {}
    first = [*last_seen.items()][:MAX_SYMBOLS]
    ages: Samples = {(symbol,): max(0.0, (now - at).total_seconds()) for symbol, at in first}
    yield _gauge(
        "paper_price_age_seconds", "Seconds since the newest price of a watched symbol arrived", ages, "symbol"
    )
    lags: Samples = {
        (symbol,): max(0.0, quote["exchange_age_s"] - quote["age_s"])
        for symbol, quote in [*(prices["quotes"] if prices is not None else {}).items()][:MAX_SYMBOLS]
        if quote["exchange_age_s"] is not None
    }
    yield _gauge(
        "paper_price_lag_seconds",
        "Seconds by which the own time of a watched symbol's newest price was behind its exchange's clock",
        lags,
        "symbol",
    )
    yield _counter("paper_prices_dropped", "Prices that were not stored; trading used them", status.prices_dropped)
    aside = prices["set_aside"] if prices is not None else None
    yield _counter("paper_prices_set_aside", "Prices that the price filter held back: too far from the last one", aside)


def of_round_trips(trips: Mapping[str, DatabaseTimings]) -> Metric:
    """Return number and duration of round trips to the database."""
    text = "Round trips to the database: statements, COPY, BEGIN and COMMIT, by the client that waited"
    family = SummaryMetricFamily("paper_database_round_trip_seconds", text, labels=["client"])
    for name, timings in sorted(trips.items()):
        family.add_metric([name], count_value=timings.count, sum_value=timings.seconds)
    return family


def of_lease(status: SystemStatus | None, reading: Reading | None) -> Iterator[Metric]:
    """Yield the state of the lease: from the process, else from the database."""
    held, ago = (status.lease_held, status.lease_renewed_ago) if status is not None else (None, None)
    if status is None and reading is not None:
        renewed = reading.served["renewed_ago"]
        held, ago = bool(reading.served["running"]), renewed.total_seconds() if renewed is not None else None
    yield _gauge("paper_lease_held", "1 while the lease is held: without it nothing is written", held)
    yield _gauge(
        "paper_lease_renewal_age_seconds", "Seconds since the lease was renewed, every 5 s if all is well", ago
    )


def of_last_audit(counts: Counts | None, reading: Reading | None) -> Metric:
    """Return the age of the last audit: from the process, else from the database."""
    ago = counts.seconds_since_audit if counts is not None else None
    if ago is None and reading is not None and reading.audited_ago is not None:
        ago = reading.audited_ago.total_seconds()
    return _gauge("paper_audit_age_seconds", "Seconds since the last audit; missing before the first", ago)


def of_database(reading: Reading | None, fills: Mapping[PortfolioName, int] | None) -> Iterator[Metric]:
    """Yield the metrics of the database; while it does not answer, amounts are missing rather than old.

    Args:
        reading: content of the database; None while it does not answer.
        fills: number of fills of this process by portfolio; None where none runs.
    """
    yield _gauge("paper_database_up", "1 if the database answered this time", reading is not None)
    waiting = reading.waiting if reading is not None else None
    yield _gauge("paper_decisions_waiting", "Decisions in the table without outcome, at most 100 000", waiting)
    database_bytes, tables = (reading.database_bytes, reading.table_bytes) if reading is not None else (None, {})
    yield _gauge("paper_database_bytes", "Size of the whole database, measured each hour", database_bytes)
    sizes: Samples = {(name,): number for name, number in tables.items()}
    yield _gauge("paper_table_bytes", "Size of a table with its indexes, measured each hour", sizes, "table")
    standings = reading.portfolios if reading is not None else ()
    names = [standing.row["portfolio"] for standing in standings]
    if fills is not None:
        # A portfolio that was begun anew goes on under its name, which was the id of its first life.
        labels = {standing.row["portfolio_id"]: standing.row["portfolio"] for standing in standings}
        numbers = Counter(dict.fromkeys(names, 0))
        for id_, number in fills.items():
            numbers[labels.get(id_, id_)] += number
        fills_by_portfolio: Samples = {(name,): number for name, number in numbers.items()}
        yield _counter("paper_fills", "Fills that this process committed", fills_by_portfolio, "portfolio")
    yield from _portfolios(standings)


def _portfolios(standings: Sequence[Standing]) -> Iterator[Metric]:
    rows = [standing.row for standing in standings]
    for name, text, column in (
        ("equity", "Cash and positions, at the last market prices", "worth"),
        ("cash", "Cash", "cash"),
        ("initial_capital", "What the portfolio began with", "initial_capital"),
    ):
        amounts: Samples = {(row["portfolio"], row["currency"]): row[column] for row in rows}
        yield _gauge(f"paper_portfolio_{name}", text, amounts, "portfolio", "currency")
    resting: Samples = {(row["portfolio"],): row["open_orders"] for row in rows}
    yield _gauge("paper_open_orders", "Orders that rest in the market, exits included", resting, "portfolio")
    halted_text = "1 while the portfolio is halted, by a person, a rule or the audit"
    drawdowns = [standing.drawdown for standing in standings]
    max_drawdowns = [standing.max_drawdown for standing in standings]
    for name, text, values in (
        ("positions", "Open positions", [row["held"] for row in rows]),
        ("halted", halted_text, [row["halted"] is not None for row in rows]),
        ("drawdown_ratio", "Fall from the highest value, a fraction of it", drawdowns),
        ("max_drawdown_ratio", "The largest such fall up to now", max_drawdowns),
    ):
        by_portfolio: Samples = {(row["portfolio"],): value for row, value in zip(rows, values, strict=True)}
        yield _gauge(f"paper_portfolio_{name}", text, by_portfolio, "portfolio")


def _gauge(name: str, text: str, value: Samples | Number | None, *labels: str) -> Metric:
    return _with_samples(GaugeMetricFamily(name, text, labels=labels), value)


def _counter(name: str, text: str, value: Samples | Number | None, *labels: str) -> Metric:
    return _with_samples(CounterMetricFamily(name, text, labels=labels), value)


def _with_samples(family: Any, value: Samples | Number | None) -> Metric:
    samples = value if isinstance(value, Mapping) else {NO_LABELS: value}
    for labels, sample in samples.items():
        if sample is not None:
            family.add_metric(labels, float(sample))
    metric: Metric = family
    return metric
