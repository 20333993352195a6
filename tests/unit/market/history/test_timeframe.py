"""Timeframes: what a text names, and when a bar ends."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from market.history.timeframe import Timeframe


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1s", "1s"),
        ("1m", "1m"),
        ("1M", "1M"),
        ("1h", "1h"),
        ("4H", "4h"),
        ("1D", "1d"),
        ("1W", "1w"),
        (" 15 min ", "15m"),
        ("5Min", "5m"),
        ("1Hour", "1h"),
        ("1day", "1d"),
        ("1wk", "1w"),
        ("3mo", "3M"),
        ("60m", "1h"),
        ("90m", "90m"),
        ("3600s", "1h"),
        ("24h", "1d"),
        ("14d", "2w"),
        ("12M", "12M"),
    ],
)
def test_a_text_is_a_timeframe(text: str, expected: str) -> None:
    timeframe = Timeframe.parse(text)
    assert expected == str(timeframe)
    assert Timeframe.parse(expected) == timeframe


@pytest.mark.parametrize("text", ["", "h", "0h", "-1h", "1.5h", "60", "1y", "1 h x", "999999m", "١h", "1month2"])
def test_other_texts_are_none(text: str) -> None:
    with pytest.raises(ValueError) as caught:
        Timeframe.parse(text)
    assert f"{text!r} is no timeframe; it must be one such as 1m, 4h, 1d, 1w or 1M (a month)" == str(caught.value)


@pytest.mark.parametrize(
    ("count", "unit", "message"),
    [
        (0, "h", "a timeframe counts 1 to 100000 of its unit, not 0"),
        (100_001, "M", "a timeframe counts 1 to 100000 of its unit, not 100001"),
        (1, "y", "'y' is no unit of a timeframe; it must be s, m, h, d, w or M"),
    ],
)
def test_a_timeframe_that_cannot_be(count: int, unit: str, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        Timeframe(count, unit)
    assert message == str(caught.value)


@pytest.mark.parametrize(
    ("length", "expected"),
    [
        (timedelta(seconds=1), "1s"),
        (timedelta(minutes=90), "90m"),
        (timedelta(hours=24), "1d"),
        (timedelta(days=31), "31d"),
        (timedelta(days=14), "2w"),
    ],
)
def test_a_fixed_length_is_a_timeframe(length: timedelta, expected: str) -> None:
    assert expected == str(Timeframe.of_length(length))
    assert length == Timeframe.of_length(length).length


def test_a_fraction_of_a_second_is_none() -> None:
    with pytest.raises(ValueError) as caught:
        Timeframe.of_length(timedelta(milliseconds=1_500))
    assert "bars of 1.5 s are no whole number of seconds long" == str(caught.value)


@pytest.mark.parametrize(
    ("text", "label", "is_long"),
    [("1h", "1 h", False), ("23h", "23 h", False), ("1d", "1 d", True), ("1w", "1 w", True), ("1M", "1 month", True),
     ("3M", "3 months", True)],
)  # fmt: skip
def test_label_and_size(text: str, label: str, is_long: bool) -> None:
    timeframe = Timeframe.parse(text)
    assert (label, is_long) == (timeframe.label, timeframe.is_long)


UTC_PLUS_8 = timezone(timedelta(hours=8))


@pytest.mark.parametrize(
    ("text", "begin", "end"),
    [
        ("1h", datetime(2025, 1, 1, 10, 0, 0, 500_000, UTC), datetime(2025, 1, 1, 11, 0, 0, 500_000, UTC)),
        ("1w", datetime(2025, 1, 6, tzinfo=UTC), datetime(2025, 1, 13, tzinfo=UTC)),
        ("1M", datetime(2025, 1, 1, tzinfo=UTC), datetime(2025, 2, 1, tzinfo=UTC)),
        ("1M", datetime(2024, 2, 1, tzinfo=UTC), datetime(2024, 3, 1, tzinfo=UTC)),
        ("1M", datetime(2025, 12, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)),
        ("3M", datetime(2025, 11, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)),
        ("12M", datetime(2024, 1, 1, tzinfo=UTC), datetime(2025, 1, 1, tzinfo=UTC)),
        ("1M", datetime(2025, 2, 1, 5, tzinfo=UTC), datetime(2025, 3, 1, 5, tzinfo=UTC)),
        # The begin of a month in UTC+8 lies on the last day of the month before.
        ("1M", datetime(2025, 3, 1, tzinfo=UTC_PLUS_8), datetime(2025, 4, 1, tzinfo=UTC_PLUS_8)),
        ("1M", datetime(2025, 4, 1, tzinfo=UTC_PLUS_8), datetime(2025, 5, 1, tzinfo=UTC_PLUS_8)),
        # February has no 30th: never earlier.
        ("1M", datetime(2025, 1, 30, tzinfo=UTC), datetime(2025, 3, 2, tzinfo=UTC)),
        ("1M", datetime(2025, 1, 17, tzinfo=UTC), datetime(2025, 2, 17, tzinfo=UTC)),
    ],
)
def test_the_end_of_a_bar(text: str, begin: datetime, end: datetime) -> None:
    assert end == Timeframe.parse(text).after(begin)


@pytest.mark.parametrize("text", ["1d", "1M", "99999M"])
def test_a_bar_that_ends_after_the_year_9999(text: str) -> None:
    with pytest.raises(OverflowError):
        Timeframe.parse(text).after(datetime(9999, 12, 31, 12, tzinfo=UTC))
