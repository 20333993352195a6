"""Random orders, market data, cancels, halts and restarts; the laws of orders are checked after each step.

A step is one number, from which everything of it is taken; so a test or a seed gives just a list of numbers.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

from domain.trading.arithmetic import ZERO, floor_to, multiply
from domain.trading.bookkeeping import Result
from domain.trading.decision import CancelTarget, PendingDecision, Refusal
from domain.trading.engine import Ended, Engine
from domain.trading.events import Event, Filled, OrderAccepted, OrderAmended, OrderTriggered
from domain.trading.instruments import InstrumentCatalog
from domain.trading.open_orders.matching import see
from domain.trading.open_orders.open_order import STOPS, OpenOrder, OpenOrders, TrailingMark
from domain.trading.portfolio import PortfolioRules, PortfolioState
from domain.trading.quotes import Bar, MarketData, Quote
from domain.types import Action, DecisionId, Liquidity, OrderId, PortfolioName, PriceRule, Side, Symbol
from tests.support.values.builders import BTC, ETH, NOON, instant, quote, received
from tests.support.values.engine_run import stored, stored_position
from tests.support.values.order_choices import (
    DOGE,
    INSTRUMENTS,
    KINDS,
    LARGEST,
    MIDDLES,
    PORTFOLIOS,
    QUANTITIES,
    SIZING,
    Choices,
    drawn_data,
    drawn_terms,
    drawn_values,
)


class Broken(AssertionError):
    """A law does not hold."""


def require(holds: bool, law: str, *evidence: object) -> None:
    """Fail with the law and the evidence unless it holds."""
    if not holds:
        raise Broken(law, *evidence)


class OrderRun:
    """An engine with three portfolios, to which steps happen.

    Args:
        check: whether the laws are checked after each step.

    Attributes:
        happened: all events and refusals.
        fills: number of fills by liquidity.
        outcomes: number of decisions by their status.
    """

    def __init__(self, *, check: bool = True) -> None:
        self.happened: list[Event | Refusal] = []
        self.fills: Counter[str] = Counter()
        self.outcomes: Counter[str] = Counter()
        self._check = check
        self._second = 0
        self._data_no = 0
        self._decisions: dict[DecisionId, PendingDecision] = {}
        self._ended: set[DecisionId] = set()
        self._rules: dict[PortfolioName, PortfolioRules] = {row.portfolio: row for row in PORTFOLIOS}
        self._data: list[MarketData] = []  # that may be matched again after a restart
        self._newest: dict[Symbol, Quote] = {}
        self._last: dict[Symbol, MarketData] = {}
        self._matched: dict[tuple[PortfolioName, Symbol], int] = {}
        self._since: dict[OrderId, int] = {}
        self._extremes: dict[OrderId, Decimal] = {}  # of the marks that trailing orders have seen
        self._marks: dict[OrderId, TrailingMark] = {}  # as they are stored
        self._placed: set[OrderId] = set()  # in this step: what they take at once is by data that were seen before
        self._net: dict[PortfolioName, Fraction] = defaultdict(Fraction)
        self._begin(PortfolioState.opened(row) for row in PORTFOLIOS)
        for symbol, price in MIDDLES.items():
            self._see(quote(price, symbol, self._now))

    @property
    def _now(self) -> datetime:
        return NOON + timedelta(seconds=self._second)

    @property
    def states(self) -> dict[PortfolioName, PortfolioState]:
        """The present states."""
        states = {name: self._engine.state(name) for name in self._rules}
        return {name: state for name, state in states.items() if state is not None}

    def _begin(self, states: Iterable[PortfolioState]) -> None:
        self._engine = Engine(states, SIZING)
        assert [] == self._engine.on_instruments(InstrumentCatalog(INSTRUMENTS.values()), instant(self._now))

    # steps

    def step(self, number: int) -> None:
        """Do what a number means."""
        choices = Choices(number)
        self._second += 1
        kind = choices.of(KINDS)
        if kind in {"quote", "print", "bar"}:
            self._see(drawn_data(kind, choices, self._newest, self._now))
        elif kind == "decide":
            self._decide(choices)
        elif kind == "cancel":
            self._cancel(choices)
        elif kind == "amend":
            self._amend(choices)
        elif kind == "halt":
            self._change_rules(choices)
        else:
            self._second += choices.of([1, 20, 20_000])  # the last one is beyond the close of a session
            self._took(self._engine.on_time(instant(self._now)))

    def _see(self, data: MarketData) -> None:
        self._data_no += 1
        data = replace(data, data_no=self._data_no)
        self._data.append(data)
        self._last[data.symbol] = data
        if isinstance(data, Quote):
            self._newest[data.symbol] = data
            self._took(self._engine.on_quotes([data], data.seen), data)
        else:
            self._took(self._engine.on_bar(data, data.seen), data)

    def _decide(self, choices: Choices) -> None:
        what = INSTRUMENTS[choices.of([BTC, BTC, ETH, DOGE])]
        row = PORTFOLIOS[choices.of([0, 0, 1, 2])]
        state, price = self.states[row.portfolio], self._newest[what.symbol].price
        action = choices.of([Action.BUY, Action.BUY, Action.BUY, Action.SELL, Action.SELL, Action.PROTECT])
        terms, share = drawn_terms(action, choices, price, self._now), choices.of(QUANTITIES)
        held, quantity = state.positions.get(what.symbol), None
        if share is not None and action is not Action.PROTECT:
            most = held.quantity if action is Action.SELL and held is not None else multiply(state.cash, 1 / price)
            quantity = max(floor_to(multiply(most, share), Decimal("1e-6")), Decimal("0.001"))
        self._send(replace(self._new(action, what.symbol, row.portfolio), quantity=quantity, terms=terms))

    def _cancel(self, choices: Choices) -> None:
        row, which = PORTFOLIOS[choices.of([0, 0, 1, 2])], choices.of(["all", "symbol", "decision", "decision"])
        orders = [one.order for one in self.states[row.portfolio].open_orders]
        target = CancelTarget()
        if which == "symbol":
            target = CancelTarget(symbol=choices.of([BTC, ETH, DOGE]))
        elif which == "decision" and orders:
            one = choices.of(orders)
            target = CancelTarget(order_id=one.order_id) if one.is_exit else CancelTarget(decision_id=one.decision_id)
        self._send(replace(self._new(Action.CANCEL, BTC, row.portfolio), target=target))

    def _amend(self, choices: Choices) -> None:
        row = PORTFOLIOS[choices.of([0, 0, 1, 2])]
        orders = list(self.states[row.portfolio].open_orders)
        if not orders:
            return
        one = choices.of(orders)
        order = one.order
        target = CancelTarget(order_id=order.order_id) if order.is_exit else CancelTarget(decision_id=order.decision_id)
        price = self._newest[order.instrument.symbol].price
        quantity, terms = drawn_values(choices, one, price, self._now)
        amend = replace(self._new(Action.AMEND, "*", row.portfolio), target=target, quantity=quantity, terms=terms)
        self._send(amend)

    def _change_rules(self, choices: Choices) -> None:
        name, halted = (
            PORTFOLIOS[choices.of([0, 1, 2])].portfolio,
            choices.of([None, None, None, None, None, "by hand", "audit: x"]),
        )
        self._rules[name] = replace(self._rules[name], halted=halted)
        self._took(self._engine.on_rules(self._rules.values(), instant(self._now)))
        self._data = []  # what a halted portfolio has seen is not matched again by other rules
        self._save_marks()

    def _save_marks(self) -> None:
        """Store the marks of trailing orders, as the PositionKeeper does before it releases data."""
        self._marks |= {mark.order_id: mark for mark in self._engine._sequencer.take_moved_marks()}

    def _new(self, action: Action, symbol: str, portfolio: PortfolioName) -> PendingDecision:
        number = len(self._decisions) + 1
        decision = received(action, number=number, symbol=symbol, portfolio=portfolio)
        return replace(decision, received=instant(self._now))

    def _send(self, decision: PendingDecision) -> None:
        self._decisions[decision.id] = decision
        self._took(self._engine.on_decision(decision, decision.received))

    # laws

    def _took(self, happened: Iterable[Ended], data: MarketData | None = None) -> None:
        happened = list(happened)
        self._placed.clear()
        self.happened += [one.event if isinstance(one, Result) else one for one in happened]
        used: dict[PortfolioName, Fraction] = defaultdict(Fraction)
        for one in happened:
            self._note_ends(one)
            if isinstance(one, Result):
                self._note(one, data, used)
                if self._check:
                    self._check_state(one.state)
        if self._check and data is not None:
            self._check_volume(data, used)
            self._check_marks(data)

    def _note_ends(self, one: Ended) -> None:
        ends = [one] if isinstance(one, Refusal) else one.ends
        for decision_id, status in [(end.decision_id, end.status) for end in ends]:
            self.outcomes[status.value] += 1
            require(decision_id not in self._ended, "a decision ends once", decision_id)
            self._ended.add(decision_id)

    def _note(self, result: Result, data: MarketData | None, used: dict[PortfolioName, Fraction]) -> None:
        event, order, name = result.event, result.order, result.state.name
        symbol = order.instrument.symbol
        if isinstance(event, OrderAccepted | OrderAmended):
            self._since[order.order_id] = event.since
            if event.mark is not None:
                self._extremes[order.order_id] = event.mark
                self._marks[order.order_id] = TrailingMark(order.order_id, event.mark, 0)
            self._placed.add(order.order_id)
        if isinstance(event, OrderTriggered):
            self._matched[name, symbol] = max(self._matched.get((name, symbol), 0), event.quote.data_no)
            require(event.quote.data_no > self._since[order.order_id], "a stop sees only later data", event)
        if result.trade is not None:
            self._net[name] += Fraction(result.trade.net)
        if not isinstance(event, Filled):
            return
        fill, since = event.fill, self._since.get(order.order_id)
        self.fills[fill.liquidity] += 1
        if event.sizing is None:
            assert since is not None
            if fill.quote.data_no > since:
                self._matched[name, symbol] = max(self._matched.get((name, symbol), 0), fill.quote.data_no)
            taker_at_once = fill.liquidity is Liquidity.TAKER and order.order_id in self._placed
            require(fill.quote.data_no > since or taker_at_once, "no fill by older data", event)
            if fill.liquidity is Liquidity.MAKER:
                require(fill.quote.data_no > since, "a resting order sees only later data", event)
                used[name] += Fraction(fill.quantity)
        if data is not None:
            require(fill.quote.data_no == data.data_no, "a fill is by the data that are seen", event)
        self._check_fill(event)

    def _check_fill(self, event: Filled) -> None:
        order, fill, buys = event.order, event.fill, event.order.side is Side.BUY
        if order.limit_price is not None:
            within = fill.price <= order.limit_price if buys else fill.price >= order.limit_price
            require(within, "never worse than the limit", event)
            if fill.liquidity is Liquidity.TAKER and fill.touch_size is not None:
                require(fill.quantity <= fill.touch_size, "a limit order takes what is offered", event)
        require(fill.quantity > ZERO, "a fill has a quantity", event)
        bid, ask = fill.quote.bid, fill.quote.ask
        spread_known = bid is not None and ask is not None and bid <= ask
        if fill.liquidity is Liquidity.TAKER and spread_known and order.execution.price_rule is PriceRule.QUOTE:
            outside = fill.price >= ask if buys else fill.price <= bid  # type: ignore[operator]
            require(outside, "no taker fill inside the quote", event)

    def _check_marks(self, data: MarketData) -> None:
        for state in self.states.values():
            for one in state.open_orders.of(data.symbol):
                if not one.trails:
                    continue
                id_, seen = one.order.order_id, see(data, one.order.execution)
                if data.data_no > one.since and (not isinstance(data, Bar) or data.volume != ZERO):
                    pair = self._extremes[id_], seen.high if one.order.side is Side.SELL else seen.low
                    self._extremes[id_] = max(pair) if one.order.side is Side.SELL else min(pair)
                require(one.mark == self._extremes[id_], "the mark is the extreme since acceptance", one)

    def _check_volume(self, data: MarketData, used: dict[PortfolioName, Fraction]) -> None:
        for name, quantity in used.items():
            if isinstance(data, Bar):
                share = self._rules[name].execution.max_bar_share
                volume = None if data.volume is None else Fraction(data.volume) * Fraction(share)
            else:
                seen = data.last_size if data.is_trade else None
                volume = None if seen is None else Fraction(seen)
            require(volume is None or quantity <= volume, "no more than the volume seen", name, quantity, volume)

    def _check_state(self, state: PortfolioState) -> None:
        orders = list(state.open_orders)
        require(ZERO <= state.open_orders.reserved <= state.cash, "cash covers what is reserved", state)
        require(sum((one.reserved for one in orders), ZERO) == state.open_orders.reserved, "the sum of reservations")
        for one in orders:
            require(ZERO < one.remaining, "an open order has a rest", one)
            require(ZERO <= one.reserved, "a reservation is not negative", one)
        for symbol in INSTRUMENTS:
            require(state.free_quantity(symbol) >= ZERO, "free quantity", symbol, state)
            of_symbol = [one for one in orders if one.order.instrument.symbol == symbol]
            ids = [one.order.order_id for one in state.open_orders.of(symbol)]
            require(ids == [one.order.order_id for one in of_symbol], "the orders of a symbol", ids)
            sells = sum((one.held_back for one in of_symbol), ZERO)
            require(sells == state.open_orders.held_back(symbol), "what SELL orders hold back", symbol)
            buys = sum((one.open_notional for one in of_symbol if one.order.side is Side.BUY), ZERO)
            require(buys == state.open_orders.buy_notional(symbol), "the value of open BUY orders", symbol)
            position = state.positions.get(symbol)
            held = position.quantity if position is not None else ZERO
            groups: dict[OrderId | None, list[Decimal]] = defaultdict(lambda: [ZERO, ZERO])
            for one in of_symbol:
                if one.order.is_exit:
                    groups[one.order.parent][one.order.order_type in STOPS] += one.remaining
            require(sum(map(max, groups.values()), ZERO) <= held, "exits close no more than is held", symbol, state)
        left = Fraction(state.cash) - Fraction(state.rules.initial_capital) - Fraction(state.flows.net_deposits)
        right = self._net[state.name] + Fraction(state.flows.dividends)
        for position in state.positions.values():
            left += Fraction(position.value(position.last_price))
            right += Fraction(position.unrealized(position.last_price)) - Fraction(position.entry_commission)
        require(left == right, "law 1", left - right, state)

    @property
    def decisions(self) -> int:
        """Number of decisions sent."""
        return len(self._decisions)

    def require_same(self, other: OrderRun) -> None:
        """Fail unless the same happened in another run."""
        pairs = zip(self.happened, other.happened, strict=False)
        require(self.happened == other.happened, "the same events", *next((p for p in pairs if p[0] != p[1]), ()))
        require(self.states == other.states, "the same states")

    def finish(self) -> None:
        """Check that each decision has ended once or is open; cancel everything: nothing stays reserved."""
        resting = {one.order.decision_id for state in self.states.values() for one in state.open_orders}
        require(self._decisions.keys() <= self._ended | resting, "every decision ends or is open")
        for name in self._rules:
            self._send(replace(self._new(Action.CANCEL, BTC, name), target=CancelTarget()))
        for state in self.states.values():
            require(not len(state.open_orders), "nothing is open", state)
            require(state.open_orders.reserved == ZERO and state.free_cash == state.cash, "nothing is reserved", state)
        require(self._ended == set(self._decisions), "all have ended")

    # restarts

    def restart(self) -> None:
        """Begin anew from what the database returns, and match the data again that it is not known to have passed."""
        states = [self._reloaded(state) for state in self.states.values()]
        require({s.name: s for s in states} == self.states, "memory equals database")
        self._begin(states)
        # What has passed for good is known as the newest data, and matched by nobody.
        newest = {one.data_no: one for one in (*self._newest.values(), *self._last.values())}
        passed = [newest[number] for number in sorted(newest) if newest[number] not in self._data]
        halted = [replace(row, halted="audit: restart") for row in self._rules.values()]
        assert [] == self._engine.on_rules(halted, instant(self._now))
        self._see_again(passed)
        assert [] == self._engine.on_rules(self._rules.values(), instant(self._now))
        self._see_again(self._data)

    def _see_again(self, data: Iterable[MarketData]) -> None:
        for one in data:
            if isinstance(one, Quote):
                happened = self._engine.on_quotes([one], instant(self._now))
            else:
                happened = self._engine.on_bar(one, instant(self._now))
            require([] == happened, "what was matched is not matched again", one, happened)

    def _reloaded(self, state: PortfolioState) -> PortfolioState:
        orders = OpenOrders()
        for one in sorted(state.open_orders, key=lambda one: one.order.seq):
            mark = self._marks.get(one.order.order_id)
            if mark is not None and one.trails:
                one = replace(one, mark=mark.mark, mark_no=mark.data_no)  # noqa: PLW2901
            orders = orders.updated(stored_order(one))
        for symbol in INSTRUMENTS:
            orders = orders.matched_up_to(symbol, self._matched.get((state.name, symbol), 0))
        positions = type(state.positions)({key: stored_position(held) for key, held in state.positions.items()})
        return replace(state, cash=stored(state.cash, 12), positions=positions, open_orders=orders)


def stored_order(one: OpenOrder) -> OpenOrder:
    """Return an open order as the database returns it; what is not rounded is computed anew from its fills."""
    return replace(
        one,
        filled=stored(one.filled, 18),
        notional=stored(one.notional, 12),
        paid=stored(one.paid, 12),
        slippage=stored(one.slippage, 12),
        reserved=stored(one.reserved, 12),
        order=replace(one.order, quantity=stored(one.order.quantity, 18)),
    )


def played(numbers: Iterable[int], restarts: Iterable[int] = (), *, check: bool = True) -> OrderRun:
    """Return a run of these steps; before each of the numbered ones it is restarted."""
    run, at = OrderRun(check=check), frozenset(restarts)
    for index, number in enumerate(numbers):
        if index in at:
            run.restart()
        run.step(number)
    return run


def drawn(source: Any, count: int) -> Iterator[int]:
    """Yield the numbers of so many steps from a `random.Random`."""
    return (source.randrange(LARGEST) for _ in range(count))
