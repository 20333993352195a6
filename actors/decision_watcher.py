"""DecisionWatcher: reads decisions from the database, and writes the outcomes of those that get no order."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

from loguru import logger

from actors.intake.reader import IntakeReader, IntakeRules
from actors.intake.submissions import Submissions
from actors.messages import (
    ChangeAccount,
    Control,
    Decide,
    Drain,
    Flush,
    Message,
    ReadRequests,
    Rebuild,
    Settled,
    Submit,
    Waits,
    Wake,
)
from actors.ports import Decisions
from actors.runtime.behaviour import PathBehaviour
from actors.runtime.callers import Callers
from actors.runtime.routes import PathServices, Routes
from actors.supervision.messages import Drained, RaiseGeneration, Rebuilt
from domain.errors import DatabaseUnavailable, DecisionGone, Fenced
from domain.trading.decision import Outcome, PendingDecision, Reason, Refusal
from domain.trading.freshness.price_waits import EndedLeft, LeftEnd, SymbolOf
from domain.trading.open_orders.cancelling import cancel_unread
from domain.trading.sessions.decision_age import expire_if_stale
from domain.types import DEFAULT_PORTFOLIO, Clock, DecisionId, Instant, OutcomeStatus
from domain.wording import counted

MAX_UNDER_WAY = 400
"""Decisions sent down the path at once; those that wait for a price do not count.

