"""Heat maps of a sweep that fit a screen: where a parameter has many values, neighbours share a column or row."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations, islice

from domain.sweeps.parameters import ParameterValue, value_text
from research.statistics.neighbourhood import heat_map, tried_values
from research.statistics.trial_table import TrialTable

ONE_ROW = ""
"""Name and value of the rows where one parameter alone was varied."""


@dataclass(frozen=True, slots=True)
class SweepMap:
    """The objective out-of-sample over two parameters, or over one.

    Attributes:
        x: name of the parameter of the columns.
        y: that of the rows; empty where there is only one.
        columns: the values of ``x``; of several neighbours the first and the last one.
        rows: those of ``y``.
        cells: for each row and column the median objective of its trials; None where there is none.
        best: row and column of the best trial.
    """

    x: str
    y: str
    columns: tuple[str, ...]
    rows: tuple[str, ...]
    cells: tuple[tuple[float | None, ...], ...]
    best: tuple[int, int]

    @property
    def largest(self) -> float:
        """The largest absolute objective."""
        return max((abs(cell) for row in self.cells for cell in row if cell is not None), default=0.0)


def sweep_maps(table: TrialTable, most_columns: int, most_rows: int, most_maps: int) -> list[SweepMap]:
    """Return a map for each pair of the parameters that were varied, or one over a single parameter.

    Args:
        table: the trials.
        most_columns: of a map.
        most_rows: of a map.
        most_maps: their number; those of the first parameters are left.
    """
    varied = [name for name in table.parameters[0] if len(tried_values(table.parameters, name)) > 1]
    if len(varied) == 1:
        return [_map(table, varied[0], ONE_ROW, most_columns, 1)]
    maps = []
    for first, second in islice(combinations(varied, 2), most_maps):
        # The one with more values is drawn from left to right.
        y, x = sorted((first, second), key=lambda name: len(tried_values(table.parameters, name)))
        maps.append(_map(table, x, y, most_columns, most_rows))
    return maps


def _map(table: TrialTable, x: str, y: str, most_columns: int, most_rows: int) -> SweepMap:
    groups: dict[str, list[Sequence[ParameterValue]]] = {
        x: _groups(tried_values(table.parameters, x), most_columns),
        y: [(ONE_ROW,)] if y == ONE_ROW else _groups(tried_values(table.parameters, y), most_rows),
    }
    numbers = {
        name: {value: number for number, group in enumerate(several) for value in group}
        for name, several in groups.items()
    }
    places = [{name: numbers[name][one.get(name, ONE_ROW)] for name in (x, y)} for one in table.parameters]
    grouped = heat_map(replace(table, parameters=tuple(places)), x, y)
    best = places[table.best]
    columns, rows = (tuple(_label(group) for group in groups[name]) for name in (x, y))
    return SweepMap(x, y, columns, rows, grouped.cells, (best[y], best[x]))


def _groups(values: Sequence[ParameterValue], most: int) -> list[Sequence[ParameterValue]]:
    """Return the values in groups of neighbours, as many in each."""
    length = math.ceil(len(values) / max(most, 1))
    return [values[first : first + length] for first in range(0, len(values), length)]


def _label(group: Sequence[ParameterValue]) -> str:
    first, last = value_text(group[0]), value_text(group[-1])
    return first if len(group) == 1 else f"{first}…{last}"
