"""The decisions that the benchmarks send: explicit small quantities, so that no cap binds and all are executed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

CAPITAL = Decimal(1_000_000_000)
PORTFOLIOS = 16
MANY = tuple(f"bench-{number:02}" for number in range(PORTFOLIOS))
ONE = ("bench-single",)
COLUMNS = "portfolio, symbol, decision, confidence, quantity, reasoning, current_price"
LOT = {
    "BTC/USDT": Decimal("0.01"),
    "ETH/USDT": Decimal("0.1"),
    "SOL/USDT": Decimal(1),
    "XRP/USDT": Decimal(100),
    "DOGE/USDT": Decimal(1000),
}
"""A few hundred USDT of each of the simulated market's five symbols."""


class Row(NamedTuple):
    """One row for ``trading_decisions``, in the order of `COLUMNS`."""

    portfolio: str
    symbol: str
    decision: str
    confidence: Decimal
    quantity: Decimal
    reasoning: str
    current_price: Decimal | None


class Agent:
    """Sends decisions to portfolios in turn: two lots are bought of each symbol, then one is sold and bought for ever.

    So every position stays open, half of the fills make a trade, and each group of fills updates positions.
    """

    def __init__(self) -> None:
        self._sent: Counter[tuple[str, str]] = Counter()
        self._turn = 0

    def decide(self, portfolios: Sequence[str], count: int) -> list[Row]:
        """Return the next ``count`` decisions for ``portfolios``."""
        return [self._next(portfolios) for _ in range(count)]

    def _next(self, portfolios: Sequence[str]) -> Row:
        self._turn += 1
        portfolio = portfolios[self._turn % len(portfolios)]
        symbol = list(LOT)[self._turn // len(portfolios) % len(LOT)]
        before = self._sent[portfolio, symbol]
        self._sent[portfolio, symbol] += 1
        action = "SELL" if before % 2 else "BUY"
        lots = 1 if before else 2
        return Row(portfolio, symbol, action, Decimal("0.8"), lots * LOT[symbol], "benchmark", None)