A decision that is read beside a backlog waits for those sent before it: more would delay it, and raise no throughput.
"""
READ_BELOW = MAX_UNDER_WAY // 2
"""More decisions are read when fewer than this are under way."""


class DecisionWatcher(PathBehaviour):
    """The intake of decisions. Taking a decision changes memory only, because no other process takes any.

    Args:
        decisions: the table of decisions.
        callers: the futures of those who wait for outcomes.
        routes: the addresses of the actors.
        services: database retries, wake-ups and counters.
        clock: the time at which decisions are received.
        rules: until when decisions are taken in, and wait for a price.
    """

    group_limit: ClassVar[int] = 500

    def __init__(
        self,
        decisions: Decisions,
        callers: Callers,
        routes: Routes,
        services: PathServices,
        clock: Clock,
        rules: IntakeRules,
    ) -> None:
        self._decisions = decisions
        self._callers = callers
        self._routes = routes
        self._retry = services.retry
        self._wake_later, self._wake_again = services.wake_later, services.wake_again
        self._counters = services.counters
        self._outcomes = services.outcomes
        self._clock = clock
        self._age_limit = rules.age_limit
        self._reader = IntakeReader(decisions, rules, clock)
        self._waits = self._reader.waits
        self._submissions = Submissions(decisions, callers, services.retry)
        self._under_way: dict[DecisionId, SymbolOf] = {}
        self._quarantined: set[DecisionId] = set()
        self._open: set[DecisionId] = set()  # their ends are reported, so their callers need no look at the table
        self._account_requests: set[int] = set()  # that were sent in this generation
        self._draining = False

    def control(self, message: Control) -> None:
        """Begin or end a generation, or stop taking decisions."""
        if isinstance(message, Drain):
            self._drain()
        else:
            super().control(message)

    def rebuild(self, message: Rebuild) -> None:
        """End poisoned decisions, answer callers from the table, and send all pending decisions again, in order."""
        rejected, reason = OutcomeStatus.REJECTED, Reason.INTERNAL_ERROR
        # An open order ends by an event of its own, which ends its decision.
        resting = {one.order.decision_id for state in message.portfolios for one in state.open_orders}
        poisoned = [
            Refusal(id_, DEFAULT_PORTFOLIO, rejected, reason, f"{failure.error}; reference {failure.reference}")
            for id_, failure in message.poisoned.items()
            if id_ not in resting
        ]
        self.generation = message.generation
        if message.draining:
            self._drain()  # `Drain` arrived before this behaviour was built
        with self._ending_the_generation():
            if poisoned:
                self._retry.until_done_unless_away(lambda: self._decisions.end(message.generation, poisoned))
            self._open = set()
            # Also decisions without a caller: the report of the commit that ended them may be lost.
            self._look_up(list(dict.fromkeys([*self._callers.ids, *self._counters.under_way])))
            self._update_quarantined(message.poisoned)
            self._under_way = {}
            self._reader.begin()
            self._account_requests = set()
            self._read_account_requests()
            self._read()
            self._counters.generation = message.generation
            self._routes.supervisor.tell(Rebuilt("DecisionWatcher", message.generation))

    def _drain(self) -> None:
        if not self._draining:
            self._draining = True
            self._routes.sizer.tell(Flush())

    def describe(self) -> Mapping[str, Any]:
        """Return the decisions under way, and the number of callers that wait."""
        return {
            "generation": self.generation,
            "under_way": sorted(self._under_way.keys() - self._waits.ids, key=str),
            "waiting_for_price": sorted(self._waits.ids, key=str),
            "cannot_be_ended": sorted(self._quarantined, key=str),
            "callers": len(self._callers.ids),
            "more_in_the_table": self._reader.more,
            "draining": self._draining,
        }

    def handle_current(self, messages: list[Message]) -> None:
        """Write the outcomes of a group together, then insert submitted decisions, then read new ones."""
        settled = [message for message in messages if isinstance(message, Settled)]
        submitted = [message for message in messages if isinstance(message, Submit)]
        for message in messages:
            if isinstance(message, Waits) and (of := self._under_way.get(message.decision_id)) is not None:
                self._waits.add(message.decision_id, of, Instant.of(self._clock))
                self._counters.mark_waiting(message.decision_id)
        with self._ending_the_generation():
            self._write_outcomes(settled)
        if submitted:
            self._submissions.insert(submitted, draining=self._draining)
        if any(isinstance(message, ReadRequests) for message in messages):
            self._read_account_requests()
        read_now = bool(submitted) or any(isinstance(message, Wake) for message in messages)
        if read_now or (self._reader.more and self._in_progress < READ_BELOW):
            self._read()
        if any(isinstance(message, Flush) for message in messages):
            self._routes.supervisor.tell(Drained("DecisionWatcher"))

    def _update_quarantined(self, poisoned: Collection[DecisionId]) -> None:
        """Record which quarantined decisions are still pending because a trigger keeps their rows from ending."""
        suspects = self._quarantined.union(poisoned)
        if suspects:
            outcomes = self._retry.until_done_unless_away(lambda: self._decisions.outcomes(suspects))
            before = self._quarantined
            self._quarantined = {id_ for id_, outcome in outcomes.items() if outcome is None}
            for id_ in self._quarantined - before:
                logger.bind(decision=id_).error(
                    "decision {} stays pending until the next start: a trigger or rule of the database keeps its row "
                    "from being updated",
                    id_,
                )

    @contextmanager
    def _ending_the_generation(self) -> Iterator[None]:
        """End the generation if the database is unavailable or refuses it: what was committed must be read again."""
        generation = self.generation
        try:
            yield
        except (DatabaseUnavailable, Fenced) as error:
            assert generation is not None
            self.generation = None
            self._retry.backoff()
            self._routes.supervisor.tell(RaiseGeneration(generation, str(error)))
        else:
            self._retry.reset()

    @property
    def _in_progress(self) -> int:
        return len(self._under_way) - len(self._waits)

    def _read(self) -> None:
        """Take pending decisions, up to the limit; those that are refused at once do not count."""
        self._end_overdue()
        stale = 0
        while (
            self.generation is not None and not self._draining and (capacity := MAX_UNDER_WAY - self._in_progress) > 0
        ):
            received = self._pending(capacity)
            checked = [
                row if isinstance(row, Refusal) else expire_if_stale(row, row.received, self._age_limit) or row
                for row in received
            ]
            refusals = [row for row in checked if isinstance(row, Refusal)]
            decisions = [row for row in checked if isinstance(row, PendingDecision)]
            refusals += self._cancel_unread(decisions, {refusal.decision_id for refusal in refusals})
            stale += self._refuse(refusals)
            ended = {refusal.decision_id for refusal in refusals}
            remaining = [decision for decision in decisions if decision.id not in ended]
            self._send(self._reader.before_cancels(remaining, self._end_left))
            if not self._reader.more or not refusals:
                break
        if self._reader.leaves:
            self._wake_later()  # to pass over those that are left, and to end them in time
        if stale and self._age_limit.max_age is not None:
            self._counters.expired_at_intake += stale
            limit = f"max_decision_age = {self._age_limit.max_age.total_seconds():g} s"
            number = counted(stale, "decision")
            logger.warning("{} expired: older than {} when this process could take them", number, limit)

    def _end_overdue(self) -> None:
        """End the decisions that were left in the table, and for which no price has come in time."""
        generation = self.generation
        if generation is None or self._draining or not (ends := self._waits.overdue(Instant.of(self._clock))):
            return
        excluded, more = self._under_way.keys() | self._quarantined, False
        with self._ending_the_generation():
            ended, more = self._retry.until_done_unless_away(
                lambda: self._reader.end_overdue(generation, ends, excluded)
            )
            self._report_left(ended)
        if more:
            self._wake_again()

    def _end_left(self, ends: Sequence[LeftEnd], before: DecisionId) -> bool:
        """End decisions that were left in the table and come before a CANCEL; return whether all have ended."""
        generation, excluded, more = self.generation, self._under_way.keys() | self._quarantined, True
        if generation is None:
            return False
        with self._ending_the_generation():
            ended, more = self._retry.until_done_unless_away(
                lambda: self._reader.end_before(generation, ends, excluded, before)
            )
            self._report_left(ended)
        if more:
            self._wake_again()
        return not more

    def _report_left(self, ended: Iterable[EndedLeft]) -> None:
        for one in ended:
            self._counters.count_left(one.outcome, one.portfolio, one.waited.total_seconds())
            self._callers.answer(one.outcome.decision_id, one.outcome)
            self._outcomes.write(one.outcome)

    def _read_account_requests(self) -> None:
        """Send the requests for accounts that are new."""
        if self.generation is None or self._draining:
            return
        try:
            requests = self._retry.until_done_unless_away(
                lambda: self._decisions.account_requests(self._account_requests)
            )
        except DatabaseUnavailable as error:
            self._retry.mark_unavailable(error)  # the poll reads them again
            return
        for request in requests:
            self._account_requests.add(request.id)
            logger.info("request {}: {} for {}", request.id, request.what, request.scope)
            self._routes.execution_simulator.tell(ChangeAccount(self.generation, request))

    def _cancel_unread(self, decisions: Sequence[PendingDecision], refused: set[DecisionId]) -> list[Refusal]:
        cancelled = cancel_unread(decisions, self._under_way.keys() | self._quarantined | refused)
        for refusal in cancelled:
            self._counters.count_received(refusal.decision_id, refusal.portfolio)
        return cancelled

    def _pending(self, limit: int) -> list[PendingDecision | Refusal]:
        """Return pending decisions that are not under way; none while the database is unavailable."""
        excluded = self._under_way.keys() | self._quarantined
        try:
            received = self._retry.until_done_unless_away(lambda: self._reader.read(excluded, limit))
            # A decision with a caller that was never sent may have been ended or deleted before it was read.
            self._look_up([id_ for id_ in self._callers.ids if id_ not in excluded and id_ not in self._open])
        except DatabaseUnavailable as error:
            self._retry.mark_unavailable(error)
            self._wake_later()
            return []
        for row in received:
            self._counters.count_received(row.decision_id if isinstance(row, Refusal) else row.id, row.portfolio)
        return received

    def _refuse(self, refusals: list[Refusal]) -> int:
        """End refused decisions; return how many of them expired."""
        ended: set[DecisionId] = set()
        if refusals:
            with self._ending_the_generation():
                ended = self._end(refusals)
        return sum(refusal.reason is Reason.EXPIRED for refusal in refusals if refusal.decision_id in ended)

    def _send(self, decisions: Iterable[PendingDecision]) -> None:
        for decision in decisions:
            if self.generation is None:
                return
            self.about = decision.id
            self._under_way[decision.id] = SymbolOf(decision.portfolio, decision.symbol)
            logger.debug("received {} {}", decision.action, decision.symbol, decision=decision.id)
            self._routes.sizer.tell(Decide(self.generation, decision))
        self.about = None

    def _write_outcomes(self, messages: list[Settled]) -> None:
        if refusals := [refusal for message in messages for refusal in message.refusals]:
            self._end(refusals)
        for message in messages:
            for outcome in message.opened:
                self._report_open(outcome)
            for outcome in message.outcomes:
                self._report_outcome(outcome)

    def _end(self, refusals: list[Refusal]) -> set[DecisionId]:
        """Write the outcomes of refused decisions; return the decisions that this call has ended."""
        assert self.generation is not None
        generation = self.generation
        ended = self._retry.until_done_unless_away(lambda: self._decisions.end(generation, refusals))
        others: list[DecisionId] = []
        for refusal in refusals:
            if refusal.decision_id in ended:
                self._report_outcome(Outcome(refusal.decision_id, refusal.status, refusal.sentence))
            else:
                # It was cancelled or deleted in the meantime, or a trigger keeps it from ending.
                self._forget(refusal.decision_id)
                others.append(refusal.decision_id)
        self._look_up(others)
        if others:
            self._update_quarantined(others)
        return ended

    def _report_outcome(self, outcome: Outcome) -> None:
        self._forget(outcome.decision_id, outcome)
        self._callers.answer(outcome.decision_id, outcome)
        self._counters.count_outcome(outcome)
        self._outcomes.write(outcome)

    def _report_open(self, outcome: Outcome) -> None:
        """Report that the order of a decision rests: the decision is not under way any more."""
        self._forget(outcome.decision_id, outcome)
        self._mark_open(outcome)
        self._outcomes.write(outcome)

    def _mark_open(self, outcome: Outcome) -> None:
        self._open.add(outcome.decision_id)
        self._counters.mark_open(outcome.decision_id)
        self._callers.answer_open(outcome.decision_id, outcome)

    def _forget(self, decision_id: DecisionId, outcome: Outcome | None = None) -> None:
        self._under_way.pop(decision_id, None)
        if decision_id in self._waits.ids:
            self._waits.discard(decision_id, Instant.of(self._clock), outcome)
        self._open.discard(decision_id)

    def _look_up(self, ids: Collection[DecisionId]) -> None:
        """Read the outcomes of decisions from the table, and answer their callers; a deleted decision fails."""
        if not ids:
            return
        outcomes = self._retry.until_done_unless_away(lambda: self._decisions.outcomes(ids))
        for id_ in ids:
            if id_ not in outcomes:
                self._callers.answer(id_, DecisionGone(f"decision {id_} was deleted, so it has no outcome"))
                self._counters.discard(id_)
            elif (outcome := outcomes[id_]) is not None and outcome.status is OutcomeStatus.OPEN:
                self._mark_open(outcome)
            elif outcome is not None:
                self._callers.answer(outcome.decision_id, outcome)
                self._counters.count_outcome(outcome)
