"""The vocabulary: the words that code, SQL, logs, console and documents share."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import NewType, Protocol, TypeAlias
from uuid import UUID

Symbol = NewType("Symbol", str)
"""A market in its venue's spelling, such as ``BTC/USDT``."""
PortfolioName = NewType("PortfolioName", str)
DecisionId: TypeAlias = int | UUID
"""A number, or whatever an adopted table has: a uuid."""
OrderId = NewType("OrderId", UUID)
PositionId = NewType("PositionId", UUID)
Generation = NewType("Generation", int)
"""Counts the rebuilds of the decision path."""
Epoch = NewType("Epoch", int)
"""Counts the processes that have held the lease."""

DEFAULT_PORTFOLIO = PortfolioName("default")


class Action(StrEnum):
    """What a decision asks for."""

    BUY = "BUY"
    SELL = "SELL"
    HOLD = "HOLD"


class Side(StrEnum):
    """The side of an order."""

    BUY = "BUY"
    SELL = "SELL"


class OrderType(StrEnum):
    """How an order takes its price."""

    MARKET = "market"
    LIMIT = "limit"


class PositionSide(StrEnum):
    """A position is long or short, never both."""

    LONG = "LONG"
    SHORT = "SHORT"


class OutcomeStatus(StrEnum):
    """What became of a decision."""

    EXECUTED = "executed"
    REJECTED = "rejected"
    IGNORED = "ignored"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


class Clock(Protocol):
    """Where the time comes from: always from outside the domain."""

    def now(self) -> datetime:
        """Return the present moment, UTC and aware."""
        ...
