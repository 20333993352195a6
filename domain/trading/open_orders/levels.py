"""The prices at which open orders wait, by symbol: market data that reach none of them cost nothing."""

from __future__ import annotations

import heapq
from bisect import bisect_left, bisect_right, insort
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from operator import itemgetter
from typing import NamedTuple, TypeAlias

from domain.trading.open_orders.matching import extremes
from domain.trading.open_orders.open_order import OpenOrder
from domain.trading.quotes import MarketData
from domain.types import OrderId, PortfolioName, Side, Symbol


class _Level(NamedTuple):
    """The price at which an order waits."""

    price: Decimal
    portfolio: PortfolioName
    order_id: OrderId


NearestLevels: TypeAlias = tuple[Decimal | None, Decimal | None]
"""The first level that a falling market reaches, and the first that a rising one does; None where there is none."""
_price = itemgetter(0)
FEW_EXPIRIES = 64
"""So few expiries are kept without a look at how many of them are still needed."""


@dataclass(slots=True)
class _OfSymbol:
    """The orders of one symbol.

    Attributes:
        orders: each with its levels, the data after which it can be matched, and its expiry.
        down: the levels that a falling market reaches, in rising order.
        up: the levels that a rising market reaches, in rising order.
        first: the lowest number after which one of them can be matched; None: it must be looked for.
    """

    orders: dict[OrderId, tuple[tuple[tuple[_Level, bool], ...], int, datetime | None]] = field(default_factory=dict)
    down: list[_Level] = field(default_factory=list)
    up: list[_Level] = field(default_factory=list)
    first: int | None = None

    def take_out(self, order_id: OrderId) -> bool:
        """Remove an order; return whether it was here."""
        present = self.orders.pop(order_id, None)
        if present is None:
            return False
        if present[1] == self.first:
            self.first = None
        for level, falling in present[0]:
            levels = self.down if falling else self.up
            del levels[bisect_left(levels, level)]
        return True

    def put_in(
        self, order_id: OrderId, levels: tuple[tuple[_Level, bool], ...], since: int, expires_at: datetime | None
    ) -> None:
        """Add an order with its levels, each with whether a falling market reaches it."""
        if not self.orders:
            self.first = since
        elif self.first is not None:
            self.first = min(self.first, since)
        self.orders[order_id] = levels, since, expires_at
        for level, falling in levels:
            insort(self.down if falling else self.up, level)

    def since(self) -> int:
        """Return the number of the data after which one of the orders can be matched."""
        if self.first is None:
            self.first = min(since for _, since, _ in self.orders.values())
        return self.first

    def expiry(self, order_id: OrderId) -> datetime | None:
        """Return the expiry of an order; None where it has none, or is not here."""
        return self.orders[order_id][2] if order_id in self.orders else None


