"""What the daily returns of a report would have brought in another order, as values; `research.statistics` computes it.

The domain has neither random numbers nor numpy, so it only says what the values are.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple


class Band(NamedTuple):
    """Five values of a distribution: so many paths are at or below them.

    Attributes:
        low: 5 % of the paths.
        lower: 25 %.
        median: 50 %.
        upper: 75 %.
        high: 95 %.
    """

    low: Decimal
    lower: Decimal
    median: Decimal
    upper: Decimal
    high: Decimal


SHARES = (Decimal("0.05"), Decimal("0.25"), Decimal("0.5"), Decimal("0.75"), Decimal("0.95"))
"""The shares of paths that `Band` names, in its order."""


class BandPoint(NamedTuple):
    """The value of all paths at the end of one day."""

    time: datetime
    value: Band


@dataclass(frozen=True, slots=True)
class MonteCarlo:
    """A block bootstrap of the daily returns of a report: many paths of as many days, made of pieces of the period.

    Attributes:
        paths: their number.
        seed: of the random numbers; the same one gives the same values.
        days: length of a path, the number of daily returns.
        block_days: mean length of the pieces.
        missing: why there are no values; None where there are.
        end_value: of the value at the end, in the portfolio's currency.
        end_change: of the same as a change from the beginning, a fraction.
        drawdown: of the deepest fall of a path, a fraction of its peak.
        losing: share of the paths that end below their beginning.
        deeper: share of the paths that fall deeper than the days did in their own order.
        own_value: value at the end of the days in their own order.
        own_change: the same as a change from the beginning, a fraction.
        own_drawdown: deepest fall of the daily closes in their own order, a fraction.
        curve: the values of the paths over time; at most 61 points, the first the beginning.
    """

    paths: int
    seed: int
    days: int
    block_days: Decimal | None = None
    missing: str | None = None
    end_value: Band | None = None
    end_change: Band | None = None
    drawdown: Band | None = None
    losing: Decimal | None = None
    deeper: Decimal | None = None
    own_value: Decimal | None = None
    own_change: Decimal | None = None
    own_drawdown: Decimal | None = None
    curve: tuple[BandPoint, ...] = ()
