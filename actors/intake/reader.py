"""Reads pending decisions: in turn where there is a backlog, and without those that would only wait for a price."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from loguru import logger

from actors.ports import Decisions
from domain.errors import WriteRefused
from domain.trading.decision import CancelTarget, PendingDecision, Reason, Refusal
from domain.trading.freshness.price_waits import MAX_WAITING, NOTHING_LEFT, EndedLeft, LeftEnd, PriceWaits
from domain.trading.instruments import same_letters
from domain.trading.sessions.decision_age import NO_AGE_LIMIT, AgeLimit
from domain.types import Action, Clock, DecisionId, Generation, Instant, OutcomeStatus

MAX_ENDED = 2_000
"""So many decisions that are left in the table end by one statement, so that it delays nothing else."""


@dataclass(frozen=True, slots=True)
class IntakeRules:
    """Until when decisions are taken in, and sized.

    Attributes:
        age_limit: a decision that is older when it is taken in, as after a downtime, expires.
        max_price_age: a decision without a price for longer than this is rejected.
        max_waiting: so many may wait for a price in memory.
    """

    age_limit: AgeLimit = NO_AGE_LIMIT
    max_price_age: timedelta = timedelta(seconds=30)
    max_waiting: int = MAX_WAITING


class IntakeReader:
    """The intake's view of the table.

    Args:
        decisions: the table of decisions.
        rules: age limits.
        clock: the time at which decisions are received.

    Attributes:
        waits: the decisions that wait for a price.
        more: there may be more in the table than were read.
    """

    def __init__(self, decisions: Decisions, rules: IntakeRules, clock: Clock) -> None:
        self.waits = PriceWaits(rules.max_price_age, rules.age_limit.calendars, rules.max_waiting)
        self.more = False
        self._decisions = decisions
        self._clock = clock
        self._left = NOTHING_LEFT

    @property
    def leaves(self) -> bool:
        """Whether the last read has left decisions in the table that may only wait for a price."""
        return bool(self._left.symbols)

    def begin(self) -> None:
        """Begin afresh: every pending decision is read again."""
        self.waits.clear()
        self.more, self._left = False, NOTHING_LEFT

    def read(self, under_way: Collection[DecisionId], limit: int) -> list[PendingDecision | Refusal]:
        """Return pending decisions, the oldest first; in turn where the last read has not taken all.

        Args:
            under_way: decisions that are not read again.
            limit: how many are read at most.
        """
        now = Instant.of(self._clock)
        self._left = self.waits.left(now)
        if not self.more and not self._left.symbols:
            rows = self._decisions.pending(under_way, limit, now)
            self.more = len(rows) == limit
        else:
            rows = self._decisions.pending_in_turn(under_way, limit, now, self._left)
            # The oldest fill what the turns leave free, unless the read passes over none that are left.
            self.more = len(rows) == limit or (not self._left.passes and bool(rows))
            of_these = self._left.portfolios
            if self._left.passes and self.more and any(row.portfolio in of_these for row in rows):
                self.waits.pass_again()  # there are others behind those that are left
        if not self.waits.active:
            return rows
        return [self.waits.with_wait(row) if isinstance(row, PendingDecision) else row for row in rows]

    def end_overdue(
        self, generation: Generation, ends: Sequence[LeftEnd], under_way: Collection[DecisionId]
    ) -> tuple[list[EndedLeft], bool]:
        """End decisions in the table for which no price has come in time; return them, and whether more may follow.

        Args:
            generation: of the decision path.
            ends: from `PriceWaits.overdue`.
            under_way: decisions that do not end here.
        """
        try:
            ended, more = self._end(generation, ends, under_way)
        except WriteRefused as error:
            logger.error("decisions that wait in the table end one by one, since many at once are refused: {}", error)
            self.waits.refuse_one_by_one()
            return [], False
        self.waits.ended(ends, more=more)
        return ended, more

    def end_before(
        self, generation: Generation, ends: Sequence[LeftEnd], under_way: Collection[DecisionId], before: DecisionId
    ) -> tuple[list[EndedLeft], bool]:
        """End decisions in the table that come before a CANCEL; return them, and whether there may be more.

        Args:
            generation: of the decision path.
            ends: as `before_cancels` wants it.
            under_way: decisions that do not end here.
            before: the CANCEL.
        """
        try:
            return self._end(generation, ends, under_way, before)
        except WriteRefused as error:
            logger.error("decisions that decision {} cancels cannot end in the table: {}", before, error)
            return [], False

    def _end(
        self,
        generation: Generation,
        ends: Sequence[LeftEnd],
        under_way: Collection[DecisionId],
        before: DecisionId | None = None,
    ) -> tuple[list[EndedLeft], bool]:
        ended = self._decisions.end_left(generation, ends, under_way, MAX_ENDED, before)
        return ended, len(ended) == MAX_ENDED

    def before_cancels(
        self,
        decisions: Sequence[PendingDecision],
        end: Callable[[Sequence[LeftEnd], DecisionId], bool],
    ) -> Iterator[PendingDecision]:
        """Yield the decisions that can be sent.

        A CANCEL of all orders, or of a symbol, ends the decisions before it that are left in the table. Where these are
        more than one statement ends, it is not sent, nor are those behind it in its portfolio: they are read again.

        Args:
            decisions: as they were read.
            end: ends decisions that are left, before the one that is named; returns whether no more are.
        """
        blocked = set()
        for decision in decisions:
            if decision.portfolio in blocked:
                continue
            ends = self._ends_with(decision)
            if ends and not end(ends, decision.id):
                blocked.add(decision.portfolio)
                self.waits.pass_again()
                continue
            yield decision

    def _ends_with(self, decision: PendingDecision) -> list[LeftEnd]:
        """Return which decisions that are left in the table a CANCEL is about."""
        if not self._left.symbols or decision.action is not Action.CANCEL:
            return []
        target = decision.target or CancelTarget()
        if target.flaw is not None or target.decision_id is not None or target.order_id is not None:
            return []
        sender = None if target.among is None else decision.sent_by
        sentence = f"{Reason.CANCELLED}: by decision {decision.id}, before it was sized"
        return [
            LeftEnd(of, OutcomeStatus.CANCELLED, sentence, sender=sender)
            for of in self._left.symbols
            if of.portfolio == decision.portfolio and (target.symbol is None or same_letters(target.symbol, of.symbol))
        ]
