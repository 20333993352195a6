"""Results and costs of trading: in total, and by symbol, strategy, asset class, day, side, confidence and hour."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import StrEnum
from functools import cached_property, lru_cache, partial
from operator import attrgetter, itemgetter
from typing import Any, NamedTuple, TypeVar

from domain.analytics.performance_metric import PerformanceMetric, average, defined, undefined
from domain.analytics.returns import DAY, MICROSECOND
from domain.analytics.round_trips import Execution, RoundTrip, round_trips
from domain.trading.account.trades import Trade
from domain.trading.arithmetic import ZERO, divide, negate, subtract, total
from domain.trading.snapshot import day_of
from domain.types import PositionId, PositionSide

CRYPTO = "crypto"
NO_STRATEGY = "(none)"
UNKNOWN = "(unknown)"
CONFIDENCE_BUCKETS = 10
NO_ROUND_TRIPS = "no round trip yet"
N = TypeVar("N", date, str)
T = TypeVar("T")
MICROSECONDS_PER_SECOND = timedelta(seconds=1) // MICROSECOND


class Dimension(StrEnum):
    """A dimension by which results are grouped."""

    SYMBOL = "symbol"
    STRATEGY = "strategy"
    ASSET_CLASS = "asset_class"
    DAY = "day"
    SIDE = "side"
    CONFIDENCE = "confidence"
    HOUR = "hour"


@dataclass(frozen=True, slots=True)
class TradeStats:
    """Results and costs of trading, named as in ``v_paper_performance_metrics``; amounts in the portfolio's currency.

    `domain.analytics.metric_definitions` defines them. A win is a round trip with net > 0, a loss one with net < 0;
    exactly 0 is neither, but counts in every denominator. Attributes from ``total_trades`` to ``avg_hold_seconds`` are
    over round trips. The sums after them also include positions that are open or closed in part.
    """

    total_trades: int
    winning_trades: int
    losing_trades: int
    win_rate: PerformanceMetric
    win_rate_gross: PerformanceMetric
    avg_win: PerformanceMetric
    avg_loss: PerformanceMetric
    profit_factor: PerformanceMetric
    expectancy: PerformanceMetric
    best_trade: PerformanceMetric
    worst_trade: PerformanceMetric
    avg_hold_seconds: PerformanceMetric
    gross_pnl: Decimal
    net_pnl: Decimal
    total_commission: Decimal
    total_slippage: Decimal
    total_spread: Decimal
    traded: Decimal
    time_in_market: PerformanceMetric


Span = tuple[datetime, datetime]


class Closing(NamedTuple):
    """The part of a closing that counts in the results of its groups."""

    gross: Decimal
    commission: Decimal
    at: datetime


class Group(NamedTuple):
    """The records with the same value in one dimension."""

    round_trips: list[RoundTrip]
    closings: list[Closing]
    executions: list[Execution]


@dataclass(frozen=True)
class TradeHistory:
    """The trades and fills of a portfolio in a period, and their results.

    Attributes:
        trades: closings.
        executions: fills of these trades and of the open positions.
        since: beginning of the period.
        until: its end.
        before: earlier trades and fills of positions that were open at ``since``. They count only in the result and the
            holding time of round trips that end in the period.
    """

    trades: Sequence[Trade]
    executions: Sequence[Execution]
    since: datetime
    until: datetime
    before: tuple[Sequence[Trade], Sequence[Execution]] = ((), ())

    def during(self, since: datetime, until: datetime) -> TradeHistory:
        """Return the part from ``since`` to just before ``until``, including the positions open at ``since``."""
        trades = [trade for trade in (*self.before[0], *self.trades) if trade.exit_time < until]
        executions = [fill for fill in (*self.before[1], *self.executions) if fill.at < until]
        flat = {trade.position_id for trade in trades if trade.closes and trade.exit_time < since}
        before = (
            tuple(trade for trade in trades if trade.exit_time < since and trade.position_id not in flat),
            tuple(fill for fill in executions if fill.at < since and fill.position_id not in flat),
        )
        return TradeHistory(
            tuple(trade for trade in trades if trade.exit_time >= since),
            tuple(fill for fill in executions if fill.at >= since),
            since,
            until,
            before,
        )

    def of(self, strategy: str) -> TradeHistory:
        """Return the history of one strategy; ``(none)`` stands for records without a strategy."""

        def of_strategy(records: Sequence[Any]) -> tuple[Any, ...]:
            return tuple(record for record in records if (record.strategy or NO_STRATEGY) == strategy)

        trades, executions = self.before
        before = of_strategy(trades), of_strategy(executions)
        return replace(self, trades=of_strategy(self.trades), executions=of_strategy(self.executions), before=before)

    @property
    def crypto(self) -> bool:
        """Whether crypto was held, so that a year has 365 trading days."""
        return any(fill.asset_class == CRYPTO for fill in (*self.before[1], *self.executions))

    def by(self, dimension: Dimension) -> dict[str, TradeStats]:
        """Return the results of each symbol, strategy, … or side (LONG, SHORT), sorted by its name.

        A day is a UTC day with an execution, named as 2026-01-31. A round trip belongs to the day of its last closing,
        a closing or an execution to its own day, and time_in_market is a fraction of that day. Confidence and hour are
        those of the fill that opened the position: a bucket of a tenth, named as ``0.7 to 0.8`` (0.8 is in the next
        one, 1 in the last), and an hour of the day in UTC, named as 14:00. Records without a strategy are under
        ``(none)``. Counts and amounts of all groups add up to those of `stats`.
        """
        if dimension is Dimension.DAY:
            return self._by_day()
        groups, held = self._grouped[dimension]
        if len(groups) == 1 and groups.keys() == held.keys():
            return dict.fromkeys(groups, self.stats)
        window = self.since, self.until
        return {key: _trade_stats(group, held.get(key, ()), window) for key, group in sorted(groups.items())}

    def closings_by(self, dimension: Dimension) -> Mapping[str, Sequence[Closing]]:
        """Return the closings of each group, oldest first; not of a day. A group without any has an empty list."""
        groups, _ = self._grouped[dimension]
        return {name: group.closings for name, group in groups.items()}

    @cached_property
    def _grouped(self) -> Mapping[Dimension, tuple[Mapping[str, Group], Mapping[str, Sequence[Span]]]]:
        """For each dimension but the day, its groups and the times when each held a position."""
        grouped = {}
        for dimension in (*NAMES, *OPENINGS):
            of_opening = dimension in OPENINGS
            name = self._opening_namer(OPENINGS[dimension]) if of_opening else NAMES[dimension]
            held: defaultdict[str, list[Span]] = defaultdict(list)
            for span, records in self._held:
                # All records of a position have the same opening fill.
                for key in (name(records[0]),) if of_opening else set(map(name, records)):
                    held[key].append(span)
            grouped[dimension] = self._groups(partial(map, name)), held
        return grouped

    def _opening_namer(self, named: Callable[[Execution], str]) -> Callable[[Any], str]:
        """Return the function that names a record by the execution that opened its position."""
        # By the identity of a record: to hash the UUIDs of a year takes longer than all else here.
        names: dict[int, str] = {}
        for trades, executions in self._positions.values():
            name = named(executions[0]) if executions else UNKNOWN
            for record in (*trades, *executions):
                names[id(record)] = name
        for trip in self.round_trips:
            trades, _ = self._positions[trip.position_id]
            names[id(trip)] = names[id(trades[0])]
        return lambda record: names[id(record)]

    def _by_day(self) -> dict[str, TradeStats]:
        groups = self._groups(lambda records: [ENDS[type(record)](record).astimezone(UTC).date() for record in records])
        held = _spans_by_day(span for span, _ in self._held)
        stats = {}
        for day, group in sorted(groups.items()):
            midnight = datetime.combine(day, time.min, UTC)
            window = max(midnight, self.since), min(midnight + DAY, self.until)
            stats[day.isoformat()] = _trade_stats(group, held.get(day, ()), window)
        return stats

    def _groups(self, names: Callable[[Sequence[Any]], Iterable[N]]) -> dict[N, Group]:
        """Return the records grouped by name."""
        groups: defaultdict[N, Group] = defaultdict(lambda: Group([], [], []))
        for name, trips in _partition(names(self.round_trips), self.round_trips).items():
            groups[name].round_trips.extend(trips)
        for name, closings in _partition(names(self.trades), self.closings).items():
            groups[name].closings.extend(closings)
        for name, executions in _partition(names(self.executions), self.executions).items():
            groups[name].executions.extend(executions)
        return groups

    # A year has tens of thousands of closings: intermediate results are computed once and cached.
    @cached_property
    def round_trips(self) -> tuple[RoundTrip, ...]:
        """The round trips that ended, in the order of their ends."""
        return round_trips((*self.before[0], *self.trades), self.openings)

    @cached_property
    def openings(self) -> Mapping[PositionId, Execution]:
        """The execution that opened each position."""
        return {position: executions[0] for position, (_, executions) in self._positions.items() if executions}

    @cached_property
    def stats(self) -> TradeStats:
        """The total results."""
        group = Group(list(self.round_trips), self.closings, list(self.executions))
        return _trade_stats(group, (span for span, _ in self._held), (self.since, self.until))

    @cached_property
    def closings(self) -> list[Closing]:
        """The amounts of each trade."""
        return [Closing(trade.gross, trade.commission, trade.exit_time) for trade in self.trades]

    @cached_property
    def _positions(self) -> Mapping[PositionId, tuple[list[Trade], list[Execution]]]:
        """The records of each position."""
        records: defaultdict[PositionId, tuple[list[Trade], list[Execution]]] = defaultdict(lambda: ([], []))
        for trade in (*self.before[0], *self.trades):
            records[trade.position_id][0].append(trade)
        for execution in (*self.before[1], *self.executions):
            records[execution.position_id][1].append(execution)
        return records

    @cached_property
    def _held(self) -> list[tuple[Span, list[Trade | Execution]]]:
        """The time span of each position with its records, ordered by the span's beginning."""
        held: list[tuple[Span, list[Trade | Execution]]] = [
            (_span(trades, executions, self.until), [*trades, *executions])
            for trades, executions in self._positions.values()
        ]
        held.sort(key=itemgetter(0))
        return held


