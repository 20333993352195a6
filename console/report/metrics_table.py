"""Key figures of a report for people, each with its definition."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from markupsafe import Markup

from console.display.format import duration, moment
from console.report.html.formatting import Amounts, change, exact, ratio, share, typeset
from domain.analytics.performance import Performance
from domain.analytics.performance_metric import PerformanceMetric
from domain.analytics.report import Report
from domain.analytics.returns import Drawdown
from domain.analytics.trade_stats import TradeStats

DEFINITIONS = {
    "Gross of closings": "Result of closings before commissions. Slippage is in the prices, so it is included.",
    "Net of closings": "Result of closings after the commissions of entry and exit.",
    "Annual return": "Return of a year, compounded, if every day were like these: for comparison, not a forecast.",
    "Expectancy": "Net result of all round trips, divided by their number: the mean result of one.",
    "Max drawdown": "The deepest fall below an earlier peak, as a share of that peak, over every stored valuation, not "
    "the daily ones alone.",
    "Sharpe ratio": "Mean of the daily returns over their standard deviation, times the root of the trading days of a "
    "year; risk-free rate 0.",
    "Sortino ratio": "As the Sharpe ratio, but over the deviation of losing days alone.",
    "Calmar ratio": "Annual return over max drawdown.",
    "Probabilistic Sharpe": "PSR(0) of Bailey and López de Prado (2012): the probability that the "
    "true Sharpe ratio is above 0, given so many daily returns with their skewness and kurtosis.",
    "Track record needed": "Number of daily returns like these until that probability reaches 95 %.",
    "Round trips": "Positions from flat to flat. A position that is still open, even in part, does not count yet.",
    "Win rate": "Round trips with a net result above 0, of all round trips.",
    "Average win": "Net result of the winning round trips, divided by their number.",
    "Average loss": "Net result of the losing round trips, divided by their number.",
    "Profit factor": "Net result of the winning round trips, divided by that of the losing ones.",
    "Best": "The largest net result of a round trip.",
    "Worst": "The smallest net result of a round trip.",
    "Holding time": "Mean time of a round trip from its first fill to its last.",
    "Exposure": "Share of the value that was in positions, weighted by time.",
    "Time in market": "Share of the time with at least one open position.",
    "Traded": "Value of all buys and sells.",
    "Turnover": "Value of all buys and sells, divided by the mean value of the portfolio. Not annualised.",
}


@dataclass(frozen=True, slots=True)
class MetricRow:
    """A key figure as the page shows it.

    Attributes:
        label: name of the metric.
        value: empty where the metric does not exist.
        reason: why it does not exist; empty where it exists.
        note: further details, in small letters.
        definition: what the metric means.
    """

    label: str
    value: Markup
    reason: str
    note: str | Markup
    definition: str


def metric_rows(report: Report) -> dict[str, list[MetricRow]]:
    """Return the key figures by heading of their group."""
    risk = {} if report.performance is None else {"Risk": list(_risk(report.performance, Amounts.of(report)))}
    return {
        "Return": list(_return(report)),
        **risk,
        "Round trips": list(_round_trips(report.trade_stats, Amounts.of(report))),
        "Activity": list(_activity(report)),
    }


def _return(report: Report) -> Iterator[MetricRow]:
    results, write = report.trade_stats, Amounts.of(report)
    yield _value_row("Net of closings", write.result(results.net_pnl))
    yield _value_row("Gross of closings", write.result(results.gross_pnl))
    if report.performance is not None:
        yield _metric_row("Annual return", report.performance.annual_return, change)
    yield _metric_row("Expectancy", results.expectancy, write.result, "a round trip")


def _risk(performance: Performance, write: Amounts) -> Iterator[MetricRow]:
    fall = performance.max_drawdown
    yield _value_row("Max drawdown", share(fall.fraction), _fall_period(fall, write))
    days = len(performance.returns.values)
    yield _metric_row("Sharpe ratio", performance.sharpe_ratio, ratio, f"{days} daily returns")
    yield _metric_row("Sortino ratio", performance.sortino_ratio, ratio)
    yield _metric_row("Calmar ratio", performance.calmar_ratio, ratio)
    yield _metric_row("Probabilistic Sharpe", performance.probabilistic_sharpe_ratio, share)
    yield _metric_row("Track record needed", performance.minimum_track_record, _days, f"of which {days} exist")


def _round_trips(results: TradeStats, write: Amounts) -> Iterator[MetricRow]:
    even = results.total_trades - results.winning_trades - results.losing_trades
    parts = [f"{results.winning_trades:,} won", f"{results.losing_trades:,} lost"] + (
        [f"{even:,} even"] if even else []
    )
    number = exact(Decimal(results.total_trades), f"{results.total_trades:,}")
    yield _value_row("Round trips", number, ", ".join(parts) if results.total_trades else "")
    yield _metric_row("Win rate", results.win_rate, share)
    yield _metric_row("Average win", results.avg_win, write.result)
    yield _metric_row("Average loss", results.avg_loss, write.result)
    yield _metric_row("Profit factor", results.profit_factor, ratio)
    yield _metric_row("Best", results.best_trade, write.result)
    yield _metric_row("Worst", results.worst_trade, write.result)


def _activity(report: Report) -> Iterator[MetricRow]:
    results = report.trade_stats
    yield _metric_row("Holding time", results.avg_hold_seconds, _duration, "a round trip")
    yield _metric_row("Time in market", results.time_in_market, share)
    if report.performance is not None:
        yield _metric_row("Exposure", report.performance.exposure, share)
    yield _value_row("Traded", Amounts.of(report).money(results.traded))
    if report.performance is not None:
        yield _metric_row("Turnover", report.performance.turnover, _times)


def _value_row(label: str, value: Markup, note: str | Markup = "") -> MetricRow:
    return MetricRow(label, value, "", note, DEFINITIONS[label])


def _metric_row(
    label: str, metric: PerformanceMetric, write: Callable[[Decimal], Markup], note: str | Markup = ""
) -> MetricRow:
    if metric.value is None:
        return MetricRow(label, Markup(), metric.reason or "", "", DEFINITIONS[label])
    return MetricRow(label, write(metric.value), "", note, DEFINITIONS[label])


def _fall_period(fall: Drawdown, write: Amounts) -> Markup:
    if fall.peak_at is None or fall.trough_at is None:
        return Markup("the value never fell")
    # Within one day, the time of day is needed, too.
    length = 10 if fall.peak_at.date() < fall.trough_at.date() else 16
    back = (
        "not back yet" if fall.recovered_at is None else Markup("back on {}").format(_when(fall.recovered_at, length))
    )
    between = Markup("{} to {}").format(_when(fall.peak_at, length), _when(fall.trough_at, length))
    lasted = "" if fall.length is None else f" ({typeset(duration(fall.length))})"
    return Markup("{}, {}, {}{}").format(write.plain(fall.amount), between, back, lasted)


def _when(at: datetime, length: int) -> Markup:
    return Markup('<span class="date">{}</span>').format(moment(at)[:length])


def _days(value: Decimal) -> Markup:
    return Markup("{} days").format(exact(value, f"{value.to_integral_value(rounding='ROUND_CEILING'):,}"))


def _times(value: Decimal) -> Markup:
    return Markup("{} ×").format(ratio(value))


def _duration(seconds: Decimal) -> Markup:
    return exact(seconds, duration(timedelta(seconds=float(seconds))))
