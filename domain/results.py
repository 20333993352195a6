"""What trading brought and cost, in all and by symbol, strategy, asset class, day and side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from functools import cached_property
from typing import Any

from domain.arithmetic import ZERO, divide, negate, subtract, total
from domain.figure import Figure, average, known, unknown
from domain.portfolio import Trade
from domain.returns import DAY, MICROSECOND
from domain.snapshot import day_of
from domain.trips import Execution, RoundTrip, round_trips
from domain.words import PositionId

CRYPTO = "crypto"
NO_STRATEGY = "(none)"
NO_TRIPS = "no round trip yet"
SECOND = timedelta(seconds=1) // MICROSECOND


class Dimension(StrEnum):
    """What results can be told apart by."""

    SYMBOL = "symbol"
    STRATEGY = "strategy"
    ASSET_CLASS = "asset_class"
    DAY = "day"
    SIDE = "side"


@dataclass(frozen=True, slots=True)
class Results:
    """What trading brought and cost, under the names of ``v_paper_performance_metrics``; amounts in the own currency.

    The net result of a round trip decides: a win is net > 0, a loss net < 0; exactly 0 is neither, and counts in every
    denominator. Attributes from ``total_trades`` to ``avg_hold_seconds`` are over round trips; in the sums below them,
    what is open or closed in part counts, too.

    Attributes:
        total_trades: number of round trips.
        winning_trades: net > 0.
        losing_trades: net < 0.
        win_rate: winning_trades / total_trades, a fraction.
        win_rate_gross: the same over gross results.
        avg_win: Σ net of the wins / their number.
        avg_loss: Σ net of the losses / their number, negative.
        profit_factor: Σ net of the wins / −Σ net of the losses.
        expectancy: Σ net / total_trades, which is win rate × avg_win + loss rate × avg_loss.
        best_trade: the largest net.
        worst_trade: the smallest net.
        avg_hold_seconds: mean time from the first fill to the last.
        gross_pnl: Σ gross of all closings.
        net_pnl: Σ net of all closings.
        total_commission: Σ commission of all executions.
        total_slippage: Σ slippage of all executions; it is part of the prices, so gross_pnl has it already.
        traded: Σ notional of all executions, buys and sells.
        time_in_market: how much of the time something was held, a fraction.
    """

    total_trades: int
    winning_trades: int
    losing_trades: int
    win_rate: Figure
    win_rate_gross: Figure
    avg_win: Figure
    avg_loss: Figure
    profit_factor: Figure
    expectancy: Figure
    best_trade: Figure
    worst_trade: Figure
    avg_hold_seconds: Figure
    gross_pnl: Decimal
    net_pnl: Decimal
    total_commission: Decimal
    total_slippage: Decimal
    traded: Decimal
    time_in_market: Figure


Group = tuple[list[RoundTrip], list[Trade], list[Execution]]
Span = tuple[datetime, datetime]


@dataclass(frozen=True)
class Dealings:
    """What a portfolio did in some time, and its results.

    Attributes:
        trades: closings.
        executions: every fill behind them and behind what is open.
        since: beginning of the time that time_in_market is a fraction of.
        until: its end.
        before: what had happened by then to positions that were still open; a round trip that ended since has all of
            its closings in its result, and was held all the time. Nothing else of it counts.
    """

    trades: Sequence[Trade]
    executions: Sequence[Execution]
    since: datetime
    until: datetime
    before: tuple[Sequence[Trade], Sequence[Execution]] = ((), ())

    def during(self, since: datetime, until: datetime) -> Dealings:
        """Return what was dealt from ``since`` until just before ``until``, with what was open then behind it."""
        trades = [trade for trade in (*self.before[0], *self.trades) if trade.exit_time < until]
        executions = [fill for fill in (*self.before[1], *self.executions) if fill.at < until]
        over = {trade.position_id for trade in trades if trade.closes and trade.exit_time < since}
        before = (
            tuple(trade for trade in trades if trade.exit_time < since and trade.position_id not in over),
            tuple(fill for fill in executions if fill.at < since and fill.position_id not in over),
        )
        return Dealings(
            tuple(trade for trade in trades if trade.exit_time >= since),
            tuple(fill for fill in executions if fill.at >= since),
            since,
            until,
            before,
        )

    def of(self, strategy: str) -> Dealings:
        """Return the dealings of one strategy; ``(none)`` is the one of those that name none."""

        def its(records: Sequence[Any]) -> tuple[Any, ...]:
            return tuple(record for record in records if (record.strategy or NO_STRATEGY) == strategy)

        trades, executions = self.before
        before = its(trades), its(executions)
        return replace(self, trades=its(self.trades), executions=its(self.executions), before=before)

    @property
    def crypto(self) -> bool:
        """Whether crypto was held, so that a year has 365 days of trading."""
        return any(fill.asset_class == CRYPTO for fill in (*self.before[1], *self.executions))

    @property
    def trips(self) -> tuple[RoundTrip, ...]:
        """The round trips that ended, in the order of their ends."""
        return self._trips

    def results(self) -> Results:
        """Return the results in all."""
        return _results(self._trips, self.trades, self.executions, self._spans.values(), (self.since, self.until))

    def by(self, dimension: Dimension) -> dict[str, Results]:
        """Return the results of each symbol, strategy, asset class, day or side (LONG, SHORT), sorted by its name.

        A day is one of UTC on which something was executed, named as 2026-01-31: a round trip belongs to the day of its
        last closing, a closing and an execution to their own, and time_in_market is a fraction of that day. What has no
        strategy goes under ``(none)``. Counts and amounts of all groups add up to those of `results`.
        """
        found = {}
        days = _by_day(self._spans) if dimension is Dimension.DAY else {}
        ids = {} if dimension is Dimension.DAY else self._positions(dimension)
        for name, group in sorted(self._groups(dimension).items()):
            if dimension is Dimension.DAY:
                midnight = datetime.fromisoformat(name).replace(tzinfo=UTC)
                held, window = days.get(name, []), (max(midnight, self.since), min(midnight + DAY, self.until))
            else:
                held, window = [self._spans[position] for position in ids.get(name, ())], (self.since, self.until)
            found[name] = _results(*group, held, window)
        return found

    # A year has tens of thousands of closings; what each question needs is put together once.
    @cached_property
    def _trips(self) -> tuple[RoundTrip, ...]:
        return round_trips((*self.before[0], *self.trades))

    @cached_property
    def _spans(self) -> Mapping[PositionId, Span]:
        return _spans((*self.before[0], *self.trades), (*self.before[1], *self.executions), self.until)

    def _positions(self, dimension: Dimension) -> Mapping[str, set[PositionId]]:
        """The positions of each group, those that nothing happened to since too."""
        found: dict[str, set[PositionId]] = {}
        records: list[Trade | Execution] = [*self.before[0], *self.trades, *self.before[1], *self.executions]
        for record in records:
            found.setdefault(_name(dimension, record, self.since), set()).add(record.position_id)
        return found

    def _groups(self, dimension: Dimension) -> dict[str, Group]:
        groups: dict[str, Group] = {}
        for trip in self._trips:
            groups.setdefault(_name(dimension, trip, trip.closed_at), ([], [], []))[0].append(trip)
        for trade in self.trades:
            groups.setdefault(_name(dimension, trade, trade.exit_time), ([], [], []))[1].append(trade)
        for execution in self.executions:
            groups.setdefault(_name(dimension, execution, execution.at), ([], [], []))[2].append(execution)
        return groups


def _name(dimension: Dimension, record: RoundTrip | Trade | Execution, at: datetime) -> str:
    match dimension:
        case Dimension.SYMBOL:
            return record.symbol
        case Dimension.STRATEGY:
            return record.strategy or NO_STRATEGY
        case Dimension.ASSET_CLASS:
            return record.asset_class
        case Dimension.SIDE:
            return record.side.value
        case Dimension.DAY:
            return at.astimezone(UTC).date().isoformat()


def _spans(trades: Sequence[Trade], executions: Sequence[Execution], until: datetime) -> Mapping[PositionId, Span]:
    """From when to when each position was held; one that is open, until ``until``."""
    opened: dict[PositionId, datetime] = {}
    for execution in executions:
        opened[execution.position_id] = min(execution.at, opened.get(execution.position_id, execution.at))
    ends: dict[PositionId, datetime] = {}
    for trade in trades:
        opened[trade.position_id] = trade.entry_time
        if trade.closes:
            ends[trade.position_id] = trade.exit_time
    return {position: (start, ends.get(position, until)) for position, start in opened.items()}


def _by_day(spans: Mapping[PositionId, Span]) -> dict[str, list[Span]]:
    """The spans that touch each day, so that a day need not look through those of all the others."""
    days: dict[str, list[Span]] = {}
    for start, end in spans.values():
        midnight = day_of(start)
        while midnight <= end:
            days.setdefault(midnight.date().isoformat(), []).append((start, end))
            midnight += DAY
    return days


def _time_in_market(spans: Iterable[Span], window: Span) -> Figure:
    since, until = window
    if until <= since:
        return unknown("no time has passed")
    covered, held = since, timedelta()
    for start, end in sorted(spans):
        first, last = max(start, covered), min(end, until)
        if last > first:
            held += last - first
            covered = last
    return known(divide(Decimal(held // MICROSECOND), Decimal((until - since) // MICROSECOND)))


def _results(
    trips: Sequence[RoundTrip],
    trades: Sequence[Trade],
    executions: Sequence[Execution],
    spans: Iterable[Span],
    window: Span,
) -> Results:
    nets = [trip.net for trip in trips]
    wins = [net for net in nets if net > ZERO]
    losses = [net for net in nets if net < ZERO]
    number = Decimal(len(trips))
    gross = total(trade.gross for trade in trades)

    def of_trips(value: Decimal) -> Figure:
        return known(divide(value, number)) if trips else unknown(NO_TRIPS)

    if losses:
        profit_factor = known(divide(total(wins), negate(total(losses))))
    else:
        profit_factor = unknown("no losing round trip yet" if trips else NO_TRIPS)
    return Results(
        total_trades=len(trips),
        winning_trades=len(wins),
        losing_trades=len(losses),
        win_rate=of_trips(Decimal(len(wins))),
        win_rate_gross=of_trips(Decimal(sum(trip.gross > ZERO for trip in trips))),
        avg_win=average(wins, "no winning round trip yet" if trips else NO_TRIPS),
        avg_loss=average(losses, "no losing round trip yet" if trips else NO_TRIPS),
        profit_factor=profit_factor,
        expectancy=average(nets, NO_TRIPS),
        best_trade=known(max(nets)) if nets else unknown(NO_TRIPS),
        worst_trade=known(min(nets)) if nets else unknown(NO_TRIPS),
        avg_hold_seconds=of_trips(divide(Decimal(sum(trip.held // MICROSECOND for trip in trips)), Decimal(SECOND))),
        gross_pnl=gross,
        net_pnl=subtract(gross, total(trade.commission for trade in trades)),
        total_commission=total(execution.commission for execution in executions),
        total_slippage=total(execution.slippage for execution in executions),
        traded=total(execution.notional for execution in executions),
        time_in_market=_time_in_market(spans, window),
    )
