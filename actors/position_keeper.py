"""PositionKeeper: the books. Writes each group of fills in one transaction, then tells what came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar

from loguru import logger

from actors.messages import (
    Audit,
    Committed,
    Filled,
    Flush,
    Message,
    Rebuild,
    Refused,
    RequestRules,
    RulesChanged,
    Settled,
    Wake,
)
from actors.ports import Ledger
from actors.runtime.behaviour import PathBehaviour
from actors.runtime.routes import PathServices, Routes
from actors.supervision.alarms import HaltMonitor
from actors.supervision.messages import Failed, RaiseGeneration, Rebuilt
from domain.alarms import AlarmKind, Notify
from domain.errors import DatabaseError, DatabaseUnavailable, DecisionsEnded, Fenced, LeaseHeld, WriteRefused
from domain.trading.audit import differences
from domain.trading.decision import Outcome, Refusal
from domain.trading.portfolio import Applied, Portfolio, apply, described
from domain.types import DecisionId, OutcomeStatus, PortfolioName


class PositionKeeper(PathBehaviour):
    """Keeps the committed state of each portfolio; memory changes only after the commit.

    Args:
        ledger: the tables.
        routes: the addresses of the actors.
        services: database retries, wake-ups and counters.
        halts: the halts of all portfolios; it outlives restarts of this actor.
        notify: sends an alarm when the audit finds a difference.
    """

    group_limit: ClassVar[int] = 100

    def __init__(
        self,
        ledger: Ledger,
        routes: Routes,
        services: PathServices,
        halts: HaltMonitor,
        notify: Notify,
    ) -> None:
        self._ledger = ledger
        self._routes = routes
        self._retry = services.retry
        self._wake_later = services.wake_later
        self._counters = services.counters
        self._halts = halts
        self._notify = notify
        self._committed: dict[PortfolioName, Portfolio] = {}
        self._last_request = 0

    def rebuild(self, word: Rebuild) -> None:
        """Drop what is not committed, shut older generations out, and reload."""
        try:
            self._retry.until_done(lambda: self._ledger.raise_generation(word.generation))
            portfolios = self._retry.until_done(self._ledger.load)
        except Fenced as error:
            self._routes.supervisor.tell(Failed(LeaseHeld(str(error))))
            return
        self._committed = {portfolio.name: portfolio for portfolio in portfolios}
        self._halts.update(portfolio.rules for portfolio in portfolios)
        self._last_request = 0
        self.generation = word.generation
        self._routes.snapshotter.tell(Committed(dict(self._committed), complete=True))
        self._routes.supervisor.tell(Rebuilt("PositionKeeper", word.generation, portfolios))

    def describe(self) -> Mapping[str, Any]:
        """Return the committed state of each portfolio."""
        return {
            "generation": self.generation,
            "portfolios": {name: described(portfolio) for name, portfolio in self._committed.items()},
        }

    def handle_current(self, messages: list[Message]) -> None:
        """Write what was filled; then, whatever came of that, nothing is left before a flush."""
        self._handle(messages)
        for message in messages:
            if isinstance(message, Flush):
                self._routes.decision_watcher.tell(message)
                self._routes.snapshotter.tell(message)

    def _handle(self, messages: list[Message]) -> None:
        """Apply a group to a draft, write it, and only then let it be the state and tell of it."""
        fills = [message.fill for message in messages if isinstance(message, Filled)]
        refusals = [message.refusal for message in messages if isinstance(message, Refused)]
        if any(fill.order.portfolio not in self._committed for fill in fills):
            assert self.generation is not None
            self._end_generation(RaiseGeneration(self.generation, "a portfolio was deleted while it traded"))
            return
        draft = dict(self._committed)
        group: list[Applied] = []
        for fill in fills:
            applied = apply(draft[fill.order.portfolio], fill)
            draft[fill.order.portfolio] = applied.portfolio
            group.append(applied)
        if group and not self._write(group, refusals):
            return
        if refusals and not group:
            self._settle([], refusals)
        for message in messages:
            if isinstance(message, Audit):
                self._audit(message)
        requests = [message.request for message in messages if isinstance(message, RequestRules)]
        self._last_request = max([self._last_request, *requests])
        # Between two generations a poll has nothing to read: the next one reloads.
        if self.generation is not None and (requests or any(isinstance(message, Wake) for message in messages)):
            self._reread_terms()

    def _write(self, group: list[Applied], refusals: list[Refusal]) -> bool:
        """Commit the group; where that fails, end the generation and return False."""
        assert self.generation is not None
        generation = self.generation
        try:
            try:
                self._commit(group)
            except WriteRefused:
                # One by one from the front: a refusal must not be told before the fills that it rests on, so those
                # of this group wait for the next generation, in which their decisions are sent again.
                for applied in group:
                    self._commit_alone(applied)
            self._settle([], refusals)
        except _Poisoned as poison:
            self._end_generation(RaiseGeneration(generation, str(poison), poisoned=poison.decisions))
            return False
        except DecisionsEnded as error:
            self._end_generation(RaiseGeneration(generation, str(error), missing=error.ids))
            return False
        except (DatabaseUnavailable, Fenced) as error:
            self._retry.backoff()
            self._end_generation(RaiseGeneration(generation, str(error)))
            return False
        return True

    def _commit_alone(self, applied: Applied) -> None:
        try:
            self._commit([applied])
        except WriteRefused as error:
            present = self._retry.until_done_unless_away(self._ledger.rules)
            if applied.portfolio.name not in {rules.portfolio for rules in present}:
                raise Fenced("a portfolio was deleted while it traded") from error
            raise _Poisoned(applied.fill.order.decision_id, error) from error

    def _commit(self, group: Sequence[Applied]) -> None:
        assert self.generation is not None
        generation = self.generation
        self._retry.until_done_unless_away(lambda: self._ledger.commit(generation, group))
        self._retry.reset()
        self._counters.count_fills(applied.fill.order.decision_id for applied in group)
        touched = {applied.portfolio.name: applied.portfolio for applied in group}
        for name, portfolio in touched.items():
            self._committed[name] = replace(portfolio, rules=self._committed[name].rules)
        self._routes.snapshotter.tell(Committed({name: self._committed[name] for name in touched}))
        self._settle(group, [])

    def _settle(self, group: Sequence[Applied], refusals: Sequence[Refusal]) -> None:
        assert self.generation is not None
        outcomes = tuple(
            Outcome(a.fill.order.decision_id, OutcomeStatus.EXECUTED, a.sentence, a.fill.order.order_id) for a in group
        )
        if outcomes or refusals:
            self._routes.decision_watcher.tell(Settled(self.generation, outcomes, tuple(refusals)))

    def _end_generation(self, word: RaiseGeneration) -> None:
        self.generation = None
        self._routes.supervisor.tell(word)

    def _audit(self, message: Audit) -> None:
        """Compare memory with the database; a portfolio that differs is halted, said, and read again."""
        if self.generation is None:
            return
        try:
            stored = self._retry.once(self._ledger.load)
        except DatabaseError as error:
            logger.debug("the audit is made another time: {}", error)
            return
        found = differences(self._committed, stored)
        self._counters.count_audit(len(found))
        if found:
            self._notify(AlarmKind.AUDIT_DIFFERENCE, f"the audit found a difference: {'; '.join(found.values())}")
        for told in found.values():
            logger.critical("the audit halts a portfolio: {}", told)
        try:
            # On record and halted in one transaction: whatever dies here, neither stands without the other.
            self._retry.once(partial(self._ledger.record_audit, len(stored), found))
        except DatabaseError as error:
            logger.debug("what the audit found is not on record: {}", error)
            if found:
                return  # and still differs when it looks again
        if message.reply_to is not None:
            message.reply_to(tuple(found.values()))
        if found:
            self._end_generation(RaiseGeneration(self.generation, "; ".join(found.values())))

    def _reread_terms(self) -> None:
        """Tell the Sizer what people changed; it counts from the next decision sized."""
        assert self.generation is not None
        try:
            rules = self._retry.once(self._ledger.rules)
        except DatabaseError as error:
            logger.debug("the portfolios' rules are read again shortly: {}", error)
            self._wake_later()
            return
        known = {name: portfolio.rules for name, portfolio in self._committed.items()}
        if any(t.portfolio in known and not t.same_portfolio(known[t.portfolio]) for t in rules):
            # Another portfolio under a known name: only reloading tells its cash.
            self._end_generation(RaiseGeneration(self.generation, "a portfolio was deleted and made anew"))
            return
        request, self._last_request = self._last_request, 0
        if {t.portfolio: t for t in rules} == known and not request:
            return
        self._committed = {
            t.portfolio: replace(self._committed[t.portfolio], rules=t)
            if t.portfolio in self._committed
            else Portfolio.opened(t)
            for t in rules
        }
        self._halts.update(rules)
        for t in rules:
            before = known.get(t.portfolio)
            if before is None or t.revision != before.revision:  # a halt changes terms, too, and no rule
                logger.info("portfolio {} trades under revision {} of its rules now", t.portfolio, t.revision)
        self._routes.sizer.tell(RulesChanged(self.generation, rules, request))
        self._routes.snapshotter.tell(Committed(dict(self._committed), complete=True))


class _Poisoned(Exception):
    """A fill that the database refuses even alone."""

    def __init__(self, decision_id: DecisionId, error: WriteRefused) -> None:
        super().__init__(str(error))
        self.decisions = {decision_id: str(error)}
