"""PositionKeeper: keeps the books. It writes each group of fills in one transaction, then reports the outcomes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import groupby, islice
from typing import Any, ClassVar

from loguru import logger

from actors.messages import (
    Audit,
    Committed,
    Flush,
    ForgetPrice,
    MatchedUpTo,
    Message,
    Rebuild,
    Record,
    RecordAccount,
    RefuseAccount,
    Refused,
    Release,
    RequestRules,
    RulesChanged,
    Settled,
    Wake,
)
from actors.ports import Ledger
from actors.runtime.behaviour import PathBehaviour
from actors.runtime.routes import PathServices, Routes
from actors.settlement.messages import Settling
from actors.supervision.alarms import HaltMonitor
from actors.supervision.messages import Failed, RaiseGeneration, Rebuilt
from domain.alarms import AlarmKind, Notify
from domain.audit import differences
from domain.errors import DatabaseError, DatabaseUnavailable, DecisionsEnded, Fenced, LeaseHeld, WriteRefused
from domain.trading.account.changes import apply_accounts, last_splits, new_symbols, outcome_of
from domain.trading.account.requests import AccountRefusal
from domain.trading.bookkeeping import Result, apply_all
from domain.trading.decision import Outcome, Refusal
from domain.trading.events import Filled
from domain.trading.open_orders.protection import halt_for_frozen, halts_after, held, lost_stops, unprotected
from domain.trading.open_orders.settlement import NO_ADVANCE, joined
from domain.trading.portfolio import PortfolioState, to_dict
from domain.types import DecisionId, Generation, OutcomeStatus, PortfolioName


class PositionKeeper(PathBehaviour):
    """The committed state of each portfolio; memory changes only after the commit.

    Args:
        ledger: the tables of the books.
        routes: the addresses of the actors.
        services: database retries, wake-ups and counters.
        halts: the halts of all portfolios; it outlives restarts of this actor.
        notify: sends an alarm when the audit finds a difference.
    """

    group_limit: ClassVar[int] = 100

    def __init__(
        self, ledger: Ledger, routes: Routes, services: PathServices, halts: HaltMonitor, notify: Notify
    ) -> None:
        self._ledger = ledger
        self._routes = routes
        self._retry = services.retry
        self._wake_later = services.wake_later
        self._counters = services.counters
        self._halts = halts
        self._notify = notify
        self._committed: dict[PortfolioName, PortfolioState] = {}
        self._last_request: int | None = None  # that is not answered yet

    def rebuild(self, message: Rebuild) -> None:
        """Drop uncommitted state, commit the generation so that older ones can write no more, and reload."""
        try:
            self._retry.until_done(lambda: self._ledger.raise_generation(message.generation))
            portfolios = self._retry.until_done(self._ledger.load)
            if self._halt_frozen(portfolios, message.frozen):
                portfolios = self._retry.until_done(self._ledger.load)
        except Fenced as error:
            self._routes.supervisor.tell(Failed(LeaseHeld(str(error))))
            return
        self._committed = {portfolio.name: portfolio for portfolio in portfolios}
        self._halts.update(portfolio.rules for portfolio in portfolios)
        self._last_request = None
        self.generation = message.generation
        for symbol, at in last_splits(portfolios).items():
            self._routes.price_tracker.tell(ForgetPrice(symbol, at))
        self._routes.snapshotter.tell(Committed(dict(self._committed), complete=True))
        self._routes.supervisor.tell(Rebuilt("PositionKeeper", message.generation, portfolios))

    def _halt_frozen(self, portfolios: Collection[PortfolioState], frozen: Collection[DecisionId]) -> bool:
        """Halt portfolios with orders that cannot even be ended; return whether there is one that was not halted."""
        halts = {state.name: halt_for_frozen(state, frozen) for state in portfolios}
        for state in portfolios:
            if (reason := halts[state.name]) is not None:
                self._retry.until_done(partial(self._ledger.halt, state.name, reason))
                self._report_unprotected(state, reason)
        return any(halts.values())

    def describe(self) -> Mapping[str, Any]:
        """Return the committed state of each portfolio."""
        return {
            "generation": self.generation,
            "portfolios": {name: to_dict(portfolio) for name, portfolio in self._committed.items()},
        }

    def handle_current(self, messages: list[Message]) -> None:
        """Write the events of a group; then pass on a flush, since everything before it is handled."""
        # A change of an account is a transaction of its own, between what comes before it and after it.
        for of_account, group in groupby(messages, lambda one: isinstance(one, RecordAccount | RefuseAccount)):
            present = list(group)
            if of_account:
                for message in present:
                    self._change_account(message)
            elif present := self.of_this_generation(present):  # an earlier one may have ended it
                self._handle_messages(present)
        for message in messages:
            if isinstance(message, Flush):
                self._routes.decision_watcher.tell(message)
                self._routes.snapshotter.tell(message)

    def _handle_messages(self, messages: list[Message]) -> None:
        """Apply a group to a draft and write it; after the commit the draft is the state, and others see it."""
        records = [message for message in messages if isinstance(message, Record)]
        refused = [message.refusal.together for message in messages if isinstance(message, Refused)]
        refusals = [refusal for together in refused for refusal in together]
        if any(event.order.portfolio not in self._committed for record in records for event in record.events):
            self._end_generation("a portfolio was deleted while it traded")
            return
        group = self._apply(records)
        if group and not self._write(group, [len(record.events) for record in records], refusals):
            return
        halted = self._report_halts(group)
        if refusals and not group:
            self._settle([], refusals)
        matched = [message for message in messages if isinstance(message, MatchedUpTo)]
        if matched and not self._advance(matched):
            return
        for message in messages:
            if isinstance(message, Audit):
                self._audit(message)
        requests = [message.request for message in messages if isinstance(message, RequestRules)]
        if requests:
            self._last_request = max(self._last_request or 0, *requests)
        # Between two generations a poll has nothing to read: the next one reloads.
        outdated = bool(requests) or halted or any(isinstance(message, Wake) for message in messages)
        if self.generation is not None and outdated:
            self._reload_rules()

    def _change_account(self, message: Message) -> None:
        """Commit a change of an account, or the end of a request that changes nothing."""
        if (generation := self.generation) is None:
            return
        try:
            if isinstance(message, RefuseAccount):
                refusal = message.refusal
                self._retry.until_done_unless_away(lambda: self._ledger.refuse_account(generation, refusal))
                logger.info("request {} is refused: {}", refusal.request.id, refusal.reason)
            elif isinstance(message, RecordAccount):
                self._commit_account(generation, message)
            self._retry.reset()
        except WriteRefused as error:
            self._refuse_unwritable(generation, message, error)
        except DecisionsEnded as error:
            self._end_generation(str(error), missing=error.ids)
        except (DatabaseUnavailable, Fenced) as error:
            self._retry.backoff()
            self._end_generation(str(error))

    def _refuse_unwritable(self, generation: Generation, message: Message, error: WriteRefused) -> None:
        """End a request whose event the database refuses, and reload: ExecutionSimulator and Sizer are ahead."""
        if isinstance(message, RecordAccount):
            refusal = AccountRefusal(message.request, f"the database refuses it: {error}")
            with suppress(DatabaseError):  # the next generation comes to the same end
                self._retry.until_done_unless_away(lambda: self._ledger.refuse_account(generation, refusal))
        self._retry.backoff()
        self._end_generation(str(error))

    def _commit_account(self, generation: Generation, message: RecordAccount) -> None:
        if (changes := apply_accounts(self._committed, message.accounts)) is None:
            raise Fenced("a portfolio was deleted while its account changed")
        self._retry.until_done_unless_away(lambda: self._ledger.commit_account(generation, message.request, changes))
        touched = {change.result.state.name: change.result.state for change in changes}
        for name, state in touched.items():
            progress = state.progress._replace(marks=())
            self._committed[name] = replace(state, rules=self._committed[name].rules, progress=progress)
        for symbol, at in {**last_splits(touched.values()), **new_symbols(changes)}.items():
            self._routes.price_tracker.tell(ForgetPrice(symbol, at))  # first: the next snapshots need other prices
        self._routes.snapshotter.tell(Committed({name: self._committed[name] for name in touched}))
        ended = [result for change in changes for result in change.ended]
        self._settle(ended, [])
        request = message.request
        logger.info("request {}: {} of {}: {}", request.id, request.what, request.scope, outcome_of(changes))
        self._report_halts(ended)
        if request.kind.closes and self.generation is not None:
            self._reload_rules()  # the next life trades at once

    def _advance(self, matched: Sequence[MatchedUpTo]) -> bool:
        """Write how far the open orders have come, then release the data behind them; return False if that fails."""
        assert self.generation is not None
        generation, advance = self.generation, joined([message.advance for message in matched], self._committed)
        if advance != NO_ADVANCE:
            try:
                self._retry.until_done_unless_away(lambda: self._ledger.save_advance(generation, advance))
            except (DatabaseUnavailable, Fenced) as error:
                self._retry.backoff()
                self._end_generation(str(error))
                return False
            self._retry.reset()
            for name, progress in advance.progress.items():
                self._committed[name] = replace(self._committed[name], progress=progress)
        for message in matched:
            self._routes.price_tracker.tell(Release(message.numbers, message.watched))
            if message.settling is not None:
                self._routes.snapshotter.tell(Settling(generation, message.settling))
        return True

    def _apply(self, records: Sequence[Record]) -> list[Result]:
        """Apply the events of all records to a draft; return their results, those of a record one after the other."""
        group = apply_all(self._committed, [event for record in records for event in record.events])
        end = 0
        for record in records:
            begin, end = end, end + len(record.events)
            if record.recovered:
                group[begin:end] = [replace(result, recovered=True) for result in group[begin:end]]
            if record.progress is not None:
                last = group[end - 1]
                group[end - 1] = replace(last, state=replace(last.state, progress=record.progress))
        return group

    def _write(self, group: list[Result], sizes: list[int], refusals: list[Refusal]) -> bool:
        """Commit the group; if that fails, end the generation and return False.

        Args:
            group: the results of all events.
            sizes: how many of them belong together, from the front.
            refusals: they are reported after the commit.
        """
        try:
            try:
                self._commit(group)
            except WriteRefused:
                # Commit record by record from the front. A refusal must not be reported before the events on which it
                # rests: if one fails, the refusals of this group are made again in the next generation.
                remaining = iter(group)
                for size in sizes:
                    self._commit_alone(list(islice(remaining, size)))
            self._settle([], refusals)
        except _Poisoned as poison:
            self._end_generation(str(poison), poisoned=poison.decisions)
            return False
        except DecisionsEnded as error:
            self._end_generation(str(error), missing=error.ids)
            return False
        except (DatabaseUnavailable, Fenced) as error:
            self._retry.backoff()
            self._end_generation(str(error))
            return False
        return True

    def _commit_alone(self, results: list[Result]) -> None:
        try:
            self._commit(results)
        except WriteRefused as error:
            present = self._retry.until_done_unless_away(self._ledger.rules)
            if results[0].state.name not in {rules.portfolio for rules in present}:
                raise Fenced("a portfolio was deleted while it traded") from error
            raise _Poisoned({result.order.decision_id for result in results}, error) from error

    def _commit(self, group: Sequence[Result]) -> None:
        assert self.generation is not None
        generation = self.generation
        self._retry.until_done_unless_away(lambda: self._ledger.commit(generation, group))
        self._retry.reset()
        fills = [result.order for result in group if isinstance(result.event, Filled)]
        self._counters.count_fills((order.decision_id, order.portfolio) for order in fills)
        touched = {result.state.name: result.state for result in group}
        for name, state in touched.items():
            progress = state.progress._replace(marks=())  # they are stored
            self._committed[name] = replace(state, rules=self._committed[name].rules, progress=progress)
        self._routes.snapshotter.tell(Committed({name: self._committed[name] for name in touched}))
        self._settle(group, [])

    def _settle(self, group: Sequence[Result], refusals: Sequence[Refusal]) -> None:
        assert self.generation is not None
        outcomes = {
            end.decision_id: Outcome(end.decision_id, end.status, end.reason, end.order_id)
            for result in group
            for end in result.ends
        }
        opened = tuple(
            Outcome(result.order.decision_id, OutcomeStatus.OPEN, result.sentence, result.order.order_id)
            for result in group
            if result.opens and result.order.decision_id not in outcomes
        )
        settled = Settled(self.generation, tuple(outcomes.values()), tuple(refusals), opened)
        for message in settled.split(self.suspects):
            self._routes.decision_watcher.tell(message)

    def _report_halts(self, group: Sequence[Result]) -> bool:
        """Send an alarm for each portfolio that was halted with the group, and for each stop that the program ended.

        Returns:
            Whether a portfolio was halted.
        """
        for sentence in lost_stops(group, self._committed):
            logger.critical("{}", sentence)
            self._notify(AlarmKind.UNPROTECTED, sentence)
        halted = halts_after(group)
        for name, reason in halted.items():
            self._report_unprotected(self._committed[name], reason)
        return bool(halted)

    def _report_unprotected(self, state: PortfolioState, reason: str) -> None:
        logger.critical("portfolio {} is halted: {}", state.label, reason)
        if positions := unprotected(state):
            self._notify(AlarmKind.UNPROTECTED, f"portfolio {state.label}: no stop closes {positions}; {reason}")

    def _end_generation(self, reason: str, **decisions: Any) -> None:
        """Handle no more messages of this generation, and request the next; for the ids see `RaiseGeneration`."""
        assert self.generation is not None
        generation, self.generation = self.generation, None
        self._routes.supervisor.tell(RaiseGeneration(generation, reason, **decisions))

    def _audit(self, message: Audit) -> None:
        """Compare memory with the database; halt, report and reload a portfolio that differs."""
        if self.generation is None:
            return
        try:
            stored = self._retry.once(self._ledger.load)
        except DatabaseError as error:
            logger.debug("cannot audit now: {}", error)
            return
        by_portfolio = differences(self._committed, stored)
        self._counters.count_audit(len(by_portfolio))
        if by_portfolio:
            self._notify(
                AlarmKind.AUDIT_DIFFERENCE, f"the audit found a difference: {'; '.join(by_portfolio.values())}"
            )
        for name, difference in by_portfolio.items():
            logger.critical("the audit halts a portfolio: {}", difference)
            if positions := held(state := self._committed[name]):
                text = f"portfolio {state.label}: no stop closes {positions}, because the audit stops every fill"
                self._notify(AlarmKind.UNPROTECTED, text)
        try:
            # One transaction stores the result and halts the portfolios: after a crash neither stands alone.
            self._retry.once(partial(self._ledger.record_audit, len(stored), by_portfolio))
        except DatabaseError as error:
            logger.debug("cannot store the result of the audit: {}", error)
            if by_portfolio:
                return  # the next audit finds the same difference
        if message.reply_to is not None:
            message.reply_to(tuple(by_portfolio.values()))
        if by_portfolio:
            self._end_generation("; ".join(by_portfolio.values()))

    def _reload_rules(self) -> None:
        """Read the rules that people change; send them if they have changed, or were requested."""
        assert self.generation is not None
        try:
            rules = self._retry.once(self._ledger.rules)
        except DatabaseError as error:
            logger.debug("cannot read the portfolios' rules, retrying: {}", error)
            self._wake_later()
            return
        before = {name: portfolio.rules for name, portfolio in self._committed.items()}
        if any(row.portfolio in before and not row.same_portfolio(before[row.portfolio]) for row in rules):
            # It is a new portfolio under the old name; its cash must be read again.
            self._end_generation("a portfolio was deleted and created again")
            return
        request, self._last_request = self._last_request, None
        if {row.portfolio: row for row in rules} == before and request is None:
            return
        self._committed = {
            row.portfolio: replace(self._committed[row.portfolio], rules=row)
            if row.portfolio in self._committed
            else PortfolioState.opened(row)
            for row in rules
        }
        self._halts.update(rules)
        for row in rules:
            old = before.get(row.portfolio)
            if old is None or row.revision != old.revision:  # a halt does not raise the revision
                logger.info("portfolio {} now trades by revision {} of its rules", row.label, row.revision)
        self._routes.execution_simulator.tell(RulesChanged(self.generation, rules, request or 0))
        self._routes.snapshotter.tell(Committed(dict(self._committed), complete=True))


class _Poisoned(Exception):
    """Events that the database refuses even alone."""

    def __init__(self, decision_ids: Iterable[DecisionId], error: WriteRefused) -> None:
        super().__init__(str(error))
        self.decisions = dict.fromkeys(decision_ids, str(error))
