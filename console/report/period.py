"""The period that a report is asked for: days and moments as people write them."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from domain.analytics.returns import DAY
from domain.errors import InvalidRequest
from domain.wording import quoted

WRITTEN = re.compile(r"\d{4}-\d\d-\d\d(?P<time>[T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?\s?(Z|[+-]\d\d(:?\d\d)?)?)?")
EARLIEST, LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(3000, 1, 1, tzinfo=UTC)
"""Outside of these somebody mistyped a year."""


def period(since: str | None, until: str | None, now: datetime) -> tuple[datetime | None, datetime | None]:
    """Return the moments that are meant; None where an end is open.

    Args:
        since: a day such as 2026-01-31, from its 00:00 UTC on, or a moment such as 2026-01-31T12:00.
        until: the same; a day is meant with all of it.
        now: nothing can be told of what comes later.

    Raises:
        InvalidRequest: one is neither, or they do not make a period.
    """
    begin = None if since is None else _moment("--from", since)
    end = None if until is None else _moment("--to", until, whole_day=True)
    if begin is not None and begin > now:
        raise InvalidRequest(f"--from {since} is in the future; a report tells what has been")
    if begin is not None and end is not None and begin >= end:
        raise InvalidRequest(f"--from {since} must be before --to {until}")
    return begin, end


def _moment(option: str, text: str, *, whole_day: bool = False) -> datetime:
    written = WRITTEN.fullmatch(text.strip())
    wanted = f"{option} {quoted(text)}: must be a day such as 2026-01-31, or a moment such as 2026-01-31T12:00 (UTC)"
    years = f"{option} {quoted(text)}: must be from {EARLIEST:%Y} to {LATEST.year - 1}"
    if written is None:
        raise InvalidRequest(wanted)
    try:
        found = datetime.fromisoformat(text.strip().replace(" +", "+").replace(" -", "-").replace(" Z", "Z"))
        found = (found if found.tzinfo is not None else found.replace(tzinfo=UTC)).astimezone(UTC)
        if whole_day and written["time"] is None:
            found += DAY
    except OverflowError:  # the end of the year 9999, or beyond it in UTC
        raise InvalidRequest(years) from None
    except ValueError:  # a 30th of February; a year 0
        raise InvalidRequest(wanted) from None
    if not EARLIEST <= found <= LATEST:
        raise InvalidRequest(years)
    return found
