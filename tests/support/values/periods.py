"""Periods for the gate to judge: results of round trips, and values at the ends of days."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from domain.analytics.performance import History
from domain.analytics.returns import Valuation
from tests.support.values.analytics_builders import DAY, DAY_1, HOUR, closing, entry_of, valued

TRIPS = [10] * 14 + [-5] * 6
"""Net results that meet what is asked of them."""


def history(nets: list[int], values: list[Any], *, days: int | None = None) -> History:
    """Round trips with these net results, one an hour, and a value at the end of each day; None: no snapshot."""
    trades = [
        closing(net, position=n, at=DAY_1 + n * HOUR + HOUR, opened_at=DAY_1 + n * HOUR) for n, net in enumerate(nets)
    ]
    line = [each for each, worth in zip(valued(*[v or 0 for v in values]), values, strict=True) if worth is not None]
    until = DAY_1 + (len(values) if days is None else days) * DAY
    return History.full(
        Valuation(DAY_1, Decimal(1000)), until, trades, [entry_of(each) for each in trades], tuple(line)
    )


def good(days: int = 14) -> list[int]:
    """Values of a strategy that wins on most days."""
    worth, values = 1000, []
    for day in range(days):
        worth += -4 if day % 3 == 2 else 9 + day % 2
        values.append(worth)
    return values
