"""The verdict of a validation: did the program work correctly, and is the result more than luck?

It has two parts that never compensate each other. The operational verdict (`domain.validation.operational`) is passed
or failed. The statistical verdict compares the metrics of a period with criteria. A result that meets all of them but
has a probabilistic Sharpe ratio below 0.95 is *underpowered*: it may still be luck.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from domain.analytics.performance import History
from domain.analytics.performance_metric import PerformanceMetric
from domain.validation.criteria import Criteria, Criterion, CriterionState, shortened
from domain.validation.operational import Operations, operational
from domain.validation.statistical import Statistical, power, statistical, swept_note
from domain.wording import joined

__all__ = ["Criterion", "Run", "Statistical", "Verdict", "judge"]


@dataclass(frozen=True, slots=True)
class Run:
    """A stored validation run.

    Attributes:
        ended_at: None while it continues.
        end_reason: what changed, or why it was stopped.
    """

    id: int
    name: str
    started_at: datetime
    ended_at: datetime | None = None
    end_reason: str | None = None


NO_LIMITS = Criteria()


@dataclass(frozen=True, slots=True)
class Verdict:
    """The verdict on one portfolio over one period.

    Attributes:
        portfolio: name of the portfolio.
        since: beginning of the period; UTC.
        until: its end.
        operational: results of the operational criteria.
        criteria: results of the statistical criteria, without PSR.
        statistical: the statistical verdict, including PSR.
        psr: PSR(0), the probability that the true Sharpe ratio is above 0.
        min_psr: the PSR(0) required.
        notes: sentences on the statistical power of the period.
        real_prices: False at simulated or recorded prices, and where no price is known yet.
        sources: price sources, such as ``kraken`` or ``simulated``.
        run: the stored run; None for a preview.
        accepted_by: name of the person who accepted an underpowered result.
        foreign: decisions of strategies that the run is not bound to; they do not count.
        limits: the values that the criteria require.
    """

    portfolio: str
    since: datetime
    until: datetime
    operational: tuple[Criterion, ...]
    criteria: tuple[Criterion, ...]
    statistical: Statistical
    psr: PerformanceMetric
    min_psr: Decimal
    notes: tuple[str, ...]
    real_prices: bool
    sources: tuple[str, ...] = ()
    run: Run | None = None
    accepted_by: str | None = None
    foreign: tuple[str, ...] = ()
    limits: Criteria = NO_LIMITS

    @property
    def operational_passed(self) -> bool:
        """Whether all operational criteria are met."""
        return all(criterion.passed for criterion in self.operational)

    @property
    def operational_state(self) -> str:
        """*passed*, *failed*, or *not yet* where nothing failed and a criterion cannot be judged yet."""
        return "passed" if self.operational_passed else _state_of(self.operational)

    @property
    def statistical_state(self) -> str:
        """The statistical verdict, or *not yet* where nothing failed and a criterion cannot be judged yet."""
        return self.statistical.value if self.statistical is not Statistical.FAILED else _state_of(self.criteria)

    @property
    def acceptable(self) -> bool:
        """Whether the result is underpowered and has no other obstacle, so that a person may accept it."""
        return self.statistical is Statistical.UNDERPOWERED and not self._obstacles

    @property
    def ready(self) -> bool:
        """Whether both verdicts passed, in a stored run that continues, at real prices."""
        return not self.missing

    @property
    def readiness(self) -> str:
        """*ready*, *not ready*, or *not yet* where nothing speaks against it but criteria that cannot be judged yet."""
        if self.ready:
            return "ready"
        waits = self.real_prices and self.run is not None and self.run.ended_at is None
        states = {self.operational_state, self.statistical_state}
        return "not yet" if waits and "not yet" in states and states <= {"passed", "not yet"} else "not ready"

    @property
    def missing(self) -> tuple[str, ...]:
        """The reasons why it is not ready, as clauses for a person; empty where it is."""
        reasons = list(self._obstacles)
        if self.statistical is Statistical.FAILED:
            reasons.append(f"statistically {_unmet(self.statistical_state, self.criteria)}")
        elif self.statistical is Statistical.UNDERPOWERED and self.accepted_by is None:
            reasons.append("statistically underpowered: all criteria are met, but the result may still be luck")
        return tuple(reasons)

    @property
    def _obstacles(self) -> tuple[str, ...]:
        obstacles = []
        if not self.real_prices:
            obstacles.append(f"{self.priced} prices prove nothing" if self.sources else "no price source is known")
        if self.run is None:
            obstacles.append("no validation run is stored")
        elif self.run.ended_at is not None:
            obstacles.append(f"run {self.run.name} has ended")
        if not self.operational_passed:
            obstacles.append(f"operationally {_unmet(self.operational_state, self.operational)}")
        return tuple(obstacles)

    @property
    def priced(self) -> str:
        """The price sources as text."""
        return joined(self.sources) if self.sources else "unknown"


def _settled(criteria: tuple[Criterion, ...], *, ended: bool) -> tuple[Criterion, ...]:
    """Return criteria; in a run that has ended none waits for anything."""
    return tuple(replace(one, waits_for="") for one in criteria) if ended else criteria


def _state_of(criteria: Sequence[Criterion]) -> str:
    return "failed" if any(one.state is CriterionState.NOT_MET for one in criteria) else "not yet"


def _unmet(state: str, criteria: Sequence[Criterion]) -> str:
    """Return the criteria that failed; those that cannot be judged yet where none failed."""
    kind = CriterionState.NOT_MET if state == "failed" else CriterionState.NOT_YET
    titles = [one.title for one in criteria if one.state is kind]
    return f"failed ({joined(titles)})" if state == "failed" else f"not decided yet ({joined(titles)})"


def judge(
    portfolio: str,
    history: History,
    operations: Operations,
    criteria: Criteria,
    *,
    real_prices: bool,
    sources: Sequence[str] = (),
    run: Run | None = None,
    accepted_by: str | None = None,
    notes: Sequence[str] = (),
    strategies: Collection[str] | None = None,
) -> Verdict:
    """Return the verdict on a period.

    Args:
        portfolio: name of the portfolio.
        history: history of that period only; see `History.during`.
        operations: data on the operation of the program in it.
        criteria: the criteria to apply.
        real_prices: True where the prices were those of a real market.
        sources: price sources.
        run: the stored run; None for a preview.
        accepted_by: name of the person who accepted an underpowered result.
        notes: sentences that precede those on the statistical power.
        strategies: whose decisions and trades count; None: all.
    """
    findings = statistical(history, criteria, strategies)
    foreign = shortened(operations.foreign, operations.foreign_count)
    if foreign:
        notes = (*notes, f"decisions of other strategies, which do not count: {', '.join(foreign)}")
    ended = run is not None and run.ended_at is not None
    power_notes = power(history.returns, criteria) if findings.result is Statistical.UNDERPOWERED else ()
    swept = swept_note(history.returns, criteria)
    return Verdict(
        portfolio=portfolio,
        since=operations.since,
        until=operations.until,
        operational=_settled(operational(operations, criteria), ended=ended),
        criteria=_settled(findings.criteria, ended=ended),
        statistical=findings.result,
        psr=findings.psr,
        min_psr=criteria.min_psr,
        notes=(*notes, *([swept] if swept is not None else []), *power_notes),
        real_prices=real_prices,
        sources=tuple(sources),
        run=run,
        accepted_by=accepted_by if findings.result is Statistical.UNDERPOWERED else None,
        foreign=foreign,
        limits=criteria,
    )
