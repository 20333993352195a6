"""Sweeps of coin flips, by numpy alone: strategies that toss a coin for their position, and some that see the market.

A market's days have fat tails. A strategy holds long, short or nothing for a few days, then tosses again; a part of the
trials are near copies of others, as the neighbours in a grid of parameters are. An edge is stated as the true annual
Sharpe ratio of one strategy: a drift of its daily returns, of so many of their deviations.
"""

from __future__ import annotations

from datetime import date, timedelta
from functools import cache

import numpy as np

from domain.sweeps.folds import Fold
from research.statistics.objectives import sharpe
from research.statistics.sharpe import FloatArray
from research.statistics.trial_table import TrialTable
from research.sweeps.folds import walk_forward

YEAR = 365
HOLDING_DAYS = 5
COPIES = 0.4
"""Share of the trials that are near copies of the one before."""
SAME_DAYS = 0.85
"""Share of the days on which a copy holds what its original holds."""
FIRST_DAY = date(2020, 1, 1)


@cache
def folds_of(days: int, folds: int) -> tuple[Fold, ...]:
    history = [FIRST_DAY + timedelta(days=day) for day in range(days)]
    return walk_forward(history, folds, embargo=timedelta(days=1))


def coin_returns(draw: np.random.Generator, days: int, trials: int) -> FloatArray:
    """Return the daily returns of strategies without any edge."""
    market = draw.standard_t(4, days) * 0.01
    tosses = draw.integers(-1, 2, (days // HOLDING_DAYS + 2, trials))
    offsets = draw.integers(0, HOLDING_DAYS, trials)
    held = tosses[(np.arange(days)[:, None] + offsets) // HOLDING_DAYS, np.arange(trials)]
    for trial in range(1, trials):
        if draw.random() < COPIES:
            held[:, trial] = np.where(draw.random(days) < SAME_DAYS, held[:, trial - 1], held[:, trial])
    returns: FloatArray = held * market[:, None]
    return returns


def simulated_sweep(seed: int, days: int, trials: int, *, edge: float = 0.0, folds: int = 4) -> TrialTable:
    """Return a sweep of coin flips; with an edge, one trial of it has that true annual Sharpe ratio.

    Args:
        seed: of all draws.
        days: of the history, the training of the first fold included.
        trials: their number.
        edge: annual.
        folds: of the walk forward.
    """
    draw = np.random.default_rng([seed, days, trials])
    returns = coin_returns(draw, days, trials)
    chosen = int(draw.integers(trials))
    returns[:, chosen] += edge / YEAR**0.5 * returns[:, chosen].std()
    spans = folds_of(days, folds)
    first = spans[0].train.begin

    def rows(begin: object, end: object) -> FloatArray:
        return returns[(begin - first).days : (end - first).days]  # type: ignore[operator]

    tests = [rows(fold.test.begin, fold.test.end) for fold in spans]
    return TrialTable(
        numbers=tuple(range(1, trials + 1)),
        parameters=tuple({"n": number} for number in range(trials)),
        returns=np.vstack(tests),
        fold_days=tuple(map(len, tests)),
        in_sample=np.array([sharpe(rows(fold.train.begin, fold.train.end), YEAR) for fold in spans]),
        out_of_sample=np.array([sharpe(test, YEAR) for test in tests]),
    )


def planted(seed: int, days: int, trials: int) -> int:
    """Return the number of the trial in which `simulated_sweep` plants its edge."""
    draw = np.random.default_rng([seed, days, trials])
    coin_returns(draw, days, trials)
    return int(draw.integers(trials)) + 1
