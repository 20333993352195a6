"""A report on one portfolio, or on one strategy in it: all that people are shown, before anything is drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from domain.analytics.equity_curve import CurvePoint, TradeMarker, equity_curve, trade_markers
from domain.analytics.funnel import Funnel
from domain.analytics.histogram import Bin, histogram
from domain.analytics.performance import History, Performance, performance
from domain.analytics.period_returns import (
    PeriodReturn,
    daily_period_returns,
    monthly_period_returns,
    strategy_period_returns,
)
from domain.analytics.returns import Valuation
from domain.analytics.round_trips import RoundTrip
from domain.analytics.trade_stats import Dimension, TradeHistory, TradeStats
from domain.trading.arithmetic import ZERO, add
from domain.trading.portfolio import Trade

CURVE_POINTS = 2_000
MARKS = 600
BINS = 40


@dataclass(frozen=True, slots=True)
class OpenPosition:
    """What is held now, at the last market price. Amounts in the portfolio's currency.

    Attributes:
        price_source: of that price.
        unrealized_pnl: before the costs of a sale.
    """

    symbol: str
    side: str
    quantity: Decimal
    entry_price: Decimal
    current_price: Decimal
    price_source: str
    position_value: Decimal
    unrealized_pnl: Decimal
    unrealized_pnl_pct: Decimal | None
    strategy: str | None
    opened_at: datetime


@dataclass(frozen=True, slots=True)
class Report:
    """What a report shows. Amounts in ``currency``, times in UTC.

    Attributes:
        portfolio: its name.
        strategy: of which alone results are shown; None: all of them.
        since: the beginning of the period.
        until: its end.
        initial_capital: what the portfolio was given.
        opening: its value at the beginning of the period.
        closing: its value at the end, as the last snapshot has it.
        closing_at: when that snapshot was made; the period's beginning where there is none.
        performance: the figures of the portfolio; None for a strategy, which has no value of its own.
        trade_stats: of the portfolio, or of the strategy.
        by: the same told apart.
        curve: the value over time; for a strategy its net result so far.
        marks: closings on the curve.
        days: what each day brought.
        months: what each month brought.
        round_trips: the round trips that ended, oldest first.
        distribution: of the net results of round trips.
        funnel: of the decisions that came in during the period.
        positions: what is held now, whatever the period.
        price_sources: of the fills in the period, and of what is held.
    """

    portfolio: str
    strategy: str | None
    currency: str
    since: datetime
    until: datetime
    initial_capital: Decimal
    opening: Decimal
    closing: Decimal
    closing_at: datetime
    performance: Performance | None
    trade_stats: TradeStats
    by: Mapping[Dimension, Mapping[str, TradeStats]]
    curve: tuple[CurvePoint, ...]
    marks: tuple[TradeMarker, ...]
    days: tuple[PeriodReturn, ...]
    months: tuple[PeriodReturn, ...]
    round_trips: tuple[RoundTrip, ...]
    distribution: tuple[Bin, ...]
    funnel: Funnel
    positions: tuple[OpenPosition, ...]
    price_sources: tuple[str, ...]


def report(
    history: History,
    *,
    portfolio: str,
    currency: str,
    initial_capital: Decimal,
    strategy: str | None,
    funnel: Funnel,
    positions: Sequence[OpenPosition],
    price_sources: Sequence[str],
) -> Report:
    """Return the report on a period.

    Args:
        history: of the period, see `History.during`.
        portfolio: its name.
        currency: that amounts are in.
        initial_capital: of the portfolio.
        strategy: show the results of this one alone; ``(none)`` is the one of decisions that name none.
        funnel: of the decisions that came in during the period, of the strategy if one is given.
        positions: what is held now, of the strategy if one is given.
        price_sources: see `Report`.
    """
    trade_history = history.trade_history if strategy is None else history.trade_history.of(strategy)
    value = (history.opening, *history.valuations)
    line = value if strategy is None else _net_so_far(trade_history, history)
    drawn = equity_curve(line, CURVE_POINTS)
    return Report(
        portfolio=portfolio,
        strategy=strategy,
        currency=currency,
        since=history.opening.time,
        until=history.until,
        initial_capital=initial_capital,
        opening=history.opening.total_value,
        closing=value[-1].total_value,
        closing_at=value[-1].time,
        performance=performance(history) if strategy is None else None,
        trade_stats=trade_history.stats(),
        by={dimension: trade_history.by(dimension) for dimension in Dimension},
        curve=drawn,
        marks=trade_markers(trade_history.trades, drawn, MARKS),
        days=daily_period_returns(history)
        if strategy is None
        else strategy_period_returns(trade_history.trades, monthly=False),
        months=monthly_period_returns(history)
        if strategy is None
        else strategy_period_returns(trade_history.trades, monthly=True),
        round_trips=trade_history.round_trips,
        distribution=histogram([trip.net for trip in trade_history.round_trips], BINS),
        funnel=funnel,
        positions=tuple(positions),
        price_sources=tuple(price_sources),
    )


def _net_so_far(trade_history: TradeHistory, history: History) -> Sequence[Valuation]:
    """What a strategy's closings brought up to each of them, from 0 on."""
    found = [Valuation(history.opening.time, ZERO)]
    trades: Sequence[Trade] = trade_history.trades
    for trade in trades:
        found.append(Valuation(trade.exit_time, add(found[-1].total_value, trade.net)))
    found.append(Valuation(max(history.until, found[-1].time), found[-1].total_value))
    return found
