"""Statistical criteria of a validation: six plain criteria, and the significance of the result."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum

from domain.analytics.performance import History
from domain.analytics.performance_metric import PerformanceMetric
from domain.analytics.returns import DAY, DailyReturns, max_drawdown, sharpe_ratio
from domain.analytics.round_trips import RoundTrip
from domain.analytics.significance import (
    NORMAL,
    deflated_sharpe_ratio,
    expected_maximum,
    minimum_track_record,
    probabilistic_sharpe_ratio,
)
from domain.analytics.trade_stats import NO_ROUND_TRIPS, NO_STRATEGY
from domain.trading.account.trades import Trade
from domain.trading.arithmetic import CONTEXT, ZERO, add, divide, multiply, plain, subtract, total
from domain.trading.snapshot import day_of
from domain.validation.criteria import CENT, Criteria, Criterion, format_limit, format_percent, format_ratio, shortened
from domain.wording import counted, format_time

FIRST_SNAPSHOT = "the first snapshot"
MIN_RETURNS = 2
"""Daily returns of which a Sharpe ratio can be computed."""
CENTURY_DAYS = 36_500
"""Above this number of days, a note names no date."""


class Statistical(StrEnum):
    """The statistical verdict on a period."""

    FAILED = "failed"
    PASSED = "passed"
    UNDERPOWERED = "underpowered"


@dataclass(frozen=True, slots=True)
class Findings:
    """The statistical verdict on a period, with its reasons.

    Attributes:
        psr: the probability that the true Sharpe ratio is above 0: PSR(0), or of a strategy that came from a sweep the
            deflated Sharpe ratio.
    """

    result: Statistical
    criteria: tuple[Criterion, ...]
    psr: PerformanceMetric


def statistical(history: History, criteria: Criteria, strategies: Collection[str] | None = None) -> Findings:
    """Compare the metrics of a period with criteria.

    Args:
        history: of the period.
        criteria: to apply.
        strategies: whose trades count; None: all.
    """
    results = plain_criteria(history, criteria, strategies)
    psr = sureness(history.returns, criteria)
    if not all(criterion.passed for criterion in results):
        result = Statistical.FAILED
    elif psr.value is not None and psr.value >= criteria.min_psr:
        result = Statistical.PASSED
    else:
        result = Statistical.UNDERPOWERED
    return Findings(result, results, psr)


def sureness(returns: DailyReturns, criteria: Criteria) -> PerformanceMetric:
    """Return the probability that the true Sharpe ratio is above 0."""
    swept = criteria.swept
    if swept is None:
        return probabilistic_sharpe_ratio(returns)
    return deflated_sharpe_ratio(returns, swept.trials, swept.deviation)


def swept_note(returns: DailyReturns, criteria: Criteria) -> str | None:
    """Return a sentence on the sweeps from which a strategy came; None without any."""
    if criteria.swept is None:
        return None
    luck = expected_maximum(criteria.swept.trials, criteria.swept.deviation)
    trials, ratio = counted(criteria.swept.trials, "trial"), format_ratio(returns.annual(luck))
    return (
        f"the strategy came from sweeps of {trials}; the best of so many without skill is expected to have an annual "
        f"Sharpe ratio of {ratio}, which the one here has to beat (deflated Sharpe ratio)"
    )


def plain_criteria(
    history: History, criteria: Criteria, strategies: Collection[str] | None = None
) -> tuple[Criterion, ...]:
    """Return the results of the six plain criteria: days, trades, win rate, Sharpe ratio, drawdown, net result."""
    # A position that was opened before the period is not a result of this run.
    since = history.opening.time if history.resumed else None

    def counts(record: RoundTrip | Trade) -> bool:
        return strategies is None or (record.strategy or NO_STRATEGY) in strategies

    own = [trip for trip in history.trade_history.round_trips if counts(trip)]
    round_trips = [trip for trip in own if since is None or trip.opened_at >= since]
    older = len(own) - len(round_trips)
    closings = [trade.net for trade in history.trade_history.trades if counts(trade)]
    return (
        _days(history, criteria),
        _trades(round_trips, older, criteria),
        _win_rate(round_trips, criteria),
        _sharpe(history.returns, criteria),
        _drawdown(history, criteria),
        _net(history, closings, criteria),
    )


def _days(history: History, criteria: Criteria) -> Criterion:
    first = day_of(history.opening.time)
    first += DAY if first < history.opening.time else timedelta()
    days = [first + DAY * number for number in range(max(0, (history.until - first) // DAY))]
    times = [valuation.time for valuation in history.valuations]
    # The snapshot of 00:00 is the end of the day before.
    covered = {day for day in days if bisect_right(times, day) < bisect_right(times, day + DAY)}
    whole_days = [day for day in days if day in covered]
    evidence = [f"{day:%Y-%m-%d} has no snapshot" for day in days if day not in covered]
    if whole_days:
        evidence.insert(0, f"from {whole_days[0]:%Y-%m-%d} to {whole_days[-1]:%Y-%m-%d}")
    passed = len(whole_days) >= criteria.min_days
    required = f"at least {criteria.min_days}, from 00:00 to 24:00 UTC"
    waits_for = ""
    if not passed:
        missing = criteria.min_days - len(whole_days)
        waits_for = (
            f"{counted(missing, 'day')}, until {max(first, day_of(history.until)) + DAY * missing:%Y-%m-%d} 00:00 UTC"
        )
    return Criterion("days", "whole days", required, str(len(whole_days)), passed, shortened(evidence), waits_for)


def _trades(round_trips: Sequence[RoundTrip], older: int, criteria: Criteria) -> Criterion:
    evidence = []
    if round_trips:
        last = round_trips[-1]
        evidence.append(f"the last one ended at {format_time(last.closed_at)} UTC, position {last.position_id}")
    if older:
        were = "was opened before the run and does" if older == 1 else "were opened before the run and do"
        evidence.append(f"{older} that {were} not count")
    passed = len(round_trips) >= criteria.min_trades
    required = f"at least {criteria.min_trades}"
    waits_for = "" if passed else counted(criteria.min_trades - len(round_trips), "round trip")
    return Criterion("trades", "round trips", required, str(len(round_trips)), passed, tuple(evidence), waits_for)


def _win_rate(round_trips: Sequence[RoundTrip], criteria: Criteria) -> Criterion:
    required = f"at least {format_limit(criteria.min_win_rate)}"
    if not round_trips:
        return Criterion("win_rate", "win rate", required, NO_ROUND_TRIPS, False, waits_for="the first round trip")
    wins = sum(trip.net > ZERO for trip in round_trips)
    rate = divide(Decimal(wins), Decimal(len(round_trips)))
    text = f"{format_percent(rate, criteria.min_win_rate)} ({wins} of {len(round_trips)})"
    return Criterion("win_rate", "win rate", required, text, rate >= criteria.min_win_rate)


def _sharpe(returns: DailyReturns, criteria: Criteria) -> Criterion:
    sharpe = sharpe_ratio(returns)
    required = f"at least {plain(criteria.min_sharpe)}"
    if sharpe.value is None:
        text, waits_for = str(sharpe.reason), "daily returns that differ"
        if len(returns.values) < MIN_RETURNS:
            waits_for = f"{counted(MIN_RETURNS - len(returns.values), 'whole day')} more"
        return Criterion("sharpe_ratio", "Sharpe ratio", required, text, False, waits_for=waits_for)
    text = format_ratio(sharpe.value, criteria.min_sharpe)
    evidence = (f"of {len(returns.values)} daily returns, a year of {returns.days_per_year}",)
    passed = sharpe.value >= criteria.min_sharpe
    return Criterion("sharpe_ratio", "Sharpe ratio", required, text, passed, evidence)


def _drawdown(history: History, criteria: Criteria) -> Criterion:
    required = f"at most {format_limit(criteria.max_drawdown)}"
    if not history.valuations:
        return Criterion("max_drawdown", "max drawdown", required, "no snapshot yet", False, waits_for=FIRST_SNAPSHOT)
    fall = max_drawdown(history.weighted, history.opening)
    evidence: tuple[str, ...] = ()
    if fall.peak_at is not None and fall.trough_at is not None:
        evidence = (f"from the peak at {format_time(fall.peak_at)} to the trough at {format_time(fall.trough_at)} UTC",)
    passed = fall.fraction <= criteria.max_drawdown
    text = format_percent(fall.fraction, criteria.max_drawdown)
    return Criterion("max_drawdown", "max drawdown", required, text, passed, evidence, final=not passed)


def _net(history: History, closings: Sequence[Decimal], criteria: Criteria) -> Criterion:
    """Check the net result of closings and the change of the value, so that open losses count, too."""
    required = f"above {plain(criteria.min_net)}, of closings and of the value"
    if not closings or not history.valuations:
        text = "no position was closed yet" if history.valuations else "no snapshot yet"
        waits_for = "the first closed position" if history.valuations else FIRST_SNAPSHOT
        return Criterion("net_result", "net result", required, text, False, waits_for=waits_for)
    closed = total(closings)
    last = history.valuations[-1]
    change = subtract(last.gain, history.opening.gain)
    text = f"closings {_signed(closed)}, value {_signed(change)}"
    first = plain(history.opening.total_value)
    evidence = (f"value {first} at the beginning, {plain(last.total_value)} at {format_time(last.time)} UTC",)
    passed = closed > criteria.min_net and change > criteria.min_net
    return Criterion("net_result", "net result", required, text, passed, evidence)


def _signed(amount: Decimal) -> str:
    rounded = CONTEXT.quantize(amount, CENT)
    return f"{rounded:+,f}" if rounded or not amount else f"{plain(amount)}"


def power(returns: DailyReturns, criteria: Criteria) -> tuple[str, ...]:
    """Return sentences on the significance of a result: the Sharpe ratio and the number of days that it would need."""
    count, psr = len(returns.values), sureness(returns, criteria)
    swept = criteria.swept
    benchmark = ZERO if swept is None else expected_maximum(swept.trials, swept.deviation)
    sharpe = sharpe_ratio(returns)
    needed = sharpe_needed(count, returns.days_per_year, criteria.min_psr, benchmark)
    notes = []
    if needed is not None and sharpe.value is not None and psr.value is not None:
        notes.append(
            f"with {counted(count, 'normally distributed daily return')}, an annualised Sharpe ratio of about "
            f"{format_ratio(needed)} is needed to be {format_limit(criteria.min_psr)} sure that the true one is "
            f"above 0; the Sharpe ratio here is {format_ratio(sharpe.value)}, which gives "
            f"{format_percent(psr.value, criteria.min_psr)}"
        )
    record = minimum_track_record(returns, criteria.min_psr, benchmark)
    if record.value is None:
        notes.append(f"the number of days that this strategy needs is unknown: {record.reason}")
    elif record.value - count > CENTURY_DAYS:
        notes.append("at this rate, the strategy needs more than a century of daily returns to be that sure")
    else:
        days = math.ceil(record.value)
        last = returns.closes[-1].time + DAY * (days - count - 1)
        notes.append(
            f"at this rate, the strategy needs {counted(days, 'daily return')} in total to be that sure: "
            f"{days - count} more, until the end of {last:%Y-%m-%d}"
        )
    return tuple(notes)


def sharpe_needed(count: int, days_per_year: int, confidence: Decimal, benchmark: Decimal = ZERO) -> Decimal | None:
    """Return the annualised Sharpe ratio at which PSR(SR*) of so many normally distributed daily returns is this high.

    PSR(SR*) = Φ((SR − SR*)·√(n − 1) / √(1 + SR²/2)) solved for SR, with z = Φ⁻¹(confidence) and m = n − 1 − z²/2:
    (SR*·(n − 1) + √((SR*·(n − 1))² − m·(SR*²·(n − 1) − z²))) / m; for SR* = 0 that is z / √m. None where no Sharpe
    ratio is enough.

    Args:
        count: n.
        days_per_year: for the annual ratio.
        confidence: above 0.5 and below 1.
        benchmark: SR*, of one day.
    """
    quantile = Decimal(NORMAL.inv_cdf(float(confidence)))
    square, days = multiply(quantile, quantile), Decimal(count - 1)
    left = subtract(days, divide(square, Decimal(2)))
    if left <= ZERO:
        return None
    if not benchmark:
        daily = divide(quantile, CONTEXT.sqrt(left))
    else:
        least = multiply(benchmark, days)
        rest = multiply(left, subtract(multiply(benchmark, least), square))
        daily = divide(add(least, CONTEXT.sqrt(subtract(multiply(least, least), rest))), left)
    return multiply(daily, CONTEXT.sqrt(Decimal(days_per_year)))
