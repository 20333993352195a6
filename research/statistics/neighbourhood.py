"""The neighbourhood of the best parameters: a real edge is a hill, a lucky one is a needle.

Two trials are neighbours where they differ in one parameter alone, by one step of the values that were tried. Trials
that were drawn at random have none of these; then the nearest ones stand for them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from domain.errors import InvalidRequest
from domain.sweeps.parameters import Parameters, ParameterValue
from domain.wording import did_you_mean, quoted
from research.statistics.sharpe import FloatArray
from research.statistics.trial_table import TrialTable

MIN_NEIGHBOURS = 2


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A trial beside the best one."""

    trial: int
    parameters: Parameters
    score: float


@dataclass(frozen=True, slots=True)
class Neighbourhood:
    """The best trial and those beside it.

    Attributes:
        trial: number of the best trial.
        score: its objective out-of-sample.
        neighbours: the best first.
        by_steps: whether they are one step of one parameter away; otherwise they are the nearest ones.
    """

    trial: int
    score: float
    neighbours: tuple[Neighbour, ...]
    by_steps: bool

    @property
    def mean(self) -> float | None:
        """The mean objective of the neighbours; None without any."""
        return float(np.mean([one.score for one in self.neighbours])) if self.neighbours else None

    @property
    def share(self) -> float | None:
        """That mean as a share of the best objective; None where the latter is not above 0, or without neighbours."""
        mean = self.mean
        return None if mean is None or self.score <= 0 else mean / self.score


@dataclass(frozen=True, slots=True)
class HeatMap:
    """The objective over two parameters.

    Attributes:
        x: name of the parameter of the columns.
        y: that of the rows.
        columns: the values of ``x`` that were tried, in order.
        rows: those of ``y``.
        cells: for each row and column the median objective of its trials; None where there is none.
    """

    x: str
    y: str
    columns: tuple[ParameterValue, ...]
    rows: tuple[ParameterValue, ...]
    cells: tuple[tuple[float | None, ...], ...]


def neighbourhood(table: TrialTable) -> Neighbourhood:
    """Return the neighbours of the best trial."""
    best = table.best
    places = _places(table.parameters)
    steps = np.abs(places - places[best])
    beside = np.flatnonzero((steps.sum(axis=1) == 1.0) & (np.count_nonzero(steps, axis=1) == 1))
    by_steps = len(beside) >= MIN_NEIGHBOURS
    if not by_steps:
        widths = np.maximum(places.max(axis=0) - places.min(axis=0), 1.0)
        distances = np.linalg.norm(steps / widths, axis=1)
        distances[best] = np.inf
        most = min(2 * max(places.shape[1], 1), len(places) - 1)
        beside = np.argsort(distances, kind="stable")[:most]
    neighbours = [Neighbour(table.numbers[one], table.parameters[one], float(table.scores[one])) for one in beside]
    neighbours.sort(key=lambda one: (-one.score, one.trial))
    return Neighbourhood(table.numbers[best], float(table.scores[best]), tuple(neighbours), by_steps)


def heat_map(table: TrialTable, x: str, y: str) -> HeatMap:
    """Return the objective out-of-sample over two parameters; several trials of a cell give their median.

    Raises:
        InvalidRequest: the sweep has no parameter of that name.
    """
    names = list(table.parameters[0])
    for name in (x, y):
        if name not in names:
            hint = did_you_mean(name, names) or f"; it has {', '.join(names) or 'none'}"
            raise InvalidRequest(f"the sweep has no parameter {quoted(name)}{hint}")
    columns, rows = (tried_values(table.parameters, name) for name in (x, y))
    scores: dict[tuple[ParameterValue, ParameterValue], list[float]] = {}
    for parameters, score in zip(table.parameters, table.scores, strict=True):
        scores.setdefault((parameters[y], parameters[x]), []).append(float(score))
    cells = tuple(
        tuple(float(np.median(scores[row, column])) if (row, column) in scores else None for column in columns)
        for row in rows
    )
    return HeatMap(x, y, columns, rows, cells)


def tried_values(parameters: Sequence[Parameters], name: str) -> tuple[ParameterValue, ...]:
    """Return the values of a parameter that were tried: numbers in their order, choices in that of the trials."""
    values = list(dict.fromkeys(one[name] for one in parameters))
    return tuple(values if any(isinstance(value, str) for value in values) else sorted(values))


def _places(parameters: Sequence[Parameters]) -> FloatArray:
    """Return the place of each trial: for each parameter the index of its value among those that were tried."""
    indices: list[Mapping[ParameterValue, int]] = [
        {value: index for index, value in enumerate(tried_values(parameters, name))} for name in parameters[0]
    ]
    rows = [[index[value] for index, value in zip(indices, one.values(), strict=True)] for one in parameters]
    return np.array(rows, np.float64).reshape(len(parameters), -1)
