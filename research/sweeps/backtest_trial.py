"""The evaluation of a trial by a backtest: the strategy on the training days of a fold, and anew on its test days."""

from __future__ import annotations

import socket
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from domain.errors import InvalidRequest
from domain.sweeps.folds import Fold, Span
from domain.sweeps.parameters import Parameters, to_texts
from domain.trading.arithmetic import divide, subtract
from domain.trading.bookkeeping import Result
from domain.trading.decision import PendingDecision
from domain.trading.engine import Ended
from domain.trading.events import Filled
from domain.types import DEFAULT_PORTFOLIO
from research.backtest.backtest import BacktestRequest, backtest
from research.backtest.pieces import Market
from research.backtest.records import PlainRecord, Records
from research.backtest.run import DAY_US
from research.columns.bar_columns import EPOCH, Micros
from research.loading import load_strategy, new_strategy
from research.market_data import MarketRequest, open_market
from research.portfolio_rules import portfolio_rules
from research.strategy import Strategy
from research.sweeps.evaluation import TrialResult
from research.sweeps.shared_prices import open_prices, prices_until, store_prices

EVALUATION = f"{__name__}:evaluate"
MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Workplace:
    """Where a machine has what a sweep needs. It is no part of what the sweep is.

    Attributes:
        strategy: as `research.loading.load_strategy` takes it.
        prices: the folder of `research.sweeps.shared_prices`.
        source: from which the prices are read again where that folder is missing, as on another machine.
    """

    strategy: str
    prices: Path
    source: MarketRequest

    def opened(self) -> Path:
        """Return the folder of the prices.

        Raises:
            InvalidRequest: it is missing, and its source gives other prices.
        """
        if not self.prices.is_dir():
            stored = store_prices(self.prices.parent, open_market(self.source).market)
            if stored != self.prices:
                raise InvalidRequest(
                    f"the prices on {socket.gethostname()} are not those with which the sweep was begun: bring its "
                    "history or files up to date"
                )
        return self.prices


class DailyValues(Records):
    """Records that keep the daily values of a portfolio alone, and count what happens.

    Attributes:
        decided: number of decisions.
        filled: number of fills.
        closed: number of closings.
    """

    COUNTS_ALONE = True

    def __init__(self) -> None:
        super().__init__()
        self.decided = self.filled = self.closed = 0
        self._closes: dict[int, Decimal] = {}

    def decide(self, decision: PendingDecision) -> None:  # noqa: ARG002
        """Count a decision."""
        self.decided += 1

    def take(self, one: Ended) -> None:
        """Count a fill and a closing."""
        if isinstance(one, Result) and isinstance(one.event, Filled):
            self.filled += 1
            self.closed += one.trade is not None

    @property
    def takes_plain(self) -> bool:
        """Whether it takes the numbers of a whole run; not where a subclass wants each event."""
        return type(self) is DailyValues

    def take_plain(self, happened: PlainRecord) -> None:
        """Count the decisions, fills and closings of a whole run."""
        self.decided += happened.decided
        self.filled += happened.filled
        self.closed += happened.closed

    def take_value(self, micros: int, equity: Decimal, cash: Decimal) -> None:  # noqa: ARG002
        """Take the value of the portfolio; the last one of a day counts, and that of 00:00 ends the day before."""
        self._closes[(micros - 1) // DAY_US] = equity

    def returns(self, opening: Decimal, days: Sequence[int]) -> list[float]:
        """Return the return of each day.

        Args:
            opening: the value before the first of them.
            days: since 1970; each has market data.
        """
        values = [opening, *(self._closes[day] for day in days)]
        return [float(divide(subtract(after, before), before)) if before else 0.0 for before, after in pairwise(values)]


def evaluate(
    parameters: Parameters,
    fold: Fold,
    seed: int,  # noqa: ARG001 - the draws of a backtest rest on ids that all variants share
    *,
    workplace: Workplace,
    rules: Mapping[str, Any],
    same_currency: Sequence[str],
    fill_at_close: bool,
    strategy: str,  # noqa: ARG001 - for people who read the plan
    name: str,  # noqa: ARG001 - for the validation of its decisions
) -> TrialResult:
    """Backtest a strategy on the training days, and with a new portfolio on the test days.

    Earlier prices warm it up, and positions of the training are not taken over.

    Args:
        parameters: of the strategy.
        fold: the days.
        seed: of the fold.
        workplace: where this machine has strategy and prices.
        rules: of the portfolio, by the names of `research.portfolio_rules`.
        same_currency: currencies that count 1:1.
        fill_at_close: see `research.backtest.run.RunOptions`.
        strategy: where it is.
        name: by which its decisions name it.

    Raises:
        StrategyError: the strategy raises, or wants what makes no sense.
    """
    folder, kind, texts = workplace.opened(), _strategy(workplace.strategy), to_texts(parameters)
    portfolio = portfolio_rules(DEFAULT_PORTFOLIO, rules)

    def run(span: Span) -> tuple[DailyValues, list[float]]:
        begin, end = micros_of(span.begin), micros_of(span.end)
        market, records = prices_until(folder, end), DailyValues()
        backtest(
            BacktestRequest(
                lambda: new_strategy(kind, texts), market, portfolio, max(begin, market.origin),
                frozenset(same_currency), fill_at_close,
            ),
            records,
        )  # fmt: skip
        return records, records.returns(portfolio.initial_capital, _days_between(folder, begin, end))

    (trained, in_sample), (tested, out_of_sample) = run(fold.train), run(fold.test)
    metrics = {
        "fills": tested.filled, "closings": tested.closed, "decisions": tested.decided,
        "fills_in_sample": trained.filled, "closings_in_sample": trained.closed,
    }  # fmt: skip
    return TrialResult(in_sample, out_of_sample, metrics)


def days_with_data(market: Market) -> Micros:
    """Return the days on which a price became known, since 1970 and in order; 00:00 belongs to the day before."""
    return np.unique(np.concatenate([np.unique((one.time - 1) // DAY_US) for one in market.columns]))


def date_of(day: int) -> date:
    """Return the date of a day since 1970."""
    return (EPOCH + timedelta(days=day)).date()


def micros_of(time: datetime) -> int:
    """Return a time in microseconds since 1970."""
    return (time - EPOCH) // MICROSECOND


@lru_cache(maxsize=4)
def _strategy(name: str) -> type[Strategy[Any]]:
    return load_strategy(name)


@lru_cache(maxsize=2)
def _days(folder: Path) -> list[int]:
    days: list[int] = days_with_data(open_prices(folder)).tolist()
    return days


def _days_between(folder: Path, begin: int, end: int) -> list[int]:
    days = _days(folder)
    return days[bisect_left(days, begin // DAY_US) : bisect_left(days, -(-end // DAY_US))]
