"""A report as a JSON document: everything of it, amounts and figures as strings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from console.report import verdicts
from domain.analytics.performance import Performance
from domain.analytics.report import Report
from domain.analytics.returns import DailyReturns
from domain.validation.verdict import Verdict


def described(report: Report, verdict: Verdict | None) -> dict[str, object]:
    """Return a report and the gate's verdict; docs/report.md says what the fields are."""
    found: dict[str, object] = {each.name: getattr(report, each.name) for each in fields(report)}
    found["performance"] = None if report.performance is None else _performance(report.performance)
    found["curve"] = [{**point._asdict(), "drawdown": point.drawdown} for point in report.curve]
    found["gate"] = None if verdict is None else verdicts.described(verdict)
    return found


def _performance(performance: Performance) -> Mapping[str, object]:
    # Its results stand in the report itself.
    found: dict[str, Any] = {
        each.name: getattr(performance, each.name) for each in fields(performance) if each.name != "results"
    }
    return {**found, "returns": _returns(performance.returns)}


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
