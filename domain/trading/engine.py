"""The engine: all rules of a decision's way, in one thread and without a clock or I/O of their own.

::

    decision ─► pre_trade_check ─► wait for a price ─► size ─► match ─► apply ─► result
                                  (DecisionQueue)

Backtests, replays and tests run an `Engine`. Live, three actors run the same parts: the Sizer a `DecisionQueue`, the
ExecutionSimulator `match_market_order`, the PositionKeeper `apply_all`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import TypeAlias

from domain.trading.bookkeeping import Result, apply
from domain.trading.decision import PendingDecision, Refusal
from domain.trading.decision_queue import AwaitsPortfolio, DecisionQueue, SizingRules, Step, unknown_portfolio
from domain.trading.events import SizedOrder
from domain.trading.execution import match_market_order
from domain.trading.instruments import InstrumentCatalog
from domain.trading.portfolio import PortfolioRules, PortfolioState
from domain.trading.quotes import Quote
from domain.types import Instant, PortfolioName

Ended: TypeAlias = Result | Refusal
"""How a decision ended: with an event of its portfolio, or without an order."""


class Engine:
    """The rules of all portfolios, composed. Each call returns what it ended, in order; the same calls give the same.

    Args:
        states: the portfolios at the start.
        rules: age limits and currencies.

    >>> from datetime import UTC, datetime, timedelta
    >>> rules = SizingRules(timedelta(seconds=1), timedelta(seconds=30), None, frozenset({"USD", "USDT"}))
    >>> Engine([], rules).on_time(Instant(datetime(2026, 1, 5, tzinfo=UTC), 0.0))
    []
    """

    def __init__(self, states: Iterable[PortfolioState], rules: SizingRules) -> None:
        self._queue = DecisionQueue(rules)
        self._queue.begin(states)

    def state(self, portfolio: PortfolioName) -> PortfolioState | None:
        """Return the present state of a portfolio; None if there is no such portfolio."""
        return self._queue.state(portfolio)

    def on_instruments(self, catalog: InstrumentCatalog, now: Instant) -> list[Ended]:
        """Take the instruments that can be traded; before that every decision waits."""
        return self._run(self._queue.on_instruments(catalog, now), now)

    def on_decision(self, decision: PendingDecision, now: Instant) -> list[Ended]:
        """Take a decision; it may wait for a price."""
        return self._run(self._queue.on_decision(decision, now), now)

    def on_quotes(self, quotes: Iterable[Quote], now: Instant) -> list[Ended]:
        """Take quotes, and execute the decisions that waited for them."""
        return self._run(self._queue.on_quotes(quotes, now), now)

    def on_time(self, now: Instant) -> list[Ended]:
        """End the decisions that have waited too long."""
        return self._run(self._queue.on_time(now), now)

    def on_rules(self, rules: Iterable[PortfolioRules], now: Instant) -> list[Ended]:
        """Take the rules of all portfolios; the next decision is sized by them."""
        return self._run(self._queue.on_rules(rules), now)

    def _run(self, steps: Iterable[Step], now: Instant) -> list[Ended]:
        ended: list[Ended] = []
        remaining = deque(steps)
        while remaining:
            step = remaining.popleft()
            if isinstance(step, Refusal):
                ended.append(step)
            elif isinstance(step, AwaitsPortfolio):
                ended.append(unknown_portfolio(step.decision))
            elif isinstance(step, SizedOrder):
                result = self._match(step, now)
                ended.append(result)
                applied = None if isinstance(result, Refusal) else result
                remaining.extend(self._queue.on_result(step.order.portfolio, applied, now))
        return ended

    def _match(self, sized: SizedOrder, now: Instant) -> Ended:
        event = match_market_order(sized, now.time)
        if isinstance(event, Refusal):
            return event
        state = self._queue.state(sized.order.portfolio)
        assert state is not None  # it was sized just now
        return apply(state, event)
