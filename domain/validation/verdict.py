"""The gate to real money: did the program work, and is the result more than luck?

Two verdicts that never outweigh each other. The operational one (`domain.validation.operational`) is pass or fail. The
statistical one holds a period's figures against criteria, and says beside that whether there are enough of them: what
meets all criteria and has a probabilistic Sharpe ratio below 0.95 is *underpowered*.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from domain.analytics.performance import History
from domain.analytics.performance_metric import PerformanceMetric
from domain.validation.criteria import Criteria, Criterion
from domain.validation.operational import Operations, operational
from domain.validation.statistical import Statistical, power, statistical

__all__ = ["Criterion", "Run", "Statistical", "Verdict", "judge"]
from domain.wording import joined


@dataclass(frozen=True, slots=True)
class Run:
    """A stored validation run, as a verdict names it.

    Attributes:
        ended_at: None while it goes on.
        end_reason: what changed, or why it was stopped.
    """

    id: int
    name: str
    started_at: datetime
    ended_at: datetime | None = None
    end_reason: str | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the gate says of one portfolio over one period.

    Attributes:
        portfolio: its name.
        since: the period's beginning; UTC.
        until: its end.
        operational: the criteria that the program must meet.
        criteria: the statistical ones, PSR apart.
        statistical: all of them taken together, and PSR.
        psr: PSR(0), the probability that the true Sharpe ratio is above 0.
        min_psr: what it must reach.
        notes: sentences on what the period can show and what it would take.
        real_prices: False at simulated or file prices, and where no price is known yet.
        sources: of the prices, such as ``kraken`` or ``simulated``.
        run: the stored run; None for a preview.
        accepted_by: who takes an underpowered result as enough.
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

    @property
    def operational_passed(self) -> bool:
        """Whether the program did what it must."""
        return all(criterion.passed for criterion in self.operational)

    @property
    def acceptable(self) -> bool:
        """Whether nothing but its size keeps the result from passing, so that somebody may accept it."""
        return self.statistical is Statistical.UNDERPOWERED and not self._obstacles

    @property
    def ready(self) -> bool:
        """Whether both verdicts passed, in a stored run that goes on, at real prices."""
        return not self.missing

    @property
    def missing(self) -> tuple[str, ...]:
        """Why it is not ready, each a clause for a person; empty where it is."""
        found = list(self._obstacles)
        if self.statistical is Statistical.FAILED:
            unmet = [criterion.title for criterion in self.criteria if not criterion.passed]
            found.append(f"statistically failed ({joined(unmet)})")
        elif self.statistical is Statistical.UNDERPOWERED and self.accepted_by is None:
            found.append("statistically underpowered: all criteria are met, by what may still be luck")
        return tuple(found)

    @property
    def _obstacles(self) -> tuple[str, ...]:
        found = []
        if not self.real_prices:
            found.append(f"{self.priced} prices prove nothing" if self.sources else "no price source is known")
        if self.run is None:
            found.append("no validation run is stored")
        elif self.run.ended_at is not None:
            found.append(f"run {self.run.name} has ended")
        if not self.operational_passed:
            unmet = [criterion.title for criterion in self.operational if not criterion.passed]
            found.append(f"operationally failed ({joined(unmet)})")
        return tuple(found)

    @property
    def priced(self) -> str:
        """The sources of the prices, for a sentence."""
        return joined(self.sources) if self.sources else "unknown"


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
) -> Verdict:
    """Return the verdict on a period.

    Args:
        portfolio: its name.
        history: of that period alone; see `History.during`.
        operations: how the program ran in it.
        criteria: what must be reached.
        real_prices: whether somebody could have got them.
        sources: of the prices.
        run: the stored one; None for a preview.
        accepted_by: who takes an underpowered result as enough.
        notes: sentences that come before those on the figures.
    """
    found = statistical(history, criteria)
    told = power(history.returns, criteria) if found.result is Statistical.UNDERPOWERED else ()
    return Verdict(
        portfolio=portfolio,
        since=operations.since,
        until=operations.until,
        operational=operational(operations, criteria),
        criteria=found.criteria,
        statistical=found.result,
        psr=found.psr,
        min_psr=criteria.min_psr,
        notes=(*notes, *told),
        real_prices=real_prices,
        sources=tuple(sources),
        run=run,
        accepted_by=accepted_by if found.result is Statistical.UNDERPOWERED else None,
    )
