"""Times for people: in the local zone on a terminal, in UTC elsewhere and with ``--utc``; the zone is always named.

A document, a stored sentence and whatever another process reads have UTC: `utc_moment`.
"""

from __future__ import annotations

import re
import sys
from datetime import UTC, datetime, tzinfo
from typing import TextIO

from domain.wording import format_time

SECONDS, MINUTES = "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M"
"""Forms of times."""
_TIME = re.compile(
    r"(?P<day>\d{4}-\d\d-\d\d )?(?P<time>(?:[01]\d|2[0-3]):[0-5]\d(?P<seconds>:[0-5]\d)?)(?P<fraction>\.\d+)?"
)
_WRITTEN = r"(?:\d{4}-\d\d-\d\d )?(?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d+)?)?"
_UTC_TIMES = re.compile(rf"(?<![\w:.+-]){_WRITTEN}(?:(?: to| to the trough at| and) {_WRITTEN})? UTC\b")


class _TimeDisplay:
    """Format of times: the local zone on a terminal, and UTC elsewhere or with ``utc``."""

    utc = False


def show_utc(wanted: bool) -> None:
    """Show times in UTC from now on, also on a terminal; False: in local time on a terminal."""
    _TimeDisplay.utc = wanted


def zone_of(stream: TextIO | None) -> tzinfo | None:
    """Return the zone of the times on a stream: UTC, or None for the local zone, for `datetime.astimezone`.

    A terminal shows local times, unless `show_utc` was called. A file and a pipe have UTC.
    """
    return None if stream is not None and not _TimeDisplay.utc and stream.isatty() else UTC


def in_zone(value: datetime, zone: tzinfo | None) -> datetime:
    """Return a time in a zone; in UTC where that year has no local time."""
    try:
        return value.astimezone(zone)
    except (OverflowError, OSError, ValueError):
        return value.astimezone(UTC)


def moment(value: datetime | None, form: str = SECONDS) -> str:
    """Format a time for stdout, with its zone: ``2026-01-31 13:00:00 CET`` on a terminal, elsewhere in UTC.

    Args:
        value: an aware time; None is a dash.
        form: as of `datetime.strftime`, without the zone.
    """
    return "–" if value is None else f"{in_zone(value, zone_of(sys.stdout)):{form} %Z}"


def utc_moment(value: datetime | None) -> str:
    """Format a time for a document, a log or another process: ``2026-01-31 12:00:00 UTC``."""
    return "–" if value is None else f"{format_time(value)} UTC"


def time_of_day(value: datetime, form: str = "%H:%M:%S") -> str:
    """Format the time of day for stdout, for a screen that names the zone elsewhere: ``13:00:00``."""
    return f"{in_zone(value, zone_of(sys.stdout)):{form}}"


def span(begin: datetime, end: datetime, form: str = SECONDS) -> str:
    """Format two times for stdout: ``2026-01-31 13:00:00 to 2026-02-01 13:00:00 CET``."""
    first, last = moment(begin, form), moment(end, form)
    zone = last.rpartition(" ")[2]
    return f"{first.removesuffix(f' {zone}')} to {last}"


def local_times(text: str, stream: TextIO | None = None) -> str:
    """Return a text with its times in UTC, such as ``2026-01-31 12:00:00 UTC``, in the zone of a stream, or of stdout.

    A time of day alone is one of the last hours.
    """
    if " UTC" not in text or zone_of(sys.stdout if stream is None else stream) is UTC:
        return text
    return _UTC_TIMES.sub(_localised, text)


def _today() -> datetime:
    from actors.runtime.timer import SystemClock  # noqa: PLC0415 - only where it is needed: help is to appear at once

    return SystemClock().now()


def _localised(match: re.Match[str]) -> str:
    times, zones = [], []
    for written in _TIME.finditer(match[0]):
        day = written["day"] or f"{_today():%Y-%m-%d} "
        try:
            at = in_zone(datetime.fromisoformat(f"{day}{written['time']}+00:00"), None)
        except ValueError:  # it only looks like a time
            return match[0]
        form = "%H:%M:%S" if written["seconds"] else "%H:%M"
        times.append(f"{at:{f'%Y-%m-%d {form}' if written['day'] else form}}{written['fraction'] or ''}")
        zones.append(f" {at:%Z}")
    if len(set(zones)) > 1:  # where summer time begins in between, each has its own
        times = [f"{at}{zone}" for at, zone in zip(times, zones, strict=True)]
        zones = [""]
    texts = iter(times)
    return _TIME.sub(lambda _: next(texts), match[0]).removesuffix(" UTC") + zones[-1]
