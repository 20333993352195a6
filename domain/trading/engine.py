"""The engine: all rules of a decision's way, in one thread and without a clock or I/O of their own.

::

    decision ─► pre_trade_check ─► wait for a price ─► size ─► accept, match ─► apply ─► result
                                  (DecisionQueue)              (Sequencer)

Backtests, replays and tests run an `Engine`. Live, three actors run the same parts: the Sizer a `DecisionQueue`, the
ExecutionSimulator a `Sequencer`, the PositionKeeper `apply_all`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeAlias, TypeVar

from domain.immutable.records import replace
from domain.trading.account.applying import AccountResult
from domain.trading.account.requests import AccountRefusal, AccountRequest
from domain.trading.bookkeeping import Result
from domain.trading.decision import PendingDecision, Refusal
from domain.trading.decision_queue import DecisionQueue
from domain.trading.decision_steps import AwaitsPortfolio, Sized, SizedRefusal, Step
from domain.trading.events import SizedOrder
from domain.trading.instruments import InstrumentCatalog
from domain.trading.open_orders.amending import SizedAmend
from domain.trading.open_orders.cancelling import CancelOrders
from domain.trading.open_orders.levels import NearestLevels
from domain.trading.open_orders.protection import SizedProtection
from domain.trading.open_orders.sequencer import Sequenced, Sequencer
from domain.trading.portfolio import PortfolioRules, PortfolioState
from domain.trading.quotes import Bar, MarketData, Quote
from domain.trading.sizing import SizingRules, unknown_portfolio
from domain.types import Instant, PortfolioName, Symbol

Ended: TypeAlias = Result | Refusal
"""What happened: an event of a portfolio, or the end of a decision without one."""
AccountEnded: TypeAlias = AccountResult | AccountRefusal
"""What became of a request for an account."""
AtMarket: TypeAlias = Sized | CancelOrders
"""A step that the market answers."""
AT_MARKET = (SizedOrder, SizedRefusal, SizedAmend, SizedProtection, CancelOrders)
Data = TypeVar("Data", Quote, Bar)


class Engine:
    """The rules of all portfolios, composed. Each call returns what happened, in order; the same calls give the same.

    Args:
        states: the portfolios at the start.
        rules: age limits and currencies.

    >>> from datetime import UTC, datetime, timedelta
    >>> rules = SizingRules(timedelta(seconds=1), timedelta(seconds=30), None, frozenset({"USD", "USDT"}))
    >>> Engine([], rules).on_time(Instant(datetime(2026, 1, 5, tzinfo=UTC), 0.0))
    []
    """

    def __init__(self, states: Iterable[PortfolioState], rules: SizingRules) -> None:
        states = tuple(states)
        self._queue = DecisionQueue(rules)
        self._queue.begin(states)
        self._sequencer = Sequencer()
        self._sequencer.begin(states)
        self._data_no = max((number for state in states for number in _data_seen(state)), default=0)

    def state(self, portfolio: PortfolioName) -> PortfolioState | None:
        """Return the present state of a portfolio; None if there is no such portfolio."""
        return self._sequencer.state(portfolio)

    def levels(self, symbol: Symbol) -> NearestLevels | None:
        """Return the levels of a symbol between which market data reach no open order; see `Levels.nearest`."""
        return self._sequencer.levels.nearest(symbol)

    def on_instruments(self, catalog: InstrumentCatalog, now: Instant) -> list[Ended]:
        """Take the instruments that can be traded; before that every decision waits."""
        return self._run(self._queue.on_instruments(catalog, now), now)

    def on_decision(self, decision: PendingDecision, now: Instant) -> list[Ended]:
        """Take a decision; it may wait for a price."""
        return self._run(self._queue.on_decision(decision, now), now)

    def on_quotes(self, quotes: Iterable[Quote], now: Instant) -> list[Ended]:
        """Take quotes: match open orders with them, then execute the decisions that waited for them."""
        numbered: list[Quote] = []
        happened: list[Ended] = []
        for quote in quotes:
            numbered.append(piece := self._numbered(quote))
            happened += self._match(piece.market_data, now)
        return happened + self._run(self._queue.on_quotes(numbered, now), now)

    def on_bar(self, bar: Bar, now: Instant) -> list[Ended]:
        """Take a bar: match open orders with it."""
        return self._match(self._numbered(bar), now)

    def on_time(self, now: Instant) -> list[Ended]:
        """End the orders that have expired, and the decisions that have waited too long."""
        happened = self._tell(self._sequencer.on_time(now), now)
        return happened + self._run(self._queue.on_time(now), now)

    def on_rules(self, rules: Iterable[PortfolioRules], now: Instant) -> list[Ended]:
        """Take the rules of all portfolios; the next decision is sized by them."""
        rules = tuple(rules)
        self._sequencer.on_rules(rules)
        return self._run(self._queue.on_rules(rules), now)

    def on_account_event(self, request: AccountRequest, now: Instant) -> list[Ended | AccountEnded]:
        """Carry out a request for an account; one of an unknown portfolio does nothing."""
        answer = self._sequencer.on_account_event(request, now)
        if answer is None or isinstance(answer, AccountRefusal):
            return [] if answer is None else [answer]
        happened: list[Ended | AccountEnded] = []
        for ended, change in answer:
            happened += [*ended, change, *self._run(self._queue.on_account_event(change, now), now)]
        return happened

    def _numbered(self, data: Data) -> Data:
        """Return a piece of market data with its number: its own, as after a restart, or the next one."""
        if data.data_no:
            self._data_no = max(self._data_no, data.data_no)
            return data
        self._data_no += 1
        return replace(data, data_no=self._data_no)

    def _match(self, data: MarketData, now: Instant) -> list[Ended]:
        return self._tell(self._sequencer.on_data(data, now), now)

    def _tell(self, steps: Iterable[Sequence[Result]], now: Instant) -> list[Ended]:
        """Tell the queue of events that no decision in flight has made."""
        happened: list[Ended] = []
        for results in steps:
            happened += results
            portfolio = results[0].state.name
            happened += self._run(self._queue.on_results(portfolio, results, now, answered=False), now)
        return happened

    def _run(self, steps: Iterable[Step], now: Instant) -> list[Ended]:
        happened: list[Ended] = []
        remaining = deque(steps)
        while remaining:
            step = remaining.popleft()
            if isinstance(step, AT_MARKET):
                portfolio, answer = _portfolio_of(step), self._sequence(step, now)
                if isinstance(answer, tuple):
                    results = answer
                    happened += results
                elif isinstance(answer, Refusal):
                    results = ()
                    happened += answer.together
                else:
                    remaining.extend(self._queue.on_returned(portfolio, now))
                    continue
                answered = not isinstance(step, CancelOrders)
                remaining.extend(self._queue.on_results(portfolio, results, now, answered=answered))
            elif isinstance(step, Refusal):
                happened.append(step)
            elif isinstance(step, AwaitsPortfolio):
                happened.append(unknown_portfolio(step.decision))
        return happened

    def _sequence(self, step: AtMarket, now: Instant) -> Sequenced:
        if isinstance(step, SizedOrder):
            return self._sequencer.on_order(step, now)
        if isinstance(step, SizedAmend):
            return self._sequencer.on_amend(step, now)
        if isinstance(step, SizedProtection):
            return self._sequencer.on_protect(step, now)
        if isinstance(step, SizedRefusal):
            return self._sequencer.on_refusal(step.refusal, step.version)
        return self._sequencer.on_cancel(step, now)


def _data_seen(state: PortfolioState) -> Iterator[int]:
    """Yield the numbers of the market data that the open orders of a portfolio have seen; new data are numbered higher.

    With a number from before, new data would be taken for old ones, and fill nothing.
    """
    for one in state.open_orders:
        yield max(one.sees_after, state.open_orders.matched(one.order.instrument.symbol))


def _portfolio_of(step: AtMarket) -> PortfolioName:
    if isinstance(step, (SizedOrder, SizedAmend)):
        return step.order.portfolio
    return step.refusal.portfolio if isinstance(step, SizedRefusal) else step.portfolio
