"""JSON document of a report: complete, with amounts and metrics as strings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from console.report import verdicts
from domain.analytics.performance import Performance
from domain.analytics.report import Report
from domain.analytics.returns import DailyReturns
from domain.validation.verdict import Verdict


def report_to_dict(report: Report, verdict: Verdict | None) -> dict[str, object]:
    """Return a report and its verdict for JSON; docs/report.md describes the fields."""
    document: dict[str, object] = {field.name: getattr(report, field.name) for field in fields(report)}
    document["performance"] = None if report.performance is None else _performance(report.performance)
    document["curve"] = [{**point._asdict(), "drawdown": point.drawdown} for point in report.curve]
    document["gate"] = None if verdict is None else verdicts.verdict_to_dict(verdict)
    return document


def _performance(performance: Performance) -> Mapping[str, object]:
    # The report itself holds the results.
    document: dict[str, Any] = {
        field.name: getattr(performance, field.name) for field in fields(performance) if field.name != "results"
    }
    return {**document, "returns": _returns(performance.returns)}


def _returns(returns: DailyReturns) -> Mapping[str, object]:
    values: list[Any] = list(returns.values) or [None] * len(returns.closes)
    return {
        "days": [
            {"time": close.time, "total_value": close.total_value, "return": value}
            for close, value in zip(returns.closes, values, strict=True)
        ],
        "days_a_year": returns.days_a_year,
        "missing": returns.missing,
    }
