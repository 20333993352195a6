"""``python -m benchmarks.resting [--pairs N] [--rate N]``: what 1 000 resting orders cost a market decision.

One system, 50 symbols, 1 000 prices a second. In turn, with the orders and without them, each time the same market
decisions at the same pace, to the same portfolios that hold the orders. Half of the orders are limit BUYs, a quarter
stop and a quarter trailing SELLs; none is reached. A rate that the machine cannot serve measures its queue instead.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from itertools import cycle
from pathlib import Path
from typing import Any

import psutil
import psycopg

from benchmarks.database import connect, prepare, temporary_database, temporary_folder
from benchmarks.decisions import Row
from benchmarks.measure import burst, percentile, trickle
from benchmarks.pairs import LEAST_PAIRS, ratio_of
from benchmarks.served import served
from domain.trading.arithmetic import divide
from market.simulated import simulated_instruments

SYMBOLS = tuple(f"R{number:02}/USDT" for number in range(50))
PORTFOLIOS = tuple(f"resting-{number:02}" for number in range(10))
PRICES_A_SECOND = 1_000
DECISIONS_A_SECOND = 100.0
SECONDS = 8
"""Of one measurement."""
WANTED = 1.2
"""The largest p50 with the orders, as a multiple of that without."""
WORTH = Decimal(300)
"""USDT of one order."""
PLACED_WITHIN = 60.0
"""Seconds after which orders that are not placed or not cancelled end the benchmark."""
PLACE = """
INSERT INTO trading_decisions
    (portfolio, symbol, decision, confidence, quantity, order_type, limit_price, stop_price, trail_pct)
VALUES
    (%(portfolio)s, %(symbol)s, %(decision)s, 0.8, %(quantity)s,
     %(order_type)s, %(limit_price)s, %(stop_price)s, %(trail_pct)s)