def _partition(names: Iterable[N], records: Sequence[T]) -> Mapping[N, list[T]]:
    """Return the records by name, each list in their order."""
    parts: defaultdict[N, list[T]] = defaultdict(list)
    for name, record in zip(names, records, strict=True):
        parts[name].append(record)
    return parts


SIDES = {side: side.value for side in PositionSide}
NAMES: Mapping[Dimension, Callable[[Any], str]] = {
    Dimension.SYMBOL: attrgetter("symbol"),
    Dimension.STRATEGY: lambda record: record.strategy or NO_STRATEGY,
    Dimension.ASSET_CLASS: attrgetter("asset_class"),
    Dimension.SIDE: lambda record: SIDES[record.side],
}


@lru_cache(maxsize=1024)
def _confidence_bucket(confidence: Decimal | None) -> str:
    if confidence is None or not confidence.is_finite():
        return UNKNOWN
    bucket = min(int(confidence * CONFIDENCE_BUCKETS), CONFIDENCE_BUCKETS - 1)
    low, high = (divide(Decimal(bound), Decimal(CONFIDENCE_BUCKETS)) for bound in (bucket, bucket + 1))
    return f"{low:.1f} to {high:.1f}"


HOURS = tuple(f"{hour:02}:00" for hour in range(24))


