"""Samplers: which point of the space is tried next.

A sampler gives its points in batches, and takes the scores of a batch before it gives the next one, in the order of
the points. So a sweep tries the same points with the same seed, however many processes run its trials; and one that
goes on after a break gives the same points again.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from domain.errors import InvalidRequest
from domain.wording import did_you_mean, quoted
from research.sweeps.space import Space

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.study import Study

GRID, RANDOM, TPE = "grid", "random", "tpe"
NAMES = (GRID, RANDOM, TPE)
TPE_BATCH = 8
"""Points that TPE gives without knowing each other's scores, so that so many processes have work."""
MAX_TPE_REPEATS = 50
"""So often TPE may ask for a point that was tried already, until a new one is drawn at random."""


class Points(Protocol):
    """Gives the points of a sweep by their numbers in its `Space`; each point once."""

    def batch(self) -> Sequence[int]:
        """Return the next points; none when it has no more."""

    def tell(self, scores: Mapping[int, float | None]) -> None:
        """Take the scores of the last batch; a higher one is better, None is a point without a result."""


class Sampler(Points, Protocol):
    """Points, of which some may turn out to be impossible."""

    def replace(self, points: int) -> None:
        """Give so many points more, as far as there are any, because so many cannot be tried."""


class Grid:
    """All points of the space, in order."""

    def __init__(self, space: Space) -> None:
        self._points: Sequence[int] = range(space.size)

    def batch(self) -> Sequence[int]:
        """Return all points the first time."""
        points, self._points = self._points, ()
        return points

    def tell(self, scores: Mapping[int, float | None]) -> None:
        """Do nothing: the order is fixed."""

    def replace(self, points: int) -> None:
        """Do nothing: there are no others."""


class Random:
    """Points drawn at random, each once."""

    def __init__(self, space: Space, trials: int, seed: int) -> None:
        self._size, self._left = space.size, min(trials, space.size)
        self._draw = random.Random(seed)  # nosec B311  # noqa: S311 - a draw, not a secret
        self._drawn: dict[int, None] = {}

    def batch(self) -> Sequence[int]:
        """Return all points the first time, then those that replace others."""
        before = len(self._drawn)
        if before + self._left == self._size:
            points = [point for point in range(self._size) if point not in self._drawn]
            self._draw.shuffle(points)
            self._drawn |= dict.fromkeys(points)
        while len(self._drawn) < before + self._left:
            self._drawn[self._draw.randrange(self._size)] = None
        self._left = 0
        return list(self._drawn)[before:]

    def tell(self, scores: Mapping[int, float | None]) -> None:
        """Do nothing: a draw knows no scores."""

    def replace(self, points: int) -> None:
        """Draw so many points more."""
        self._left = min(self._left + points, self._size - len(self._drawn))


class Tpe:
    """The tree-structured Parzen estimator of Optuna, which looks near points with a high score.

    Source: J. Bergstra, R. Bardenet, Y. Bengio and B. Kégl, *Algorithms for Hyper-Parameter Optimization*, Advances in
    Neural Information Processing Systems 24 (2011).
    """

    def __init__(self, space: Space, trials: int, seed: int) -> None:
        try:
            import optuna  # noqa: PLC0415 - an extra that only this sampler needs
        except ModuleNotFoundError as error:
            raise InvalidRequest(
                "--sampler tpe needs the package optuna, which is not installed; install the extra sweep, or choose "
                "--sampler random"
            ) from error
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._space, self._left = space, min(trials, space.size)
        self._optuna = optuna
        self._study: Study = optuna.create_study(
            direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed, constant_liar=True)
        )
        self._distributions: dict[str, BaseDistribution] = {
            parameter.name: optuna.distributions.IntDistribution(0, len(parameter.values) - 1)
            if parameter.is_ordered
            else optuna.distributions.CategoricalDistribution(tuple(range(len(parameter.values))))
            for parameter in space.parameters
        }
        self._draw = random.Random(seed)  # nosec B311  # noqa: S311 - a draw, not a secret
        self._scores: dict[int, float | None] = {}
        self._asked: dict[int, int] = {}

    def batch(self) -> Sequence[int]:
        """Return up to `TPE_BATCH` points that were not tried yet."""
        points: list[int] = []
        while self._left and len(points) < TPE_BATCH:
            points.append(self._ask())
            self._left -= 1
        return points

    def tell(self, scores: Mapping[int, float | None]) -> None:
        """Take the scores of the last batch."""
        for point, score in scores.items():
            self._scores[point] = score
            self._finish(self._asked.pop(point), score)

    def replace(self, points: int) -> None:
        """Ask for so many points more."""
        self._left = min(self._left + points, self._space.size - len(self._scores) - len(self._asked))

    def _ask(self) -> int:
        for _ in range(MAX_TPE_REPEATS):
            trial = self._study.ask(self._distributions)
            point = self._space.number([int(trial.params[parameter.name]) for parameter in self._space.parameters])
            if point not in self._scores and point not in self._asked:
                self._asked[point] = trial.number
                return point
            # It learns from the repeat, and so moves on; a point that is still under way has no score.
            self._finish(trial.number, self._scores.get(point))
        while True:
            point = self._draw.randrange(self._space.size)
            if point not in self._scores and point not in self._asked:
                break
        indices = zip(self._space.parameters, self._space.indices(point), strict=True)
        self._study.enqueue_trial({parameter.name: index for parameter, index in indices})
        self._asked[point] = self._study.ask(self._distributions).number
        return point

    def _finish(self, number: int, score: float | None) -> None:
        if score is None:
            self._study.tell(number, state=self._optuna.trial.TrialState.FAIL)
        else:
            self._study.tell(number, score)