class Levels:
    """The open orders of all portfolios, found by what market data reach, and by their expiry.

    Attributes:
        symbols_changed: counts the changes of the symbols that have orders.
    """

    def __init__(self) -> None:
        self.symbols_changed = 0
        self._by_symbol: dict[Symbol, _OfSymbol] = {}
        self._expiries: list[tuple[datetime, PortfolioName, OrderId, Symbol]] = []
        self._outdated = 0  # expiries of orders that have ended since, or were given another one

    @property
    def expiries(self) -> int:
        """The number of expiries that are kept; some may be of orders that have ended since."""
        return len(self._expiries)

    @property
    def watched(self) -> dict[Symbol, int]:
        """The symbols with open orders, each with the number of the data after which one of them can be matched."""
        return {symbol: of_symbol.since() for symbol, of_symbol in self._by_symbol.items()}

    def update(self, portfolio: PortfolioName, open_order: OpenOrder) -> None:
        """Add an open order, or take its new state."""
        order = open_order.order
        symbol = order.instrument.symbol
        of_symbol = self._by_symbol.get(symbol)
        if of_symbol is None:
            of_symbol = self._by_symbol[symbol] = _OfSymbol()
            self.symbols_changed += 1
        expiry = of_symbol.expiry(order.order_id)
        of_symbol.take_out(order.order_id)
        price = open_order.stop_price if open_order.waits_for_trigger else order.limit_price
        assert price is not None  # an order without any price does not rest
        falling = (order.side is Side.BUY) is not open_order.waits_for_trigger
        levels = [(_Level(price, portfolio, order.order_id), falling)]
        if open_order.trails and open_order.mark is not None:  # it must see each new extreme, too
            levels.append((_Level(open_order.mark, portfolio, order.order_id), not falling))
        of_symbol.put_in(order.order_id, tuple(levels), open_order.sees_after, order.expires_at)
        if order.expires_at != expiry:
            if order.expires_at is not None:
                heapq.heappush(self._expiries, (order.expires_at, portfolio, order.order_id, symbol))
            self._forget(expiry)

    def remove(self, open_order: OpenOrder) -> None:
        """Remove an order that has ended; one that is not here is no error."""
        symbol = open_order.order.instrument.symbol
        of_symbol, order_id = self._by_symbol.get(symbol), open_order.order.order_id
        if of_symbol is None:
            return
        expiry = of_symbol.expiry(order_id)
        if of_symbol.take_out(order_id) and not of_symbol.orders:
            del self._by_symbol[symbol]
            self.symbols_changed += 1
        self._forget(expiry)

    def _forget(self, expiry: datetime | None) -> None:
        """Count an expiry that is not needed any more; once most of them are not, keep only the others."""
        if expiry is None:
            return
        self._outdated += 1
        if self._outdated * 2 > len(self._expiries) > FEW_EXPIRIES:
            self._expiries = [one for one in self._expiries if self._is_present(*one)]
            heapq.heapify(self._expiries)
            self._outdated = 0

    def _is_present(self, expiry: datetime, _: PortfolioName, order_id: OrderId, symbol: Symbol) -> bool:
        of_symbol = self._by_symbol.get(symbol)
        return of_symbol is not None and of_symbol.expiry(order_id) == expiry

    def reached(self, data: MarketData) -> dict[PortfolioName, list[OrderId]]:
        """Return the orders that a piece of market data may reach, by portfolio."""
        of_symbol = self._by_symbol.get(data.symbol)
        if of_symbol is None:
            return {}
        low, high = extremes(data)
        down, up = of_symbol.down, of_symbol.up
        first, last = bisect_left(down, low, key=_price), bisect_right(up, high, key=_price)
        by_portfolio: dict[PortfolioName, dict[OrderId, None]] = {}  # a wide bar reaches both levels of one order
        for level in (*down[first:], *up[:last]):
            by_portfolio.setdefault(level.portfolio, {})[level.order_id] = None
        return {portfolio: list(order_ids) for portfolio, order_ids in by_portfolio.items()}

    def nearest(self, symbol: Symbol) -> NearestLevels | None:
        """Return the first level that a falling and that a rising market reaches; None where no order rests.

        Market data that stay between the two reach nothing, so a search in columns may pass over them.
        """
        of_symbol = self._by_symbol.get(symbol)
        if of_symbol is None:
            return None
        down, up = of_symbol.down, of_symbol.up
        return down[-1].price if down else None, up[0].price if up else None

    def expired(self, now: datetime) -> dict[PortfolioName, list[OrderId]]:
        """Return the open orders whose time has come, by portfolio; each is returned once."""
        by_portfolio: dict[PortfolioName, list[OrderId]] = {}
        while self._expiries and self._expiries[0][0] <= now:
            expiry, portfolio, order_id, symbol = heapq.heappop(self._expiries)
            if self._is_present(expiry, portfolio, order_id, symbol):  # else it was amended, or has ended
                by_portfolio.setdefault(portfolio, []).append(order_id)
        return by_portfolio