OPENINGS: Mapping[Dimension, Callable[[Execution], str]] = {
    Dimension.CONFIDENCE: lambda execution: _confidence_bucket(execution.confidence),
    Dimension.HOUR: lambda execution: HOURS[execution.at.astimezone(UTC).hour],
}
ENDS = {RoundTrip: attrgetter("closed_at"), Trade: attrgetter("exit_time"), Execution: attrgetter("at")}


def _span(trades: Sequence[Trade], executions: Sequence[Execution], until: datetime) -> Span:
    """Return the time span of a position; an open one ends at ``until``."""
    start = trades[-1].entry_time if trades else min(execution.at for execution in executions)
    return start, next((trade.exit_time for trade in reversed(trades) if trade.closes), until)


def _spans_by_day(spans: Iterable[Span]) -> dict[date, list[Span]]:
    """Return the spans that overlap each day, so that a day does not have to search all spans."""
    days: dict[date, list[Span]] = {}
    for start, end in spans:
        midnight = day_of(start)
        while midnight <= end:
            days.setdefault(midnight.date(), []).append((start, end))
            midnight += DAY
    return days


def _time_in_market(spans: Iterable[Span], window: Span) -> PerformanceMetric:
    """Return the fraction of a window covered by the spans, which are ordered by their beginnings."""
    since, until = window
    if until <= since:
        return undefined("no time has passed")
    covered, held = since, timedelta()
    for start, end in spans:
        first, last = max(start, covered), min(end, until)
        if last > first:
            held += last - first
            covered = last
    return defined(divide(Decimal(held // MICROSECOND), Decimal((until - since) // MICROSECOND)))


def _trade_stats(group: Group, spans: Iterable[Span], window: Span) -> TradeStats:
    round_trips, closings, executions = group
    nets = [trip.net for trip in round_trips]
    wins = [net for net in nets if net > ZERO]
    losses = [net for net in nets if net < ZERO]
    number, held = Decimal(len(round_trips)), sum((trip.held for trip in round_trips), timedelta())
    gross = total([closing.gross for closing in closings])

    def per_round_trip(value: Decimal) -> PerformanceMetric:
        return defined(divide(value, number)) if round_trips else undefined(NO_ROUND_TRIPS)

    if losses:
        profit_factor = defined(divide(total(wins), negate(total(losses))))
    else:
        profit_factor = undefined("no losing round trip yet" if round_trips else NO_ROUND_TRIPS)
    return TradeStats(
        total_trades=len(round_trips),
        winning_trades=len(wins),
        losing_trades=len(losses),
        win_rate=per_round_trip(Decimal(len(wins))),
        win_rate_gross=per_round_trip(Decimal(sum(trip.gross > ZERO for trip in round_trips))),
        avg_win=average(wins, "no winning round trip yet" if round_trips else NO_ROUND_TRIPS),
        avg_loss=average(losses, "no losing round trip yet" if round_trips else NO_ROUND_TRIPS),
        profit_factor=profit_factor,
        expectancy=average(nets, NO_ROUND_TRIPS),
        best_trade=defined(max(nets)) if nets else undefined(NO_ROUND_TRIPS),
        worst_trade=defined(min(nets)) if nets else undefined(NO_ROUND_TRIPS),
        avg_hold_seconds=per_round_trip(divide(Decimal(held // MICROSECOND), Decimal(MICROSECONDS_PER_SECOND))),
        gross_pnl=gross,
        net_pnl=subtract(gross, total([closing.commission for closing in closings])),
        total_commission=total([execution.commission for execution in executions]),
        total_slippage=total([execution.slippage for execution in executions]),
        total_spread=total([execution.spread for execution in executions]),
        traded=total([execution.notional for execution in executions]),
        time_in_market=_time_in_market(spans, window),
    )
