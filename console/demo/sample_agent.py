"""The demo's agent: it knows only the table of decisions, and inserts rows by SQL."""

from __future__ import annotations

import random
from collections.abc import Iterator
from decimal import Decimal
from types import TracebackType
from typing import NamedTuple, Self

from persistence.connections import connect
from persistence.stores.sample_decisions import insert_sample

CAUTIOUS = "cautious"
PARTIAL_SALES = {"BTC/USDT": "0.004", "ETH/USDT": "0.1", "SOL/USDT": "2.5", "XRP/USDT": "200", "DOGE/USDT": "2500"}
"""The symbols that the agent trades, and the quantity of a partial sale."""
SYMBOLS = tuple(PARTIAL_SALES)
REASONS = {
    "BUY": ("strong momentum", "breakout above the range", "volume picks up", "pullback in an uptrend"),
    "SELL": ("target reached", "momentum fades", "risk reduced", "support broken"),
    "HOLD": ("no clear signal", "waiting for the close"),
}


STOP_LOSS, TAKE_PROFIT = Decimal("0.01"), Decimal("0.015")
"""Distances of the exits from the entry price, fractions: near, because the demo's market runs an hour a second."""
LIMIT_BELOW = Decimal("0.004")
"""Distance of a limit order from the last price, a fraction."""


class Sample(NamedTuple):
    """One row that the agent inserts.

    Attributes:
        limit_below: of a limit order: how far its limit is below the last stored price, a fraction.
        stop_loss_pct: of a BUY.
        take_profit_pct: of a BUY.
    """

    decision: str
    symbol: str
    confidence: Decimal
    portfolio: str = "default"
    risk_score: Decimal | None = None
    quantity: Decimal | None = None
    limit_below: Decimal | None = None
    stop_loss_pct: Decimal | None = None
    take_profit_pct: Decimal | None = None


def samples(seed: int) -> Iterator[Sample]:
    """Yield an endless sequence of decisions, reproducible by seed: one of each kind, then a random mixture."""
    high = Decimal("0.8")
    yield Sample("BUY", "BTC/USDT", Decimal("0.75"), stop_loss_pct=STOP_LOSS, take_profit_pct=TAKE_PROFIT)
    yield Sample("BUY", "ETH/USDT", high, risk_score=Decimal("0.2"))
    yield Sample("BUY", "SOL/USDT", Decimal("0.55"))  # below the confidence threshold
    yield Sample("BUY", "SOL/USDT", Decimal("0.9"), CAUTIOUS)
    yield Sample("HOLD", "XRP/USDT", high)
    yield Sample("BUY", "SOL/USDT", high, limit_below=LIMIT_BELOW, stop_loss_pct=STOP_LOSS)  # rests in the market
    yield Sample("SELL", "ETH/USDT", Decimal("0.7"), quantity=Decimal("0.15"))  # a part of it
    yield Sample("BUY", "GOLD/USDT", high)  # not traded here
    yield Sample("BUY", "DOGE/USDT", high, quantity=Decimal(5))  # worth about a dollar
    yield Sample("SELL", "SOL/USDT", high, CAUTIOUS)
    yield Sample("SELL", "XRP/USDT", high)  # no position
    chance = random.Random(seed)  # nosec B311  # noqa: S311 - a demo that can be repeated, not a secret
    bought = {("default", "BTC/USDT"), ("default", "ETH/USDT")}
    while True:
        yield _random(chance, bought)


def _random(chance: random.Random, bought: set[tuple[str, str]]) -> Sample:
    """Return a random decision; a SELL mostly concerns a symbol that was bought before."""
    decision = chance.choices(("BUY", "SELL", "HOLD"), weights=(50, 42, 8))[0]
    place = CAUTIOUS if chance.random() < 0.3 else "default", chance.choice(SYMBOLS)
    if decision == "SELL" and bought and chance.random() < 0.9:
        place = chance.choice(sorted(bought))
    confidence = Decimal(chance.randint(57, 98)).scaleb(-2)
    risk = Decimal(chance.randint(5, 60)).scaleb(-2) if chance.random() < 0.5 else None
    quantity = Decimal(PARTIAL_SALES[place[1]]) if decision == "SELL" and chance.random() < 0.4 else None
    limit_below = LIMIT_BELOW if decision == "BUY" and chance.random() < 0.25 else None
    stop = STOP_LOSS if decision == "BUY" and chance.random() < 0.6 else None
    target = TAKE_PROFIT if stop is not None and chance.random() < 0.5 else None
    if decision == "BUY":
        bought.add(place)
    elif decision == "SELL" and quantity is None:
        bought.discard(place)
    return Sample(decision, place[1], confidence, place[0], risk, quantity, limit_below, stop, target)


class SampleAgent:
    """An agent that inserts decisions through its own database connection."""

    def __init__(self, url: str, seed: int) -> None:
        self._connection = connect(url, "sample agent")
        self._samples = samples(seed)
        self._chance = random.Random(f"{seed}:reasons")  # nosec B311  # noqa: S311

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._connection.close()

    def decide(self) -> int:
        """Insert the next decision, and return its id."""
        sample = next(self._samples)
        reasoning = self._chance.choice(REASONS[sample.decision])
        return insert_sample(self._connection, {**sample._asdict(), "reasoning": reasoning})
