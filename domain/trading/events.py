"""Events: what happens to an order, or to an account. Each carries the version that it gives the portfolio."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import ClassVar, NamedTuple, TypeAlias

from domain.immutable.records import fast_frozen
from domain.trading.account.requests import AccountRequest
from domain.trading.arithmetic import ZERO
from domain.trading.decision import Reason
from domain.trading.orders import Fill, Order
from domain.trading.portfolio import Position
from domain.trading.quotes import Quote
from domain.types import DecisionId, OrderId, OrderStatus, OutcomeStatus, Symbol


@fast_frozen
@dataclass(frozen=True, slots=True)
class SizingEvidence:
    """What an order's quantity rests on.

    Attributes:
        quote: the market data. The fill of a market order uses the same quote.
        equity: the portfolio's equity at ``quote`` and ``marks``.
        marks: the newest mark of each symbol; all orders of one moment share this table.
        positions: the portfolio's positions, shared with its state.
        version: of the portfolio.
        taken: the quantity that earlier orders of the portfolio took from ``quote`` on the order's side.
    """

    quote: Quote
    equity: Decimal
    marks: Mapping[Symbol, Decimal] = field(repr=False)
    positions: Mapping[Symbol, Position] = field(repr=False)
    version: int
    taken: Decimal = ZERO

    def other_marks(self) -> dict[Symbol, Decimal]:
        """Return the prices of the portfolio's other positions in that equity."""
        return {
            symbol: self.marks.get(symbol, position.last_price)
            for symbol, position in self.positions.items()
            if symbol != self.quote.symbol
        }


class SizedOrder(NamedTuple):
    """An order on its way to the market, with the evidence of its sizing."""

    order: Order
    sizing: SizingEvidence

    @property
    def decision_id(self) -> DecisionId:
        """The decision that it was sized for."""
        return self.order.decision_id


class DecisionEnd(NamedTuple):
    """The end of a decision by an event of an order that is not its entry: that of a CANCEL, AMEND or PROTECT."""

    decision_id: DecisionId
    status: OutcomeStatus
    reason: str
    order_id: OrderId | None = None


@fast_frozen
@dataclass(frozen=True, slots=True)
class OrderAccepted:
    """An event: an order rests in the market.

    Attributes:
        sizing: None for an exit: its quantity is that of the entry's fills, or what a PROTECT found to be held.
        reserved: the cash that it holds back; 0 for a SELL.
        since: number of the market data after which it can be matched.
        mark: of a trailing stop: the first one.
        ends: the PROTECT decision that ends with it.
    """

    version: int
    order: Order
    sizing: SizingEvidence | None
    reserved: Decimal
    since: int
    at: datetime
    mark: Decimal | None = None
    ends: tuple[DecisionEnd, ...] = ()

    @property
    def data_no(self) -> int:
        """Number of the market data that it rests on."""
        return self.since


@fast_frozen
@dataclass(frozen=True, slots=True)
class OrderTriggered:
    """An event: the mark has reached the stop price of an order.

    Attributes:
        order: with the stop price that was reached.
        quote: the market data that triggered it.
        mark: of a trailing stop: the last one.
    """

    sizing: ClassVar[None] = None
    ends: ClassVar[tuple[DecisionEnd, ...]] = ()

    version: int
    order: Order
    quote: Quote
    at: datetime
    mark: Decimal | None = None

    @property
    def data_no(self) -> int:
        """Number of the market data that it rests on."""
        return self.quote.data_no


@fast_frozen
@dataclass(frozen=True, slots=True)
class Filled:
    """An event: all or part of an order was filled.

    Attributes:
        sizing: where the order is new with this event, as a market order is; else None.
    """

    ends: ClassVar[tuple[DecisionEnd, ...]] = ()

    version: int
    order: Order
    sizing: SizingEvidence | None
    fill: Fill

    @property
    def at(self) -> datetime:
        """The time of the fill."""
        return self.fill.filled_at

    @property
    def data_no(self) -> int:
        """Number of the market data that it rests on."""
        return self.fill.quote.data_no


@fast_frozen
@dataclass(frozen=True, slots=True)
class OrderAmended:
    """An event: an open order has another quantity or price.

    Attributes:
        order: with the new values.
        reserved: the cash that it holds back from now on.
        since: number of the market data after which it can be matched.
        mark: of a trailing stop whose ``since`` becomes later: the present one, which that data have made.
        ends: the AMEND decision that ends with it.
        since_at: see `OpenOrder.since_at`; None where that stays.
    """

    sizing: ClassVar[None] = None

    version: int
    order: Order
    reserved: Decimal
    since: int
    at: datetime
    reason: str
    mark: Decimal | None = None
    ends: tuple[DecisionEnd, ...] = ()
    since_at: datetime | None = None

    @property
    def data_no(self) -> int:
        """Number of the market data that it rests on."""
        return self.since


@fast_frozen
@dataclass(frozen=True, slots=True)
class OrderEnded:
    """An event: an open order has ended without being filled whole.

    Attributes:
        status: cancelled, expired or rejected.
        reason: its fixed word.
        detail: a clause for a person.
        data_no: number of the last market data of the symbol in the step; 0 where the step rests on none.
        ends: decisions that end with it, beside the order's own.
    """

    sizing: ClassVar[None] = None

    version: int
    order: Order
    status: OrderStatus
    reason: Reason
    detail: str
    at: datetime
    data_no: int = 0
    ends: tuple[DecisionEnd, ...] = ()


Event: TypeAlias = OrderAccepted | OrderTriggered | Filled | OrderAmended | OrderEnded
"""An event of an order. ``version`` is that of the portfolio after it: each event raises it by one.

Each also has ``sizing``, None where no order is new with it; ``ends``, decisions that end with it beside the order's
own; and ``data_no``, the number of the market data that it rests on.
"""


@dataclass(frozen=True, slots=True)
class Deposited:
    """An event: cash was paid in."""

    data_no: ClassVar[int] = 0

    version: int
    request: AccountRequest
    at: datetime


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """An event: cash was taken out."""

    data_no: ClassVar[int] = 0

    version: int
    request: AccountRequest
    at: datetime


@dataclass(frozen=True, slots=True)
class Adjusted:
    """An event: an instrument has changed, and what is held of it with it.

    Attributes:
        request: a split, symbol change, redenomination, dividend or write-off.
        since: number of the last data of the symbol, which are in the old units: orders see only later ones.
    """

    version: int
    request: AccountRequest
    at: datetime
    since: int = 0

    @property
    def data_no(self) -> int:
        """Number of the market data that it rests on."""
        return self.since


@dataclass(frozen=True, slots=True)
class Closed:
    """An event: a life of the portfolio has ended; it is its last one.

    Attributes:
        request: a close, or a reset, which begins the next life in the same transaction.
    """

    data_no: ClassVar[int] = 0

    version: int
    request: AccountRequest
    at: datetime


AccountEvent: TypeAlias = Deposited | Withdrawn | Adjusted | Closed
"""An event of a portfolio that no order makes."""
