"""Events: what happens to an order and so to its portfolio, with the evidence of the order's sizing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TypeAlias

from domain.trading.arithmetic import ZERO
from domain.trading.orders import Fill, Order
from domain.trading.portfolio import Position
from domain.trading.quotes import Quote
from domain.types import DecisionId, Symbol


@dataclass(frozen=True, slots=True)
class SizingEvidence:
    """What an order's quantity rests on.

    Attributes:
        quote: the market data. The fill of a market order uses the same quote.
        equity: the portfolio's equity at ``quote`` and ``marks``.
        marks: the newest mark of each symbol; all orders of one moment share this table.
        positions: the portfolio's positions, shared with its state.
        version: of the portfolio.
        rules_revision: of the portfolio's row in ``paper_trading_config``.
        taken: the quantity that earlier orders of the portfolio took from ``quote`` on the order's side.
    """

    quote: Quote
    equity: Decimal
    marks: Mapping[Symbol, Decimal] = field(repr=False)
    positions: Mapping[Symbol, Position] = field(repr=False)
    version: int
    rules_revision: int
    taken: Decimal = ZERO

    def other_marks(self) -> dict[Symbol, Decimal]:
        """Return the prices of the portfolio's other positions in that equity."""
        return {
            symbol: self.marks.get(symbol, position.last_price)
            for symbol, position in self.positions.items()
            if symbol != self.quote.symbol
        }


@dataclass(frozen=True, slots=True)
class SizedOrder:
    """An order on its way to the market, with the evidence of its sizing."""

    order: Order
    sizing: SizingEvidence

    @property
    def decision_id(self) -> DecisionId:
        """The decision that it was sized for."""
        return self.order.decision_id


@dataclass(frozen=True, slots=True)
class Filled:
    """An event: an order was filled.

    Attributes:
        version: of the portfolio after it; each event raises it by one.
    """

    version: int
    order: Order
    sizing: SizingEvidence
    fill: Fill


Event: TypeAlias = Filled
"""A change of a portfolio. A market order is filled at once, so there is no other event yet."""
