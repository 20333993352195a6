"""Clusters of trials whose returns are alike, and so the number of trials that were really different.

A sweep over one parameter makes families of nearly equal strategies. M. López de Prado and M. J. Lewis (*Detection of
False Investment Strategies Using Unsupervised Learning Methods*, Quantitative Finance 19, 2019) count the clusters of
the trials' return correlations in place of the trials. Their clusters come from k-means with a random start, which
also divides unrelated trials into a few clusters. Here, average linkage (R. R. Sokal and C. D. Michener, *A Statistical
Method for Evaluating Systematic Relationships*, University of Kansas Science Bulletin 38, 1958) merges the two groups
with the highest mean correlation for as long as it is at least `ALIKE`: it needs no seed, and trials that have nothing
in common stay apart.
"""

from __future__ import annotations

import numpy as np

from research.statistics.sharpe import FloatArray, IntArray, nearly_constant

ALIKE = 0.5
"""Mean correlation from which two groups of trials count as one; a stricter one would leave more clusters."""


def correlations(returns: FloatArray) -> FloatArray:
    """Return Pearson's correlation of each pair of columns; 0 with a column that is nearly constant, 1 with itself."""
    means, deviations = returns.mean(axis=0), returns.std(axis=0, ddof=1)
    constant = nearly_constant(means, deviations)
    scaled = (returns - means) / np.where(constant, 1.0, deviations)
    scaled[:, constant] = 0.0
    matrix = np.clip(scaled.T @ scaled / (len(returns) - 1), -1.0, 1.0)
    np.fill_diagonal(matrix, 1.0)
    return np.asarray(matrix, np.float64)


def cluster_labels(correlation: FloatArray, alike: float = ALIKE) -> IntArray:
    """Return the cluster of each trial, numbered from 0 in the order of their first trials.

    Args:
        correlation: of each pair of trials, symmetric.
        alike: the mean correlation between the members of two clusters from which they are merged.
    """
    count = len(correlation)
    labels = np.arange(count)
    similarity = correlation.copy()
    np.fill_diagonal(similarity, -np.inf)
    sizes = np.ones(count)
    nearest = similarity.argmax(axis=1)
    highest = similarity[np.arange(count), nearest]
    for _ in range(count - 1):
        left = int(highest.argmax())
        if highest[left] < alike:
            break
        left, right = sorted((left, int(nearest[left])))
        # The mean over all pairs of members is the mean of both clusters' means, weighted by their sizes.
        merged = (sizes[left] * similarity[left] + sizes[right] * similarity[right]) / (sizes[left] + sizes[right])
        merged[[left, right]] = -np.inf
        similarity[left] = similarity[:, left] = merged
        similarity[right] = similarity[:, right] = -np.inf
        sizes[left] += sizes[right]
        labels[labels == labels[right]] = labels[left]
        highest[right] = -np.inf
        # Only these may have another nearest cluster now.
        for row in np.flatnonzero((nearest == left) | (nearest == right) | (merged > highest)):
            if row != right:
                nearest[row] = similarity[row].argmax()
                highest[row] = similarity[row, nearest[row]]
        nearest[left] = merged.argmax()
        highest[left] = merged[nearest[left]]
    return np.unique(labels, return_inverse=True)[1].astype(np.int64)


def cluster_returns(returns: FloatArray, labels: IntArray) -> FloatArray:
    """Return one series a cluster: its trials weighted by the inverse of their variance.

    The weights are those of López de Prado and Lewis (2019); trials that are nearly constant have none. A cluster of
    such trials alone returns 0.

    Args:
        returns: a column a trial.
        labels: the cluster of each.
    """
    means, deviations = returns.mean(axis=0), returns.std(axis=0, ddof=1)
    constant = nearly_constant(means, deviations)
    weights = np.where(constant, 0.0, 1.0 / np.where(constant, 1.0, deviations) ** 2)
    members = np.zeros((len(labels), int(labels.max()) + 1))
    members[np.arange(len(labels)), labels] = weights
    sums = members.sum(axis=0)
    return np.asarray(returns @ (members / np.where(sums > 0.0, sums, 1.0)), np.float64)
