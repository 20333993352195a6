"""The table of performance metrics: key, label, unit, definition, formula and source of each.

The terminal, the report's page, the JSON document and docs/performance.md read it. A new metric is a field of
`TradeStats` or `Performance`, computed there, and one entry here; then run ``python -m docs.performance_tables``.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from domain.analytics.performance import Performance
from domain.analytics.performance_metric import PerformanceMetric
from domain.analytics.returns import MIN_RETURNS, Drawdown
from domain.analytics.trade_stats import TradeStats

NO_ROUND_TRIP = "there is none"
TOO_FEW_RETURNS = f"fewer than {MIN_RETURNS} returns"
BAILEY_2012 = "Bailey and López de Prado 2012"


class Unit(StrEnum):
    """The unit of a metric, which decides its format. A fraction of 0.55 is shown as 55 %."""

    MONEY = "money"
    FRACTION = "fraction"
    RATIO = "ratio"
    MULTIPLE = "multiple"
    COUNT = "number"
    DAYS = "days"
    SECONDS = "s"


@dataclass(frozen=True, slots=True)
class MetricDefinition:
    """What a performance metric is called, and what it means.

    Attributes:
        key: name in JSON, and of the field of `TradeStats` or `Performance`.
        label: name for people.
        definition: a sentence.
        formula: exact; empty where the definition is.
        undefined_where: where it has no value; empty if it always has one.
        source: of a published formula; empty for a plain sum or mean.
        signed: whether it is a gain or a loss, shown with its sign.
    """

    key: str
    label: str
    unit: Unit
    definition: str
    formula: str = ""
    undefined_where: str = ""
    source: str = ""
    signed: bool = False

    def read(self, trade_stats: TradeStats, performance: Performance | None) -> PerformanceMetric | None:
        """Return its value; None where it needs the portfolio's ``performance``, which a strategy does not have."""
        record = trade_stats if hasattr(trade_stats, self.key) else performance
        if record is None:
            return None
        match getattr(record, self.key):
            case PerformanceMetric() as metric:
                return metric
            case Drawdown(fraction):
                return PerformanceMetric(fraction)
            case number:
                return PerformanceMetric(Decimal(number))


