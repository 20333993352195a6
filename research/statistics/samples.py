"""In-sample against out-of-sample: how well the choice of one fold's training days did on its test days."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from research.statistics.sharpe import FloatArray
from research.statistics.trial_table import TrialTable


@dataclass(frozen=True, slots=True)
class FoldRow:
    """One fold: the trial that was best on its training days, and how it did on the test days.

    Attributes:
        fold: counted from 1.
        trial: number of the trial.
        in_sample: its objective on the training days.
        out_of_sample: its objective on the test days.
        rank: of that among all trials, 1 the best; equal ones share the mean of their ranks.
        trials: the number of trials.
        median: of all trials' objectives on the test days.
        correlation: Spearman's rank correlation of both objectives over all trials; None where one does not vary.
    """

    fold: int
    trial: int
    in_sample: float
    out_of_sample: float
    rank: float
    trials: int
    median: float
    correlation: float | None


def fold_rows(table: TrialTable) -> tuple[FoldRow, ...]:
    """Return a row for each fold."""
    rows = []
    for fold in range(len(table.fold_days)):
        before, after = table.in_sample[fold], table.out_of_sample[fold]
        chosen = int(np.argmax(before))
        rows.append(
            FoldRow(
                fold=fold + 1,
                trial=table.numbers[chosen],
                in_sample=float(before[chosen]),
                out_of_sample=float(after[chosen]),
                rank=float(ranks(-after)[chosen]),
                trials=len(after),
                median=float(np.median(after)),
                correlation=rank_correlation(before, after),
            )
        )
    return tuple(rows)


def walk_forward_returns(table: TrialTable) -> FloatArray:
    """Return the daily returns of what a walk through the folds would have earned.

    In each fold it trades the trial that was best on the training days, so that no day of this series was known when
    its trial was chosen.
    """
    chosen = [int(np.argmax(before)) for before in table.in_sample]
    return np.concatenate([table.fold_returns(fold)[:, column] for fold, column in enumerate(chosen)])


def ranks(values: FloatArray) -> FloatArray:
    """Return the rank of each value, 1 the lowest; equal ones share the mean of their ranks."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return np.asarray((ends - (counts - 1) / 2)[inverse], np.float64)


def rank_correlation(left: FloatArray, right: FloatArray) -> float | None:
    """Return Spearman's rank correlation; None where one side does not vary.

    Source: C. Spearman, *The Proof and Measurement of Association between Two Things*, American Journal of Psychology
    15 (1904).
    """
    first, second = (ranks(values) - (len(values) + 1) / 2 for values in (left, right))
    spread = float(np.sqrt((first @ first) * (second @ second)))
    return float(first @ second) / spread if spread > 0 else None
