"""The option ``--since``: a duration before now, a day, or a time."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta, tzinfo

from console.report.period import EARLIEST, parse_moment
from domain.errors import InvalidRequest
from domain.wording import quoted

DURATION = re.compile(r"(?P<number>\d{1,9}) ?(?P<unit>[smhdw])")
UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
"""Seconds."""
MAX_DURATION = timedelta(days=36_500)
"""A longer one is a mistake."""
DAYS_AGO = {"today": 0, "yesterday": 1}
REQUIREMENT = (
    "must be a duration such as 30m, 12h or 7d, or today, yesterday, a day such as 2026-01-31, or a time such as "
    "2026-01-31T12:00"
)


def parse_since(text: str, now: datetime, zone: tzinfo | None) -> datetime:
    """Return the time from which on rows are wanted, in UTC.

    Args:
        text: ``7d`` is seven times 24 hours before now; ``yesterday`` and a day mean their 00:00.
        now: the present time.
        zone: in which days begin, and of a time without one; None: that of this machine.

    Raises:
        InvalidRequest: it is none of these, or lies in the future.
    """
    written = text.strip().lower()
    if (duration := DURATION.fullmatch(written)) is not None:
        return _before(now, int(duration["number"]) * UNITS[duration["unit"]], text)
    if written in DAYS_AGO:
        text = _day(now.astimezone(zone).date(), DAYS_AGO[written])
    begin = parse_moment("--since", text, zone=zone, requirement=REQUIREMENT)
    if begin > now:
        raise InvalidRequest(f"--since {quoted(text)} is in the future")
    return begin


def parse_duration(option: str, text: str) -> timedelta:
    """Return a duration such as `7d`.

    Args:
        option: its name, for the message.
        text: the option's value.

    Raises:
        InvalidRequest: it is no duration, or longer than a hundred years.
    """
    duration = DURATION.fullmatch(text.strip().lower())
    seconds = int(duration["number"]) * UNITS[duration["unit"]] if duration is not None else 0
    if not 0 < seconds <= MAX_DURATION.total_seconds():
        raise InvalidRequest(f"{option} {quoted(text)}: must be a duration such as 30m, 12h or 7d, up to 36500d")
    return timedelta(seconds=seconds)


def _before(now: datetime, seconds: int, text: str) -> datetime:
    if seconds > (now - EARLIEST).total_seconds():
        raise InvalidRequest(f"--since {quoted(text)} is before {EARLIEST:%Y}")
    return now - timedelta(seconds=seconds)


def _day(today: date, days_ago: int) -> str:
    return (today - timedelta(days=days_ago)).isoformat()
