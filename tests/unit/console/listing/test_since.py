"""The option ``--since`` at a fixed time, in zones with and without summer time."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from console.listing.since import parse_since
from domain.errors import InvalidRequest

pytestmark = pytest.mark.clock

NOW = datetime(2026, 3, 29, 23, 30, tzinfo=UTC)
"""In Berlin 1:30 of the day after summer time began, in New York 19:30 of the day before that."""
BERLIN, NEW_YORK = ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York")


@pytest.mark.parametrize(
    ("text", "zone", "begin"),
    [
        ("30s", UTC, datetime(2026, 3, 29, 23, 29, 30, tzinfo=UTC)),
        ("30m", BERLIN, datetime(2026, 3, 29, 23, tzinfo=UTC)),
        ("12 h", BERLIN, datetime(2026, 3, 29, 11, 30, tzinfo=UTC)),
        ("7D", BERLIN, datetime(2026, 3, 22, 23, 30, tzinfo=UTC)),
        ("2w", BERLIN, datetime(2026, 3, 15, 23, 30, tzinfo=UTC)),
        ("today", UTC, datetime(2026, 3, 29, tzinfo=UTC)),
        ("today", BERLIN, datetime(2026, 3, 29, 22, tzinfo=UTC)),
        ("yesterday", UTC, datetime(2026, 3, 28, tzinfo=UTC)),
        ("Yesterday ", BERLIN, datetime(2026, 3, 28, 23, tzinfo=UTC)),
        ("yesterday", NEW_YORK, datetime(2026, 3, 28, 4, tzinfo=UTC)),
        ("2026-03-29", BERLIN, datetime(2026, 3, 28, 23, tzinfo=UTC)),
        ("2026-01-31", NEW_YORK, datetime(2026, 1, 31, 5, tzinfo=UTC)),
        ("2026-03-29 12:00", BERLIN, datetime(2026, 3, 29, 10, tzinfo=UTC)),
        ("2026-03-29T12:00Z", BERLIN, datetime(2026, 3, 29, 12, tzinfo=UTC)),
        ("2026-03-29T12:00+05:30", BERLIN, datetime(2026, 3, 29, 6, 30, tzinfo=UTC)),
    ],
)  # fmt: skip
def test_a_time_is_one_in_the_zone_that_is_shown(text: str, zone: ZoneInfo, begin: datetime) -> None:
    assert begin == parse_since(text, NOW, zone)


def test_without_a_zone_it_is_that_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    day = datetime(2026, 1, 31).astimezone()
    assert day == parse_since("2026-01-31", NOW, None)


FORM = (
    "must be a duration such as 30m, 12h or 7d, or today, yesterday, a day such as 2026-01-31, or a time such as "
    "2026-01-31T12:00"
)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("soon", FORM), ("", FORM), ("7", FORM), ("-7d", FORM), ("1.5h", FORM), ("1y", FORM), ("2026-02-30", FORM),
        ("2026-13-01", FORM), ("0000-01-01", FORM), ("31.01.2026", FORM), ("2026-01-31T25:00", FORM),
        ("1890-01-01", "must be from 1970 to 2999"), ("9999-12-31", "must be from 1970 to 2999"),
    ],
)  # fmt: skip
def test_what_is_no_time_is_refused_with_what_is_one(text: str, problem: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse_since(text, NOW, UTC)
    assert f"--since {text!r}: {problem}" == str(refused.value)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("2026-03-30", "is in the future"), ("2026-03-29T23:31", "is in the future"),
        ("999999999w", "is before 1970"), ("21000d", "is before 1970"),
    ],
)  # fmt: skip
def test_a_time_that_no_row_can_have_is_refused(text: str, problem: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse_since(text, NOW, UTC)
    assert f"--since {text!r} {problem}" == str(refused.value)


def test_the_day_that_has_begun_in_the_zone_is_not_in_the_future() -> None:
    assert datetime(2026, 3, 29, 22, tzinfo=UTC) == parse_since("2026-03-30", NOW, BERLIN)
