"""Counters of the events of this process, for the metrics; see docs/metrics.md.

Each number has one writer among the actors, and is read by any thread without a lock. A count outlives the crashes of
its writer: a decision that was in hand when its actor crashed, or whose COMMIT was not answered, is counted once its
outcome is known.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field

from domain.failures import FailureKind
from domain.trading.decision import Outcome, Reason, status_of
from domain.types import DecisionId, Generation, OutcomeStatus, PortfolioName

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Upper bounds in seconds: a market order takes milliseconds, and a price is waited for up to 30 s by default."""
OutcomeKey = tuple[OutcomeStatus, str]
"""A status and the code of its reason; see `domain.trading.decision.Outcome.code`."""
OUTCOME_KEYS: tuple[OutcomeKey, ...] = (
    (OutcomeStatus.EXECUTED, "executed"),
    (OutcomeStatus.CANCELLED, "cancelled"),
    *((status_of(reason), reason.name.lower()) for reason in Reason if reason is not Reason.ADOPTED),
)
"""All possible outcomes. Each is counted from 0 on, because the growth of a count that appears later is not visible."""


class Durations:
    """Histogram of durations.

    Attributes:
        counts: number of durations by the first of `BUCKETS` that they do not exceed; the last is above all buckets.
        total: sum of all durations in seconds.
    """

    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKETS) + 1)
        self.total = 0.0

    def add(self, seconds: float) -> None:
        """Count one duration."""
        self.counts[bisect_left(BUCKETS, seconds)] += 1
        self.total += seconds


@dataclass(slots=True)
class _InProgress:
    """A decision that was taken in and has no outcome yet.

    Attributes:
        portfolio: its portfolio.
        received_at: time at which it was taken in, in seconds of the counters' clock.
        waited: whether it had to wait for a price.
        last_fill_at: time at which its last fill was committed; None before the first.
        fills: number of its fills.
        open: its order rests.
    """

    portfolio: PortfolioName
    received_at: float
    waited: bool = False
    last_fill_at: float | None = None
    fills: int = 0
    open: bool = False


@dataclass(frozen=True, slots=True)
class Counts:
    """Values of the counters at one moment.

    Attributes:
        outcomes: number of decisions of this process by outcome.
        fills: number of fills by portfolio.
        durations: bucket counts and sum of the seconds from taking a decision in to the commit that ended it, by status
            and whether it had to wait for a price.
        under_way: number of decisions before their order: those that have not had to wait for a price, those that have.
        open: number of decisions of this process whose orders rest.
        failures: number of failures by kind.
        audits: number of comparisons of memory with the database.
        differences: number of differences that the audits found.
        seconds_since_audit: seconds since the last audit; None before the first.
        generation: the generation that takes decisions, or was the last to.
    """

    outcomes: Mapping[OutcomeKey, int]
    fills: Mapping[PortfolioName, int]
    durations: Mapping[tuple[OutcomeStatus, bool], tuple[tuple[int, ...], float]]
    under_way: tuple[int, int]
    open: int
    failures: Mapping[FailureKind, int]
    audits: int
    differences: int
    seconds_since_audit: float | None
    generation: Generation | None


