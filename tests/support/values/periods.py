"""Histories for tests of validation: net results of round trips, and values at the ends of days."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from domain.analytics.performance import History
from domain.analytics.returns import Valuation
from tests.support.values.analytics_builders import DAY, DAY_1, HOUR, closing, entry_of, valued

TRIPS = [10] * 14 + [-5] * 6
"""Net results that meet the criteria."""


def history(nets: list[int], values: list[Any], *, days: int | None = None) -> History:
    """Return a history of round trips with these net results, one an hour, and of values at the end of each day.

    A value of None stands for a day without a snapshot.
    """
    trades = [
        closing(net, position=n, at=DAY_1 + n * HOUR + HOUR, opened_at=DAY_1 + n * HOUR) for n, net in enumerate(nets)
    ]
    valuations = valued(*[value or 0 for value in values])
    line = [valuation for valuation, value in zip(valuations, values, strict=True) if value is not None]
    until = DAY_1 + (len(values) if days is None else days) * DAY
    return History.full(
        Valuation(DAY_1, Decimal(1000)), until, trades, [entry_of(trade) for trade in trades], tuple(line)
    )


def good(days: int = 14) -> list[int]:
    """Return the daily values of a strategy that wins on most days."""
    value, values = 1000, []
    for day in range(days):
        value += -4 if day % 3 == 2 else 9 + day % 2
        values.append(value)
    return values
