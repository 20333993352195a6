"""Random market data and terms of orders, each taken from one number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from domain.trading.arithmetic import multiply, round_to
from domain.trading.instruments import Calendars
from domain.trading.open_orders.open_order import OpenOrder
from domain.trading.open_orders.targets import parse_targets
from domain.trading.open_orders.terms import MARKET, OrderTerms, flaw
from domain.trading.orders import ExecutionRules
from domain.trading.quotes import Bar, MarketData, Quote
from domain.trading.sizing import SizingRules
from domain.types import Action, FeeRule, OrderType, PriceRule, Symbol, TimeInForce
from tests.support.values.builders import BTC, ETH, costs, instant, instrument, quote, rules

DOGE = Symbol("DOGE/USDT")
MIDDLES = {BTC: Decimal(100), ETH: Decimal(25), DOGE: Decimal("0.123456789012")}
INSTRUMENTS = {
    BTC: replace(instrument(BTC, tick="0.01", step="0.001"), maker_fee=Decimal("-0.0001"), taker_fee=Decimal("0.0026")),
    ETH: instrument(ETH, tick="0.25", step="0.0003", min_notional=25),
    DOGE: instrument(DOGE, tick="0.000000000001", step="0.00000001"),
}
PORTFOLIOS = (
    rules("default", max_position_size="0.5", execution=ExecutionRules()),
    rules(
        "thin",
        initial_capital=1000,
        max_position_size=1,
        costs=costs("0.0123456", "0.00271828", "0.5"),
        execution=ExecutionRules(max_touch_share=Decimal("0.5"), fill_on_touch=True, max_bar_share=Decimal("0.25")),
        fees=FeeRule.VENUE,
    ),
    rules("last", max_position_size=1, costs=costs(0, "0.001", 20), execution=ExecutionRules(PriceRule.LAST)),
)
CALENDARS = Calendars({BTC: "XETR", ETH: "XNYS"})
SIZING = SizingRules(timedelta(days=30), timedelta(seconds=30), None, frozenset({"USD", "USDT"}), CALENDARS)
"""No price is too old, so that no decision waits, and nothing is lost by a restart."""

MOVES = [Decimal(x) for x in ("1", "0.999", "1.001", "0.995", "1.005", "0.99", "1.01", "0.97", "1.03", "0.9", "1.1")]
BOOKS: list[tuple[str, str] | None] = [
    None, ("0.9995", "1.0005"), ("0.9995", "1.0005"), ("0.99", "1.01"), ("1", "1"), ("1.002", "1.004"), ("1.01", "0.99")
]  # fmt: skip
SIZES = [None, None, Decimal("0.3"), Decimal(2), Decimal(50), Decimal(0)]
OFFSETS = [Decimal(x) for x in ("1", "0.9993", "1.0007", "0.996", "1.004", "0.98", "1.02", "0.94", "1.06")]
QUANTITIES = [None, *(Decimal(x) for x in ("0.05", "0.2", "0.5", "0.9", "1.2"))]
TYPES = [OrderType.MARKET, OrderType.MARKET, OrderType.LIMIT, OrderType.LIMIT, OrderType.LIMIT, OrderType.STOP,
         OrderType.STOP_LIMIT, OrderType.TRAILING_STOP, OrderType.TRAILING_STOP]  # fmt: skip
FORCES = [None, *TimeInForce, TimeInForce.DAY]
AMOUNTS = [Decimal(x) for x in ("0.3", "0.9", "1", "1.1", "2", "10")]
STOP_LOSSES = [None, None, Decimal("0.02"), Decimal("0.005")]
TARGETS = [
    (),
    (),
    (),
    parse_targets("2%:0.5,0.3%:0.5"),
    parse_targets("0.3%:0.4,1%:0.4,0.5%:0.2"),
    parse_targets("1%:0.3"),
]
TRAILS = [Decimal("0.01"), Decimal("0.003"), Decimal("0.04")]
TAKE_PROFITS = [None, None, Decimal("0.02"), Decimal("0.003")]
KINDS = (
    ["quote"] * 6 + ["print"] * 5 + ["bar"] * 3 + ["decide"] * 9 + ["cancel", "cancel", "halt", "time"] + ["amend"] * 2
)
LARGEST = 2**62
"""A step is a number below it."""


class Choices:
    """The choices of one step, taken from its number."""

    def __init__(self, number: int) -> None:
        self._left = number

    def of(self, options: Any) -> Any:
        """Return one of the options."""
        self._left, index = divmod(self._left, len(options))
        return options[index]


def drawn_data(kind: str, choices: Choices, newest: Mapping[Symbol, Quote], now: datetime) -> MarketData:
    """Return a quote, a print or a bar whose price is not far from the last one of its symbol."""
    what = INSTRUMENTS[choices.of([BTC, BTC, ETH, DOGE])]
    before, middle = newest[what.symbol].price, MIDDLES[what.symbol]
    price = max(round_to(multiply(before, choices.of(MOVES)), what.tick), what.tick)
    if not middle / 4 < price < middle * 4:
        price = middle
    if kind == "bar":
        other = max(round_to(multiply(price, choices.of(MOVES)), what.tick), what.tick)
        low = multiply(min(price, before, other), choices.of([Decimal(1), Decimal("0.99")]))
        return Bar(
            symbol=what.symbol, open=choices.of([before, other]), high=max(price, before, other), low=low, close=price,
            begin=now, end=now, seen=instant(now), source="test", real=True, volume=choices.of(SIZES),
        )  # fmt: skip
    if kind == "print":
        last = newest[what.symbol]  # its book is the one that was known with it, as the buffer of market data adds it
        trade = quote(price, what.symbol, now, bid=last.bid, ask=last.ask)
        return replace(trade, is_trade=True, last_size=choices.of(SIZES))
    book = choices.of(BOOKS)
    bid, ask = (round_to(multiply(price, Decimal(x)), what.tick) for x in book) if book else (None, None)
    sizes = {"bid_size": choices.of(SIZES), "ask_size": choices.of(SIZES)}
    return quote(price, what.symbol, now, bid=bid, ask=ask, **sizes)


def drawn_terms(action: Action, choices: Choices, price: Decimal, now: datetime) -> OrderTerms:
    """Return valid terms of an order near a price; only exits for a PROTECT."""
    kind, force = choices.of(TYPES), choices.of(FORCES)
    if action is Action.PROTECT:
        kind, force = OrderType.MARKET, None
    finest = Decimal("0.001") if price > 1 else Decimal("1e-13")
    limit, stop = (round_to(multiply(price, choices.of(OFFSETS)), finest) for _ in "12")
    terms = OrderTerms(
        kind,
        limit_price=limit if kind in {OrderType.LIMIT, OrderType.STOP_LIMIT} else None,
        stop_price=stop if kind in {OrderType.STOP, OrderType.STOP_LIMIT} else None,
        time_in_force=force,
        expires_at=now + timedelta(seconds=choices.of([1, 5, 20])) if force is TimeInForce.GTD else None,
        post_only=choices.of([False, False, False, True]),
        stop_loss_pct=choices.of(STOP_LOSSES),
        take_profit_pct=choices.of(TAKE_PROFITS),
    )
    trail, exact = choices.of(TRAILS), choices.of([True, False])
    distance = round_to(multiply(price, trail), Decimal("0.001"))
    if kind is OrderType.TRAILING_STOP:
        terms = replace(terms, trail=distance) if exact else replace(terms, trail_pct=trail)
    if targets := choices.of(TARGETS):
        terms = replace(terms, take_profit_pct=None, take_profits=targets)
    if choices.of([True, False, False]):
        terms = replace(terms, stop_loss_pct=None)
        terms = replace(terms, trailing_stop=distance) if exact else replace(terms, trailing_stop_pct=trail)
    if flaw(action, terms, None) is not None:
        terms = replace(terms, time_in_force=None, expires_at=None, post_only=False)
    if flaw(action, terms, None) is not None:
        terms = replace(
            terms, stop_loss_pct=None, take_profit_pct=None, take_profits=(), trailing_stop=None, trailing_stop_pct=None
        )
    return MARKET if terms == MARKET else terms


def drawn_values(choices: Choices, of: OpenOrder, price: Decimal, now: datetime) -> tuple[Decimal | None, OrderTerms]:
    """Return new values of an open order, of which at least one is set: its quantity, prices, trail, end."""
    limit, stop = (round_to(multiply(price, choices.of(OFFSETS)), Decimal("0.001")) for _ in "12")
    which = choices.of(["quantity", "less", "limit", "limit", "stop", "expiry", "both"])
    if of.trails and choices.of([True, True, False]):
        trail = choices.of(TRAILS)
        distance = round_to(multiply(price, trail), Decimal("0.001"))
        if distance and choices.of([True, False]):
            return None, OrderTerms(trail=distance)
        return None, OrderTerms(trail_pct=trail)
    quantity = None
    if which in {"quantity", "both"}:
        quantity = max(round_to(multiply(of.order.quantity, choices.of(AMOUNTS)), Decimal("0.0001")), Decimal("0.0001"))
    elif which == "less":
        less = max(of.filled, multiply(of.order.quantity, Decimal("0.7")))
        quantity = choices.of([of.filled or Decimal("0.001"), less])
    terms = OrderTerms(
        limit_price=limit if which in {"limit", "both"} else None,
        stop_price=stop if which == "stop" or (which == "both" and of.waits_for_trigger) else None,
        expires_at=now + timedelta(seconds=choices.of([-1, 1, 5, 20])) if which == "expiry" else None,
    )
    return quantity, terms
