"""Files of prices for sweeps by the command line."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

CROSSOVER = "research.examples.crossover:MovingAverageCrossover"
PRICES = "BTCUSDT_6h.csv"
"""Name of the file: the importer reads symbol and length of the bars from it."""
SWEEP = (CROSSOVER, PRICES, "--param", "fast=2,3", "--param", "slow=5,8", "--folds", "2")
"""A sweep of four trials on two folds."""
FIRST = datetime(2025, 1, 1, tzinfo=UTC)


def candles(count: int = 170) -> str:
    """Return bars of six hours that go up and down."""
    rows = ["timestamp,open,high,low,close,volume"]
    for index in range(count):
        close = 100 + (index * 7) % 13 + 20 * (index // 17 % 2) - 9 * (index % 11 == 10)
        time = FIRST + index * timedelta(hours=6)
        rows.append(f"{time:%Y-%m-%dT%H:%M:%SZ},{close},{close + 1},{close - 1},{close},1000")
    return "\n".join(rows) + "\n"
