"""Texts as moments: every usual form, what has two meanings, and what is no time."""

from __future__ import annotations

import numpy as np
import pyarrow
import pytest

from market.history.conversion.part import utc_text
from market.history.conversion.time_formats import NO_TIME
from market.history.conversion.times import TimeColumn, TimeRules, read_clock_times, read_times

RULES = TimeRules(latest_us=1_796_083_200_000_000)


def read(*texts: str, rules: TimeRules = RULES) -> TimeColumn:
    return read_times(pyarrow.array(texts, pyarrow.string()), rules)


def moments(*texts: str, rules: TimeRules = RULES) -> list[str]:
    column = read(*texts, rules=rules)
    assert not column.questions
    assert column.is_invalid.tolist() == [False] * len(texts)
    return [utc_text(value) for value in column.values]


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-01-31T12:00:00Z", "2026-01-31T12:00:00Z"),
        ("2026-01-31T12:00:00", "2026-01-31T12:00:00Z"),
        ("2026-01-31 12:00:00+00:00", "2026-01-31T12:00:00Z"),
        ("2026-01-31T14:30:00+02:30", "2026-01-31T12:00:00Z"),
        ("2026-01-31T12:00:00.123456789Z", "2026-01-31T12:00:00.123456Z"),
        ("2026-01-31 12:00:00 UTC", "2026-01-31T12:00:00Z"),
        ("2026-01-31 12:00", "2026-01-31T12:00:00Z"),
        ("2026-01-31", "2026-01-31T00:00:00Z"),
        ("2026-1-3 4:05", "2026-01-03T04:05:00Z"),
        ("2026-W05-1", "2026-01-26T00:00:00Z"),
        ("20260131", "2026-01-31T00:00:00Z"),
        ("20260131T120000Z", "2026-01-31T12:00:00Z"),
        ("20260131 120000", "2026-01-31T12:00:00Z"),
        ("20260131 120000250", "2026-01-31T12:00:00.250000Z"),
        ("20240102153000", "2024-01-02T15:30:00Z"),
        ("202401021530", "2024-01-02T15:30:00Z"),
        ("2024010215", "2024-01-02T15:00:00Z"),
        ("1769860800", "2026-01-31T12:00:00Z"),
        ("1769860800.000001", "2026-01-31T12:00:00.000001Z"),
        ("1769860800000", "2026-01-31T12:00:00Z"),
        ("1769860800001.5", "2026-01-31T12:00:00.001500Z"),
        ("1769860800000001", "2026-01-31T12:00:00.000001Z"),
        ("1769860800000001999", "2026-01-31T12:00:00.000001Z"),
        ("0", "1970-01-01T00:00:00Z"),
        ("45293", "2024-01-02T00:00:00Z"),
        ("45293.5", "2024-01-02T12:00:00Z"),
        ("45293,041666666664", "2024-01-02T01:00:00Z"),
        ("2019-10-17 12-AM", "2019-10-17T00:00:00Z"),
        ("2019-10-17 09-PM", "2019-10-17T21:00:00Z"),
        ("2020.01.02 04:00", "2020-01-02T04:00:00Z"),
        ("31.01.2026 12:00", "2026-01-31T12:00:00Z"),
        ("31/01/2026", "2026-01-31T00:00:00Z"),
        ("01/31/2026 9:30 PM", "2026-01-31T21:30:00Z"),
        ("1/31/26 12:00 am", "2026-01-31T00:00:00Z"),
        ("31-Jan-26", "2026-01-31T00:00:00Z"),
        ("31 January 2026 12:00", "2026-01-31T12:00:00Z"),
        ("Jan 31, 2026", "2026-01-31T00:00:00Z"),
        ("01.02.2024 00:00:00.000 GMT+0100", "2024-01-31T23:00:00Z"),
        ("29 Feb 2024", "2024-02-29T00:00:00Z"),
    ],
)
def test_every_form_of_a_time(text: str, moment: str) -> None:
    assert [moment] == moments(text)
    assert [moment, moment] == moments(text, text)


def test_one_column_may_hold_several_forms_and_offsets() -> None:
    texts = ("2026-03-29T02:30:00+01:00", "2026-03-29T03:30:00+02:00", "20260330", "1774828800", "2026-03-30 00:00:00Z")
    assert [
        "2026-03-29T01:30:00Z", "2026-03-29T01:30:00Z", "2026-03-30T00:00:00Z", "2026-03-30T00:00:00Z",
        "2026-03-30T00:00:00Z",
    ] == moments(*texts)  # fmt: skip


