"""Progress of a validation run: how far it is, and whether it can still pass."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from domain.analytics.returns import DAY
from domain.trading.arithmetic import divide, multiply
from domain.trading.snapshot import day_of
from domain.validation.criteria import Criterion, CriterionState
from domain.validation.verdict import Verdict
from domain.wording import counted, joined


class Course(StrEnum):
    """Whether a run will pass."""

    READY = "ready"
    ON_COURSE = "on course"
    BEHIND = "behind"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is with one portfolio.

    Attributes:
        run: its name.
        course: whether it will pass.
        text: one sentence without the names, such as *day 13 of 14, 5 of 20 round trips, on course*.
        ends: the earliest end of the required days.
    """

    run: str
    portfolio: str
    course: Course
    text: str
    ends: datetime

    @property
    def sentence(self) -> str:
        """The whole sentence."""
        return f"validation {self.run} of portfolio {self.portfolio}: {self.text}"


def progress_of(verdict: Verdict) -> Progress:
    """Return the progress of an open run.

    Args:
        verdict: on a portfolio of the run, up to now.
    """
    assert verdict.run is not None
    limits, criteria = verdict.limits, {one.name: one for one in verdict.criteria}
    days, round_trips = int(criteria["days"].seen), int(criteria["trades"].seen)
    course, outlook = _outlook(verdict, days, round_trips)
    day = f"day {days + 1} of {limits.min_days}" if days < limits.min_days else counted(days, "whole day")
    first = day_of(verdict.since)
    begin = max(first + DAY if first < verdict.since else first, day_of(verdict.until))
    return Progress(
        verdict.run.name,
        verdict.portfolio,
        course,
        f"{day}, {round_trips} of {limits.min_trades} round trips, {outlook}",
        begin + DAY * max(limits.min_days - days, 0),
    )


def _outlook(verdict: Verdict, days: int, round_trips: int) -> tuple[Course, str]:
    limits = verdict.limits
    if verdict.ready:
        return Course.READY, "ready"
    every = (*verdict.operational, *verdict.criteria)
    reasons = [_reason(one) for one in every if one.final]
    if not verdict.real_prices and verdict.sources:
        reasons.insert(0, f"{verdict.priced} prices prove nothing")
    if reasons:
        return Course.LOST, f"cannot pass any more because {joined(reasons)}"
    failing = [_reason(one) for one in every if one.state is CriterionState.NOT_MET]
    if failing:
        return Course.BEHIND, f"not met so far: {joined(failing)}"
    if 0 < days < limits.min_days and round_trips < limits.min_trades:
        expected = int(divide(multiply(Decimal(round_trips), Decimal(limits.min_days)), Decimal(days)))
        if expected < limits.min_trades:
            text = f"behind: at this rate {counted(expected, 'round trip')} in {limits.min_days} days"
            return Course.BEHIND, text
    elif days >= limits.min_days and round_trips < limits.min_trades:
        return Course.BEHIND, f"behind: {counted(limits.min_trades - round_trips, 'round trip')} missing"
    return Course.ON_COURSE, "on course"


def _reason(criterion: Criterion) -> str:
    return f"{criterion.title}: {criterion.seen}"
