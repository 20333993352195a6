"""What has happened in this process, counted, for whoever measures it; see docs/metrics.md.

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
Ends = tuple[OutcomeStatus, str]
"""A status and the code of its reason; see `domain.trading.decision.Outcome.code`."""
POSSIBLE: tuple[Ends, ...] = (
    (OutcomeStatus.EXECUTED, "executed"),
    (OutcomeStatus.CANCELLED, "cancelled"),
    *((status_of(reason), reason.name.lower()) for reason in Reason if reason is not Reason.ADOPTED),
)
"""How a decision can end: counted from the start, because a count that appears later has no growth to be seen."""


class Durations:
    """How many took how long.

    Attributes:
        counts: by the first of `BUCKETS` that is not exceeded; the last is of those that exceed them all.
        total: seconds, of all together.
    """

    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKETS) + 1)
        self.total = 0.0

    def add(self, seconds: float) -> None:
        """Take note of one."""
        self.counts[bisect_left(BUCKETS, seconds)] += 1
        self.total += seconds


@dataclass(slots=True)
class _Begun:
    """A decision that was taken in.

    Attributes:
        at: when, in seconds of the tally's clock.
        waited: it had to wait for a price.
        committed: when its last fill was.
    """

    portfolio: PortfolioName
    at: float
    waited: bool = False
    committed: float | None = None
    fills: int = 0


@dataclass(frozen=True, slots=True)
class Counts:
    """What a tally held at one moment.

    Attributes:
        ended: decisions of this process, by how they ended.
        fills: by portfolio.
        took: from the moment a decision was taken in to the commit that ended it, by outcome and whether it had to
            wait for a price.
        under_way: decisions without outcome, those that have not had to wait for a price, and those that have.
        failures: by kind.
        audits: comparisons of memory with the database.
        differences: that they found, all together.
        audited_ago: seconds since the last one; None before it.
        generation: that takes decisions, or was the last to.
    """

    ended: Mapping[Ends, int]
    fills: Mapping[PortfolioName, int]
    took: Mapping[tuple[OutcomeStatus, bool], tuple[tuple[int, ...], float]]
    under_way: tuple[int, int]
    failures: Mapping[FailureKind, int]
    audits: int
    differences: int
    audited_ago: float | None
    generation: Generation | None


@dataclass(slots=True)
class Counters:
    """Counts. Outlives the actors that report to it.

    Attributes:
        now: a clock that only goes forward, in seconds.
        generation: that takes decisions, or was the last to; told by the DecisionWatcher.
        stale: decisions that expired because they had waited too long when they were taken in; likewise.
    """

    now: Callable[[], float] = time.monotonic
    generation: Generation | None = None
    stale: int = 0
    _begun: dict[DecisionId, _Begun] = field(default_factory=dict)
    _ended: Counter[Ends] = field(default_factory=lambda: Counter(dict.fromkeys(POSSIBLE, 0)))
    _took: dict[tuple[OutcomeStatus, bool], Durations] = field(
        default_factory=lambda: {(status, waited): Durations() for status in OutcomeStatus for waited in (False, True)}
    )
    _fills: Counter[PortfolioName] = field(default_factory=Counter)
    _failures: Counter[FailureKind] = field(default_factory=lambda: Counter(dict.fromkeys(FailureKind, 0)))
    _audits: int = 0
    _differences: int = 0
    _audited: float | None = None

    # --- by the DecisionWatcher

    def received(self, decision_id: DecisionId, portfolio: PortfolioName) -> None:
        """A decision was taken in; taken in again after a rebuild, it counts from the first time."""
        if decision_id not in self._begun:
            self._begun[decision_id] = _Begun(portfolio, self.now())

    def waits(self, decision_id: DecisionId) -> None:
        """A decision waits for a price."""
        if (begun := self._begun.get(decision_id)) is not None:
            begun.waited = True

    def ended(self, outcome: Outcome) -> None:
        """The outcome of a decision stands in the database."""
        begun = self._begun.pop(outcome.decision_id, None)
        if begun is None:
            return  # of somebody who asked for an outcome a second time
        self._ended[outcome.status, outcome.code] += 1
        end = begun.committed if begun.committed is not None else self.now()
        self._took[outcome.status, begun.waited].add(end - begun.at)
        if outcome.status is OutcomeStatus.EXECUTED:
            self._fills[begun.portfolio] += max(begun.fills, 1)  # 1: nobody heard of its commit

    def gone(self, decision_id: DecisionId) -> None:
        """Somebody deleted the decision; it ends without outcome."""
        self._begun.pop(decision_id, None)

    @property
    def under_way(self) -> Collection[DecisionId]:
        """Decisions that were taken in, and whose outcome is not known."""
        return list(self._begun)

    # --- by the PositionKeeper

    def committed(self, decisions: Iterable[DecisionId]) -> None:
        """A fill of each was committed just now."""
        now = self.now()
        for decision_id in decisions:
            if (begun := self._begun.get(decision_id)) is not None:
                begun.committed = now
                begun.fills += 1

    def audited(self, differences: int) -> None:
        """Memory was compared with the database."""
        self._audits += 1
        self._differences += differences
        self._audited = self.now()

    # --- by the Supervisor

    def failed(self, kind: FailureKind) -> None:
        """Something failed."""
        self._failures[kind] += 1

    # --- by whoever looks

    def counts(self) -> Counts:
        """Return what there is now; from any thread."""
        begun = self._begun.copy().values()
        waited = sum(each.waited for each in begun)
        return Counts(
            ended=dict(self._ended),
            fills=dict(self._fills),
            took={each: (tuple(durations.counts), durations.total) for each, durations in self._took.items()},
            under_way=(len(begun) - waited, waited),
            failures=dict(self._failures),
            audits=self._audits,
            differences=self._differences,
            audited_ago=None if self._audited is None else self.now() - self._audited,
            generation=self.generation,
        )
