"""Rows that explain results: how the result adds up, buying and holding beside it, and the round trips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from console.display.format import duration
from console.display.times import utc_moment
from domain.analytics.report import Report
from domain.analytics.report_parts.buy_and_hold import BuyAndHold
from domain.analytics.report_parts.trip_notes import TripNote
from domain.analytics.round_trips import RoundTrip
from domain.wording import counted, one_line

MAX_HOLDING_ROWS = 12
"""Symbols that are compared alone; a report may have hundreds."""
MAX_REASONING = 2_000
"""Characters of a reasoning; the rest is in `run.py explain` and in the files."""


@dataclass(frozen=True, slots=True)
class SumRow:
    """A row of *How the result adds up*: a summand, or a sum of the rows above it."""

    label: str
    amount: Decimal
    is_sum: bool = False


def result_rows(report: Report) -> list[SumRow]:
    """Return how the net result of closings, the expectancy and the result are connected; rows of 0 are left out."""
    parts, stats = report.reconciliation, report.trade_stats
    trips = counted(stats.total_trades, "round trip")
    rows = [SumRow(f"{trips}: their number × the expectancy", parts.round_trips)]
    if parts.open_closings:
        rows.append(SumRow("closings of positions that are still open", parts.open_closings))
    if parts.earlier_closings:
        rows.append(SumRow("less closings before the period, of round trips that ended in it", parts.earlier_closings))
    rows.append(SumRow("Net result of all closings", stats.net_pnl, is_sum=True))
    if parts.open_positions is None:
        return rows
    if parts.dividends:
        rows.append(SumRow("dividends", parts.dividends))
    rows.append(
        SumRow("open positions: change of their unrealised result, less entry commissions", parts.open_positions)
    )
    rows.append(SumRow("Result: change of the value", report.result, is_sum=True))
    return rows


def value_note(report: Report) -> str | None:
    """Return what the value is of, where it is not of the end of the period; figures may be newer then."""
    if report.closing_at <= report.since and report.closing == report.opening:
        no_snapshot = "no snapshot in this period, so this is the value at its beginning"
        return no_snapshot if report.trade_stats.traded else None
    if report.until - report.closing_at < timedelta(seconds=1):
        return None
    newer = f"; the figures have {counted(report.later_fills, 'later fill')}, too" if report.later_fills else ""
    return f"value as of the last snapshot, {utc_moment(report.closing_at)}{newer}"


def holding_rows(report: Report) -> Sequence[BuyAndHold]:
    """Return what is compared with: all that was traded, what was named, and the first symbols alone."""
    return report.benchmarks[:MAX_HOLDING_ROWS]


@dataclass(frozen=True, slots=True)
class TripRow:
    """A round trip with what its decisions said.

    Attributes:
        held: its duration.
        reasoning: of the decision that opened it; empty where there is none.
        exit: what ended it, and the reasoning of that decision.
    """

    trip: RoundTrip
    held: str
    reasoning: str
    exit: str


def trip_rows(report: Report, most: int) -> list[TripRow]:
    """Return the last round trips, the newest first."""
    return [_trip_row(trip, report.trip_notes.get(trip.position_id)) for trip in report.round_trips[-most:][::-1]]


def _trip_row(trip: RoundTrip, note: TripNote | None) -> TripRow:
    if note is None:
        return TripRow(trip, duration(trip.held), "", "")
    by = note.exit_by
    if by == "decision" and note.exit_decision_id is not None:
        by = f"decision {note.exit_decision_id}"
    reasoning = _reasoning(note.exit_reasoning)
    return TripRow(trip, duration(trip.held), _reasoning(note.reasoning), f"{by}: {reasoning}" if reasoning else by)


def _reasoning(text: str | None) -> str:
    line = one_line(text or "")
    return line if len(line) <= MAX_REASONING else f"{line[:MAX_REASONING]} …"
