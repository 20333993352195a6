"""Times that options name, and the period of a report: ``--from`` and ``--to``."""

from __future__ import annotations

import re
from datetime import UTC, datetime, tzinfo

from domain.analytics.returns import DAY
from domain.errors import InvalidRequest
from domain.wording import quoted

WRITTEN = re.compile(r"\d{4}-\d\d-\d\d(?P<time>[T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?\s?(Z|[+-]\d\d(:?\d\d)?)?)?")
EARLIEST, LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(3000, 1, 1, tzinfo=UTC)
"""A time outside of these is taken for a mistyped year."""
DAY_OR_TIME = "must be a day such as 2026-01-31, or a time such as 2026-01-31T12:00 (UTC)"


def period(since: str | None, until: str | None, now: datetime) -> tuple[datetime | None, datetime | None]:
    """Return begin and end of the period; None where an end is open.

    Args:
        since: a day such as 2026-01-31, meaning its 00:00 UTC, or a time such as 2026-01-31T12:00.
        until: the same; a day is included completely.
        now: the period may not begin later.

    Raises:
        InvalidRequest: one of them is neither a day nor a time, or begin is not before end.
    """
    begin = None if since is None else parse_moment("--from", since)
    end = None if until is None else parse_moment("--to", until, whole_day=True)
    if begin is not None and begin > now:
        raise InvalidRequest(f"--from {since} is in the future; a report covers the past")
    if begin is not None and end is not None and begin >= end:
        raise InvalidRequest(f"--from {since} must be before --to {until}")
    return begin, end


def parse_moment(
    option: str, text: str, *, whole_day: bool = False, zone: tzinfo | None = UTC, requirement: str = DAY_OR_TIME
) -> datetime:
    """Return the time that an option names, in UTC.

    Args:
        option: its name, for the message.
        text: a day such as 2026-01-31, meaning its 00:00, or a time such as 2026-01-31T12:00.
        whole_day: a day means its end.
        zone: of a text without one; None: that of this machine.
        requirement: what the message says of another text.

    Raises:
        InvalidRequest: it is neither a day nor a time.
    """
    written = WRITTEN.fullmatch(text.strip())
    expected = f"{option} {quoted(text)}: {requirement}"
    years = f"{option} {quoted(text)}: must be from {EARLIEST:%Y} to {LATEST.year - 1}"
    if written is None:
        raise InvalidRequest(expected)
    try:
        time = datetime.fromisoformat(text.strip().replace(" +", "+").replace(" -", "-").replace(" Z", "Z"))
        time = (time if time.tzinfo is not None else time.replace(tzinfo=zone)).astimezone(UTC)
        if whole_day and written["time"] is None:
            time += DAY
    except OverflowError:  # the end of the year 9999, or beyond it in UTC
        raise InvalidRequest(years) from None
    except ValueError:  # a 30th of February; a year 0
        raise InvalidRequest(expected) from None
    if not EARLIEST <= time <= LATEST:
        raise InvalidRequest(years)
    return time