"""
CANCEL = "INSERT INTO trading_decisions (portfolio, decision, target) VALUES (%s, 'CANCEL', 'all')"
OPEN = "SELECT count(*) FROM paper_orders WHERE status = 'open'"


@dataclass(frozen=True, slots=True)
class Side:
    """One measurement: the median in milliseconds, and the share of one core that the system and the database took."""

    p50: float
    cpu: float


class Market:
    """The first prices of the symbols, from which quantities and prices of orders follow."""

    def __init__(self) -> None:
        self._prices = {
            str(simulated.instrument.symbol): simulated.price for simulated in simulated_instruments(SYMBOLS)
        }

    def quantity(self, symbol: str, lots: int = 1) -> Decimal:
        """Return a quantity worth `WORTH` times ``lots``."""
        return round(divide(WORTH * lots, self._prices[symbol]), 4)

    def buys(self) -> list[Row]:
        """Return the decisions that give each portfolio a position in each symbol."""
        return [
            _row(portfolio, symbol, "BUY", self.quantity(symbol, 4)) for portfolio in PORTFOLIOS for symbol in SYMBOLS
        ]

    def resting(self) -> Iterator[dict[str, Any]]:
        """Yield the terms of 1 000 orders that the market does not reach."""
        for number, (portfolio, symbol) in enumerate((p, s) for p in PORTFOLIOS for s in SYMBOLS):
            terms = {"portfolio": portfolio, "symbol": symbol, "quantity": self.quantity(symbol)}
            terms |= {"limit_price": None, "stop_price": None, "trail_pct": None}
            far_below = round(self._prices[symbol] / 2, 2)
            yield terms | {"decision": "BUY", "order_type": "limit", "limit_price": far_below}
            if number % 2:
                yield terms | {"decision": "SELL", "order_type": "stop", "stop_price": far_below}
            else:
                yield terms | {"decision": "SELL", "order_type": "trailing_stop", "trail_pct": Decimal("0.5")}

    def market_decisions(self, count: int) -> list[Row]:
        """Return market decisions, BUY and SELL of the same quantity in turn."""
        places = cycle((p, s, a) for s in SYMBOLS for a in ("BUY", "SELL") for p in PORTFOLIOS)
        return [_row(p, s, a, self.quantity(s)) for _, (p, s, a) in zip(range(count), places, strict=False)]


def _row(portfolio: str, symbol: str, decision: str, quantity: Decimal) -> Row:
    return Row(portfolio, symbol, decision, Decimal("0.8"), quantity, "benchmark", None)


class Bench:
    """A running system whose orders can be placed and cancelled."""

    def __init__(self, url: str, connection: psycopg.Connection, rate: float) -> None:
        self._url = url
        self._rate = rate
        self._connection = connection
        self._market = Market()

    def prepare(self) -> None:
        """Buy what the resting SELL orders will sell, and warm up."""
        burst(self._url, self._market.buys())

    def measure(self, *, with_orders: bool) -> Side:
        """Measure with the orders or without them."""
        if with_orders:
            with self._connection.cursor() as cursor, self._connection.transaction():
                cursor.executemany(PLACE, list(self._market.resting()))
            self._wait_for_open(2 * len(PORTFOLIOS) * len(SYMBOLS))
        rows = self._market.market_decisions(round(SECONDS * self._rate))
        began, before = time.perf_counter(), self._cpu_seconds()
        seen = trickle(self._url, rows, self._rate).seen
        share = (self._cpu_seconds() - before) / (time.perf_counter() - began)
        if with_orders:
            with self._connection.cursor() as cursor, self._connection.transaction():
                cursor.executemany(CANCEL, [(portfolio,) for portfolio in PORTFOLIOS])
            self._wait_for_open(0)
        return Side(percentile(seen, 50), share)

    def _wait_for_open(self, wanted: int) -> None:
        deadline = time.perf_counter() + PLACED_WITHIN
        with connect(self._url) as listener:
            listener.execute("LISTEN paper_outcomes")
            while (row := self._connection.execute(OPEN).fetchone()) != (wanted,):
                if time.perf_counter() > deadline:
                    raise RuntimeError(f"{row and row[0]} orders are open after {PLACED_WITHIN:g} s, not {wanted}")
                list(listener.notifies(timeout=0.2, stop_after=1))

    def _cpu_seconds(self) -> float:
        """Return the CPU seconds of the system and of the database server so far."""
        total = 0.0
        for process in psutil.Process().children(recursive=True):
            try:
                times = process.cpu_times()
            except psutil.Error:
                continue
            total += times.user + times.system
        return total


def measured(pairs: int, rate: float, folder: Path, url: str) -> list[tuple[Side, Side]]:
    """Return pairs of measurements, without the orders and with them; which comes first changes each time."""
    prepare(url, list(PORTFOLIOS))
    sides = []
    interval = len(SYMBOLS) / PRICES_A_SECOND
    with served(url, interval, folder, SYMBOLS), connect(url) as connection:
        bench = Bench(url, connection, rate)
        bench.prepare()
        bench.measure(with_orders=True)
        for number in range(pairs):
            orders_first = number % 2 == 0
            first, second = (bench.measure(with_orders=rests) for rests in (orders_first, not orders_first))
            sides.append((second, first) if orders_first else (first, second))
        differences = connection.execute("SELECT difference FROM v_paper_ledger_check LIMIT 5").fetchall()
    if differences:
        raise RuntimeError(f"LEDGER: {differences}")
    return sides


def main() -> int:
    """Measure and print; exit 1 where the limit is broken."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.resting", description=__doc__)
    parser.add_argument("--pairs", type=int, default=LEAST_PAIRS, help=f"at least {LEAST_PAIRS}")
    parser.add_argument("--rate", type=float, default=DECISIONS_A_SECOND, help="market decisions a second")
    arguments = parser.parse_args()
    with temporary_folder() as folder, temporary_database(None, folder) as url:
        sides = measured(arguments.pairs, arguments.rate, folder, url)
    for name, chosen in (("no order", [a for a, _ in sides]), ("1 000 orders", [b for _, b in sides])):
        p50, cpu = (statistics.median(getattr(side, figure) for side in chosen) for figure in ("p50", "cpu"))
        print(f"{name:<13} p50 {p50:.2f} ms, {cpu:.0%} of a core")
    ratio = ratio_of([(without.p50, orders.p50) for without, orders in sides])
    more = ratio_of([(without.cpu, orders.cpu) for without, orders in sides])
    verdict = ratio.verdict(WANTED)
    print(f"with the orders p50 is {ratio} of that without, CPU {more}; {len(sides)} pairs; limit {WANTED}: {verdict}")
    return 1 if verdict == "broken" else 0


if __name__ == "__main__":
    sys.exit(main())
