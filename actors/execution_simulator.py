"""ExecutionSimulator: the simulated exchange. It gives each portfolio's events their order, and matches open orders."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from loguru import logger

from actors.messages import (
    AccountChanged,
    Amend,
    Cancel,
    ChangeAccount,
    DataSeen,
    Execute,
    Flush,
    Happened,
    KeptData,
    MatchedUpTo,
    Message,
    Protect,
    Rebuild,
    Record,
    RecordAccount,
    RefuseAccount,
    Refused,
    RefuseSized,
    RequestRules,
    RulesChanged,
    SizeAgain,
    Tick,
    Watch,
)
from actors.runtime.behaviour import PathBehaviour
from actors.runtime.routes import Routes
from actors.settlement.driver import Downtime, RecoveryRules
from actors.settlement.messages import HistoryFetched, RequestHistory, Settling
from actors.supervision.messages import Rebuilt
from domain.market_data.buffer import LostData
from domain.redaction.mask import mask
from domain.trading.account.changes import AccountChange, AccountEvents
from domain.trading.account.requests import AccountRefusal, AccountRequest
from domain.trading.bookkeeping import Result
from domain.trading.decision import Refusal
from domain.trading.open_orders.open_order import TrailingMark, open_orders_to_dict
from domain.trading.open_orders.sequencer import Returned, Sequenced, Sequencer
from domain.trading.open_orders.settlement import NO_ADVANCE, Advance, Moment, SettledSpan, frozen_sources, progress_of
from domain.trading.portfolio import NO_PROGRESS, PortfolioState, Progress
from domain.trading.quotes import MarketData
from domain.types import Clock, DecisionId, Instant, PortfolioName, Symbol

PROGRESS_INTERVAL = timedelta(seconds=1)
"""Between two reports of how far the open orders have seen the market, unless a mark moves."""


class ExecutionSimulator(PathBehaviour):
    """The driver of a `Sequencer`. The Sizer gets each result at once, so it need not wait for the commit.

    Args:
        routes: the addresses of the actors.
        clock: the time of fills.
        recovery: how it is settled what happened while no process ran.
    """

    def __init__(self, routes: Routes, clock: Clock, recovery: RecoveryRules) -> None:
        self._routes = routes
        self._clock = clock
        self._recovery = recovery
        self._downtime = Downtime(recovery, (), Instant.of(clock))
        # Of each symbol, the market's time up to which everything that this process received is matched; and when that
        # was reported.
        self._seen_to: dict[Symbol, datetime] = {}
        self._progress_at: Instant | None = None
        self._sequencer = Sequencer()
        self._request = Watch({})
        self._watched: frozenset[Symbol] = frozenset()
        self._watched_number = -1
        # By symbol, the number of the last data that were matched in this generation; and whether one has risen.
        self._matched: dict[Symbol, int] = {}
        self._unreported = False
        self._awaits_data = False
        self._flushed = False
        self._account_requests: list[AccountRequest] = []

    def rebuild(self, message: Rebuild) -> None:
        """Start from the committed state with its open orders, and request the data that were seen since then.

        It is rebuilt when they are matched: before that, no new order and no newer data may come.
        """
        self.generation = message.generation
        now = Instant.of(self._clock)
        downtime = self._downtime = Downtime(self._recovery, message.portfolios, now, message.frozen)
        self._sequencer.begin(message.portfolios, message.frozen, downtime.waiting)
        self._matched, self._unreported = {}, False
        self._account_requests = []  # the DecisionWatcher sends them again
        settling = Settling(message.generation, frozenset(downtime.waiting))
        self._routes.snapshotter.tell(settling)
        if downtime.waiting:
            self._routes.sizer.tell(settling)
        poisoned = {id_: f"{one.error}; reference {one.reference}" for id_, one in message.poisoned.items()}
        self._awaits_data = bool(self._sequencer.watched)
        # First: what was kept for an order stays until its end is committed.
        self._watch(begins=True)
        self._report_steps(self._sequencer.end_poisoned(poisoned, now))
        if downtime.waiting:
            request = RequestHistory(message.generation, downtime.since, self._recovery.timeout)
            self._routes.price_tracker.tell(request)
        # Those that the PositionKeeper has sent before, after it had read the books, came too early.
        self._routes.position_keeper.tell(RequestRules(message.generation))
        if not self._awaits_data:
            self._routes.supervisor.tell(Rebuilt("ExecutionSimulator", message.generation))

    def describe(self) -> Mapping[str, Any]:
        """Return the open orders of each portfolio."""
        return {
            "generation": self.generation,
            "matched_up_to": dict(self._matched),
            "settling": sorted(self._downtime.waiting),
            "open_orders": {state.name: open_orders_to_dict(state.open_orders) for state in self._sequencer.states},
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
            case Protect():
                protected = self._sequencer.on_protect(message.request, now)
                self._answer(message.request.portfolio, protected, message.request.decision_id)
            case Cancel():
                self._answer(message.request.portfolio, self._sequencer.on_cancel(message.request, now), None)
            case DataSeen() if not self._awaits_data:  # else they are in the buffer, and come with what was kept
                self._match(message.quotes, now)
            case KeptData() if self._awaits_data:
                self._awaits_data = False
                self._hold_for_lost(message.lost, now)
                self._match(message.quotes, now)
                self._watch_changes()
                self._routes.supervisor.tell(Rebuilt("ExecutionSimulator", message.generation))
                self._settle(now)
            case HistoryFetched():
                self._downtime.take(message)
                self._settle(now)
            case Tick() if self.generation is not None:
                self._handle_tick(now)
                self._settle(now)
            case RulesChanged():
                self._change_rules(message, now)
            case Refused():
                self._routes.position_keeper.tell(message)
            case Flush():
                self._flushed = True
                self._routes.position_keeper.tell(message)
        self._change_accounts(message, now)
        self.about = None

    def _change_rules(self, message: RulesChanged, now: Instant) -> None:
        """Take the rules, then send them to the Sizer: they come there in the order of a portfolio's events."""
        self._report_unreported(now)  # released, data of a halt are not matched again by the rules after it
        self._sequencer.on_rules(message.rules)
        if self._downtime.keep_only({row.portfolio for row in message.rules}):
            self._report_waiting(NO_ADVANCE)
        self._routes.sizer.tell(message)

    def _change_accounts(self, message: Message, now: Instant) -> None:
        """Carry out the requests for accounts; those of a portfolio that is settled, or not known yet, wait."""
        if isinstance(message, ChangeAccount):
            self._account_requests.append(message.request)
        if not self._account_requests or self.generation is None or self._awaits_data or self._flushed:
            return
        self._report_unreported(now)  # first: the marks of trailing orders are in the units of before a split
        requests, self._account_requests = self._account_requests, []
        for request in requests:
            match self._changed_account(request, now):
                case None:
                    self._account_requests.append(request)
                case AccountRefusal() as refusal:
                    self._routes.position_keeper.tell(RefuseAccount(self.generation, refusal))
                case changes:
                    self._report_accounts(request, changes)

    def _changed_account(
        self, request: AccountRequest, now: Instant
    ) -> tuple[AccountChange, ...] | AccountRefusal | None:
        try:
            return self._sequencer.on_account_event(request, now)
        except Exception as error:  # noqa: BLE001 - it is logged, and the request ends with it
            # A request that crashed the actor would do so again after each restart.
            logger.exception("request {} cannot be carried out", request.id)
            return AccountRefusal(request, f"internal error: {mask(str(error))}")

    def _report_accounts(self, request: AccountRequest, changes: tuple[AccountChange, ...]) -> None:
        assert self.generation is not None
        accounts = []
        for ended, change in changes:
            self._routes.sizer.tell(AccountChanged(self.generation, change))
            events = tuple(result.event for result in ended)
            accounts.append(AccountEvents(events, change.event, self._live(change.state)))
        self._routes.position_keeper.tell(RecordAccount(self.generation, request, tuple(accounts)))
        self._watch_changes()

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
        events = tuple(result.event for result in results)
        self._routes.position_keeper.tell(Record(self.generation, events, self._live(results[-1].state)))
        self._watch_changes()

    def _report_steps(self, steps: Iterable[tuple[Result, ...]]) -> None:
        for results in steps:
            self.about = results[0].order.decision_id
            self._report(results[0].state.name, results, None)
        self.about = None

    def _match(self, quotes: Collection[MarketData], now: Instant) -> None:
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
        for quote in quotes:
            self._seen_to[quote.symbol] = max(quote.market_time, self._seen_to.get(quote.symbol, quote.market_time))

    def _handle_tick(self, now: Instant) -> None:
        """End orders whose time has come, and report what is matched."""
        if self._awaits_data:
            self._routes.price_tracker.tell(self._request)  # lost where the PriceTracker crashed twice on it
        elif not self._flushed:
            self._report_steps(self._sequencer.on_time(now))
            self._report_unreported(now)

    def _report_unreported(self, now: Instant) -> None:
        """Report what is matched, if there is anything new."""
        if self._unreported and self.generation is not None:
            self._unreported = False
            self._report_matched(now)

    def _report_matched(self, now: Instant) -> None:
        """Report what is matched, and from time to time how far the open orders have seen the market."""
        assert self.generation is not None
        marks = self._sequencer.take_moved_marks()
        # Marks and progress are stored together: data that moved a mark must not be settled once more with it.
        is_due = self._progress_at is None or now.since(self._progress_at) >= PROGRESS_INTERVAL
        progress = self._present_progress() if marks or is_due else NO_ADVANCE.progress
        if progress:
            self._progress_at = now
        # A portfolio that is being settled must see its data later.
        needed = self._downtime.symbols
        numbers = {symbol: number for symbol, number in self._matched.items() if symbol not in needed}
        advance = Advance(marks, progress)
        self._routes.position_keeper.tell(MatchedUpTo(self.generation, numbers, self._watched, advance))

    def _live(self, state: PortfolioState) -> Progress | None:
        """Return what is stored with events of a portfolio that is not being settled; None without open orders."""
        if not len(state.open_orders) or state.name in self._downtime.waiting:
            return None
        return Progress(None, self._first_seen(state))

    def _first_seen(self, state: PortfolioState) -> int:
        return max(state.progress.settled_no, self._recovery.first_no)

    def _present_progress(self) -> dict[PortfolioName, Progress]:
        """Return how far the portfolios with open orders have seen the market, without those that are being settled."""
        progress = {}
        for state in self._sequencer.states:
            if len(state.open_orders) and state.name not in self._downtime.waiting:
                frozen = frozen_sources(state, self._recovery.source)  # these have not seen it
                present = NO_PROGRESS if frozen else progress_of(state, self._seen_to)
                progress[state.name] = present._replace(settled_no=self._first_seen(state))
        return progress

    def _settle(self, now: Instant) -> None:
        """Settle the portfolios of which everything is known that will be."""
        if self.generation is None or self._flushed or self._awaits_data:
            return
        if not (ready := self._downtime.ready(now)):
            return
        spans: list[SettledSpan] = []
        marks: tuple[TrailingMark, ...] = ()
        progress: dict[PortfolioName, Progress] = {}
        for name in ready:
            before = self._sequencer.state(name)
            assert before is not None  # `Downtime.keep_only` has taken out those that were removed
            settlement = self._downtime.settlement(before, now)
            try:
                for moment in settlement.moments():
                    self._record_moment(before, moment)
            finally:
                self.about = settlement.sequencer.about  # the order that made it crash gets a strike
            marks += settlement.sequencer.take_moved_marks()
            progress[name], of_portfolio = self._downtime.end(before)
            spans += of_portfolio
            self._sequencer.release(replace(settlement.state, progress=progress[name]))
        self.about = None
        self._report_waiting(Advance(marks, progress, tuple(spans)))
        self._routes.sizer.tell(Settling(self.generation, frozenset(self._downtime.waiting)))
        # What this process has received since the request is matched next, before any newer data.
        self._awaits_data = bool(self._sequencer.watched)
        self._matched = {}
        self._watch(begins=True)

    def _report_waiting(self, advance: Advance) -> None:
        """Report which portfolios still wait; the Snapshotter hears of it when what came before is committed."""
        assert self.generation is not None
        waiting = frozenset(self._downtime.waiting)
        self._routes.position_keeper.tell(MatchedUpTo(self.generation, {}, self._watched, advance, waiting))

    def _record_moment(self, before: PortfolioState, moment: Moment) -> None:
        assert self.generation is not None
        frozen = frozen_sources(before, self._recovery.source)
        progress = NO_PROGRESS if moment.seen_to is None or frozen else before.progress.moved_to(moment.seen_to)
        progress = progress._replace(settled_no=before.progress.settled_no, marks=moment.marks)
        events = tuple(result.event for result in moment.results)
        self._routes.sizer.tell(Happened(self.generation, before.name, moment.results, None))
        self._routes.position_keeper.tell(Record(self.generation, events, progress, recovered=True))

    def _hold_for_lost(self, lost: Mapping[Symbol, LostData], now: Instant) -> None:
        """Settle the portfolios whose data the PriceTracker could not keep until they were committed."""
        assert self.generation is not None
        if names := self._downtime.add_lost(lost, self._sequencer.states, now):
            self._sequencer.hold(names)
            settling = Settling(self.generation, frozenset(self._downtime.waiting))
            self._routes.snapshotter.tell(settling)
            self._routes.sizer.tell(settling)
            request = RequestHistory(self.generation, self._downtime.since, self._recovery.timeout)
            self._routes.price_tracker.tell(request)

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
