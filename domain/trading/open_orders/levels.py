"""The prices at which open orders wait, by symbol: market data that reach none of them cost nothing."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from domain.trading.open_orders.matching import extremes
from domain.trading.open_orders.open_order import OpenOrder
from domain.trading.quotes import MarketData
from domain.types import OrderId, PortfolioName, Side, Symbol


@dataclass(slots=True)
class _OfSymbol:
    """The orders of one symbol.

    Attributes:
        orders: each with its portfolio.
        down: the highest price at which a falling market reaches one of them; None where there is none.
        up: the lowest price at which a rising market reaches one of them.
        outdated: ``down`` and ``up`` must be computed anew.
    """

    orders: dict[OrderId, tuple[PortfolioName, OpenOrder]] = field(default_factory=dict)
    down: Decimal | None = None
    up: Decimal | None = None
    outdated: bool = False


class Levels:
    """The open orders of all portfolios, found by what market data reach, and by their expiry.

    Attributes:
        symbols_changed: counts the changes of the symbols that have orders.
    """

    def __init__(self) -> None:
        self.symbols_changed = 0
        self._by_symbol: dict[Symbol, _OfSymbol] = {}
        self._expiries: list[tuple[datetime, PortfolioName, OrderId, Symbol]] = []

    @property
    def watched(self) -> dict[Symbol, int]:
        """The symbols with open orders, each with the number of the data after which one of them can be matched."""
        return {
            symbol: min(open_order.since for _, open_order in of_symbol.orders.values())
            for symbol, of_symbol in self._by_symbol.items()
        }

    def update(self, portfolio: PortfolioName, open_order: OpenOrder) -> None:
        """Add an open order, or take its new state."""
        order = open_order.order
        symbol = order.instrument.symbol
        of_symbol = self._by_symbol.get(symbol)
        if of_symbol is None:
            of_symbol = self._by_symbol[symbol] = _OfSymbol()
            self.symbols_changed += 1
        known = order.order_id in of_symbol.orders
        of_symbol.orders[order.order_id] = portfolio, open_order
        of_symbol.outdated = True
        if order.expires_at is not None and not known:
            heapq.heappush(self._expiries, (order.expires_at, portfolio, order.order_id, symbol))

    def remove(self, open_order: OpenOrder) -> None:
        """Remove an order that has ended; one that is not here is no error."""
        symbol = open_order.order.instrument.symbol
        of_symbol = self._by_symbol.get(symbol)
        if of_symbol is not None and of_symbol.orders.pop(open_order.order.order_id, None) is not None:
            of_symbol.outdated = True
            if not of_symbol.orders:
                del self._by_symbol[symbol]
                self.symbols_changed += 1

    def reached(self, data: MarketData) -> dict[PortfolioName, list[OrderId]]:
        """Return the orders of a symbol by portfolio if a piece of market data reaches any level; else nothing."""
        of_symbol = self._by_symbol.get(data.symbol)
        if of_symbol is None:
            return {}
        if of_symbol.outdated:
            _compute(of_symbol)
        low, high = extremes(data)
        below = of_symbol.down is not None and low <= of_symbol.down
        above = of_symbol.up is not None and high >= of_symbol.up
        by_portfolio: dict[PortfolioName, list[OrderId]] = {}
        if below or above:
            for order_id, (portfolio, _) in of_symbol.orders.items():
                by_portfolio.setdefault(portfolio, []).append(order_id)
        return by_portfolio

    def expired(self, now: datetime) -> dict[PortfolioName, list[OrderId]]:
        """Return the open orders whose time has come, by portfolio; each is returned once."""
        by_portfolio: dict[PortfolioName, list[OrderId]] = {}
        while self._expiries and self._expiries[0][0] <= now:
            _, portfolio, order_id, symbol = heapq.heappop(self._expiries)
            of_symbol = self._by_symbol.get(symbol)
            if of_symbol is not None and order_id in of_symbol.orders:
                by_portfolio.setdefault(portfolio, []).append(order_id)
        return by_portfolio


def _compute(of_symbol: _OfSymbol) -> None:
    down: list[Decimal] = []
    up: list[Decimal] = []
    for _, open_order in of_symbol.orders.values():
        order = open_order.order
        level = order.stop_price if open_order.waits_for_trigger else order.limit_price
        if level is None:
            continue
        falling = (order.side is Side.BUY) is not open_order.waits_for_trigger
        (down if falling else up).append(level)
    of_symbol.down, of_symbol.up = max(down, default=None), min(up, default=None)
    of_symbol.outdated = False