METRICS_BY_GROUP = {
    "Return": (
        MetricDefinition(
            "net_pnl", "Net result", Unit.MONEY, "Result of closings after the commissions of entry and exit.",
            "Σ net of all closings: gross − entry commission's share − exit commission", signed=True,
        ),
        MetricDefinition(
            "gross_pnl", "Gross result", Unit.MONEY,
            "Result of closings before commissions; slippage is in the prices, so it is included.",
            "Σ gross of all closings: exit notional − cost share, the reverse for SHORT", signed=True,
        ),
        MetricDefinition(
            "annual_return", "Annual return", Unit.FRACTION,
            "Return of a year, compounded, if every day were like these: for comparison, not a forecast.",
            "(Π(1 + rₜ))^(D / n) − 1", f"{TOO_FEW_RETURNS}; the value fell to 0 or below", signed=True,
        ),
    ),
    "Risk": (
        MetricDefinition(
            "max_drawdown", "Max drawdown", Unit.FRACTION,
            "The deepest fall below an earlier peak, as a share of that peak, over every stored valuation, not the "
            "daily ones alone.",
            "largest (peak − value) / peak over all snapshots; the first peak is the initial capital; 0 without a fall",
        ),
        MetricDefinition(
            "sharpe_ratio", "Sharpe ratio", Unit.RATIO,
            "Mean of the daily returns over their standard deviation, times the root of the trading days of a year; "
            "risk-free rate 0.",
            "mean(r) / s(r) × √D, s the sample standard deviation (n − 1)", f"{TOO_FEW_RETURNS}; nearly constant",
            "W. F. Sharpe, The Sharpe Ratio, Journal of Portfolio Management 21 (1994), the ex post ratio",
        ),
        MetricDefinition(
            "sortino_ratio", "Sortino ratio", Unit.RATIO,
            "As the Sharpe ratio, but over the deviation of losing days alone.",
            "mean(r) / √(Σ min(r, 0)² / n) × √D, n counting all returns", f"{TOO_FEW_RETURNS}; none negative",
            "F. A. Sortino and L. N. Price, Performance Measurement in a Downside Risk Framework, Journal of "
            "Investing 3 (1994)",
        ),
        MetricDefinition(
            "calmar_ratio", "Calmar ratio", Unit.RATIO, "Annual return over max drawdown.",
            "`annual_return` / `max_drawdown`, of the full history instead of 36 months",
            f"{TOO_FEW_RETURNS}; no drawdown", "T. W. Young, Calmar Ratio: A Smoother Tool, Futures 20 (1991)",
        ),
        MetricDefinition(
            "probabilistic_sharpe_ratio", "Probabilistic Sharpe ratio", Unit.FRACTION,
            "PSR(0): the probability that the true Sharpe ratio is above 0, given so many daily returns with their "
            "skewness and kurtosis.",
            "Φ(SR · √(n − 1) / √(1 − γ₃·SR + (γ₄ − 1)/4 · SR²))", f"{TOO_FEW_RETURNS}; nearly constant", BAILEY_2012,
        ),
        MetricDefinition(
            "minimum_track_record", "Minimum track record", Unit.DAYS,
            "Number of daily returns like these until that probability reaches 95 %.",
            "1 + (1 − γ₃·SR + (γ₄ − 1)/4 · SR²) · (Φ⁻¹(0.95) / SR)²",
            f"{TOO_FEW_RETURNS}; nearly constant; SR not above 0",
            BAILEY_2012,
        ),
    ),
    "Activity": (
        MetricDefinition(
            "time_in_market", "Time in market", Unit.FRACTION, "Share of the time with at least one open position.",
            "time with a position / time since the opening; simultaneous positions count once", "no time has passed",
        ),
        MetricDefinition(
            "exposure", "Exposure", Unit.FRACTION, "Share of the value that was in positions, weighted by time.",
            "time-weighted mean of |positions value| / total value over the snapshots; each counts until the next one",
            "no snapshot; a value of 0 or below",
        ),
        MetricDefinition(
            "traded", "Traded value", Unit.MONEY, "Value of all buys and sells.", "Σ notional of all executions",
        ),
        MetricDefinition(
            "turnover", "Turnover", Unit.MULTIPLE,
            "Value of all buys and sells, divided by the mean value of the portfolio; not annualised.",
            "`traded` / mean of the opening value and the daily closes", "that mean is 0 or below",
        ),
    ),
    "Round trips": (
        MetricDefinition(
            "total_trades", "Round trips", Unit.COUNT,
            "Positions from flat to flat; one that is still open, even in part, does not count yet.",
        ),
        MetricDefinition("winning_trades", "Wins", Unit.COUNT, "Round trips with a net result above 0."),
        MetricDefinition("losing_trades", "Losses", Unit.COUNT, "Round trips with a net result below 0."),
        MetricDefinition(
            "win_rate", "Win rate", Unit.FRACTION, "Round trips with a net result above 0, of all round trips.",
            "`winning_trades` / `total_trades`", NO_ROUND_TRIP,
        ),
        MetricDefinition(
            "win_rate_gross", "Gross win rate", Unit.FRACTION,
            "Round trips with a gross result above 0, of all round trips.",
            "a query on `realized_pnl` gives the same where there are no partial closings", NO_ROUND_TRIP,
        ),
        MetricDefinition(
            "avg_win", "Average win", Unit.MONEY, "Net result of the winning round trips, divided by their number.",
            "Σ net of the wins / their number", "there is no win", signed=True,
        ),
        MetricDefinition(
            "avg_loss", "Average loss", Unit.MONEY, "Net result of the losing round trips, divided by their number.",
            "Σ net of the losses / their number, negative", "there is no loss", signed=True,
        ),
        MetricDefinition(
            "profit_factor", "Profit factor", Unit.RATIO,
            "Net result of the winning round trips, divided by that of the losing ones.",
            "Σ net of the wins / −Σ net of the losses; 0 without a win", "there is no loss",
        ),
        MetricDefinition(
            "expectancy", "Expectancy", Unit.MONEY,
            "Net result of all round trips, divided by their number: the mean result of one.",
            "Σ net / `total_trades`, which is win rate × average win + loss rate × average loss", NO_ROUND_TRIP,
            signed=True,
        ),
        MetricDefinition(
            "best_trade", "Best round trip", Unit.MONEY, "The largest net result of a round trip.",
            undefined_where=NO_ROUND_TRIP, signed=True,
        ),
        MetricDefinition(
            "worst_trade", "Worst round trip", Unit.MONEY, "The smallest net result of a round trip.",
            undefined_where=NO_ROUND_TRIP, signed=True,
        ),
        MetricDefinition(
            "avg_hold_seconds", "Average holding time", Unit.SECONDS,
            "Mean time of a round trip from its first fill to its last.", undefined_where=NO_ROUND_TRIP,
        ),
    ),
    "Costs": (
        MetricDefinition(
            "total_commission", "Commission", Unit.MONEY, "Commission of all fills, those of open positions included.",
            "Σ commission of all executions",
        ),
        MetricDefinition(
            "total_slippage", "Slippage", Unit.MONEY,
            "From the prices that all fills met, the ask or the bid, to those that they got: base rate, surcharge for "
            "size, random part and tick. Without the spread; the gross result includes it.",
            "Σ quantity × |price − base price| of all executions",
        ),
        MetricDefinition(
            "total_spread", "Spread", Unit.MONEY,
            "From the marks to the prices that all fills met; negative for a resting order, which gets a better one. "
            "0 where bid and ask are not both known, and in fills of version 0.1.0. The gross result includes it.",
            "Σ quantity × (base price − mark) of all BUYs, × (mark − base price) of all SELLs",
        ),
    ),
}  # fmt: skip
METRICS = {metric.key: metric for metrics in METRICS_BY_GROUP.values() for metric in metrics}
