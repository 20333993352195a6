"""What a portfolio's value did from day to day: returns, Sharpe, Sortino, Calmar, drawdown, exposure.

All of it comes from valuations, that is from ``paper_portfolio_snapshots``. Nothing here mixes units: returns are
daily, so are their mean and deviation, and only a finished ratio is annualised.
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

from domain.analytics.performance_metric import PerformanceMetric, defined, deviation, mean, undefined
from domain.trading.arithmetic import CONTEXT, ONE, ZERO, absolute, add, divide, multiply, rate, subtract, total
from domain.trading.snapshot import day_of

FEWEST_RETURNS = 10
"""Below it no ratio of daily returns says anything."""
CRYPTO_DAYS = 365
EXCHANGE_DAYS = 252
DAY = timedelta(days=1)
MICROSECOND = timedelta(microseconds=1)
_time = attrgetter("time")


class Valuation(NamedTuple):
    """What a portfolio was worth at one moment, in its currency; a snapshot has the same names.

    Attributes:
        time: UTC and aware.
        total_value: cash and positions.
        positions_value: quantity × mark of what was held, negative for SHORT.
    """

    time: datetime
    total_value: Decimal
    positions_value: Decimal = ZERO


@dataclass(frozen=True, slots=True)
class DailyReturns:
    """Returns of whole UTC days, oldest first.

    Attributes:
        closes: the value at the end of each day; its time is that 00:00 UTC.
        values: rₜ, fractions; one for each close.
        days_a_year: 365, or 252 where only exchanges with weekends were traded.
        broken: why there are none though there are closes; None mostly.
    """

    closes: tuple[Valuation, ...]
    values: tuple[Decimal, ...]
    days_a_year: int
    broken: str | None = None

    @property
    def missing(self) -> str | None:
        """Why no ratio can be made of them; None where one can."""
        if self.broken is not None:
            return self.broken
        if len(self.values) < FEWEST_RETURNS:
            return f"{len(self.values)} of at least {FEWEST_RETURNS} daily returns"
        return None

    def annual(self, ratio: Decimal) -> Decimal:
        """Return a ratio of daily returns for a year: × √365 or √252, as if days did not depend on each other."""
        return multiply(ratio, CONTEXT.sqrt(Decimal(self.days_a_year)))


def daily_closes(
    valuations: Sequence[Valuation], until: datetime, carried: Valuation | None = None
) -> tuple[Valuation, ...]:
    """Return Eₜ: for each 00:00 UTC up to ``until`` the last valuation at or before it, stamped with that midnight.

    The first is the first midnight at or after the first valuation; or the first after ``carried``. The running day is
    left out. A day without valuation ends as the day before did.

    Args:
        valuations: oldest first, of one portfolio.
        until: now, or the end of the period.
        carried: what a portfolio that existed before the period was worth at its beginning.
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
        later = bisect_right(valuations, midnight, lo=position, key=_time)
        if later > position:
            position, latest = later, valuations[later - 1]
        closes.append(latest._replace(time=midnight))
        midnight += DAY
    return tuple(closes)


def daily_returns(closes: Sequence[Valuation], opening_value: Decimal, *, crypto: bool) -> DailyReturns:
    """Return rₜ = Eₜ / Eₜ₋₁ − 1, the first one against ``opening_value``. There are no deposits or withdrawals yet.

    Args:
        closes: what `daily_closes` returns.
        opening_value: the initial capital, or the value at the beginning of the period; in money.
        crypto: whether crypto was held in the period, so that a year has 365 days of trading, not 252.
    """
    days = CRYPTO_DAYS if crypto else EXCHANGE_DAYS
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
    """Return the Sharpe ratio: mean(r) / s(r) × √days_a_year, s the sample standard deviation, risk-free rate 0.

    Source: W. F. Sharpe, *The Sharpe Ratio*, Journal of Portfolio Management 21 (1994), the ex post ratio. Unknown
    below 10 returns, and where all are equal.
    """
    if returns.missing is not None:
        return undefined(returns.missing)
    spread = deviation(returns.values)
    if spread == ZERO:
        return undefined("the daily returns do not differ")
    return defined(returns.annual(divide(mean(returns.values), spread)))


