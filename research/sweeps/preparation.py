"""The preparation of a sweep: everything that is fixed before its first trial."""

from __future__ import annotations

import hashlib
import inspect
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from domain.analytics.returns import CRYPTO_DAYS_PER_YEAR, EXCHANGE_DAYS_PER_YEAR
from domain.errors import InvalidRequest
from domain.sweeps.parameters import parameters_text, to_texts
from domain.sweeps.trial import Sweep, SweepPlan
from domain.wording import counted
from research.backtest.pieces import Market
from research.backtest.run import DAY_US
from research.columns.bar_columns import time_of
from research.errors import StrategyError
from research.loading import SUFFIX, load_strategy, new_strategy
from research.statistics.objectives import objective_named
from research.strategy import Strategy
from research.sweeps.backtest_trial import EVALUATION, date_of, days_with_data
from research.sweeps.folds import NO_TIME, walk_forward
from research.sweeps.samplers import GRID, Permitted, sampler
from research.sweeps.shared_prices import manifest_of
from research.sweeps.space import Space

MAX_EXAMPLES = 2_000
"""So many points of the space are looked at for the longest warm-up."""
SATURDAY = 5


@dataclass(frozen=True, slots=True)
class FoldOptions:
    """How a history is divided; see `research.sweeps.folds.walk_forward`."""

    folds: int
    embargo: timedelta = NO_TIME
    purge: timedelta = NO_TIME
    train_days: int | None = None


@dataclass(frozen=True, slots=True)
class SweepRequest:
    """What is swept.

    Attributes:
        strategy: as `research.loading.load_strategy` takes it.
        space: the values of ``--param``.
        sampler: grid, random or tpe.
        trials: number of points at most; None: all of a grid.
        seed: of the sampler.
        objective: see `research.statistics.objectives`.
        folds: how the history is divided.
        begin: no fold begins earlier, in microseconds since 1970; earlier prices warm the strategy up.
        portfolio: ``rules``, ``same_currency`` and ``fill_at_close`` of `research.sweeps.backtest_trial.evaluate`.
    """

    strategy: str
    space: tuple[str, ...]
    sampler: str
    trials: int | None
    seed: int
    objective: str
    folds: FoldOptions
    begin: int
    portfolio: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Variants:
    """A strategy with the values that its parameters may take.

    Attributes:
        kind: the class of the strategy.
        space: the values.
    """

    kind: type[Strategy[Any]]
    space: Space

    @classmethod
    def of(cls, strategy: str, options: Sequence[str]) -> Variants:
        """Return the variants that ``--param`` describes.

        Raises:
            StrategyError: there is no such strategy, or it has no parameter of a name.
            InvalidRequest: a range is none, or no parameter is named.
        """
        kind, space = load_strategy(strategy), Space.parse(options)
        names = list(kind.parameters_type.model_fields)
        if not space.parameters:
            example = f", such as --param {names[0]}=5:50:5" if names else f"; {kind.name} has no parameters"
            raise InvalidRequest(f"--param is missing: name a parameter with its values{example}")
        if unknown := [one.name for one in space.parameters if one.name not in names]:
            new_strategy(kind, {unknown[0]: ""})  # it raises, with the names that there are
        return cls(kind, space)

    def refusal(self, point: int) -> str | None:
        """Return why the strategy does not take the values of a point; None where it does."""
        try:
            self.strategy(point)
        except StrategyError as error:
            return str(error)
        return None

    def strategy(self, point: int) -> Strategy[Any]:
        """Return the strategy with the values of a point.

        Raises:
            StrategyError: it does not take them.
        """
        return new_strategy(self.kind, to_texts(self.space.point(point)))

    def longest_warm_up(self) -> int:
        """Return the longest warm-up in bars, of some points all over the space.

        Raises:
            StrategyError: the strategy takes none of them.
        """
        first: StrategyError | None = None
        longest: int | None = None
        for point in np.unique(np.linspace(0, self.space.size - 1, MAX_EXAMPLES).round().astype(np.int64)).tolist():
            try:
                longest = max(longest or 1, self.strategy(point).warm_up)
            except StrategyError as error:
                first = first or error
        if longest is None:
            point_text = parameters_text(self.space.point(0))
            raise StrategyError(f"none of the values can be tried; of {point_text}: {first}")
        return longest

    def sampler(self, plan: SweepPlan) -> Permitted:
        """Return the sampler of a plan, without the points that the strategy refuses."""
        points = sampler(plan.sampler, self.space, plan.trials, plan.seed)
        return Permitted(points, self.refusal, replaces=plan.replaces_refused)


