"""The evaluation of one trial on one fold: a function that is named, so that another process or machine can import it.

::

    def evaluate(parameters: Parameters, fold: Fold, seed: int) -> TrialResult: ...

It runs the strategy on the training days and on the test days, and returns the daily returns of both. What a sweep has
as further options is passed by keyword.
"""

from __future__ import annotations

import importlib
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from domain.errors import InvalidRequest, PaperTradingError
from domain.sweeps.folds import Fold
from domain.sweeps.parameters import Parameters, parameters_text
from domain.sweeps.trial import TrialKey, TrialScores
from domain.wording import one_line, quoted
from research.statistics.objectives import objective_named

Evaluation = Callable[..., "TrialResult"]


@dataclass(frozen=True, slots=True)
class TrialResult:
    """What an evaluation returns.

    Attributes:
        in_sample: the daily returns of the training days, fractions.
        out_of_sample: those of the test days; every trial returns as many for one fold.
        metrics: further numbers by name, such as the number of fills; they are stored.
    """

    in_sample: Sequence[float]
    out_of_sample: Sequence[float]
    metrics: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Task:
    """The work of one trial on one fold, by names and values alone.

    Attributes:
        key: of the row that gets the result.
        evaluation: ``module:function``.
        parameters: of the trial.
        fold: the days.
        seed: of the draws in it.
        objective: see `research.statistics.objectives`.
        days_per_year: for annual ratios.
        options: passed to the function by keyword.
    """

    key: TrialKey
    evaluation: str
    parameters: Parameters
    fold: Fold
    seed: int
    objective: str
    days_per_year: int
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Finished:
    """A task with a result."""

    key: TrialKey
    scores: TrialScores


@dataclass(frozen=True, slots=True)
class Failed:
    """A task whose evaluation raised, or returned something else; to repeat it would not help.

    Attributes:
        error: a sentence with the place.
    """

    key: TrialKey
    error: str


@dataclass(frozen=True, slots=True)
class Lost:
    """A task whose process ended before it had a result; it may be repeated.

    Attributes:
        reason: how it ended, such as *was killed by signal 9*.
        of_machine: whether the machine was lost, which is not the task's fault.
    """

    key: TrialKey
    reason: str
    of_machine: bool = False


@cache
def load_evaluation(name: str) -> Evaluation:
    """Return the function that ``module:function`` names.

    Raises:
        InvalidRequest: the module cannot be imported, or has no such function.
    """
    module_name, separator, function_name = name.partition(":")
    if not separator or not module_name or not function_name:
        raise InvalidRequest(f"the evaluation {quoted(name)} must be module:function")
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise InvalidRequest(f"the evaluation {quoted(name)} cannot be imported: {one_line(error)}") from error
    function = getattr(module, function_name, None)
    if not callable(function):
        raise InvalidRequest(f"the module {module_name} has no function {quoted(function_name)}")
    loaded: Evaluation = function
    return loaded


def run_task(task: Task) -> Finished | Failed:
    """Run a task in this process. Whatever its evaluation raises is a `Failed`; it must not end the sweep."""
    try:
        function = load_evaluation(task.evaluation)
        result = function(task.parameters, task.fold, task.seed, **task.options)
        return Finished(task.key, _scores(task, result))
    except Exception as error:  # noqa: BLE001 - a strategy may raise anything
        return Failed(task.key, f"{parameters_text(task.parameters)}: {_sentence(error)}")


def _scores(task: Task, result: object) -> TrialScores:
    if not isinstance(result, TrialResult):
        msg = f"{task.evaluation} returned {type(result).__name__} in place of a TrialResult"
        raise TypeError(msg)
    objective = objective_named(task.objective)
    values: list[float] = []
    for name, returns in (("in-sample", result.in_sample), ("out-of-sample", result.out_of_sample)):
        series = np.asarray(returns, np.float64)
        if series.ndim != 1 or not len(series):
            msg = f"{task.evaluation} returned no daily returns {name}"
            raise ValueError(msg)
        wrong = np.flatnonzero(~np.isfinite(series))
        if len(wrong):
            msg = f"{task.evaluation} returned {series[wrong[0]]} as return {wrong[0] + 1} of {len(series)} {name}"
            raise ValueError(msg)
        values.append(float(objective(series[:, None], task.days_per_year)[0]))
    returns = tuple(map(float, result.out_of_sample))
    in_sample, out_of_sample = values
    metrics = {name: float(value) for name, value in result.metrics.items()}
    return TrialScores(in_sample, out_of_sample, returns, metrics)


def _sentence(error: Exception) -> str:
    """Return an error with the line that raised it, unless its sentence is complete without it."""
    text = one_line(error) or "no message"
    frames = traceback.extract_tb(error.__traceback__)
    place = frames[-1] if frames else None
    if isinstance(error, PaperTradingError) or place is None or Path(place.filename) == Path(__file__):
        return text
    return f"{type(error).__name__}: {text} ({Path(place.filename).name}, line {place.lineno})"
