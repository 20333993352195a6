"""An engine with one portfolio whose market, orders and events are written as short texts, for tables of cases.

Market data: ``100`` is a last trade; ``100 99/101`` has bid and ask; ``100 99/101 3x2`` has their sizes, too;
``print 100 x2`` is one trade of the market, ``print 100 99/101 x2`` one with the book that was known then;
``bar 100 105 95 101 x40`` has open, high, low, close and volume. ``split 50 49.9/50.1`` is held back as a split.

Orders: ``BUY 5 limit 101 IOC``, ``SELL 2 stop 95 limit 94``, ``BUY 1 stop_loss 90 take_profit_pct 0.1``,
``SELL trail 5``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from domain.trading.arithmetic import money, plain
from domain.trading.bookkeeping import Result
from domain.trading.decision import CancelTarget, Refusal
from domain.trading.engine import Ended, Engine
from domain.trading.events import Filled, OrderEnded
from domain.trading.instruments import Instrument, InstrumentCatalog
from domain.trading.open_orders.targets import parse_targets
from domain.trading.open_orders.terms import OrderTerms
from domain.trading.orders import Costs, ExecutionRules
from domain.trading.portfolio import PortfolioRules, PortfolioState
from domain.trading.quotes import Bar, MarketData
from domain.trading.sizing import SizingRules
from domain.types import DecisionId, OrderType, Symbol, TimeInForce
from tests.support.values.builders import BTC, BY_QUOTE, ETH, NOON, free, holding, instant, instrument, quote, received
from tests.support.values.builders import rules as rules_of

SIZING = SizingRules(timedelta(seconds=1), timedelta(seconds=30), None, frozenset({"USD", "USDT"}))
PRICES = ("stop_loss", "stop_loss_pct", "take_profit", "take_profit_pct", "trail", "trail_pct", "trailing_stop",
          "trailing_stop_pct")  # fmt: skip


def market_data(text: str, at: datetime, symbol: str = BTC) -> MarketData:
    """Return the market data that a text stands for."""
    kind, *rest = text.split()
    if kind == "split":
        return replace(market_data(" ".join(rest), at, symbol), no_buy="it looks like a split")
    if kind == "bar":
        opened, high, low, close = map(Decimal, rest[:4])
        volume = Decimal(rest[4].removeprefix("x")) if rest[4:] else None
        return Bar(
            symbol=Symbol(symbol), open=opened, high=high, low=low, close=close, begin=at - timedelta(minutes=1),
            end=at, seen=instant(at), source="test", real=True, volume=volume,
        )  # fmt: skip
    if kind == "print":
        size = next((Decimal(text[1:]) for text in rest if text.startswith("x")), None)
        bid, ask = next((text.split("/") for text in rest if "/" in text), (None, None))
        return replace(quote(rest[0], symbol, at, bid=bid, ask=ask), is_trade=True, last_size=size)
    bid, ask = rest[0].split("/") if rest else (None, None)
    bid_size, ask_size = rest[1].split("x") if rest[1:] else (None, None)
    return quote(
        kind, symbol, at, bid=bid or None, ask=ask or None, bid_size=bid_size or None, ask_size=ask_size or None
    )


def order_terms(text: str) -> tuple[str, Decimal | None, OrderTerms]:
    """Return action, quantity and terms of an order that a text stands for."""
    action, *rest = text.split()
    quantity = Decimal(rest.pop(0)) if rest and rest[0][0].isdigit() else None
    values: dict[str, Any] = {}
    while rest:
        name = rest.pop(0)
        if name in {"limit", "stop"}:
            values[f"{name}_price"] = Decimal(rest.pop(0))
        elif name in PRICES:
            values[name] = Decimal(rest.pop(0))
        elif name == "take_profits":
            values[name] = parse_targets(rest.pop(0))
        elif name == "post_only":
            values[name] = True
        else:
            values["time_in_force"] = TimeInForce(name)
            if name == "GTD":
                values["expires_at"] = NOON + timedelta(seconds=float(rest.pop(0)))
    limited, stopped = "limit_price" in values, "stop_price" in values
    kinds = {(False, False): "market", (True, False): "limit", (False, True): "stop", (True, True): "stop_limit"}
    kind = OrderType.TRAILING_STOP if {"trail", "trail_pct"} & values.keys() else kinds[limited, stopped]
    return action, quantity, OrderTerms(OrderType(kind), **values)


def described(one: Ended) -> str:
    """Return what happened as a short text: ``2 at 100.12 fee 1 taker``, or the sentence of an end."""
    if isinstance(one, Refusal):
        return f"{one.status}: {one.sentence}"
    event = one.event
    leg = f"[{one.order.leg}] " if one.order.is_exit else ""
    if isinstance(event, Filled):
        fill = event.fill
        mark = " ambiguous" if fill.ambiguous else ""
        fee = f" fee {plain(fill.commission)}" if fill.commission else ""
        return f"{leg}{one.order.side} {plain(fill.quantity)} at {plain(fill.price)}{fee} {fill.liquidity}{mark}"
    if isinstance(event, OrderEnded):
        return f"{leg}{event.status}: {one.sentence}"
    return f"{leg}{one.sentence}"


class Trade:
    """An engine with one portfolio. Each call is one second after the one before.

    Args:
        held: the portfolio begins with this quantity of BTC/USDT, bought at 100 without costs.
        start: the rules of the portfolio.
        what: the instrument; ETH/USDT can be traded, too.
    """

    def __init__(
        self,
        *,
        held: str | None = None,
        costs: Costs = free(),  # noqa: B008
        execution: ExecutionRules = BY_QUOTE,
        what: Instrument = instrument(),  # noqa: B008
        start: PortfolioRules | None = None,
    ) -> None:
        self.seconds = 0
        self.ended: list[Ended] = []
        self._number = 0
        one = start or rules_of(execution=execution, costs=costs, max_position_size=1)
        state = holding((held, 100), of=one) if held is not None else PortfolioState.opened(one)
        self.engine = Engine([state], SIZING)
        assert [] == self.engine.on_instruments(InstrumentCatalog([what, instrument(ETH)]), instant())

    @property
    def state(self) -> PortfolioState:
        state = self.engine.state(rules_of().portfolio)
        assert state is not None
        return state

    @property
    def now(self) -> datetime:
        """The time of the last call."""
        return NOON + timedelta(seconds=self.seconds)

    @property
    def figures(self) -> str:
        """Cash, reserved cash, and the quantity of BTC/USDT that is free, of that which is held."""
        state = self.state
        held = state.positions.get(BTC)
        quantity = held.quantity if held is not None else Decimal(0)
        cash, reserved = plain(money(state.cash)), plain(money(state.open_orders.reserved))
        return f"cash {cash} reserved {reserved} free {plain(state.free_quantity(BTC))} of {plain(quantity)}"

    def see(self, *texts: str, symbol: str = BTC) -> list[str]:
        """Let the engine see market data, each a second later; return what happened."""
        happened: list[str] = []
        for text in texts:
            self.seconds += 1
            data = market_data(text, self.now, symbol)
            if isinstance(data, Bar):
                happened += self._took(self.engine.on_bar(data, data.seen))
            else:
                happened += self._took(self.engine.on_quotes([data], data.seen))
        return happened

    def send(self, text: str, symbol: str = BTC) -> list[str]:
        """Send the next decision; return what happened."""
        self._number += 1
        action, quantity, terms = order_terms(text)
        decision = replace(
            received(action, number=self._number, quantity=quantity, symbol=symbol),
            terms=terms, received=instant(self.now),
        )  # fmt: skip
        return self._took(self.engine.on_decision(decision, instant(self.now)))

    def cancel(self, target: int | str | CancelTarget = "all") -> list[str]:
        """Send a CANCEL of a decision's id, of a symbol, or of all; return what happened."""
        self._number += 1
        if isinstance(target, int):
            target = CancelTarget(decision_id=target)
        elif isinstance(target, str):
            target = CancelTarget() if target == "all" else CancelTarget(symbol=target)
        decision = replace(received("CANCEL", number=self._number), target=target, received=instant(self.now))
        return self._took(self.engine.on_decision(decision, instant(self.now)))

    def amend(self, target: int | CancelTarget, text: str) -> list[str]:
        """Send an AMEND: ``quantity 3 limit 101 stop 95 trail 5 expires 60``; return what happened."""
        self._number += 1
        if isinstance(target, int):
            target = CancelTarget(decision_id=target)
        words = text.split()
        values = dict(zip(words[::2], map(Decimal, words[1::2]), strict=True))
        expires = NOON + timedelta(seconds=float(values["expires"])) if "expires" in values else None
        terms = OrderTerms(
            limit_price=values.get("limit"), stop_price=values.get("stop"), expires_at=expires,
            trail=values.get("trail"), trail_pct=values.get("trail_pct"),
        )  # fmt: skip
        decision = received("AMEND", number=self._number, symbol="*", quantity=values.get("quantity"))
        decision = replace(decision, target=target, terms=terms, received=instant(self.now))
        return self._took(self.engine.on_decision(decision, instant(self.now)))

    def exit(self, leg: int, entry: int | None = None) -> CancelTarget:
        """Return the target of an open exit by the leg of its order, and by its decision's id."""
        orders = [one.order for one in self.state.open_orders if one.order.leg == leg]
        (order,) = [order for order in orders if entry in {None, order.decision_id}]
        return CancelTarget(order_id=order.order_id)

    def wait(self, seconds: int = 1) -> list[str]:
        """Let time pass; return what happened."""
        self.seconds += seconds
        return self._took(self.engine.on_time(instant(self.now)))

    def halt(self, reason: str | None) -> None:
        """Halt the portfolio, or end its halt."""
        assert [] == self.engine.on_rules([replace(self.state.rules, halted=reason)], instant(self.now))

    def outcomes(self) -> list[str]:
        """Return how decisions have ended, in order: ``1 executed: bought …``."""
        texts = []
        for one in self.ended:
            if isinstance(one, Refusal):
                texts.append(f"{one.decision_id} {one.status}: {one.sentence}")
            else:
                texts += [f"{end.decision_id} {end.status}: {end.reason}" for end in one.ends]
        return texts

    def ends(self) -> dict[DecisionId, list[str]]:
        """Return the statuses with which decisions have ended since the last call, and forget them."""
        ends: dict[DecisionId, list[str]] = {}
        for one in self.ended:
            for end in [one] if isinstance(one, Refusal) else one.ends:
                ends.setdefault(end.decision_id, []).append(end.status.value)
        self.ended.clear()
        return ends

    def _took(self, happened: Iterable[Ended]) -> list[str]:
        happened = list(happened)
        self.ended += happened
        return [described(one) for one in happened]

    def order_ids(self) -> list[str]:
        """Return the ids of the open orders, in the order of their acceptance."""
        return [str(one.order.order_id) for one in self.state.open_orders]

    def stops(self) -> list[str]:
        """Return the mark and the stop price of the open trailing orders: ``110 105``."""
        trailing = [one for one in self.state.open_orders if one.trails]
        return [f"{plain(one.mark)} {plain(one.stop_price)}" for one in trailing if one.mark and one.stop_price]

    def rests(self) -> list[str]:
        """Return type and open quantity of the open orders, in the order of their acceptance: ``limit 2``."""
        return [f"{one.order.order_type} {plain(one.remaining)}" for one in self.state.open_orders]

    def results(self) -> list[Result]:
        """Return the events so far."""
        return [one for one in self.ended if isinstance(one, Result)]
