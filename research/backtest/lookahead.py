"""The search for look-ahead: a strategy that sees only a part of the prices must decide the same up to its end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias
from uuid import UUID

import numpy as np

from domain.trading.decision import PendingDecision
from research.backtest.pieces import Market
from research.columns.bar_columns import time_of

TRUNCATIONS = 8
"""Histories that are compared with the full one."""
Decided: TypeAlias = tuple[int, UUID, tuple[object, ...]]
"""Time, id and content of a decision."""


@dataclass(frozen=True, slots=True)
class LookAhead:
    """A difference that only look-ahead explains.

    Attributes:
        sentence: what differs, at which bar.
    """

    sentence: str


def content(decision: PendingDecision) -> Decided:
    """Return what two runs must agree in."""
    micros = round(decision.created_at.timestamp() * 1_000_000)
    return micros, decision.uid, (
        decision.symbol, decision.action, decision.confidence, decision.quantity, decision.risk_score, decision.terms,
        decision.target, decision.expires_at,
    )  # fmt: skip


def look_ahead(
    market: Market, begin: int, decide: Callable[[Market], Sequence[PendingDecision]], truncations: int = TRUNCATIONS
) -> LookAhead | None:
    """Run a strategy on truncated histories and compare what it decides; return the first difference.

    Some histories end at a decision: there a strategy that looks ahead would have to see more than there is.

    Args:
        market: the prices.
        begin: of the decisions, in microseconds since 1970.
        decide: runs the strategy on prices, and returns its decisions.
        truncations: number of histories.
    """
    full = [content(decision) for decision in decide(market)]
    for end in _ends(market, begin, full, truncations):
        seen = [content(decision) for decision in decide(market.until(end))]
        expected = [one for one in full if one[0] <= end]
        if (difference := _difference(expected, seen, end)) is not None:
            return LookAhead(difference)
    return None


def _ends(market: Market, begin: int, full: Sequence[Decided], truncations: int) -> list[int]:
    """Return when the truncated histories end: at closes evenly over time, and at decisions."""
    times = np.unique(np.concatenate([columns.time for columns in market.columns]))
    times = times[times >= begin]
    evenly = times[np.linspace(0, len(times) - 1, truncations // 2 + 2, dtype=np.int64)[1:-1]] if len(times) else times
    decided = np.unique(np.array([micros for micros, *_ in full], dtype=np.int64))
    at_decisions = decided[np.linspace(0, len(decided) - 1, truncations - truncations // 2, dtype=np.int64)] if len(
        decided
    ) else decided  # fmt: skip
    return sorted({int(end) for end in (*evenly, *at_decisions)})


def _difference(expected: Sequence[Decided], seen: Sequence[Decided], end: int) -> str | None:
    for wanted, present in zip(expected, seen, strict=False):
        if wanted != present:
            micros = min(wanted[0], present[0])
            return _sentence(micros, end, f"{_text(wanted)}, and {_text(present)} without later prices")
    if len(expected) == len(seen):
        return None
    longer, where = (expected, "with") if len(expected) > len(seen) else (seen, "without")
    first = longer[min(len(expected), len(seen))]
    return _sentence(first[0], end, f"{_text(first)} only {where} later prices")


def _sentence(micros: int, end: int, what: str) -> str:
    at, until = time_of(micros), time_of(end)
    return (
        f"look-ahead: at {at:%Y-%m-%d %H:%M:%S} UTC it decides {what}; the prices of the second run end at"
        f" {until:%Y-%m-%d %H:%M:%S} UTC"
    )


def _text(one: Decided) -> str:
    symbol, action, _, quantity, *_ = one[2]
    return f"{action} {symbol}" if quantity is None else f"{action} {quantity} {symbol}"
