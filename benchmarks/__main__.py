"""``python -m benchmarks [--quick] [--database-url URL]``: measure, print a table, leave nothing behind."""

from __future__ import annotations

import argparse
import os
import platform
import signal
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from loguru import logger
from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.bare import GROUP, PREFIX, Mirror
from benchmarks.database import connect, prepare, temporary_database, temporary_folder
from benchmarks.decisions import LOT, MANY, ONE, PORTFOLIOS, Agent
from benchmarks.measure import Burst, Delays, bare_burst, bare_trickle, burst, percentile, trickle
from benchmarks.served import served
from domain.errors import PaperTradingError
from persistence.connections import probe

WARM_UP = 500
A_SECOND = 100.0
"""Decisions a second where delays are measured."""
CALM, FAST = 0.1, 0.001
"""Seconds between two prices of a symbol."""


@dataclass(slots=True)
class Plan:
    """How much is measured."""

    rounds: int = 5
    decisions: int = 5_000
    seconds: int = 20


@dataclass(slots=True)
class Figures:
    """What was measured, system and bare loop side by side."""

    many: list[tuple[Burst, Burst]] = field(default_factory=list)
    one: list[tuple[Burst, Burst]] = field(default_factory=list)
    delays: Delays | None = None
    bare_delays: Sequence[float] = ()
    prices: float = 0.0
    outcomes: str = ""
    differences: Sequence[str] = ()


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="half a minute: fewer rounds, fewer decisions")
    parser.add_argument(
        "--database-url",
        metavar="URL",
        help="measure on this server, in a new database that is dropped again; its role must be allowed to create one "
        "(default: an embedded server)",
    )
    arguments = parser.parse_args()
    logger.remove()
    # Without this SIGTERM would leave the server behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    plan = Plan(rounds=2, decisions=2_000, seconds=5) if arguments.quick else Plan()
    console = Console(highlight=False)
    try:
        with (
            temporary_folder() as folder,
            temporary_database(arguments.database_url, folder) as url,
            console.status("measuring …"),
        ):
            figures, server = _measure(url, folder, plan), probe(url)
    except (PaperTradingError, psycopg.Error, RuntimeError) as error:
        print(f"The benchmark ended early: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    _show(console, figures, plan, server)
    return 1 if figures.differences else 0


def _measure(url: str, folder: Path, plan: Plan) -> Figures:
    figures, agent = Figures(), Agent()
    prepare(url, [prefix + name for prefix in ("", PREFIX) for name in (*MANY, *ONE)])
    with connect(url, writer="PositionKeeper") as connection:
        mirror = Mirror(connection)
        for _ in range(plan.rounds):
            # In turn, so that both meet the same disturbances; the bare loop once the system has stopped.
            with served(url, CALM, folder):
                burst(url, agent.decide([*MANY, *ONE], WARM_UP))
                many = burst(url, agent.decide(MANY, plan.decisions))
                one = burst(url, agent.decide(ONE, plan.decisions))
            figures.many.append((many, bare_burst(mirror, mirror.groups(MANY, GROUP))))
            figures.one.append((one, bare_burst(mirror, mirror.groups(ONE, GROUP))))
        with served(url, FAST, folder) as system:
            burst(url, agent.decide([*MANY, *ONE], WARM_UP))
            count = round(plan.seconds * A_SECOND)
            ticks, began = system.ticks()
            figures.delays = trickle(url, agent.decide(MANY, count), A_SECOND)
            more_ticks, ended = system.ticks()
            figures.prices = (more_ticks - ticks) / (ended - began)
        groups = mirror.groups(MANY, 1)
        mirror.seconds([*groups[:-count], *mirror.groups(ONE, GROUP)])
        figures.bare_delays = bare_trickle(mirror, groups[-count:], A_SECOND)
        counts = connection.execute("SELECT status, count(*) FROM trading_decisions GROUP BY status ORDER BY 2 DESC")
        figures.outcomes = ", ".join(f"{count} {status}" for status, count in counts)
        rows = connection.execute("SELECT difference FROM v_paper_ledger_check LIMIT 5").fetchall()
        figures.differences = [difference for (difference,) in rows]
    return figures


def _show(console: Console, figures: Figures, plan: Plan, server: str) -> None:
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count()
    console.print(
        f"{server} · Python {platform.python_version()} · {cores} cores, {platform.machine()} · {platform.system()}"
    )
    console.print(_rates(figures))
    console.print(
        f"Medians of {plan.rounds} rounds and their range; {plan.decisions} decisions a round, all inserted in one "
        "transaction: from its COMMIT, which wakes the system, until the last outcome is committed; group: fills "
        "in a transaction. The bare loop has the rows ready that the system wrote, and writes them in groups of "
        f"{GROUP} to the same tables, in turn with the system.\n"
    )
    console.print(_delays(figures))
    console.print(
        f"{A_SECOND:g} decisions a second for {plan.seconds} s over {PORTFOLIOS} portfolios, at {figures.prices:.0f} "
        f"prices a second of each of {len(LOT)} symbols; all by the server's clock. From the INSERT's COMMIT until "
        "another session, woken by NOTIFY after the fill's COMMIT, has read the outcome; processed_at is the first "
        "statement of the fill's transaction. Bare: one transaction with the same rows.\n"
    )
    books = "the ledger check is empty" if not figures.differences else "LEDGER: " + "; ".join(figures.differences)
    console.print(f"Outcomes, warm-up and bare loop included: {figures.outcomes}; {books}.")


def _rates(figures: Figures) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("decisions a second", no_wrap=True)
    for heading in ("system", "bare psycopg", "ratio", "group"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, pairs in ((f"{PORTFOLIOS} portfolios", figures.many), ("one portfolio", figures.one)):
        table.add_row(
            name,
            _median([system.rate for system, _ in pairs]),
            _median([bare.rate for _, bare in pairs]),
            f"{statistics.median(system.rate / bare.rate for system, bare in pairs):.2f}",
            f"{statistics.median(system.count / system.commits for system, _ in pairs):.0f}",
        )
    return table


def _delays(figures: Figures) -> Table:
    assert figures.delays is not None
    table = Table("milliseconds", box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("p50", "p90", "p99", "most"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, values in (
        ("INSERT committed to fill committed", figures.delays.seen),
        ("INSERT committed to processed_at", figures.delays.processed),
        ("bare psycopg: the fill's transaction alone", figures.bare_delays),
    ):
        table.add_row(name, *(f"{percentile(values, p):.1f}" for p in (50, 90, 99)), f"{max(values):.1f}")
    return table


def _median(rates: Sequence[float]) -> str:
    lowest, middle, highest = min(rates), statistics.median(rates), max(rates)
    return f"{middle:.0f} ({lowest:.0f}–{highest:.0f})"


if __name__ == "__main__":
    sys.exit(main())
