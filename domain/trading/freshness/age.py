"""Freshness: how old a price is by the clock of the exchange that sent it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from domain.types import PriceRule


class ClockKind(StrEnum):
    """Where the time of an exchange's clock comes from."""

    EXCHANGE = "exchange"
    """The exchange's own answer to a request for its time."""
    HTTP_DATE = "http_date"
    """The header ``Date`` of an answer."""
    OWN = "own"
    """This process's clock: the exchange does not tell its time."""


class TimeMark(StrEnum):
    """What is unusual about the time of a price."""

    NO_TIME = "no exchange time"
    """The answer had no time; the moment of its arrival counts."""
    IMPOSSIBLE = "impossible time"
    """The time is in the future, or very long ago. It is kept as it was sent."""


class Fresh(StrEnum):
    """Which part of a quote is fresh enough for a fill."""

    ALL = "all"
    BOOK = "book"
    """Bid and ask, but not the last trade."""
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Freshness:
    """The age of a price by the clock of its exchange.

    Attributes:
        exchange_time: the exchange's clock when the price arrived.
        clock: where that time comes from.
        mark: what is unusual about the time of the price; None where it is the exchange's own and can be right.
        fresh: which part may fill.
        frozen: the exchange repeats an old answer while prices of other symbols change.
    """

    exchange_time: datetime
    clock: ClockKind
    mark: TimeMark | None = None
    fresh: Fresh = Fresh.ALL
    frozen: bool = False

    def serves(self, rule: PriceRule) -> bool:
        """Return whether a price may fill orders with a price rule."""
        return self.fresh is Fresh.ALL or (self.fresh is Fresh.BOOK and rule is PriceRule.QUOTE)
