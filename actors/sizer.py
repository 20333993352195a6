"""Sizer: sizes each decision against its portfolio as it stands after every earlier one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from loguru import logger

from actors.messages import (
    AccountChanged,
    Amend,
    Cancel,
    Control,
    Decide,
    Execute,
    Flush,
    Happened,
    HeldBack,
    InstrumentsLoaded,
    Message,
    Pause,
    Prices,
    Protect,
    QuotesSeen,
    Rebuild,
    Refused,
    RefuseSized,
    RequestRules,
    RulesChanged,
    SendPrices,
    SizeAgain,
    Subscribe,
    Tick,
    Waits,
)
from actors.runtime.behaviour import PathBehaviour
from actors.runtime.routes import Routes
from actors.settlement.messages import Settling
from actors.supervision.messages import Rebuilt
from domain.trading.decision import PendingDecision, Refusal
from domain.trading.decision_queue import DecisionQueue
from domain.trading.decision_steps import AwaitsPortfolio, AwaitsPrice, AwaitsSettlement, SizedRefusal, Step
from domain.trading.events import SizedOrder
from domain.trading.open_orders.amending import SizedAmend
from domain.trading.open_orders.cancelling import CancelOrders
from domain.trading.open_orders.protection import SizedProtection
from domain.trading.sizing import SizingRules, removed_portfolio, unknown_portfolio
from domain.types import Clock, DecisionId, Instant

REQUEST_INTERVAL = timedelta(seconds=1)
"""Between two requests for prices, until an answer has the instruments: the PriceTracker may crash on a request."""


class Sizer(PathBehaviour):
    """The driver of a `DecisionQueue`: it hands messages to the queue, and sends what becomes of the decisions.

    Args:
        routes: the addresses of the actors.
        rules: age limits and currencies.
        clock: the time.
    """

    def __init__(self, routes: Routes, rules: SizingRules, clock: Clock) -> None:
        self._routes = routes
        self._clock = clock
        self._queue = DecisionQueue(rules)
        # Decisions of unknown portfolios, each with the number of its `RequestRules`.
        self._without_portfolio: list[tuple[int, PendingDecision]] = []
        self._last_request = 0
        self._requested_at: Instant | None = None  # the prices; None once they are here

    def rebuild(self, message: Rebuild) -> None:
        """Start from the committed state, and request the prices that this process has seen."""
        self._queue.begin(message.portfolios)
        self._without_portfolio = []
        self.generation = message.generation
        self._request_prices(Instant.of(self._clock))
        self._routes.supervisor.tell(Rebuilt("Sizer", message.generation))

    def _request_prices(self, now: Instant) -> None:
        self._requested_at = now
        self._routes.price_tracker.tell(SendPrices(self._routes.sizer.tell))

    def _request_again(self, now: Instant) -> None:
        if self._requested_at is not None and now.since(self._requested_at) >= REQUEST_INTERVAL:
            self._request_prices(now)

    def describe(self) -> Mapping[str, Any]:
        """Return the projections, the decisions that wait, and the newest quotes."""
        waiting = [decision.id for _, decision in self._without_portfolio]
        return {"generation": self.generation, **self._queue.describe(), "waiting_for_portfolio": waiting}

    def control(self, message: Control) -> None:
        """Begin or end a generation. Between two generations prices still arrive, but no decision waits for them."""
        if isinstance(message, Pause):
            self._queue.begin(())
            self._without_portfolio = []
        super().control(message)

    def handle(self, message: Message) -> None:
        """Handle one message."""
        now = Instant.of(self._clock)
        match message:
            case Decide():
                self._send(self._queue.on_decision(message.decision, now))
            case Happened():
                answered = message.answered is not None
                self._send(self._queue.on_results(message.portfolio, message.results, now, answered=answered))
            case AccountChanged():
                self._send(self._queue.on_account_event(message.change, now))
            case SizeAgain():
                self._size_again(message, now)
            case QuotesSeen():
                self._send(self._queue.on_quotes(message.quotes.values(), now))
            case Settling() if message.generation == self.generation:
                self._send(self._queue.on_settling(message.portfolios, now))
            case RulesChanged():
                self._change_rules(message, now)
            case HeldBack() | Prices():
                self._take_prices(message, now)
            case InstrumentsLoaded():
                self._send(self._queue.on_instruments(message.catalog, now))
            case Tick():
                self._send(self._queue.on_time(now))
                self._request_again(now)
            case Flush():
                self._queue.draining = True
                self._routes.execution_simulator.tell(message)
        self.about = None

    @property
    def about(self) -> DecisionId | None:
        """The decision that it works on, also where the queue chose it."""
        return self._queue.about

    @about.setter
    def about(self, decision_id: DecisionId | None) -> None:
        self._queue.about = decision_id

    def _send(self, steps: Iterable[Step]) -> None:
        for step in steps:
            assert self.generation is not None
            self.about = step.decision_id
            match step:
                case SizedOrder(order):
                    symbol, id_ = order.instrument.symbol, order.decision_id
                    logger.debug("sized: {} {} {}", order.side, order.quantity, symbol, decision=id_)
                    self._routes.execution_simulator.tell(Execute(self.generation, step))
                case SizedRefusal():
                    self._routes.execution_simulator.tell(RefuseSized(self.generation, step))
                case SizedAmend():
                    self._routes.execution_simulator.tell(Amend(self.generation, step))
                case SizedProtection():
                    self._routes.execution_simulator.tell(Protect(self.generation, step))
                case CancelOrders():
                    self._routes.execution_simulator.tell(Cancel(self.generation, step))
                case Refusal():
                    self._routes.execution_simulator.tell(Refused(self.generation, step))
                case AwaitsPortfolio():
                    self._request_rules(step.decision)
                case AwaitsPrice():
                    if step.symbol is not None:
                        self._routes.price_tracker.tell(Subscribe(step.symbol))
                    self._routes.decision_watcher.tell(Waits(self.generation, step.decision_id))
                case AwaitsSettlement():
                    self._routes.decision_watcher.tell(Waits(self.generation, step.decision_id))

    def _take_prices(self, message: HeldBack | Prices, now: Instant) -> None:
        if isinstance(message, HeldBack):
            self._queue.on_held_prices(message.reasons)
            return
        self._queue.on_held_prices(message.held_back)
        self._send(self._queue.on_earlier_prices(message.quotes, message.points, now))
        if message.catalog is not None:
            self._requested_at = None
            self._send(self._queue.on_instruments(message.catalog, now))

    def _size_again(self, message: SizeAgain, now: Instant) -> None:
        if self._queue.in_flight(message.portfolio) == message.decision_id:
            self._send(self._queue.on_returned(message.portfolio, now))
        else:  # the queue forgot it with its portfolio
            self._send([removed_portfolio(message.decision_id, message.portfolio)])

    def _request_rules(self, decision: PendingDecision) -> None:
        """Let a decision wait while its portfolio is looked up, because it may have just been created."""
        assert self.generation is not None
        self._last_request += 1
        self._without_portfolio.append((self._last_request, decision))
        self._routes.position_keeper.tell(RequestRules(self.generation, self._last_request))

    def _change_rules(self, message: RulesChanged, now: Instant) -> None:
        self._send(self._queue.on_rules(message.rules))
        unresolved, self._without_portfolio = self._without_portfolio, []
        for request, decision in unresolved:
            if self._queue.state(decision.portfolio) is not None:
                self._send(self._queue.on_decision(decision, now))
            elif request <= message.answered:
                self._send([unknown_portfolio(decision)])
            else:
                self._without_portfolio.append((request, decision))