def sampler(name: str, space: Space, trials: int | None, seed: int) -> Sampler:
    """Return the sampler of a name.

    Args:
        name: grid, random or tpe.
        space: of the sweep.
        trials: how many points are tried at most; None: all, which only a grid can.
        seed: of the draws.

    Raises:
        InvalidRequest: there is no such sampler, it needs a number of trials or a package, or the grid is larger.
    """
    if name not in NAMES:
        hint = did_you_mean(name, NAMES) or f"; there are {', '.join(NAMES)}"
        raise InvalidRequest(f"there is no sampler {quoted(name)}{hint}")
    if trials is not None and trials < 1:
        raise InvalidRequest(f"--trials {trials} must be at least 1")
    if name == GRID:
        if trials is not None and space.size > trials:
            raise InvalidRequest(
                f"the grid has {space.size:,} points, more than --trials {trials:,}: omit --trials, or choose "
                "--sampler random"
            )
        return Grid(space)
    if trials is None:
        raise InvalidRequest(f"--sampler {name} needs a number of trials, such as --trials 500")
    return Random(space, trials, seed) if name == RANDOM else Tpe(space, trials, seed)


def refuse_spans(sampler_name: str, space: Space, trials: int | None) -> None:
    """Refuse a new grid over a range without a step: it would have a thousand values that nobody named.

    Args:
        sampler_name: grid, random or tpe.
        space: of the sweep.
        trials: how many points are tried at most; None: all.

    Raises:
        InvalidRequest: it is such a grid.
    """
    spans = [one for one in space.parameters if one.is_span]
    if spans and sampler_name == GRID and trials is None:
        raise InvalidRequest(
            f"--param {spans[0].name} is a range of {len(spans[0].values):,} values without a step: add one as in "
            f"{spans[0].name}=0.1:0.5:0.1, or draw from it with --sampler random --trials 200"
        )


class Permitted:
    """The points of another sampler without those that the strategy refuses by their values: they are no attempts.

    Attributes:
        refused: number of points that were left out.
        reason: why the first of them was; None without any.
    """

    def __init__(self, inner: Sampler, refusal: Callable[[int], str | None], *, replaces: bool) -> None:
        """Leave out points.

        Args:
            inner: gives the points.
            refusal: returns why a point cannot be tried; None where it can.
            replaces: whether others are tried in their place, as far as there are any.
        """
        self.refused = 0
        self.reason: str | None = None
        self._inner, self._refusal, self._replaces = inner, refusal, replaces
        self._points: Sequence[int] = ()

    def batch(self) -> Sequence[int]:
        """Return the next points that can be tried; none when there are no more."""
        while points := self._inner.batch():
            self._points = points
            permitted, before = [], self.refused
            for point in points:
                if (reason := self._refusal(point)) is None:
                    permitted.append(point)
                    continue
                self.refused += 1
                self.reason = self.reason or reason
            if self._replaces:
                self._inner.replace(self.refused - before)
            if permitted:
                return permitted
            self.tell({})
        return ()

    def tell(self, scores: Mapping[int, float | None]) -> None:
        """Take the scores of the last batch; a point that was left out has none."""
        self._inner.tell({point: scores.get(point) for point in self._points})
