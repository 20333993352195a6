"""Moving-average crossover: long while the fast average of the closes is above the slow one.

Tested since W. Brock, J. Lakonishok and B. LeBaron, Simple Technical Trading Rules and the Stochastic Properties of
Stock Returns, Journal of Finance 47 (1992).
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field, model_validator

from research.columns.bar_columns import BarColumns, Floats
from research.strategy import Intent, Parameters, Signals, Strategy
from research.view import Bar, View


class CrossoverParameters(Parameters):
    """Parameters of the crossover.

    Attributes:
        fast: bars of the fast average.
        slow: bars of the slow average.
    """

    fast: Annotated[int, Field(ge=1)] = 10
    slow: Annotated[int, Field(ge=2)] = 30

    @model_validator(mode="after")
    def _in_order(self) -> CrossoverParameters:
        if self.fast >= self.slow:
            msg = f"fast = {self.fast} must be below slow = {self.slow}"
            raise ValueError(msg)
        return self


class MovingAverageCrossover(Strategy[CrossoverParameters]):
    """Buys where the fast average goes above the slow one, and sells where it goes below."""

    def __init__(self, parameters: CrossoverParameters) -> None:
        super().__init__(parameters)
        self.warm_up = parameters.slow

    def on_bar(self, bar: Bar, view: View) -> Intent | None:  # noqa: ARG002
        """Return a BUY or SELL where the averages have crossed."""
        closes = view.closes(self.parameters.slow)
        above = closes[-self.parameters.fast :].mean() > closes.mean()
        held = view.position() > 0
        if above == held:
            return None
        return Intent.buy() if above else Intent.sell()


class VectorisedCrossover(Strategy[CrossoverParameters]):
    """The same idea on whole columns: it decides where the averages cross, whatever is held."""

    def __init__(self, parameters: CrossoverParameters) -> None:
        super().__init__(parameters)
        self.warm_up = parameters.slow

    def signals(self, bars: BarColumns) -> Signals | None:
        """Return a signal at each bar at which the averages have crossed."""
        slow = self.parameters.slow
        if len(bars) < slow:
            return None
        above = _averages(bars.closes, self.parameters.fast)[slow - self.parameters.fast :] > _averages(
            bars.closes, slow
        )
        crossed = np.flatnonzero(above != np.concatenate([[False], above[:-1]]))
        return Signals(crossed + slow - 1, np.where(above[crossed], 1, -1))


def _averages(values: Floats, count: int) -> Floats:
    """Return the mean of each ``count`` values that follow each other."""
    means: Floats = np.lib.stride_tricks.sliding_window_view(values, count).mean(axis=1)
    return means
