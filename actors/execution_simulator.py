"""ExecutionSimulator: the simulated exchange. It gives each portfolio's events their order, and matches open orders."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from actors.messages import (
    Amend,
    Cancel,
    DataSeen,
    Execute,
    Flush,
    Happened,
    KeptData,
    MatchedUpTo,
    Message,
    Rebuild,
    Record,
    Refused,
    RefuseSized,
    RulesChanged,
    SizeAgain,
    Tick,
    Watch,
)
from actors.runtime.behaviour import PathBehaviour
from actors.runtime.routes import Routes
from actors.supervision.messages import Rebuilt
from domain.trading.bookkeeping import Result
from domain.trading.decision import Refusal
from domain.trading.open_orders.sequencer import Returned, Sequenced, Sequencer
from domain.trading.portfolio import open_orders_to_dict
from domain.trading.quotes import Quote
from domain.types import Clock, DecisionId, Instant, PortfolioName, Symbol


class ExecutionSimulator(PathBehaviour):
    """The driver of a `Sequencer`. The Sizer gets each result at once, so it need not wait for the commit.

    Args:
        routes: the addresses of the actors.
        clock: the time of fills.
    """

    def __init__(self, routes: Routes, clock: Clock) -> None:
        self._routes = routes
        self._clock = clock
        self._sequencer = Sequencer()
        self._request = Watch({})
        self._watched: frozenset[Symbol] = frozenset()
        self._watched_number = -1
        # By symbol, the number of the last data that were matched in this generation; and whether one has risen.
        self._matched: dict[Symbol, int] = {}
        self._unreported = False
        self._awaits_data = False
        self._flushed = False

    def rebuild(self, message: Rebuild) -> None:
        """Start from the committed state with its open orders, and request the data that were seen since then.

        It is rebuilt when they are matched: before that, no new order and no newer data may come.
        """
        self.generation = message.generation
        self._sequencer.begin(message.portfolios, message.frozen)
        self._matched, self._unreported = {}, False
        poisoned = {id_: f"{one.error}; reference {one.reference}" for id_, one in message.poisoned.items()}
        self._awaits_data = bool(self._sequencer.watched)
        # First: what was kept for an order stays until its end is committed.
        self._watch(begins=True)
        self._report_steps(self._sequencer.end_poisoned(poisoned, Instant.of(self._clock)))
        if not self._awaits_data:
            self._routes.supervisor.tell(Rebuilt("ExecutionSimulator", message.generation))

    def describe(self) -> Mapping[str, Any]:
        """Return the open orders of each portfolio."""
        return {
            "generation": self.generation,
            "matched_up_to": dict(self._matched),
            "open_orders": {state.name: open_orders_to_dict(state) for state in self._sequencer.states},
        }

    @property
    def about(self) -> DecisionId | None:
        """The decision of the order that it matches."""
        return self._sequencer.about

    @about.setter
    def about(self, decision_id: DecisionId | None) -> None:
        self._sequencer.about = decision_id

    def handle(self, message: Message) -> None:
        """Handle one message."""
        now = Instant.of(self._clock)
        match message:
            case Execute():
                order = message.sized.order
                self._answer(order.portfolio, self._sequencer.on_order(message.sized, now), order.decision_id)
            case RefuseSized():
                refusal, version = message.sized.refusal, message.sized.version
                self._answer(refusal.portfolio, self._sequencer.on_refusal(refusal, version), message.sized.decision_id)
            case Amend():
                request = message.request
                amended = self._sequencer.on_amend(request, now)
                self._answer(request.order.portfolio, amended, request.decision_id)
            case Cancel():
                self._answer(message.request.portfolio, self._sequencer.on_cancel(message.request, now), None)
            case DataSeen() if not self._awaits_data:  # else they are in the buffer, and come with what was kept
                self._match(message.quotes, now)
            case KeptData() if self._awaits_data:
                self._awaits_data = False
                self._match(message.quotes, now)
                self._watch_changes()
                self._routes.supervisor.tell(Rebuilt("ExecutionSimulator", message.generation))
            case Tick() if self.generation is not None:
                self._handle_tick(now)
            case RulesChanged():
                self._sequencer.on_rules(message.rules)
            case Refused():
                self._routes.position_keeper.tell(message)
            case Flush():
                self._flushed = True
                self._routes.position_keeper.tell(message)
        self.about = None

    def _answer(self, portfolio: PortfolioName, sequenced: Sequenced, answered: DecisionId | None) -> None:
        assert self.generation is not None
        match sequenced:
            case Returned():
                assert answered is not None  # only what is in flight comes back
                self._routes.sizer.tell(SizeAgain(self.generation, portfolio, answered))
            case Refusal():
                if answered is not None:
                    self._routes.sizer.tell(Happened(self.generation, portfolio, (), answered))
                self._routes.position_keeper.tell(Refused(self.generation, sequenced))
            case _:
                self._report(portfolio, sequenced, answered)

    def _report(self, portfolio: PortfolioName, results: tuple[Result, ...], answered: DecisionId | None) -> None:
        """Send what happened in one step to the Sizer and to the PositionKeeper."""
        assert self.generation is not None
        self._routes.sizer.tell(Happened(self.generation, portfolio, results, answered))
        self._routes.position_keeper.tell(Record(self.generation, tuple(result.event for result in results)))
        self._watch_changes()

    def _report_steps(self, steps: Iterable[tuple[Result, ...]]) -> None:
        for results in steps:
            self.about = results[0].order.decision_id
            self._report(results[0].state.name, results, None)
        self.about = None

    def _match(self, quotes: Iterable[Quote], now: Instant) -> None:
        """Match market data; between two generations and after a flush they wait in the PriceTracker's buffer."""
        if self.generation is None or self._flushed:
            return
        for quote in quotes:
            # A message of the PriceTracker that is handled again after its crash brings the same data again.
            if quote.data_no <= self._matched.get(quote.symbol, 0):
                continue
            self._report_steps(self._sequencer.on_data(quote, now))
            self._matched[quote.symbol] = quote.data_no
            self._unreported = True

    def _handle_tick(self, now: Instant) -> None:
        """End orders whose time has come, and report what is matched."""
        if self._awaits_data:
            self._routes.price_tracker.tell(self._request)  # lost where the PriceTracker crashed twice on it
        elif not self._flushed:
            self._report_steps(self._sequencer.on_time(now))
            if self._unreported:
                assert self.generation is not None
                self._unreported = False
                marks = self._sequencer.take_moved_marks()
                message = MatchedUpTo(self.generation, dict(self._matched), self._watched, marks)
                self._routes.position_keeper.tell(message)

    def _watch_changes(self) -> None:
        """Tell the PriceTracker which symbols have open orders, if these are others than before."""
        if self._sequencer.watched_number != self._watched_number and not self._awaits_data:
            self._watch(begins=False)
            self._unreported = True

    def _watch(self, *, begins: bool) -> None:
        """Tell the PriceTracker which symbols have open orders.

        Args:
            begins: a generation begins, and what was kept is to be matched again.
        """
        watched = self._sequencer.watched
        before, self._watched = self._watched, frozenset(watched)
        self._watched_number = self._sequencer.watched_number
        new = frozenset() if begins else self._watched - before
        self._request = Watch(watched, new, self.generation if begins else None)
        self._routes.price_tracker.tell(self._request)
