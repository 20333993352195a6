"""Open orders: what of an order is filled, what it has paid, and what it holds back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from domain.immutable.maps import ImmutableMap
from domain.immutable.records import fast_frozen, replace
from domain.trading.arithmetic import ZERO, add, divide, money, multiply, subtract
from domain.trading.execution import Part, charge, commission_due, worst_cost
from domain.trading.instruments import Instrument
from domain.trading.orders import Fill, Order
from domain.trading.prices import BasePrice
from domain.types import BUY, SELL, OrderId, OrderType, Symbol

STOPS = frozenset({OrderType.STOP, OrderType.STOP_LIMIT, OrderType.TRAILING_STOP})
"""Types that wait for a trigger."""


ROUNDING_SPARE = Decimal("1e-9")
"""More than the parts of an order can cost beyond the whole of it, because each is rounded: 1e-12 a part."""


def rounding_spare(instrument: Instrument) -> Decimal:
    """Return what a BUY with a limit holds back in addition, in money: 0 where no notional needs rounding."""
    finest = multiply(instrument.tick, instrument.step)
    return ZERO if money(finest) == finest else ROUNDING_SPARE


@fast_frozen
@dataclass(frozen=True, slots=True)
class OpenOrder:
    """An order that rests in the market, filled in part or not at all.

    Attributes:
        since: number of the market data after which it can be matched.
        filled: quantity filled so far.
        fills: number of its fills.
        notional: Σ notional of its fills.
        charged: Σ notional × commission rate of its fills, not rounded.
        paid: commission paid so far.
        slippage: Σ slippage of its fills, in money.
        reserved: the cash that it holds back; 0 for a SELL.
        triggered_at: when a stop order was triggered; None before.
        mark: of a trailing stop: the highest mark since its acceptance, for a BUY the lowest. It moves without an
            event, so memory may be ahead of the database.
        mark_no: number of the last data that moved the mark: it has been tested against all data up to there.
        since_at: when it got its present values, where it sees only data after that; None: when it was made.
    """

    order: Order
    since: int
    filled: Decimal = ZERO
    fills: int = 0
    notional: Decimal = ZERO
    charged: Decimal = ZERO
    paid: Decimal = ZERO
    slippage: Decimal = ZERO
    reserved: Decimal = ZERO
    triggered_at: datetime | None = None
    mark: Decimal | None = field(default=None, compare=False)
    mark_no: int = field(default=0, compare=False)
    since_at: datetime | None = None

    @property
    def placed_at(self) -> datetime:
        """The time after which market data are for it, with its present values."""
        return self.since_at or self.order.created_at

    @property
    def stop_price(self) -> Decimal | None:
        """The mark at which it is triggered now; None if it has no trigger."""
        order = self.order
        if order.trail is None or self.mark is None or self.triggered_at is not None:
            return order.stop_price
        return max(order.trail.stop_price(self.mark, order.side, order.instrument.tick), order.instrument.tick)

    @property
    def sees_after(self) -> int:
        """The number of the market data after which it can be matched."""
        return max(self.since, self.mark_no)

    @property
    def trails(self) -> bool:
        """Whether its mark still moves."""
        return self.order.trail is not None and self.triggered_at is None

    @property
    def remaining(self) -> Decimal:
        """The quantity that is not filled yet."""
        return subtract(self.order.quantity, self.filled)

    @property
    def average_price(self) -> Decimal | None:
        """The average price of its fills, for display and for exits; None without a fill."""
        return divide(self.notional, self.filled) if self.filled else None

    @property
    def waits_for_trigger(self) -> bool:
        """Whether it is a stop order that has not been triggered."""
        return self.triggered_at is None and self.order.order_type in STOPS

    @property
    def open_notional(self) -> Decimal:
        """What the rest is worth at its own price, in money: it counts against the position limit of a BUY."""
        price = self.order.own_price
        return money(multiply(self.remaining, price)) if price is not None else ZERO

    @property
    def held_back(self) -> Decimal:
        """The quantity that it holds back: that of a SELL of its own decision; an exit holds back nothing."""
        return self.remaining if self.order.parent is None and self.order.side is SELL else ZERO

    def after(self, fill: Fill) -> OpenOrder:
        """Return it after one more fill; its reservation is computed anew for the rest."""
        after = replace(
            self,
            filled=add(self.filled, fill.quantity),
            fills=self.fills + 1,
            notional=add(self.notional, fill.notional),
            charged=add(self.charged, charge(fill.notional, self.order.costs, fill.liquidity)),
            paid=add(self.paid, fill.commission),
            slippage=add(self.slippage, fill.slippage),
        )
        if self.order.parent is not None:  # an exit holds nothing back
            return after
        # In an instrument with a `rounding_spare`, what the parts cost more than the whole comes out of the spare.
        left = subtract(self.reserved, add(fill.notional, fill.commission))
        return replace(after, reserved=max(min(after.cash_needed(), left), ZERO))

    def cash_needed(self) -> Decimal:
        """Return the cash that the rest needs at most, with commission: what it must hold back."""
        if self.order.side is SELL or self.remaining == ZERO:
            return ZERO
        if self.order.limit_price is not None:
            notional = money(multiply(self.remaining, self.order.limit_price))
            costs = self.order.costs  # it may take or make
            due = commission_due(add(self.charged, multiply(notional, costs.highest_rate)), costs)
            return add(add(notional, max(subtract(due, self.paid), ZERO)), rounding_spare(self.order.instrument))
        assert self.order.stop_price is not None  # an order without any price does not rest
        base, costs = BasePrice(self.order.stop_price), self.order.costs
        return worst_cost(self.remaining, base, self.order.instrument.tick, costs, self.order.execution.price_rule)

    def part(self, quantity: Decimal, *, ambiguous: bool = False) -> Part:
        """Return the part of the order that its next fill takes."""
        return Part(quantity, self.fills + 1, self.charged, self.paid, ambiguous)


class TrailingMark(NamedTuple):
    """The mark of a trailing order, to be stored.

    Attributes:
        data_no: number of the data that moved it there.
    """

    order_id: OrderId
    mark: Decimal
    data_no: int


class _OfSymbol(NamedTuple):
    """The open orders of one symbol, with the sums of what they hold back.

    Attributes:
        ids: of the orders, in the order of their acceptance, each with whether it is an exit.
        number: of the orders.
        matched: see `OpenOrders.matched`.
        matched_at: the market's time of these data.
    """

    ids: ImmutableMap[OrderId, bool]
    number: int = 0
    buy_notional: Decimal = ZERO
    sell_quantity: Decimal = ZERO
    matched: int = 0
    matched_at: datetime | None = None


_NOTHING_OPEN = _OfSymbol(ImmutableMap())


@fast_frozen
@dataclass(frozen=True, slots=True)
class OpenOrders:
    """The open orders of a portfolio, with the exact sums of what they hold back. It never changes.

    Attributes:
        reserved: the cash that they hold back together.
    """

    reserved: Decimal = ZERO
    _orders: ImmutableMap[OrderId, OpenOrder] = field(default_factory=ImmutableMap)
    _by_symbol: ImmutableMap[Symbol, _OfSymbol] = field(default_factory=ImmutableMap, compare=False)

    def get(self, order_id: OrderId) -> OpenOrder | None:
        """Return the open order of this id; None if there is none."""
        open_order: OpenOrder | None = self._orders.get(order_id)
        return open_order

    def has(self, symbol: Symbol) -> bool:
        """Return whether there are open orders of a symbol."""
        return symbol in self._by_symbol

    def __iter__(self) -> Iterator[OpenOrder]:
        return iter(self._orders.values())

    def __len__(self) -> int:
        return len(self._orders)

    def of(self, symbol: Symbol) -> Iterator[OpenOrder]:
        """Yield the open orders of a symbol, in the order of their acceptance."""
        of_symbol: _OfSymbol | None = self._by_symbol.get(symbol)
        for order_id in of_symbol.ids if of_symbol is not None else ():
            yield self._orders[order_id]

    def exits(self, symbol: Symbol) -> list[OpenOrder]:
        """Return the open exits of a symbol, in the order of their acceptance."""
        of_symbol: _OfSymbol | None = self._by_symbol.get(symbol)
        if of_symbol is None:
            return []
        return [self._orders[order_id] for order_id, is_exit in of_symbol.ids.items() if is_exit]

    def buy_notional(self, symbol: Symbol) -> Decimal:
        """Return the value of the open BUY orders of a symbol at their own prices, in money."""
        of_symbol: _OfSymbol | None = self._by_symbol.get(symbol)
        return of_symbol.buy_notional if of_symbol is not None else ZERO

    def held_back(self, symbol: Symbol) -> Decimal:
        """Return the quantity of a symbol that open SELL orders of decisions hold back."""
        of_symbol: _OfSymbol | None = self._by_symbol.get(symbol)
        return of_symbol.sell_quantity if of_symbol is not None else ZERO

    def matched(self, symbol: Symbol) -> int:
        """Return the number of the last data that filled or triggered an open order of a symbol; 0 if none did.

        No order of the symbol sees data up to this number again: with a volume that was used up, or an order that has
        ended since, they would be matched otherwise than the first time.
        """
        of_symbol: _OfSymbol | None = self._by_symbol.get(symbol)
        return of_symbol.matched if of_symbol is not None else 0

    def matched_at(self, symbol: Symbol) -> datetime | None:
        """Return the market's time of these data; None if there are none."""
        of_symbol: _OfSymbol | None = self._by_symbol.get(symbol)
        return of_symbol.matched_at if of_symbol is not None else None

    def matched_up_to(self, symbol: Symbol, data_no: int, at: datetime | None = None) -> OpenOrders:
        """Return them with the number and time of the last data that filled or triggered an order of a symbol."""
        of_symbol: _OfSymbol | None = self._by_symbol.get(symbol)
        if of_symbol is None or of_symbol.matched >= data_no:
            return self
        by_symbol = self._by_symbol.updated({symbol: of_symbol._replace(matched=data_no, matched_at=at)})
        return replace(self, _by_symbol=by_symbol)

    def updated(self, open_order: OpenOrder) -> OpenOrders:
        """Return them with this order, in place of the one of the same id if there is one."""
        return self._changed(self._orders.get(open_order.order.order_id), open_order)

    def without(self, open_order: OpenOrder) -> OpenOrders:
        """Return them without the order of this id."""
        return self._changed(self._orders[open_order.order.order_id], None)

    def _changed(self, before: OpenOrder | None, after: OpenOrder | None) -> OpenOrders:
        one = after or before
        assert one is not None
        order_id, symbol = one.order.order_id, one.order.instrument.symbol
        of_symbol: _OfSymbol = self._by_symbol.get(symbol, _NOTHING_OPEN)
        ids, number, buy, sell, matched, matched_at = of_symbol
        reserved = self.reserved
        if before is not None and before.order.parent is None:  # an exit holds nothing back
            reserved, sell = subtract(reserved, before.reserved), subtract(sell, before.held_back)
            buy = subtract(buy, _buy_notional(before))
        if after is not None and after.order.parent is None:
            reserved, sell = add(reserved, after.reserved), add(sell, after.held_back)
            buy = add(buy, _buy_notional(after))
        if after is not None:
            orders = self._orders.updated({order_id: after})
            if before is None:
                ids, number = ids.updated({order_id: one.order.is_exit}), number + 1
            elif before.order.seq != after.order.seq:  # an amended order is behind the others, as if it were new
                ids, orders = ids.moved_last(order_id), orders.moved_last(order_id)
        else:
            ids, number = ids.without(order_id), number - 1
            orders = self._orders.without(order_id)
        if number:
            by_symbol = self._by_symbol.updated({symbol: _OfSymbol(ids, number, buy, sell, matched, matched_at)})
        else:
            by_symbol = self._by_symbol.without(symbol)
        return OpenOrders(reserved, orders, by_symbol)


def _buy_notional(open_order: OpenOrder) -> Decimal:
    return open_order.open_notional if open_order.order.side is BUY else ZERO


def open_orders_to_dict(orders: OpenOrders) -> list[dict[str, Any]]:
    """Return open orders as dicts for consoles."""
    return [
        {
            "order_id": one.order.order_id,
            "decision_id": one.order.decision_id,
            "leg": one.order.leg,
            "symbol": one.order.instrument.symbol,
            "side": one.order.side.value,
            "order_type": one.order.order_type.value,
            "quantity": one.order.quantity,
            "filled": one.filled,
            "limit_price": one.order.limit_price,
            "stop_price": one.stop_price,
            "trail_mark": one.mark,
            "reserved": one.reserved,
            "triggered_at": one.triggered_at,
            "since": one.since,
        }
        for one in orders
    ]
