"""``python -m benchmarks.fairness [--backlog N] [--pairs N]``: what the backlog of one portfolio costs another.

First N decisions of one portfolio are there at once, while another one sends a decision 20 times a second. Then N
decisions of one portfolio wait for a price that never comes, while others send HOLDs, and the same portfolio decisions
of another symbol; it is also measured how long they are in the table until they are rejected. Then one portfolio's
wait for a price, and another one has a backlog. Last, in turn, decisions are sent beside a backlog and without one.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from itertools import cycle, islice
from pathlib import Path

import psycopg

from benchmarks.database import connect, prepare, temporary_database, temporary_folder
from benchmarks.decisions import COLUMNS, LOT, Row
from benchmarks.measure import percentile, trickle
from benchmarks.pairs import LEAST_PAIRS, quantile_interval, ratio_of
from benchmarks.served import SILENT, served

BACKLOG, URGENT = "bench-backlog", ("bench-urgent-1", "bench-urgent-2")
A_SECOND, SECONDS = 20.0, 20
"""Decisions a second of the portfolios without a backlog, and for how long."""
PAIRED_A_SECOND, PAIRED_SECONDS, PAIRED_BACKLOG = 50.0, 4, 15_000
WANTED_MS = 1_000.0
"""The largest p99 beside a backlog."""
INTERVAL_S = 0.1
"""Between two prices of a symbol."""
ENDED_WITHIN_S = 300.0
AGES = """
SELECT extract(epoch FROM processed_at - created_at)::float8 FROM trading_decisions
WHERE symbol = %s AND processed_at IS NOT NULL
"""
LEFT = "SELECT count(*) FROM trading_decisions WHERE processed_at IS NULL AND status = 'pending'"


def rows(
    portfolios: Sequence[str], count: int, symbols: Sequence[str] = tuple(LOT), decision: str = ""
) -> Iterator[Row]:
    """Yield decisions for portfolios in turn: BUY and SELL one after the other, or one kind."""
    places = cycle((p, s, a) for a in ("BUY", "SELL") for s in symbols for p in portfolios)
    for portfolio, symbol, action in islice(places, count):
        quantity = LOT.get(symbol, Decimal(1))
        yield Row(portfolio, symbol, decision or action, Decimal("0.8"), quantity, "benchmark", None)


def insert(connection: psycopg.Connection, decisions: Iterator[Row]) -> None:
    """Insert decisions by one statement."""
    with connection.cursor() as cursor, cursor.copy(f"COPY trading_decisions ({COLUMNS}) FROM STDIN") as copy:
        for row in decisions:
            copy.write_row(row)


@contextmanager
def system() -> Iterator[tuple[str, psycopg.Connection]]:
    """Run a system on a database of its own."""
    with temporary_folder() as folder, temporary_database(None, folder) as url:
        prepare(url, [BACKLOG, *URGENT])
        with served(url, INTERVAL_S, Path(folder), [*LOT, SILENT]), connect(url) as connection:
            trickle(url, list(rows([BACKLOG, *URGENT], 60)), A_SECOND)
            yield url, connection


def wait_until_all_have_ended(connection: psycopg.Connection) -> float:
    """Return the seconds that it took."""
    began = time.perf_counter()
    while (row := connection.execute(LEFT).fetchone()) != (0,):
        if time.perf_counter() - began > ENDED_WITHIN_S:
            raise RuntimeError(f"{row and row[0]} decisions have no outcome after {ENDED_WITHIN_S:g} s")
        time.sleep(0.1)
    return time.perf_counter() - began


def beside_a_backlog(count: int) -> Sequence[float]:
    """Return the milliseconds of decisions beside a backlog of one portfolio."""
    with system() as (url, connection):
        insert(connection, rows([BACKLOG], count))
        return trickle(url, list(rows(URGENT, round(A_SECOND * SECONDS))), A_SECOND).seen


def beside_a_flood(count: int) -> tuple[Sequence[float], Sequence[float], Sequence[float]]:
    """Return the milliseconds of HOLDs beside decisions without a price, and those of the same portfolio's other ones.

    And the seconds after which those without a price are rejected.
    """
    with system() as (url, connection):
        insert(connection, rows([BACKLOG], count, [SILENT]))
        holds = trickle(url, list(rows(URGENT, round(A_SECOND * SECONDS / 2), decision="HOLD")), A_SECOND).seen
        same = trickle(url, list(rows([BACKLOG], round(A_SECOND * SECONDS / 4))), A_SECOND).seen
        time.sleep(10)  # until shortly before they are rejected
        late = trickle(url, list(rows(URGENT, round(A_SECOND * SECONDS))), A_SECOND).seen
        wait_until_all_have_ended(connection)
        ages = [age for (age,) in connection.execute(AGES, [SILENT]).fetchall()]
        return [*holds, *late], same, ages


def beside_both(count: int) -> Sequence[float]:
    """Return the milliseconds of decisions beside those of a portfolio without a price, and a backlog of another."""
    with system() as (url, connection):
        insert(connection, rows([BACKLOG], count, [SILENT]))
        insert(connection, rows([URGENT[0]], PAIRED_BACKLOG))
        return trickle(url, list(rows([URGENT[1]], round(A_SECOND * SECONDS / 2))), A_SECOND).seen


def paired(pairs: int) -> list[tuple[float, float]]:
    """Return pairs of p50, without a backlog and beside one; which comes first changes each time."""
    sides = []
    with system() as (url, connection):
        for number in range(pairs):
            p50: dict[bool, float] = {}
            for backlog in (number % 2 == 0, number % 2 == 1):
                if backlog:
                    insert(connection, rows([BACKLOG], PAIRED_BACKLOG))
                urgent = list(rows(URGENT, round(PAIRED_A_SECOND * PAIRED_SECONDS)))
                p50[backlog] = percentile(trickle(url, urgent, PAIRED_A_SECOND).seen, 50)
                wait_until_all_have_ended(connection)
            sides.append((p50[False], p50[True]))
    return sides


def p99_line(name: str, values: Sequence[float]) -> str:
    low, high = quantile_interval(values, 0.99)
    verdict = "kept" if high <= WANTED_MS else "broken" if low > WANTED_MS else "open"
    figures = f"p50 {percentile(values, 50):.1f} ms, p99 {percentile(values, 99):.0f} ms [{low:.0f}, {high:.0f}]"
    return f"{name}: {figures}, most {max(values):.0f} ms, of {len(values)}; limit {WANTED_MS:g} ms: {verdict}"


def main() -> int:
    """Measure and print; exit 1 where the limit is broken."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fairness", description=__doc__)
    parser.add_argument("--backlog", type=int, default=300_000, help="decisions that are there at once")
    parser.add_argument("--pairs", type=int, default=LEAST_PAIRS, help=f"at least {LEAST_PAIRS}; 0 leaves them out")
    arguments = parser.parse_args()
    lines = [p99_line(f"beside {arguments.backlog:,} decisions of one portfolio", beside_a_backlog(arguments.backlog))]
    holds, same, ages = beside_a_flood(arguments.backlog)
    lines.append(p99_line(f"beside {arguments.backlog:,} that wait for a price", holds))
    lines.append(p99_line("the same portfolio's decisions of another symbol", same))
    lines.append(p99_line("beside both, each of another portfolio", beside_both(arguments.backlog)))
    for line in lines:
        print(line)
    print(
        f"those without a price are rejected after p50 {percentile(ages, 50):.1f} s, p99 {percentile(ages, 99):.1f} s, "
        f"most {max(ages):.1f} s, of {len(ages):,}"
    )
    if arguments.pairs:
        pairs = paired(arguments.pairs)
        print(f"p50 beside {PAIRED_BACKLOG:,} is {ratio_of(pairs)} of that without a backlog; {len(pairs)} pairs")
    return 1 if any(line.endswith("broken") for line in lines) else 0


if __name__ == "__main__":
    sys.exit(main())
