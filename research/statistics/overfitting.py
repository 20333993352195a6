"""The probability of backtest overfitting, by combinatorially symmetric cross-validation (CSCV).

Source: D. H. Bailey, J. M. Borwein, M. López de Prado and Q. J. Zhu, *The Probability of Backtest Overfitting*, Journal
of Computational Finance 20 (2017; SSRN 2326253, 2015). The days are divided into S blocks of equal length. Each choice
of S/2 blocks is in-sample once, and the other half out-of-sample: the best trial in-sample has a relative rank ω
out-of-sample, and the logit λ = ln(ω / (1 − ω)). PBO is the share of λ ≤ 0: how often the best of one half is no better
than the median of the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from research.statistics.sharpe import FloatArray, IntArray, nearly_constant

BLOCKS = 16
"""S of the paper: 12 870 splits."""
MIN_BLOCKS = 6
MIN_BLOCK_DAYS = 10
EQUAL = 1e-12
"""Ratios that differ by less are equal: those of equal trials may differ by the rounding of their sums."""
SPLITS_AT_ONCE = 512
"""So many splits are computed together: with 1 000 trials that takes about 16 MB."""


@dataclass(frozen=True, slots=True)
class Undetermined:
    """Why a statistic does not exist."""

    reason: str


@dataclass(frozen=True, slots=True)
class Overfitting:
    """The outcome of CSCV.

    Attributes:
        probability: PBO, from 0 to 1; about 0.5 where no trial is better than another.
        loss: how often the best trial in-sample has a Sharpe ratio below 0 out-of-sample, from 0 to 1.
        slope: of the regression of the out-of-sample Sharpe ratio of the best trial on its in-sample one; with
            overfitting it is 0 or negative. None where the in-sample ratio is always the same.
        blocks: S.
        days: that were used; the oldest that fill no block are left out.
        logits: λ of each split, in the order of `itertools.combinations`.
        chosen: how often each trial was the best in-sample.
    """

    probability: float
    loss: float
    slope: float | None
    blocks: int
    days: int
    logits: FloatArray
    chosen: IntArray


def blocks_for(days: int) -> int:
    """Return the even number of blocks for so many days: 16, or fewer so that a block has at least 10 days."""
    return min(BLOCKS, days // MIN_BLOCK_DAYS // 2 * 2)


def overfitting(returns: FloatArray, blocks: int | None = None) -> Overfitting | Undetermined:
    """Return the probability of backtest overfitting of a sweep.

    The Sharpe ratio is the measure. A trial that is nearly constant in a half has a ratio of 0 there. Equal trials
    share the mean of their ranks; of equally good ones in-sample the first is chosen.

    Args:
        returns: a row a day, oldest first; a column a trial. All trials, not only good ones.
        blocks: S, even; by default `blocks_for` the days.
    """
    if returns.shape[1] < 2:
        return Undetermined("one trial alone cannot be chosen among others")
    count = blocks_for(len(returns)) if blocks is None else blocks
    if count < MIN_BLOCKS and blocks is None:
        return Undetermined(
            f"{len(returns)} of at least {MIN_BLOCKS * MIN_BLOCK_DAYS} daily returns, for {MIN_BLOCKS} blocks of "
            f"{MIN_BLOCK_DAYS} days"
        )
    length = len(returns) // count
    used = returns[len(returns) - count * length :]
    # Around the mean of all days, so that differences of sums lose no digits.
    centre = used.mean(axis=0)
    grouped = (used - centre).reshape(count, length, -1)
    sums, squares = grouped.sum(axis=1), (grouped**2).sum(axis=1)
    splits = np.array(list(combinations(range(count), count // 2)))
    logits, inside, outside, winners = [], [], [], []
    for first in range(0, len(splits), SPLITS_AT_ONCE):
        members = np.zeros((len(splits[first : first + SPLITS_AT_ONCE]), count))
        np.put_along_axis(members, splits[first : first + SPLITS_AT_ONCE], 1.0, axis=1)
        half = count // 2 * length
        own = _ratios(members @ sums, members @ squares, half, centre)
        other = _ratios((1.0 - members) @ sums, (1.0 - members) @ squares, half, centre)
        winner = (own >= own.max(axis=1, keepdims=True) - EQUAL).argmax(axis=1)
        rows = np.arange(len(winner))
        ratio = other[rows, winner]
        above = other - ratio[:, None]
        below, equal = (above < -EQUAL).sum(axis=1), (np.abs(above) <= EQUAL).sum(axis=1)
        rank = (below + (equal + 1) / 2) / (other.shape[1] + 1)
        logits.append(np.log(rank / (1 - rank)))
        inside.append(own[rows, winner])
        outside.append(ratio)
        winners.append(winner)
    ranks, before, after = np.concatenate(logits), np.concatenate(inside), np.concatenate(outside)
    return Overfitting(
        probability=float(np.mean(ranks <= 0)),
        loss=float(np.mean(after < 0)),
        slope=_slope(before, after),
        blocks=count,
        days=len(used),
        logits=ranks,
        chosen=np.bincount(np.concatenate(winners), minlength=returns.shape[1]).astype(np.int64),
    )


def _ratios(sums: FloatArray, squares: FloatArray, days: int, centre: FloatArray) -> FloatArray:
    """Return the Sharpe ratio of each trial in each half, from the sums of its centred returns and their squares."""
    shifted = sums / days
    means = shifted + centre
    deviations = np.sqrt(np.maximum(squares - days * shifted**2, 0.0) / (days - 1))
    constant = nearly_constant(means, deviations)
    return np.where(constant, 0.0, means / np.where(constant, 1.0, deviations))


def _slope(before: FloatArray, after: FloatArray) -> float | None:
    distance = before - before.mean()
    spread = float(distance @ distance)
    return float(distance @ (after - after.mean())) / spread if spread > 0 else None
