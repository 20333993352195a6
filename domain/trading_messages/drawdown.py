"""Drawdowns: a message when the fall from a portfolio's highest value passes a limit, and one when it is over."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from domain.trading.arithmetic import ZERO, add, divide, subtract
from domain.trading.snapshot import Snapshot

OVER_SHARE = Decimal("0.5")
"""A drawdown is over at half of the limit: one that swings about the limit is one message."""


def drawdown(peak: Decimal, gained: Decimal, net_deposits: Decimal) -> Decimal:
    """Return the fall from ``peak`` as a fraction; the definition is that of `persistence.queries.metrics`.

    Args:
        peak: highest value less the net deposits until then.
        gained: present value less the net deposits.
        net_deposits: deposits less withdrawals.
    """
    in_money = add(peak, net_deposits)
    return divide(subtract(peak, gained), in_money) if in_money > ZERO else ZERO


@dataclass(frozen=True, slots=True)
class Passed:
    """A limit that was passed.

    Attributes:
        fraction: the drawdown now.
        over: it has ended.
    """

    fraction: Decimal
    over: bool


class DrawdownWatch:
    """The drawdown of one portfolio, from snapshot to snapshot.

    Args:
        limit: fraction above which it is reported.
        peak: highest value less net deposits before the first snapshot; at least the initial capital.
        passed: the drawdown was above the limit before, of which the process before this one has sent a message.
    """

    def __init__(self, limit: Decimal, peak: Decimal, *, passed: bool) -> None:
        self._limit = limit
        self._peak = peak
        self._passed = passed

    def update(self, snapshot: Snapshot) -> Passed | None:
        """Return what is to be reported after a snapshot; None for nothing."""
        gained = subtract(snapshot.total_value, snapshot.net_deposits)
        self._peak = max(self._peak, gained)
        fraction = drawdown(self._peak, gained, snapshot.net_deposits)
        if not self._passed and fraction > self._limit:
            self._passed = True
            return Passed(fraction, over=False)
        if self._passed and fraction <= self._limit * OVER_SHARE:
            self._passed = False
            return Passed(fraction, over=True)
        return None