def prepared(request: SweepRequest, variants: Variants, market: Market, version: str, now: datetime) -> Sweep:
    """Return the sweep that a request describes.

    Args:
        request: what is swept.
        variants: of its strategy.
        market: the prices.
        version: of this program, which is part of the code.
        now: the present time.

    Raises:
        InvalidRequest: an option makes no sense, or the history is too short for the folds.
        StrategyError: the strategy takes none of the values.
    """
    objective_named(request.objective)
    sampler(request.sampler, variants.space, request.trials, request.seed)
    days = fold_days(market, request.begin, variants.longest_warm_up())
    folds = request.folds
    plan = SweepPlan(
        space=request.space,
        sampler=request.sampler,
        trials=request.trials,
        seed=request.seed,
        objective=request.objective,
        folds=walk_forward(
            days, folds.folds, embargo=folds.embargo, purge=folds.purge, train_days=folds.train_days
        ),
        days_per_year=days_per_year(days),
        options={**request.portfolio, "strategy": label(request.strategy), "name": variants.kind.name},
        replaces_refused=request.sampler != GRID,
    )  # fmt: skip
    return Sweep.of(EVALUATION, code_hash(variants.kind, version), manifest_of(market), plan, now)


def fold_days(market: Market, begin: int, warm_up: int) -> list[date]:
    """Return the days with data from a moment on on which the strategy can be called.

    Args:
        market: the prices.
        begin: in microseconds since 1970; a day that begins earlier is left out, unless it is the first of the prices.
        warm_up: bars of a symbol before the first call.

    Raises:
        InvalidRequest: no symbol has so many bars.
    """
    warm = [int(one.time[warm_up - 1]) for one in market.columns if len(one) >= warm_up]
    if not warm:
        longest = max(market.columns, key=len)
        raise InvalidRequest(
            f"the strategy needs {counted(warm_up, 'bar')} before its first call, and {longest.symbol} has "
            f"{len(longest):,}, until {time_of(market.end):%Y-%m-%d}; name more prices, or lower the parameters"
        )
    first = (min(warm) - 1) // DAY_US
    if begin > market.origin:
        first = max(first, -(-begin // DAY_US))
    return [date_of(day) for day in days_with_data(market).tolist() if day >= first]


def days_per_year(days: Sequence[date]) -> int:
    """Return the trading days of a year: 365 where there are prices at weekends, else 252."""
    return CRYPTO_DAYS_PER_YEAR if any(day.weekday() >= SATURDAY for day in days) else EXCHANGE_DAYS_PER_YEAR


def label(strategy: str) -> str:
    """Return a strategy for people: of a file its name, without the folders."""
    place, colon, name = strategy.rpartition(":") if not strategy.endswith(SUFFIX) else (strategy, "", "")
    return f"{Path(place).name if place.endswith(SUFFIX) else place}{colon}{name}"


def code_hash(kind: type[Strategy[Any]], version: str) -> str:
    """Return the SHA-256 of a strategy's code, and of this program's version.

    The code is that of the modules of its class and its bases, and of the modules beside them from which they have
    something.

    Args:
        kind: the class of the strategy.
        version: of this program.
    """
    digest = hashlib.sha256(version.encode())
    for file in sorted(set(_files(kind))):
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def _files(kind: type[Strategy[Any]]) -> Iterator[Path]:
    for base in kind.__mro__:
        if base is Strategy or not issubclass(base, Strategy):
            continue
        module = sys.modules[base.__module__]
        own = _file(module)
        if own is None:
            continue
        yield own
        for value in vars(module).values():
            other = value if inspect.ismodule(value) else sys.modules.get(getattr(value, "__module__", None) or "")
            file = None if other is None else _file(other)
            if file is not None and file.parent == own.parent:
                yield file


def _file(module: ModuleType) -> Path | None:
    name = getattr(module, "__file__", None)
    return None if name is None else Path(name).resolve()
