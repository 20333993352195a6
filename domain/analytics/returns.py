"""Daily returns and the metrics made of them: Sharpe, Sortino and Calmar ratio, drawdown, exposure.

The input is valuations, that is rows of ``paper_portfolio_snapshots``. Units are never mixed: returns, their mean and
their deviation are daily, and only the final ratio is annualised.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import chain, islice
from operator import attrgetter
from typing import NamedTuple

from domain.analytics.performance_metric import PerformanceMetric, defined, deviation, mean, nearly_constant, undefined
from domain.trading.arithmetic import CONTEXT, ONE, ZERO, absolute, add, divide, money, multiply, rate, subtract, total
from domain.trading.snapshot import day_of

MIN_RETURNS = 10
"""Minimum number of daily returns for a ratio."""
NEARLY_CONSTANT = "the daily returns do not differ enough"
CRYPTO_DAYS_PER_YEAR = 365
EXCHANGE_DAYS_PER_YEAR = 252
DAY = timedelta(days=1)
MICROSECOND = timedelta(microseconds=1)
TIME = attrgetter("time")
"""The key by which valuations and points are ordered."""


class Valuation(NamedTuple):
    """The value of a portfolio at one time, in its currency. A snapshot has the same field names.

    Attributes:
        time: UTC and aware.
        total_value: cash and positions.
        positions_value: Σ quantity × mark of the positions, negative for SHORT.
        net_deposits: deposits less withdrawals up to then.
    """

    time: datetime
    total_value: Decimal
    positions_value: Decimal = ZERO
    net_deposits: Decimal = ZERO

    @property
    def gain(self) -> Decimal:
        """The value without deposits and withdrawals, in money; only differences mean something."""
        return subtract(self.total_value, self.net_deposits)


@dataclass(frozen=True, slots=True)
class DailyReturns:
    """Returns of whole UTC days, oldest first.

    Attributes:
        closes: the value at the end of each day, with the time 00:00 UTC at which the day ends.
        values: rₜ, fractions; one for each close.
        days_per_year: 365, or 252 where only exchanges with weekends were traded.
        broken: why there are no returns although there are closes; usually None.
    """

    closes: tuple[Valuation, ...]
    values: tuple[Decimal, ...]
    days_per_year: int
    broken: str | None = None

    @property
    def missing(self) -> str | None:
        """Why no ratio can be computed from them; None where one can."""
        if self.broken is not None:
            return self.broken
        if len(self.values) < MIN_RETURNS:
            return f"{len(self.values)} of at least {MIN_RETURNS} daily returns"
        return None

    def annual(self, ratio: Decimal) -> Decimal:
        """Return the annualised form of a ratio of daily returns: × √365 or √252, for independent days."""
        return multiply(ratio, CONTEXT.sqrt(Decimal(self.days_per_year)))


def time_weighted(valuations: Sequence[Valuation], opening: Valuation) -> Sequence[Valuation]:
    """Return what the opening value alone would have become: deposits and withdrawals change nothing.

    At each of them the values that follow are scaled, so that the growth over it is that of the value before:
    (value − flow) / value before. Without any, the valuations are returned as they are.

    Args:
        valuations: oldest first.
        opening: the value at the beginning.
    """
    if all(valuation.net_deposits == opening.net_deposits for valuation in valuations):
        return valuations
    weighted = []
    factor: Decimal | None = ONE  # None: everything was withdrawn
    before, level = opening, opening.total_value
    for valuation in valuations:
        value, flow = valuation.total_value, subtract(valuation.net_deposits, before.net_deposits)
        if flow:
            grown = subtract(value, flow)
            if grown > ZERO and before.total_value > ZERO:
                level = money(multiply(level, divide(grown, before.total_value)))
            factor = divide(level, value) if value > ZERO else None
        if factor is not None:
            level = money(multiply(value, factor))
        positions = money(multiply(valuation.positions_value, factor)) if factor is not None else ZERO
        weighted.append(Valuation(valuation.time, level, positions, opening.net_deposits))
        before = valuation
    return weighted


def daily_closes(
    valuations: Sequence[Valuation], until: datetime, carried: Valuation | None = None
) -> tuple[Valuation, ...]:
    """Return Eₜ: for each 00:00 UTC up to ``until`` the last valuation at or before it, stamped with that midnight.

    The first is the first midnight at or after the first valuation, or the first after ``carried``. The running day is
    left out. A day without a valuation has the close of the day before.

    Args:
        valuations: oldest first, of one portfolio.
        until: now, or the end of the period.
        carried: value at the beginning of the period, of a portfolio that existed before it.
    """
    if carried is not None:
        midnight, latest = day_of(carried.time) + DAY, carried
    elif valuations:
        midnight, latest = day_of(valuations[0].time - MICROSECOND) + DAY, valuations[0]
    else:
        return ()
    closes = []
    position = 0
    while midnight <= until:
        later = bisect_right(valuations, midnight, lo=position, key=TIME)
        if later > position:
            position, latest = later, valuations[later - 1]
        closes.append(latest._replace(time=midnight))
        midnight += DAY
    return tuple(closes)


def daily_returns(closes: Sequence[Valuation], opening_value: Decimal, *, crypto: bool) -> DailyReturns:
    """Return rₜ = Eₜ / Eₜ₋₁ − 1, the first one against ``opening_value``.

    Args:
        closes: what `daily_closes` returns of `time_weighted` valuations.
        opening_value: the initial capital, or the value at the beginning of the period; in money.
        crypto: True where crypto was held in the period, so that a year has 365 trading days instead of 252.
    """
    days = CRYPTO_DAYS_PER_YEAR if crypto else EXCHANGE_DAYS_PER_YEAR
    values = []
    before = opening_value
    for close in closes:
        if before <= ZERO:
            broken = f"no return is defined for the day up to {close.time:%Y-%m-%d} 00:00 UTC: it began with no value"
            return DailyReturns(tuple(closes), (), days, broken)
        values.append(subtract(divide(close.total_value, before), ONE))
        before = close.total_value
    return DailyReturns(tuple(closes), tuple(values), days)


def sharpe_ratio(returns: DailyReturns) -> PerformanceMetric:
    """Return the Sharpe ratio: mean(r) / s(r) × √days_per_year, s the sample standard deviation, risk-free rate 0.

    Undefined below 10 returns, and where all are equal or nearly so; see `nearly_constant`.
    """
    if returns.missing is not None:
        return undefined(returns.missing)
    if nearly_constant(returns.values):
        return undefined(NEARLY_CONSTANT)
    return defined(returns.annual(divide(mean(returns.values), deviation(returns.values))))


def sortino_ratio(returns: DailyReturns) -> PerformanceMetric:
    """Return the Sortino ratio: mean(r) / √(Σ min(r, 0)² / n) × √days_per_year, target 0, n counting all returns.

    Undefined below 10 returns, and without a negative one.
    """
    if returns.missing is not None:
        return undefined(returns.missing)
    downside = CONTEXT.sqrt(mean([multiply(low, low) for low in (min(r, ZERO) for r in returns.values)]))
    if downside == ZERO:
        return undefined("no daily return is negative")
    return defined(returns.annual(divide(mean(returns.values), downside)))


def annual_return(returns: DailyReturns) -> PerformanceMetric:
    """Return the compound annual growth rate: (Π(1 + rₜ))^(days_per_year / n) − 1. Undefined below 10 returns.

    From a few weeks it extrapolates to a year of such days. Use it to compare, not as a forecast.
    """
    if returns.missing is not None:
        return undefined(returns.missing)
    growth = ONE
    for value in returns.values:
        growth = multiply(growth, add(ONE, value))
    if growth <= ZERO:
        return undefined("the value fell to 0 or below")
    years = divide(Decimal(len(returns.values)), Decimal(returns.days_per_year))
    return defined(subtract(CONTEXT.power(growth, divide(ONE, years)), ONE))


def calmar_ratio(returns: DailyReturns, drawdown: Drawdown) -> PerformanceMetric:
    """Return the Calmar ratio: annual return / maximum drawdown, of the period at hand.

    Undefined below 10 returns, and without a drawdown.
    """
    growth = annual_return(returns)
    if growth.value is None:
        return growth
    if drawdown.fraction == ZERO:
        return undefined("there was no drawdown")
    return defined(divide(growth.value, drawdown.fraction))


@dataclass(frozen=True, slots=True)
class Drawdown:
    """The largest fall below an earlier peak. Times are None where there was none.

    Attributes:
        fraction: (peak − trough) / peak, to 1e-12.
        amount: peak − trough, in money.
        peak_at: the last time at the peak.
        trough_at: the first time at the trough.
        recovered_at: the first time at or above the peak again; None until then.
        length: from the peak to the recovery; until then, to the last valuation.
    """

    fraction: Decimal = ZERO
    amount: Decimal = ZERO
    peak_at: datetime | None = None
    trough_at: datetime | None = None
    recovered_at: datetime | None = None
    length: timedelta | None = None


def max_drawdown(valuations: Sequence[Valuation], opening: Valuation) -> Drawdown:
    """Return the largest (peak − value) / peak over all valuations; the first of equal ones.

    All stored snapshots count, not only daily closes: a fall within a day counts, too.

    Args:
        valuations: oldest first.
        opening: the initial capital and its time; the first peak.
    """
    deepest = Drawdown()
    peak = trough = opening
    for valuation in valuations:
        if valuation.total_value >= peak.total_value:
            deepest = _deeper(deepest, peak, trough, valuation.time, recovered=True)
            peak = trough = valuation
        elif valuation.total_value < trough.total_value:
            trough = valuation
    return _deeper(deepest, peak, trough, valuations[-1].time if valuations else opening.time, recovered=False)


def _deeper(so_far: Drawdown, peak: Valuation, trough: Valuation, end: datetime, *, recovered: bool) -> Drawdown:
    amount = subtract(peak.total_value, trough.total_value)
    if amount == ZERO:
        return so_far
    fraction = rate(divide(amount, peak.total_value))
    if fraction <= so_far.fraction:
        return so_far
    return Drawdown(fraction, amount, peak.time, trough.time, end if recovered else None, end - peak.time)


def exposure(valuations: Sequence[Valuation], until: datetime) -> PerformanceMetric:
    """Return the exposure: the time-weighted mean of |positions value| / total value, a fraction.

    A valuation counts until the next one, the last until ``until``.

    Args:
        valuations: oldest first.
        until: now, or the end of the period.
    """
    total_time, no_time = timedelta(), timedelta()
    # Most valuations count for the same duration, so shares are summed by duration and multiplied once.
    shares: dict[timedelta, Decimal] = {}
    ends = chain((valuation.time for valuation in islice(valuations, 1, None)), (until,))
    for (time, value, held, _), end in zip(valuations, ends, strict=False):
        duration = end - time
        if duration <= no_time:
            continue
        if value <= ZERO:
            return undefined(f"the portfolio had no value at {time:%Y-%m-%d %H:%M} UTC")
        total_time += duration
        if held:
            shares[duration] = add(shares.get(duration, ZERO), divide(absolute(held), value))
    if not total_time:
        return undefined("no snapshot yet")
    weighted = total(multiply(share, Decimal(duration // MICROSECOND)) for duration, share in shares.items())
    return defined(divide(weighted, Decimal(total_time // MICROSECOND)))