def sortino_ratio(returns: DailyReturns) -> PerformanceMetric:
    """Return the Sortino ratio: mean(r) / √(Σ min(r, 0)² / n) × √days_a_year, target 0, n counting all returns.

    Source: F. A. Sortino and L. N. Price, *Performance Measurement in a Downside Risk Framework*, Journal of Investing
    3 (1994). Unknown below 10 returns, and without a negative one.
    """
    if returns.missing is not None:
        return undefined(returns.missing)
    downside = CONTEXT.sqrt(mean([multiply(low, low) for low in (min(r, ZERO) for r in returns.values)]))
    if downside == ZERO:
        return undefined("no daily return is negative")
    return defined(returns.annual(divide(mean(returns.values), downside)))


def annual_return(returns: DailyReturns) -> PerformanceMetric:
    """Return the compound annual growth rate (Π(1 + rₜ))^(days_a_year / n) − 1, a fraction. Unknown below 10 returns.

    Over weeks it says what a year would bring if every day were like these: for comparing, not for expecting.
    """
    if returns.missing is not None:
        return undefined(returns.missing)
    growth = ONE
    for value in returns.values:
        growth = multiply(growth, add(ONE, value))
    if growth <= ZERO:
        return undefined("nothing is left to grow")
    years = divide(Decimal(len(returns.values)), Decimal(returns.days_a_year))
    return defined(subtract(CONTEXT.power(growth, divide(ONE, years)), ONE))


def calmar_ratio(returns: DailyReturns, drawdown: Drawdown) -> PerformanceMetric:
    """Return the Calmar ratio: annual return / maximum drawdown, of the period at hand.

    Source: T. W. Young, *Calmar Ratio: A Smoother Tool*, Futures 20 (1991), who takes 36 months. Unknown below 10
    returns, and without a drawdown.
    """
    growth = annual_return(returns)
    if growth.value is None:
        return growth
    if drawdown.fraction == ZERO:
        return undefined("there was no drawdown")
    return defined(divide(growth.value, drawdown.fraction))


@dataclass(frozen=True, slots=True)
class Drawdown:
    """The deepest fall below an earlier peak. Times are None where there was none.

    Attributes:
        fraction: (peak − trough) / peak, to 1e-12.
        amount: peak − trough, in money.
        peak_at: the last moment at the peak.
        trough_at: the first moment at the bottom.
        recovered_at: the first moment at or above the peak again; None while it is not.
        length: from the peak to the recovery, or to the last valuation while there is none.
    """

    fraction: Decimal = ZERO
    amount: Decimal = ZERO
    peak_at: datetime | None = None
    trough_at: datetime | None = None
    recovered_at: datetime | None = None
    length: timedelta | None = None


def max_drawdown(valuations: Sequence[Valuation], opening: Valuation) -> Drawdown:
    """Return the largest (peak − value) / peak over all valuations; of equal ones the first.

    Every stored snapshot counts, not the daily closes alone: a fall between two midnights was a fall.

    Args:
        valuations: oldest first.
        opening: the initial capital and when it was there; the first peak.
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
    """Return how much of the value was at work: the time-weighted mean of |positions value| / total value, a fraction.

    Each valuation counts until the next one, the last until ``until``.

    Args:
        valuations: oldest first.
        until: now, or the end of the period.
    """
    whole, no_time = timedelta(), timedelta()
    # Most valuations count equally long, so shares are summed by how long they count, and multiplied once.
    shares: dict[timedelta, Decimal] = {}
    ends = chain((valuation.time for valuation in islice(valuations, 1, None)), (until,))
    for (time, worth, held), end in zip(valuations, ends, strict=False):
        lasting = end - time
        if lasting <= no_time:
            continue
        if worth <= ZERO:
            return undefined(f"the portfolio had no value at {time:%Y-%m-%d %H:%M} UTC")
        whole += lasting
        if held:
            shares[lasting] = add(shares.get(lasting, ZERO), divide(absolute(held), worth))
    if not whole:
        return undefined("no snapshot yet")
    weighted = total(multiply(share, Decimal(lasting // MICROSECOND)) for lasting, share in shares.items())
    return defined(divide(weighted, Decimal(whole // MICROSECOND)))