@dataclass(slots=True)
class Counters:
    """Counters of a process; they outlive the actors that write them.

    Attributes:
        now: returns the seconds of a clock that only goes forward.
        generation: the generation that takes decisions, or was the last to; written by the DecisionWatcher.
        expired_at_intake: number of decisions that had waited too long when they were taken in; written by the same.
        received: number of decisions that were taken in; written by the same.
    """

    now: Callable[[], float] = time.monotonic
    generation: Generation | None = None
    expired_at_intake: int = 0
    received: int = 0
    _in_progress: dict[DecisionId, _InProgress] = field(default_factory=dict)
    _outcomes: Counter[OutcomeKey] = field(default_factory=lambda: Counter(dict.fromkeys(OUTCOME_KEYS, 0)))
    _durations: dict[tuple[OutcomeStatus, bool], Durations] = field(
        default_factory=lambda: {
            (status, waited): Durations()
            for status in OutcomeStatus
            if status is not OutcomeStatus.PENDING
            for waited in (False, True)
        }
    )
    _fills: Counter[PortfolioName] = field(default_factory=Counter)
    _fills_found_later: Counter[PortfolioName] = field(default_factory=Counter)
    _failures: Counter[FailureKind] = field(default_factory=lambda: Counter(dict.fromkeys(FailureKind, 0)))
    _audits: int = 0
    _differences: int = 0
    _last_audit_at: float | None = None

    # --- written by the DecisionWatcher

    def count_received(self, decision_id: DecisionId, portfolio: PortfolioName) -> None:
        """Record that a decision was taken in; only the first time counts, also after a rebuild."""
        if decision_id not in self._in_progress:
            self._in_progress[decision_id] = _InProgress(portfolio, self.now())
            self.received += 1

    def mark_waiting(self, decision_id: DecisionId) -> None:
        """Record that a decision waits for a price."""
        if (decision := self._in_progress.get(decision_id)) is not None:
            decision.waited = True

    def mark_open(self, decision_id: DecisionId) -> None:
        """Record that the order of a decision rests."""
        if (decision := self._in_progress.get(decision_id)) is not None:
            decision.open = True

    def count_outcome(self, outcome: Outcome) -> None:
        """Count an outcome that is committed, with its duration."""
        decision = self._in_progress.pop(outcome.decision_id, None)
        if decision is None:
            return  # already counted: an idempotent resubmit
        self._outcomes[outcome.status, outcome.code] += 1
        end = decision.last_fill_at if decision.last_fill_at is not None else self.now()
        self._durations[outcome.status, decision.waited].add(end - decision.received_at)
        if outcome.status is OutcomeStatus.EXECUTED and not decision.fills:
            self._fills_found_later[decision.portfolio] += 1  # the answer to its COMMIT was lost

    def count_left(self, outcome: Outcome, portfolio: PortfolioName, seconds: float) -> None:
        """Count a decision that has ended in the table, where it has waited for a price for so many seconds."""
        if outcome.decision_id not in self._in_progress:
            self._in_progress[outcome.decision_id] = _InProgress(portfolio, self.now() - seconds, waited=True)
            self.received += 1
        self.count_outcome(outcome)

    def discard(self, decision_id: DecisionId) -> None:
        """Discard a decision whose row was deleted; it ends without outcome."""
        self._in_progress.pop(decision_id, None)

    @property
    def under_way(self) -> Collection[DecisionId]:
        """Ids of the decisions that were taken in and have no outcome yet."""
        return list(self._in_progress)

    # --- written by the PositionKeeper

    def count_fills(self, fills: Iterable[tuple[DecisionId, PortfolioName]]) -> None:
        """Count fills, just committed, each with its decision and its portfolio."""
        now = self.now()
        for decision_id, portfolio in fills:
            self._fills[portfolio] += 1
            if (decision := self._in_progress.get(decision_id)) is not None:
                decision.last_fill_at = now
                decision.fills += 1

    def count_audit(self, differences: int) -> None:
        """Count a comparison of memory with the database, and the differences that it found."""
        self._audits += 1
        self._differences += differences
        self._last_audit_at = self.now()

    # --- written by the Supervisor

    def count_failure(self, kind: FailureKind) -> None:
        """Count a failure."""
        self._failures[kind] += 1

    # --- read by any thread

    def counts(self) -> Counts:
        """Return the present values; may be called from any thread."""
        in_progress = self._in_progress.copy().values()
        waited = sum(decision.waited and not decision.open for decision in in_progress)
        resting = sum(decision.open for decision in in_progress)
        return Counts(
            outcomes=dict(self._outcomes),
            fills=dict(self._fills + self._fills_found_later),
            durations={key: (tuple(value.counts), value.total) for key, value in self._durations.items()},
            under_way=(len(in_progress) - waited - resting, waited),
            open=resting,
            failures=dict(self._failures),
            audits=self._audits,
            differences=self._differences,
            seconds_since_audit=None if self._last_audit_at is None else self.now() - self._last_audit_at,
            generation=self.generation,
        )
