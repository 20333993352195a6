"""Curves of results by group: the net result so far of each strategy, each bucket of confidence and so on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from domain.analytics.trade_stats import Closing, Dimension, TradeHistory
from domain.trading.arithmetic import ZERO, add, subtract, total


class NetPoint(NamedTuple):
    """The net result of a group's closings up to a time, in the portfolio's currency."""

    time: datetime
    net: Decimal


def group_curves(
    trade_history: TradeHistory, dimension: Dimension, max_points: int
) -> Mapping[str, tuple[NetPoint, ...]]:
    """Return the net result so far of each group of a dimension, sorted by its name; a group without closings has none.

    A curve begins with 0 at the beginning of the period and ends with its end. Of more closings than ``max_points``,
    some share a point: the sum after the last of them.

    Args:
        trade_history: of the period.
        dimension: any but the day.
        max_points: of a curve, besides its two ends; at least 1.
    """
    return {
        name: _curve(closings, trade_history, max_points)
        for name, closings in sorted(trade_history.closings_by(dimension).items())
        if closings
    }


def _curve(closings: Sequence[Closing], trade_history: TradeHistory, max_points: int) -> tuple[NetPoint, ...]:
    points = [NetPoint(trade_history.since, ZERO)]
    number, parts = len(closings), min(len(closings), max_points)
    for part in range(parts):
        together = closings[part * number // parts : (part + 1) * number // parts]
        gross = total([closing.gross for closing in together])
        net = subtract(gross, total([closing.commission for closing in together]))
        points.append(NetPoint(together[-1].at, add(points[-1].net, net)))
    if points[-1].time < trade_history.until:
        points.append(NetPoint(trade_history.until, points[-1].net))
    return tuple(points)
