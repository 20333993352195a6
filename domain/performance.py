"""How well a portfolio trades: every figure of it at once, from what the database keeps of it.

The definitions stand where they are computed (`domain.results`, `domain.returns`, `domain.significance`) and, for
readers, in docs/performance.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cached_property

from domain.arithmetic import ZERO, divide
from domain.figure import Figure, known, mean, unknown
from domain.portfolio import Trade
from domain.results import Dealings, Results
from domain.returns import (
    DailyReturns,
    Drawdown,
    Valuation,
    annual_return,
    calmar_ratio,
    daily_closes,
    daily_returns,
    exposure,
    max_drawdown,
    sharpe_ratio,
    sortino_ratio,
)
from domain.significance import minimum_track_record, probabilistic_sharpe_ratio
from domain.trips import Execution

CRYPTO = "crypto"


@dataclass(frozen=True)
class History:
    """What is known of one portfolio up to one moment, each sequence oldest first. Amounts in its currency.

    Attributes:
        opening: the initial capital, and when it was there.
        until: the moment; times are UTC and aware.
        trades: every closing.
        executions: every fill.
        valuations: every snapshot.
    """

    opening: Valuation
    until: datetime
    trades: tuple[Trade, ...] = ()
    executions: tuple[Execution, ...] = ()
    valuations: tuple[Valuation, ...] = ()

    @property
    def crypto(self) -> bool:
        """Whether crypto was ever held, so that a year has 365 days of trading."""
        return any(execution.asset_class == CRYPTO for execution in self.executions)

    @property
    def returns(self) -> DailyReturns:
        """The returns of its whole days."""
        return daily_returns(daily_closes(self.valuations, self.until), self.opening.total_value, crypto=self.crypto)

    @cached_property
    def dealings(self) -> Dealings:
        """What was traded since the opening; `Dealings.by` tells it apart by symbol, strategy, …."""
        return Dealings(self.trades, self.executions, self.opening.time, self.until)


@dataclass(frozen=True, slots=True)
class Performance:
    """The figures of one portfolio, in all.

    Attributes:
        results: what trading brought and cost.
        returns: of its whole days.
        sharpe_ratio: annualised; see `domain.returns.sharpe_ratio`.
        sortino_ratio: annualised.
        annual_return: compound, a fraction.
        calmar_ratio: annual return / max drawdown.
        max_drawdown: with dates and length.
        probabilistic_sharpe_ratio: PSR(0), the probability that the true Sharpe ratio is above 0.
        minimum_track_record: how many daily returns like these make PSR(0) reach 0.95.
        exposure: time-weighted share of the value that was in positions, a fraction.
        turnover: how often its mean value was traded: Σ notional of buys and sells / mean of the opening value and the
            daily closes. Not annualised.
    """

    results: Results
    returns: DailyReturns
    sharpe_ratio: Figure
    sortino_ratio: Figure
    annual_return: Figure
    calmar_ratio: Figure
    max_drawdown: Drawdown
    probabilistic_sharpe_ratio: Figure
    minimum_track_record: Figure
    exposure: Figure
    turnover: Figure


def performance(history: History) -> Performance:
    """Return every figure of a portfolio; each that does not exist says why."""
    results = history.dealings.results()
    returns = history.returns
    drawdown = max_drawdown(history.valuations, history.opening)
    return Performance(
        results=results,
        returns=returns,
        sharpe_ratio=sharpe_ratio(returns),
        sortino_ratio=sortino_ratio(returns),
        annual_return=annual_return(returns),
        calmar_ratio=calmar_ratio(returns, drawdown),
        max_drawdown=drawdown,
        probabilistic_sharpe_ratio=probabilistic_sharpe_ratio(returns),
        minimum_track_record=minimum_track_record(returns),
        exposure=exposure(history.valuations, history.until),
        turnover=_turnover(results.traded, history.opening, returns),
    )


def _turnover(traded: Decimal, opening: Valuation, returns: DailyReturns) -> Figure:
    worth = mean([valuation.total_value for valuation in (opening, *returns.closes)])
    return known(divide(traded, worth)) if worth > ZERO else unknown("the portfolio had no value on the mean")
