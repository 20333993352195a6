"""Executions, and the round trips that closings add up to.

A trade is one closing. A round trip is a position from flat to flat. An execution is any fill.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from domain.trading.account.trades import Trade
from domain.trading.arithmetic import ZERO, subtract, total
from domain.types import OrderId, PositionId, PositionSide, Symbol


@dataclass(frozen=True, slots=True)
class Execution:
    """A fill with its costs. Amounts are in the portfolio's currency.

    Attributes:
        position_id: the position that it opened, increased or reduced.
        side: side of that position.
        strategy: strategy of the decision that opened that position, as in its trades.
        notional: quantity × price.
        slippage: quantity × |price − base price|; a cost is positive.
        at: time of the fill.
        spread: quantity × the distance between base price and mark, in money; a cost is positive.
        decision_id: number of the decision that its order belongs to; None where it is not known.
        confidence: of that decision.
    """

    position_id: PositionId
    symbol: Symbol
    asset_class: str
    side: PositionSide
    strategy: str | None
    notional: Decimal
    commission: Decimal
    slippage: Decimal
    at: datetime
    spread: Decimal = ZERO
    decision_id: int | None = None
    confidence: Decimal | None = None


@dataclass(frozen=True, slots=True)
class RoundTrip:
    """A position from flat to flat. Amounts are in the portfolio's currency.

    Attributes:
        gross: Σ gross results of its closings.
        net: the same less entry and exit commissions.
        commission: Σ entry and exit commissions.
        closing_order_id: order whose fill, or write-off, made it flat.
        decision_id: number of the decision that opened it; None where it is not known.
        confidence: of that decision.
    """

    position_id: PositionId
    symbol: Symbol
    asset_class: str
    side: PositionSide
    strategy: str | None
    gross: Decimal
    net: Decimal
    commission: Decimal
    opened_at: datetime
    closed_at: datetime
    closing_order_id: OrderId
    decision_id: int | None = None
    confidence: Decimal | None = None

    @property
    def held(self) -> timedelta:
        """The time from the first fill to the last."""
        return self.closed_at - self.opened_at


def round_trips(
    trades: Iterable[Trade], openings: Mapping[PositionId, Execution] | None = None
) -> tuple[RoundTrip, ...]:
    """Return the round trips that closings add up to, in the order of their ends; open positions are left out.

    Args:
        trades: oldest first.
        openings: the execution that opened each position.
    """
    closings: dict[PositionId, list[Trade]] = {}
    for trade in trades:
        closings.setdefault(trade.position_id, []).append(trade)
    first_fills = openings or {}
    ended = [
        _round_trip(parts, first_fills.get(position))
        for position, parts in closings.items()
        if any(trade.closes for trade in parts)
    ]
    return tuple(sorted(ended, key=lambda trip: (trip.closed_at, trip.position_id)))


def _round_trip(parts: Sequence[Trade], opening: Execution | None) -> RoundTrip:
    first = parts[0]
    gross, commission = total(trade.gross for trade in parts), total(trade.commission for trade in parts)
    return RoundTrip(
        position_id=first.position_id,
        symbol=first.symbol,
        asset_class=first.asset_class,
        side=first.side,
        strategy=first.strategy,
        gross=gross,
        net=subtract(gross, commission),
        commission=commission,
        opened_at=first.entry_time,
        closed_at=max(trade.exit_time for trade in parts),
        closing_order_id=next(trade.order_id for trade in reversed(parts) if trade.closes),
        decision_id=None if opening is None else opening.decision_id,
        confidence=None if opening is None else opening.confidence,
    )
