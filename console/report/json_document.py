"""JSON document of a report: complete, with amounts and metrics as strings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from operator import attrgetter
from typing import Any

from console.report import verdicts
from domain.analytics.performance import Performance
from domain.analytics.period_returns import PeriodReturn
from domain.analytics.report import Report
from domain.analytics.report_parts.trip_notes import TripNote
from domain.analytics.returns import DailyReturns
from domain.analytics.round_trips import RoundTrip
from domain.validation.verdict import Verdict

KEYS = {
    "trade_stats": "results",
    "round_trips": "trips",
    "trip_notes": "trips",
    "complete": "whole",
    "by_curves": "curves",
}
"""Keys of the document that differ from the field's name. Programs rely on them."""

TRIP, NOTE = ([field.name for field in fields(kind)] for kind in (RoundTrip, TripNote))
TRIP_VALUES = attrgetter(*TRIP)
NO_NOTE: dict[str, object] = dict.fromkeys(NOTE)


def report_to_dict(report: Report, verdict: Verdict | None) -> dict[str, object]:
    """Return a report and its verdict for JSON; docs/report.md describes the fields."""
    document = _with_keys(report)
    document["performance"] = None if report.performance is None else _performance(report.performance)
    document["days"] = [_with_keys(day) for day in report.days]
    document["months"] = [_with_keys(month) for month in report.months]
    document["curve"] = [{**point._asdict(), "drawdown": point.drawdown} for point in report.curve]
    document["trips"] = [_trip(trip, report.trip_notes.get(trip.position_id)) for trip in report.round_trips]
    document["account"] = [entry._asdict() for entry in report.account]
    document["gate"] = None if verdict is None else verdicts.verdict_to_dict(verdict)
    return document


def _trip(trip: RoundTrip, note: TripNote | None) -> dict[str, object]:
    # A report may have tens of thousands of them.
    return {**dict(zip(TRIP, TRIP_VALUES(trip), strict=True)), **(NO_NOTE if note is None else asdict(note))}


def _with_keys(record: Report | PeriodReturn) -> dict[str, object]:
    """Return the record's fields by their keys in the document."""
    return {KEYS.get(field.name, field.name): getattr(record, field.name) for field in fields(record)}


def _performance(performance: Performance) -> Mapping[str, object]:
    # The report itself holds the results.
    document: dict[str, Any] = {
        field.name: getattr(performance, field.name) for field in fields(performance) if field.name != "trade_stats"
    }
    return {**document, "returns": _returns(performance.returns)}


def _returns(returns: DailyReturns) -> Mapping[str, object]:
    values: list[Any] = list(returns.values) or [None] * len(returns.closes)
    return {
        "days": [
            {"time": close.time, "total_value": close.total_value, "return": value}
            for close, value in zip(returns.closes, values, strict=True)
        ],
        "days_a_year": returns.days_per_year,
        "missing": returns.missing,
    }
