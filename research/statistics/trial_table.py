"""The trials of a sweep, side by side: what the statistics of a sweep are computed from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from domain.analytics.returns import CRYPTO_DAYS_PER_YEAR
from domain.sweeps.parameters import Parameters
from research.statistics.objectives import objective_named
from research.statistics.sharpe import FloatArray


@dataclass(frozen=True)
class TrialTable:
    """All trials that have a result in every fold. A column is a trial, in the order of `numbers`.

    Attributes:
        numbers: of the trials.
        parameters: of each.
        returns: daily returns out-of-sample, the folds one after another; a row a day.
        fold_days: how many of these days each fold has.
        in_sample: the objective on the training days; a row a fold.
        out_of_sample: the objective on the test days; a row a fold.
        objective: its name, see `research.statistics.objectives`.
        attempts: how many trials were begun, also without a result.
        days_per_year: 365, or 252 where only exchanges with weekends are traded.
    """

    numbers: tuple[int, ...]
    parameters: tuple[Parameters, ...]
    returns: FloatArray
    fold_days: tuple[int, ...]
    in_sample: FloatArray
    out_of_sample: FloatArray
    objective: str = "sharpe"
    attempts: int = 0
    days_per_year: int = CRYPTO_DAYS_PER_YEAR

    def __post_init__(self) -> None:
        """Check that all parts have one shape."""
        days, trials = self.returns.shape
        folds = len(self.fold_days)
        shapes = {"in_sample": self.in_sample.shape, "out_of_sample": self.out_of_sample.shape}
        if days != sum(self.fold_days) or any(shape != (folds, trials) for shape in shapes.values()):
            msg = f"{days} days of {trials} trials do not fit folds of {self.fold_days} days and objectives of {shapes}"
            raise ValueError(msg)
        if trials != len(self.numbers) or trials != len(self.parameters) or not trials:
            msg = f"{trials} columns, {len(self.numbers)} numbers and {len(self.parameters)} sets of parameters"
            raise ValueError(msg)

    @cached_property
    def scores(self) -> FloatArray:
        """The objective of each trial over all days out-of-sample."""
        return objective_named(self.objective)(self.returns, self.days_per_year)

    @property
    def best(self) -> int:
        """The column of the best trial; of equally good ones the first."""
        return int(np.argmax(self.scores))

    def fold_returns(self, fold: int) -> FloatArray:
        """Return the days of one fold, counted from 0."""
        first = sum(self.fold_days[:fold])
        return self.returns[first : first + self.fold_days[fold]]
