"""The key figures of a report, each with what it is, for people."""

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
    "Gross of closings": "What closings brought before commissions. Slippage is in the prices, so it is paid already.",
    "Net of closings": "What closings brought after the commissions of entry and exit.",
    "Annual return": "What a year would bring, compounded, if every day were like these: for comparing, not for "
    "expecting.",
    "Expectancy": "Net result of all round trips, divided by their number: what one brings on the mean.",
    "Max drawdown": "The deepest fall below an earlier peak, as a share of that peak, over every stored valuation, not "
    "the daily ones alone.",
    "Sharpe ratio": "Mean of the daily returns over their standard deviation, times the root of the trading days of a "
    "year; risk-free rate 0.",
    "Sortino ratio": "As the Sharpe ratio, but over the deviation of losing days alone.",
    "Calmar ratio": "Annual return over max drawdown.",
    "Probabilistic Sharpe": "PSR(0) of Bailey and López de Prado (2012): the probability that the "
    "true Sharpe ratio is above 0, given so many daily returns with their skewness and kurtosis.",
    "Track record needed": "How many daily returns like these it takes until that probability reaches 95 %.",
    "Round trips": "Positions from flat to flat. One that is still open, even in part, is none yet.",
    "Win rate": "Round trips with a net result above 0, of all round trips.",
    "Average win": "Net result of the winning round trips, divided by their number.",
    "Average loss": "Net result of the losing round trips, divided by their number.",
    "Profit factor": "What the winning round trips brought, over what the losing ones cost; net.",
    "Best": "The largest net result of a round trip.",
    "Worst": "The smallest net result of a round trip.",
    "Time held": "Mean time of a round trip from its first fill to its last.",
    "Exposure": "Share of the value that was in positions, weighted by time.",
    "Time in market": "Share of the time in which anything was held.",
    "Traded": "Value of all buys and sells.",
    "Turnover": "What was traded, over the mean value of the portfolio. Not annualised.",
}


@dataclass(frozen=True, slots=True)
class Shown:
    """A figure as it is shown.

    Attributes:
        value: empty where there is none.
        reason: why there is none; empty where there is one.
        note: what belongs to it, in small letters.
    """

    label: str
    value: Markup
    reason: str
    note: str | Markup
    definition: str


def key_figures(report: Report) -> dict[str, list[Shown]]:
    """Return the key figures in groups, under the groups' headings."""
    risk = {} if report.performance is None else {"Risk": list(_risk(report.performance, Amounts.of(report)))}
    return {
        "Return": list(_brought(report)),
        **risk,
        "Round trips": list(_trips(report.results, Amounts.of(report))),
        "Activity": list(_activity(report)),
    }


def _brought(report: Report) -> Iterator[Shown]:
    results, write = report.results, Amounts.of(report)
    yield _sure("Net of closings", write.result(results.net_pnl))
    yield _sure("Gross of closings", write.result(results.gross_pnl))
    if report.performance is not None:
        yield _figure("Annual return", report.performance.annual_return, change)
    yield _figure("Expectancy", results.expectancy, write.result, "a round trip")


def _risk(found: Performance, write: Amounts) -> Iterator[Shown]:
    fall = found.max_drawdown
    yield _sure("Max drawdown", share(fall.fraction), _fell(fall, write))
    days = len(found.returns.values)
    yield _figure("Sharpe ratio", found.sharpe_ratio, ratio, f"{days} daily returns")
    yield _figure("Sortino ratio", found.sortino_ratio, ratio)
    yield _figure("Calmar ratio", found.calmar_ratio, ratio)
    yield _figure("Probabilistic Sharpe", found.probabilistic_sharpe_ratio, share)
    yield _figure("Track record needed", found.minimum_track_record, _days, f"of which {days} are there")


def _trips(results: TradeStats, write: Amounts) -> Iterator[Shown]:
    even = results.total_trades - results.winning_trades - results.losing_trades
    parts = [f"{results.winning_trades:,} won", f"{results.losing_trades:,} lost"] + (
        [f"{even:,} even"] if even else []
    )
    number = exact(Decimal(results.total_trades), f"{results.total_trades:,}")
    yield _sure("Round trips", number, ", ".join(parts) if results.total_trades else "")
    yield _figure("Win rate", results.win_rate, share)
    yield _figure("Average win", results.avg_win, write.result)
    yield _figure("Average loss", results.avg_loss, write.result)
    yield _figure("Profit factor", results.profit_factor, ratio)
    yield _figure("Best", results.best_trade, write.result)
    yield _figure("Worst", results.worst_trade, write.result)


def _activity(report: Report) -> Iterator[Shown]:
    results = report.results
    yield _figure("Time held", results.avg_hold_seconds, _lasted, "a round trip")
    yield _figure("Time in market", results.time_in_market, share)
    if report.performance is not None:
        yield _figure("Exposure", report.performance.exposure, share)
    yield _sure("Traded", Amounts.of(report).money(results.traded))
    if report.performance is not None:
        yield _figure("Turnover", report.performance.turnover, _times)


def _sure(label: str, value: Markup, note: str | Markup = "") -> Shown:
    return Shown(label, value, "", note, DEFINITIONS[label])


def _figure(
    label: str, figure: PerformanceMetric, write: Callable[[Decimal], Markup], note: str | Markup = ""
) -> Shown:
    if figure.value is None:
        return Shown(label, Markup(), figure.reason or "", "", DEFINITIONS[label])
    return Shown(label, write(figure.value), "", note, DEFINITIONS[label])


def _fell(fall: Drawdown, write: Amounts) -> Markup:
    if fall.peak_at is None or fall.trough_at is None:
        return Markup("the value never fell")
    # Within one day the time of the day tells them apart.
    shown = 10 if fall.peak_at.date() < fall.trough_at.date() else 16
    back = "not back yet" if fall.recovered_at is None else Markup("back on {}").format(_when(fall.recovered_at, shown))
    between = Markup("{} to {}").format(_when(fall.peak_at, shown), _when(fall.trough_at, shown))
    length = "" if fall.length is None else f" ({typeset(duration(fall.length))})"
    return Markup("{}, {}, {}{}").format(write.plain(fall.amount), between, back, length)


def _when(at: datetime, shown: int) -> Markup:
    return Markup('<span class="date">{}</span>').format(moment(at)[:shown])


def _days(value: Decimal) -> Markup:
    return Markup("{} days").format(exact(value, f"{value.to_integral_value(rounding='ROUND_CEILING'):,}"))


def _times(value: Decimal) -> Markup:
    return Markup("{} ×").format(ratio(value))


def _lasted(seconds: Decimal) -> Markup:
    return exact(seconds, duration(timedelta(seconds=float(seconds))))
