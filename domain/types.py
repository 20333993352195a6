"""Types and terms that code, SQL, logs, console and documents share."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, NamedTuple, NewType, Protocol, TypeAlias
from uuid import UUID

Symbol = NewType("Symbol", str)
"""A market in its venue's spelling, such as ``BTC/USDT``."""
PortfolioName = NewType("PortfolioName", str)
DecisionId: TypeAlias = int | UUID
"""An integer; in an adopted table it may be a UUID."""
OrderId = NewType("OrderId", UUID)
PositionId = NewType("PositionId", UUID)
Generation = NewType("Generation", int)
"""Counts the rebuilds of the decision path."""
Epoch = NewType("Epoch", int)
"""Counts the processes that have held the lease."""

DEFAULT_PORTFOLIO = PortfolioName("default")


class Action(StrEnum):
    """The action of a decision."""

    BUY = "BUY"
    SELL = "SELL"
    HOLD = "HOLD"
    CANCEL = "CANCEL"
    AMEND = "AMEND"
    PROTECT = "PROTECT"


class Side(StrEnum):
    """The side of an order."""

    BUY = "BUY"
    SELL = "SELL"


class OrderType(StrEnum):
    """The type of an order: how its price is found."""

    MARKET = "market"
    LIMIT = "limit"
    STOP = "stop"
    STOP_LIMIT = "stop_limit"
    TRAILING_STOP = "trailing_stop"


class TimeInForce(StrEnum):
    """How long an order may rest."""

    GTC = "GTC"
    """Until it is cancelled."""
    IOC = "IOC"
    """It takes at once what it can; the rest is cancelled."""
    FOK = "FOK"
    """It is filled whole at once, or cancelled."""
    GTD = "GTD"
    """Until ``order_expires_at``."""
    DAY = "DAY"
    """Until the close of the session of its exchange."""


class OrderStatus(StrEnum):
    """The status of an order. A partly filled one is open."""

    OPEN = "open"
    FILLED = "filled"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    REJECTED = "rejected"


class PriceRule(StrEnum):
    """The rule by which a portfolio's orders get their prices and its positions their marks."""

    QUOTE = "quote"
    """A taker BUY meets the ask, a taker SELL the bid, where both are known; else the last trade."""
    LAST = "last"
    """The last trade."""


class FeeRule(StrEnum):
    """Whose commission rates a portfolio pays."""

    OWN = "own"
    """Its ``commission_pct``."""
    VENUE = "venue"
    """Those of the venue for makers and takers, where it states them; else its own."""


class Liquidity(StrEnum):
    """Whether a fill took liquidity from the market or provided it."""

    TAKER = "taker"
    MAKER = "maker"


class PositionSide(StrEnum):
    """The side of a position: long or short, never both."""

    LONG = "LONG"
    SHORT = "SHORT"


# In Python 3.11 a member of an enum takes ten times as long to look up as a name, and each step of a decision asks for
# these.
HOLD: Final = Action.HOLD
CANCEL: Final = Action.CANCEL
AMEND: Final = Action.AMEND
PROTECT: Final = Action.PROTECT
BUY: Final = Side.BUY
SELL: Final = Side.SELL
TAKER: Final = Liquidity.TAKER
MAKER: Final = Liquidity.MAKER
LONG: Final = PositionSide.LONG
SHORT: Final = PositionSide.SHORT


class OutcomeStatus(StrEnum):
    """The status of a decision; `PENDING`, and `OPEN` while its order rests, come before its end."""

    PENDING = "pending"
    OPEN = "open"
    EXECUTED = "executed"
    REJECTED = "rejected"
    IGNORED = "ignored"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


class Clock(Protocol):
    """The source of time. The domain gets it from outside and has no clock of its own."""

    def now(self) -> datetime:
        """Return the current time, UTC and aware."""

    def monotonic(self) -> float:
        """Return seconds that never go back, whatever happens to the current time, and count while the machine sleeps.

        Only differences mean something.
        """


class Instant(NamedTuple):
    """One moment by both clocks: the time for records, and seconds for durations, which no change of the time touches.

    Attributes:
        time: UTC and aware.
        monotonic: `Clock.monotonic`, in seconds.
    """

    time: datetime
    monotonic: float

    @classmethod
    def of(cls, clock: Clock) -> Instant:
        """Return the present moment of ``clock``."""
        return cls(clock.now(), clock.monotonic())

    def since(self, earlier: Instant) -> timedelta:
        """Return the duration from ``earlier`` to this moment."""
        return timedelta(seconds=self.monotonic - earlier.monotonic)

    def earlier(self, by: timedelta) -> Instant:
        """Return the moment that was so long before this one."""
        return Instant(self.time - by, self.monotonic - by.total_seconds())
