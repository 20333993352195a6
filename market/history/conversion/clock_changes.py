"""The hour that comes twice in local time, when clocks are set back."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from market.history.publication import time_of

_SUNDAY = 6
_WEEK = timedelta(days=7)
_ZONE = re.compile(r"(Z|UTC|GMT|[+-]\d\d(:?\d\d)?)$")
_UNIX = re.compile(r"\d{9,}(\.\d*)?")


def names_a_zone(text: str) -> bool:
    """Return whether a time says how far from UTC it is; Unix times do."""
    return bool(_ZONE.search(text) or _UNIX.fullmatch(text))


def hint_of_double_hour(moment: int) -> str:
    """Return a clause about a time at which clocks are set back somewhere; empty where they are not.

    Args:
        moment: microseconds since 1970, of a local time that was taken as UTC.
    """
    time = time_of(moment)
    where = _set_back(time)
    if where is None:
        return ""
    region, offset = where
    return (
        f"; in {region} this hour came twice on that day, as clocks were set back: times without a zone are taken as"
        f" UTC, so write them in UTC or with their offset, such as {time:%Y-%m-%dT%H:%M}{offset}"
    )


def _set_back(time: datetime) -> tuple[str, str] | None:
    """Return where an hour of this local time comes twice, and the offset of the second one."""
    if time.weekday() != _SUNDAY:
        return None
    if time.month == 10 and (time + _WEEK).month == 11 and 1 <= time.hour <= 3:
        return "Europe", f"+{time.hour - 1:02}:00"
    if time.month == 11 and time.day <= 7 and time.hour == 1:
        return "North America", "-05:00"
    if time.month == 4 and time.day <= 7 and time.hour == 2:
        return "Australia", "+10:00"
    return None