def test_only_times_without_a_zone_are_moved_by_the_offset_of_the_dialect() -> None:
    rules = TimeRules(RULES.latest_us, utc_offset_s=-5 * 3600)
    assert ["2012-02-01T05:00:00Z"] == moments("20120201 000000", rules=rules)
    assert ["2012-02-01T05:00:00Z", "2012-02-01T00:00:00Z"] == moments(
        "2012-02-01 00:00:00", "2012-02-01 00:00:00Z", rules=rules
    )


@pytest.mark.parametrize(
    "text",
    ["noon", "-5", "1e9", "2026-02-30", "2026-13-01", "2026-01-31 24:00", "31/02/2026", "2026-01-31 12:00 EST",
     "9999999999999999999", "13:00 PM", "20261331", "2026-01-31 13:00 PM", "32 Jan 2026", "3 Foo 2026",
     "2026-01-31T12:00:00+25:00", "2026-01-31T12:00:00-99:99", "2026-01-31T12:00:00+0160"],
)  # fmt: skip
def test_what_is_no_time(text: str) -> None:
    column = read(text, "2026-01-31")
    assert [True, False] == column.is_invalid.tolist()
    assert column.values[0] == NO_TIME


def test_an_empty_cell_is_no_time_and_not_invalid() -> None:
    column = read("", "2026-01-31", "null")
    assert [False, False, False] == column.is_invalid.tolist()
    assert [True, False, True] == (column.values == NO_TIME).tolist()


@pytest.mark.parametrize(
    ("text", "question"),
    [
        ("01/02/2024", "may have the day or the month first: say which with --day-first or --month-first"),
        ("1-2-24 10:00", "may have the day or the month first: say which with --day-first or --month-first"),
        ("093000", "may be month, day, year or a time of day: write them as 2026-01-31"),
        ("240102", "may be year, month, day or day, month, year: write them as 2026-01-31"),
    ],
)
def test_what_has_two_meanings_is_asked_for(text: str, question: str) -> None:
    [sentence] = read(text).questions
    assert question in sentence
    assert repr(text) in sentence


def test_one_date_shows_the_order_of_all() -> None:
    assert ["2024-02-01T00:00:00Z", "2024-02-13T00:00:00Z"] == moments("01/02/2024", "13/02/2024")
    assert ["2024-01-02T00:00:00Z", "2024-01-13T00:00:00Z"] == moments("01/02/2024", "01/13/2024")


@pytest.mark.parametrize(("day_first", "moment"), [(True, "2024-02-01T00:00:00Z"), (False, "2024-01-02T00:00:00Z")])
def test_the_reader_says_the_order(day_first: bool, moment: str) -> None:
    assert [moment] == moments("01/02/2024", rules=TimeRules(RULES.latest_us, day_first=day_first))


def test_dates_that_contradict_the_reader_are_asked_for() -> None:
    [question] = read("13/02/2024", rules=TimeRules(RULES.latest_us, day_first=False)).questions
    assert question == "dates such as '13/02/2024' have the day first, as some of them show, and not the month"


@pytest.mark.parametrize(("day_first", "moment"), [(True, "2002-01-24T00:00:00Z"), (False, "2024-01-02T00:00:00Z")])
def test_dates_of_six_digits_by_the_reader(day_first: bool, moment: str) -> None:
    assert [moment] == moments("240102", rules=TimeRules(RULES.latest_us, day_first=day_first))


def test_dates_of_six_digits_with_one_meaning_are_read_and_noted() -> None:
    column = read("310124", "010224")
    assert ["2024-01-31T00:00:00Z", "2024-02-01T00:00:00Z"] == [utc_text(value) for value in column.values]
    assert ["dates of 6 digits such as '310124' are day, month, year"] == column.notes


def test_dates_with_points_have_the_day_first_and_serial_numbers_are_noted() -> None:
    assert ["dates such as '01.02.2024' have the day first, as all dates with points have"] == read("01.02.2024").notes
    assert ["times are Excel's serial numbers: 45293 is in 2024-01-02"] == read("45293").notes


@pytest.mark.parametrize(
    ("texts", "minutes"),
    [
        (("09:30", "9:30 PM", "04:00:30"), [570, 1290, 240.5]),
        (("930", "0", "1600"), [570, 0, 960]),
        (("93000", "000000", "160000"), [570, 0, 960]),
        (("093000250",), [570 + 0.25 / 60]),
    ],
)
def test_times_of_day(texts: tuple[str, ...], minutes: list[float]) -> None:
    column = read_clock_times(pyarrow.array(texts))
    assert not column.is_invalid.any()
    assert np.allclose(minutes, column.values / 60_000_000, rtol=0, atol=1e-9)


def test_an_invalid_time_of_day() -> None:
    assert [True, True, False, False] == read_clock_times(pyarrow.array(["2460", "x", "", "10"])).is_invalid.tolist()
