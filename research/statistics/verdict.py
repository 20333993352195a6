"""The verdict on a sweep: how much of its best trial is luck, as values and as sentences.

The sweep passes where all three hold:

- the deflated Sharpe ratio of the best trial is high enough, by the number of trials and by that of their clusters;
- the best trial of one half of the days is better than the median on the other half more often than not (PBO);
- what was best on the training days of each fold earned something on its test days.

The first alone keeps the share of lucky sweeps that pass below 5 %. Bailey et al. (2015) call a sweep overfitted from a
PBO of 0.5 on, where the choice among the trials is worth nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from domain.analytics.performance_metric import PerformanceMetric
from domain.sweeps.parameters import Parameters, parameters_text
from domain.wording import counted
from research.statistics.deflation import DeflatedSharpe, deflated_sharpe
from research.statistics.neighbourhood import Neighbourhood, neighbourhood
from research.statistics.overfitting import Overfitting, Undetermined, overfitting
from research.statistics.samples import FoldRow, fold_rows, walk_forward_returns
from research.statistics.sharpe import FloatArray
from research.statistics.trial_table import TrialTable

LONELY_SHARE = 0.5
"""Neighbours with less than this share of the best objective make it a needle."""


@dataclass(frozen=True, slots=True)
class SweepLimits:
    """What a sweep has to reach.

    Attributes:
        min_deflated: the deflated Sharpe ratio, from 0 to 1.
        max_overfitting: the probability of backtest overfitting, from 0 to 1.
    """

    min_deflated: Decimal = Decimal("0.95")
    max_overfitting: float = 0.5


@dataclass(frozen=True, slots=True)
class SweepCriterion:
    """One criterion of a verdict.

    Attributes:
        name: for programs: ``deflated_sharpe``, ``overfitting`` or ``walk_forward``.
        passed: None where it does not apply.
        sentence: what was required and what was measured.
    """

    name: str
    passed: bool | None
    sentence: str


@dataclass(frozen=True)
class SweepVerdict:
    """The verdict on a sweep.

    Attributes:
        passed: whether all criteria that apply are met.
        best: number of the best trial.
        parameters: of it.
        score: its objective out-of-sample.
        attempts: the number of trials that were begun.
        criteria: in the order of this module's description.
        deflated: the deflated Sharpe ratio.
        overfitting: the probability of backtest overfitting, or why there is none.
        folds: in-sample against out-of-sample.
        neighbourhood: of the best parameters.
        notes: further sentences.
    """

    passed: bool
    best: int
    parameters: Parameters
    score: float
    attempts: int
    criteria: tuple[SweepCriterion, ...]
    deflated: DeflatedSharpe
    overfitting: Overfitting | Undetermined
    folds: tuple[FoldRow, ...]
    neighbourhood: Neighbourhood
    notes: tuple[str, ...]

    @property
    def sentences(self) -> tuple[str, ...]:
        """The verdict in plain sentences, without full stops."""
        head = "the sweep passes" if self.passed else "the sweep does not pass"
        missed = [one.sentence for one in self.criteria if one.passed is False]
        met = [one.sentence for one in self.criteria if one.passed is not False]
        return (head, *missed, *met, *self.notes)


def sweep_verdict(table: TrialTable, limits: SweepLimits | None = None) -> SweepVerdict:
    """Return the verdict on a sweep.

    Args:
        table: all its trials.
        limits: what it has to reach.
    """
    limits = SweepLimits() if limits is None else limits
    best = table.best
    attempts = max(table.attempts, len(table.numbers))
    deflated = deflated_sharpe(table.returns, best, attempts)
    overfitted = overfitting(table.returns)
    folds, beside = fold_rows(table), neighbourhood(table)
    criteria = (
        _deflated_criterion(deflated, limits, table.days_per_year),
        _overfitting_criterion(overfitted, deflated, limits),
        _walk_forward_criterion(walk_forward_returns(table), len(folds)),
    )
    return SweepVerdict(
        passed=all(one.passed is not False for one in criteria),
        best=table.numbers[best],
        parameters=table.parameters[best],
        score=float(table.scores[best]),
        attempts=attempts,
        criteria=criteria,
        deflated=deflated,
        overfitting=overfitted,
        folds=folds,
        neighbourhood=beside,
        notes=tuple(_notes(table, attempts, deflated, beside)),
    )


def _deflated_criterion(deflated: DeflatedSharpe, limits: SweepLimits, days_per_year: int) -> SweepCriterion:
    lower = deflated.lower
    one, many = ("trial", "trials")
    if lower is deflated.by_clusters:
        one, many = ("cluster of alike trials", "clusters of alike trials")
    year = days_per_year**0.5
    if lower.probability.value is None:
        sentence = f"there is no deflated Sharpe ratio: {lower.probability.reason}"
        return SweepCriterion("deflated_sharpe", passed=False, sentence=sentence)
    value = lower.probability.value
    sentence = (
        f"the best trial has a Sharpe ratio of {deflated.sharpe * year:.2f} a year, and the best of "
        f"{counted(lower.trials, one, many)} without skill is expected to have {float(lower.benchmark) * year:.2f}: "
        f"its true ratio is above 0 with a probability of {_percent(float(value))} (deflated Sharpe ratio), at least "
        f"{_percent(float(limits.min_deflated))} is required"
    )
    return SweepCriterion("deflated_sharpe", passed=value >= limits.min_deflated, sentence=sentence)


def _overfitting_criterion(
    overfitted: Overfitting | Undetermined, deflated: DeflatedSharpe, limits: SweepLimits
) -> SweepCriterion:
    if isinstance(overfitted, Undetermined):
        sentence = f"there is no probability of backtest overfitting: {overfitted.reason}"
        return SweepCriterion("overfitting", passed=None, sentence=sentence)
    measured = (
        f"in {_percent(overfitted.probability)} of {len(overfitted.logits):,} splits of the days, the best trial of "
        "one half was no better than the median on the other half (probability of backtest overfitting)"
    )
    if deflated.by_clusters.trials == 1:
        sentence = f"{measured}; all trials are alike, so there was nothing to choose, and no limit applies"
        return SweepCriterion("overfitting", passed=None, sentence=sentence)
    sentence = f"{measured}, at most {_percent(limits.max_overfitting)} is allowed"
    return SweepCriterion("overfitting", overfitted.probability <= limits.max_overfitting, sentence)


def _walk_forward_criterion(returns: FloatArray, folds: int) -> SweepCriterion:
    growth = float((1.0 + returns).prod() - 1.0)
    sentence = (
        f"what was best on the training days of {counted(folds, 'fold')} changed by {growth * 100:+.2f} % on the test "
        "days, more than 0 is required"
    )
    return SweepCriterion("walk_forward", growth > 0, sentence)


def _notes(table: TrialTable, attempts: int, deflated: DeflatedSharpe, beside: Neighbourhood) -> list[str]:
    clusters = deflated.by_clusters.trials
    alike = f"{counted(attempts, 'trial')}, in {counted(clusters, 'cluster')} of alike returns"
    notes = [
        f"{alike}; the best is trial {beside.trial} ({parameters_text(table.parameters[table.best])})",
        f"without the other trials its probability would be {_metric_percent(deflated.undeflated)}",
    ]
    failed = attempts - len(table.numbers)
    if failed:
        notes.append(f"{counted(failed, 'trial')} without a result count as attempts, too")
    if beside.share is not None and beside.share < LONELY_SHARE:
        kind = "one step away" if beside.by_steps else "nearest to it"
        reach = f"reach {beside.share * 100:.0f} % of the best" if beside.share > 0 else "have on average no positive"
        notes.append(f"the trials {kind} {reach} {table.objective}: the best one is a needle, not a hill")
    return notes


def _percent(fraction: float) -> str:
    return f"{fraction * 100:.1f} %"


def _metric_percent(metric: PerformanceMetric) -> str:
    return "unknown" if metric.value is None else _percent(float(metric.value))
