"""``python -m benchmarks.research.backtest``: how many bars a second a backtest passes, and how much memory it takes.

Prices are made in memory, so nothing is read; values are taken once a day, and commission and slippage are on. Each
case runs in a process of its own, so that its memory is its own.
"""

from __future__ import annotations

import argparse
import cProfile
import gc
import json
import pstats
import resource
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from domain.trading.instruments import Instrument
from domain.trading.orders import Costs
from domain.trading.portfolio import PortfolioRules
from domain.types import DEFAULT_PORTFOLIO, Action, Symbol
from research.backtest.backtest import BacktestRequest, backtest
from research.backtest.making import namespace_of
from research.backtest.pieces import Market
from research.columns.bar_columns import EPOCH, BarColumns
from research.strategy import Intent, Parameters, Strategy
from research.tape import DecisionTape, Entry
from research.view import Bar, View

START = datetime(2024, 1, 1, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
MICROSECOND = timedelta(microseconds=1)
COSTS = Costs(Decimal("0.0005"), Decimal("0.001"), Decimal(1))
SYMBOLS, YEAR_HOURS = 500, 8_760
SIZES = (200_000, 1_000_000)
WARM_UP_BARS = 100
MEGABYTE = 1_048_576


@dataclass(frozen=True, slots=True)
class Measured:
    """One case.

    Attributes:
        seconds: of the run.
        memory: of the process beyond what it had with the columns, at most, in bytes.
    """

    case: str
    bars: int
    decisions: int
    fills: int
    looks: int
    seconds: float
    memory: int


def columns(symbol: str, bars: int, length: timedelta, seed: int) -> BarColumns:
    """Return a random walk of prices around 100, with two decimals."""
    random = np.random.default_rng(seed)
    close = 10_000 + np.cumsum(random.integers(-3, 4, bars))
    close = np.abs(close) + 1_000
    opened = np.concatenate([close[:1], close[:-1]])
    high = np.maximum(opened, close) + random.integers(0, 4, bars)
    low = np.minimum(opened, close) - random.integers(0, 4, bars)
    begin = (START - EPOCH) // MICROSECOND + np.arange(bars, dtype=np.int64) * (length // MICROSECOND)
    return BarColumns(
        Symbol(symbol), begin, begin + length // MICROSECOND, opened, high, low, close, None, 2, 0,
        np.ones(bars, dtype=np.bool_), True, {},
    )  # fmt: skip


def market(symbols: int, bars: int, length: timedelta) -> Market:
    """Return the prices of symbols whose currency is that of the portfolio."""
    made = [columns(f"S{number:03}/USDT", bars, length, number) for number in range(symbols)]
    return Market.of(made, [Instrument(one.symbol, "USDT", Decimal("0.01"), Decimal("0.0001")) for one in made])


def rules(capital: int, max_position_size: str) -> PortfolioRules:
    """Return rules with the usual costs."""
    return PortfolioRules(
        DEFAULT_PORTFOLIO, "USDT", Decimal(capital), COSTS, Decimal(max_position_size), Decimal("0.6"), Decimal(10),
        Decimal("0.3"),
    )  # fmt: skip


class EveryTenBars(Strategy[Parameters]):
    """Buys and sells in turn, every ten bars."""

    exits: dict[str, Any] = {}  # noqa: RUF012

    def on_bar(self, bar: Bar, view: View) -> Intent | None:
        """Return a decision at every tenth bar."""
        if bar.index % 10:
            return None
        return Intent.sell() if view.position() else Intent.buy(**self.exits)


class WithExits(EveryTenBars):
    """The same with a stop and a target."""

    exits = {"stop_loss_pct": Decimal("0.01"), "take_profit_pct": Decimal("0.01")}  # noqa: RUF012


def tape(prices: Market, every: int) -> DecisionTape:
    """Return decisions in turn to buy and to sell each symbol, at the close of every so many bars."""
    entries = []
    for bar in range(0, len(prices.columns[0]), every):
        for number, one in enumerate(prices.columns):
            micros, row = int(one.time[bar]), bar * len(prices.columns) + number
            action = "BUY" if bar // every % 2 == 0 else "SELL"
            entries.append(Entry(micros, row, Intent(Action(action), symbol=one.symbol), None))
    return DecisionTape(Path("tape.csv"), namespace_of("benchmark"), entries)


def single(subject: Callable[[Market], Any]) -> Callable[[int], BacktestRequest]:
    """Return what makes the request of one symbol with bars of a minute."""

    def make(bars: int) -> BacktestRequest:
        prices = market(1, bars, MINUTE)
        return BacktestRequest(subject(prices), prices, rules(100_000_000, "0.0001"), prices.origin)

    return make


def rebalancing(hours: int) -> BacktestRequest:
    """Return the request of many symbols that are bought and sold once a day."""
    prices = market(SYMBOLS, hours, HOUR)
    return BacktestRequest(tape(prices, 24), prices, rules(10_000_000, "0.0019"), prices.origin)


CASES: dict[str, Callable[[int], BacktestRequest]] = {
    "tape, a fill every 10 bars": single(lambda prices: tape(prices, 10)),
    "tape, a fill every 1 000 bars": single(lambda prices: tape(prices, 1_000)),
    "strategy called at each bar, a fill every 10": single(lambda _: lambda: EveryTenBars(Parameters())),
    "the same with stop-loss and take-profit": single(lambda _: lambda: WithExits(Parameters())),
    "500 symbols, hourly, daily rebalancing": rebalancing,
}
GOALS = {
    "tape, a fill every 10 bars": 500_000,
    "tape, a fill every 1 000 bars": 5_000_000,
    "strategy called at each bar, a fill every 10": 300_000,
}
"""Bars a second."""
PORTFOLIO_CASE = "500 symbols, hourly, daily rebalancing"


def measure(case: str, bars: int) -> Measured:
    """Run a case in this process; a short run before it imports what the first one needs."""
    backtest(CASES[case](WARM_UP_BARS))
    request = CASES[case](bars)
    for one in request.market.columns:
        _ = one.lowest, one.highest
    gc.collect()
    gc.freeze()
    before = psutil.Process().memory_info().rss
    result = backtest(request)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    decisions, fills = len(result.records.confidences), len(result.records.fills)
    return Measured(case, result.bars, decisions, fills, result.looks, result.seconds, max(peak - before, 0))


def in_process(case: str, bars: int) -> Measured:
    """Run a case in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.research.backtest", "--case", case, "--bars", str(bars)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return Measured(**json.loads(done.stdout))


def line(one: Measured) -> str:
    """Return a measurement as a line."""
    goal = GOALS.get(one.case)
    rate = one.bars / one.seconds
    wanted = "" if goal is None else f"  {rate / goal:5.2f} of the goal"
    per_fill = 1e6 * one.seconds / one.fills if one.fills else 0.0
    return (
        f"{one.case:46} {one.bars:>9,} bars {one.fills:>7,} fills {one.seconds:7.2f} s {rate:>11,.0f} bars/s"
        f" {per_fill:6.1f} µs/fill {one.memory / MEGABYTE:6.0f} MB{wanted}"
    )


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--case", choices=CASES)
    parser.add_argument("--bars", type=int)
    parser.add_argument("--profile", action="store_true", help="print where the time of one case goes")
    parser.add_argument("--quick", action="store_true", help="a tenth of the bars")
    options = parser.parse_args()
    if options.case and options.profile:
        request = CASES[options.case](options.bars or SIZES[0])
        with cProfile.Profile() as profile:
            backtest(request)
        pstats.Stats(profile).sort_stats("tottime").print_stats(45)
        return 0
    if options.case:
        print(json.dumps(asdict(measure(options.case, options.bars or SIZES[0]))))
        return 0
    part = 10 if options.quick else 1
    for case in CASES:
        for bars in (YEAR_HOURS,) if case == PORTFOLIO_CASE else SIZES:
            print(line(in_process(case, bars // part)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
