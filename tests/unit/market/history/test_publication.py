"""When the closes of bars are published: the irregular series that were seen, and each rule by itself."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from market.history.publication import EPOCH, Publication, publish
from market.history.timeframe import Timeframe
from market.history.timeframe_choice import NOT_DECLARED, DeclaredTimeframe, TimeframeFrom, UnknownTimeframe

HOUR, MINUTE, DAY = timedelta(hours=1), timedelta(minutes=1), timedelta(days=1)
NEW_YEAR = datetime(2025, 1, 1, tzinfo=UTC)
BY_OPTION = "state it by --timeframe, as in --timeframe 1h"
HOURLY = DeclaredTimeframe(option=Timeframe.parse("1h"))


def micros(times: Sequence[datetime]) -> np.ndarray[Any, np.dtype[np.int64]]:
    return np.array([(time - EPOCH) // timedelta(microseconds=1) for time in times], dtype=np.int64)


def published(times: Sequence[datetime], declared: DeclaredTimeframe = NOT_DECLARED, **options: Any) -> Publication:
    """Publish bars that begin at these times and stand in the rows 2, 3, … of a file."""
    if "close_times" in options:
        options["close_times"] = micros(options["close_times"])
    return publish(micros(times), np.arange(2, len(times) + 2), declared, **options)


def moments(publication: Publication) -> list[tuple[datetime, datetime]]:
    """Return begin and moment of each bar, in the order of publication."""
    return [
        (EPOCH + timedelta(microseconds=int(begin)), EPOCH + timedelta(microseconds=int(moment)))
        for begin, moment in zip(publication.begin, publication.published, strict=True)
    ]


def delays(publication: Publication) -> list[timedelta]:
    """Return how long after its begin each close is published, in the order of the begins."""
    return [moment - begin for begin, moment in sorted(moments(publication))]


def unix(*seconds: float) -> list[datetime]:
    return [EPOCH + timedelta(milliseconds=round(second * 1_000)) for second in seconds]


# The series that were seen.


def test_an_outage_shortens_one_bar_and_no_other() -> None:
    times = unix(1518040800, 1518044400, 1518048000, 1518319694.789, 1518321600, 1518325200)
    publication = published(times)
    assert "1h" == str(publication.timeframe)
    assert unix(1518044400, 1518048000, 1518051600, 1518321600, 1518325200, 1518328800) == [
        moment for _, moment in moments(publication)
    ]
    assert (5,) == publication.irregular
    assert 1 == publication.gaps
    assert (
        "BTC/USDT: 6 bars of 1 h, 2018-02-07 22:00:00 to 2018-02-11 06:00:00, 1 gap, 1 bar of another length: row 5"
        == publication.noticed.sentence("BTC/USDT")
    )


def test_a_live_row_is_left_out_with_the_bar_in_which_it_was_written() -> None:
    times = [NEW_YEAR + 9.5 * HOUR, NEW_YEAR + 10.5 * HOUR, NEW_YEAR + 11.5 * HOUR, NEW_YEAR + 12.5 * HOUR]
    publication = published([*times, datetime(2025, 1, 1, 12, 44, 15, tzinfo=UTC)])
    assert [HOUR, HOUR, HOUR] == delays(publication)
    assert (6, (5,), ()) == (publication.live, publication.incomplete, publication.irregular)
    assert publication.noticed.sentence("BTC/USDT").endswith(
        "; left out as the state of a bar that was not over: row 6; left out as not complete: row 5"
    )


def test_a_live_row_after_a_bar_that_was_over() -> None:
    times = [NEW_YEAR, NEW_YEAR + HOUR, NEW_YEAR + 2 * HOUR, NEW_YEAR + 3 * HOUR + 44 * MINUTE]
    publication = published(times)
    assert [HOUR, HOUR, HOUR] == delays(publication)
    assert (5, ()) == (publication.live, publication.incomplete)


@pytest.mark.parametrize("offset", [timedelta(milliseconds=1), timedelta(milliseconds=-1)])
def test_a_row_a_millisecond_beside_another_shortens_no_bar(offset: timedelta) -> None:
    times = [NEW_YEAR + hour * HOUR for hour in range(6)]
    publication = published([*times[:3], *times[3:], times[3] + offset])
    by_begin = dict(moments(publication))
    assert [HOUR] * 6 == [by_begin[time] - time for time in times]
    odd = times[3] + offset
    assert times[4] == by_begin[odd]
    assert 8 in publication.irregular
    assert "1h" == str(publication.timeframe)


def test_bars_of_months_end_with_their_months() -> None:
    firsts = [datetime(2024 + month // 12, month % 12 + 1, 1, tzinfo=UTC) for month in range(15)]
    publication = published(firsts[:-1])
    assert "1M" == str(publication.timeframe)
    assert firsts[1:] == [moment for _, moment in moments(publication)]
    assert ((), 0) == (publication.irregular, publication.gaps)
    assert "BTC/USDT: 14 bars of 1 month, 2024-01-01 to 2025-03-01" == publication.noticed.sentence("BTC/USDT")


def test_days_of_a_zone_with_summer_time_end_with_the_day() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    midnights = [
        (datetime(2025, 1, 1, tzinfo=berlin) + day * DAY).astimezone(UTC) for day in range(366)
    ]  # arithmetic within a zone is that of its wall clock
    publication = published(midnights[:-1])
    assert "1d" == str(publication.timeframe)
    assert midnights[1:] == [moment for _, moment in moments(publication)]
    assert 0 == publication.gaps
    # The days of 23 and of 25 hours: 30 March and 26 October.
    assert (90, 300) == publication.irregular


def test_days_of_a_short_winter_series_are_never_early() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    midnights = [(datetime(2025, 10, 20, tzinfo=berlin) + day * DAY).astimezone(UTC) for day in range(15)]
    assert midnights[1:] == [moment for _, moment in moments(published(midnights[:-1]))]


def test_months_of_a_zone_with_summer_time() -> None:
    zone = ZoneInfo("America/New_York")
    firsts = [datetime(2025, month, 1, tzinfo=zone).astimezone(UTC) for month in range(1, 13)]
    publication = published(firsts[:-1])
    assert "1M" == str(publication.timeframe)
    late = [moment - end for (_, moment), end in zip(moments(publication), firsts[1:], strict=True)]
    # Only of the last bar, November, no row shows that it ends an hour later than usual.
    assert [timedelta(0)] * 10 + [-HOUR] == late


# The rules, one by one.


@pytest.mark.parametrize(
    ("begins", "timeframe"),
    [
        ([0, 60, 120], "1m"),
        ([0, 300, 600, 900, 2_100, 2_400], "5m"),
        ([0, 3_600, 7_200, 7_260, 10_800, 14_400, 18_000], "1h"),  # one odd row
        ([0, 300, 900], "10m"),  # the larger of two equally frequent ones
        ([0, 604_800, 1_209_600], "1w"),
        ([0, 0, 60, 60, 120], "1m"),
    ],
)
def test_without_more_the_most_frequent_distance_is_the_timeframe(begins: list[int], timeframe: str) -> None:
    publication = published(unix(*begins))
    assert timeframe == str(publication.timeframe)
    assert TimeframeFrom.DISTANCE is publication.chosen.origin


def test_a_column_counts_more_than_the_option_and_that_more_than_the_name() -> None:
    times = unix(0, 60, 120)
    one, two, three = (Timeframe.parse(text) for text in ("1m", "2m", "3m"))
    assert one == published(times, DeclaredTimeframe(column=one, option=two, file_name=three)).timeframe
    publication = published(times, DeclaredTimeframe(option=two, file_name=one))
    assert (two, TimeframeFrom.OPTION) == (publication.timeframe, publication.chosen.origin)
    assert [2 * MINUTE] * 3 == delays(publication)
    publication = published(times, DeclaredTimeframe(file_name=one))
    assert (one, TimeframeFrom.FILE_NAME) == (publication.timeframe, publication.chosen.origin)


def test_an_option_that_is_shorter_than_all_distances_counts_with_a_note() -> None:
    option = DeclaredTimeframe(option=Timeframe.parse("1m"))
    publication = published(unix(0, 3_600, 7_200), option)
    assert [MINUTE] * 3 == delays(publication)
    note = "--timeframe says 1 m, but no bar begins less than 1:00:00 after another one: if they are longer, "
    assert (note + "their closes are known too soon",) == publication.chosen.notes
    assert () == published(unix(0, 60, 7_200), option).chosen.notes
    assert () == published(unix(0, 0), option).chosen.notes


def test_a_name_counts_where_bars_without_trades_are_missing() -> None:
    sparse = unix(0, 300, 600, 660, 960, 1_260, 1_320, 1_620)
    publication = published(sparse, DeclaredTimeframe(file_name=Timeframe.parse("1m")))
    assert [MINUTE] * 8 == delays(publication)
    assert 5 == publication.gaps


@pytest.mark.parametrize("name", ["1m", "1d"])
def test_a_name_that_the_bars_contradict_does_not_count(name: str) -> None:
    times = [NEW_YEAR + hour * HOUR for hour in range(200)]
    times.insert(3, times[2] + MINUTE)  # one odd row does not confirm a name
    publication = published(times, DeclaredTimeframe(file_name=Timeframe.parse(name)))
    assert "1h" == str(publication.timeframe)
    note = "the file's name says {}, but the most frequent distance between its bars is 1 h, "
    note += "so they are taken for bars of 1 h"
    assert (note.format(Timeframe.parse(name).label),) == publication.chosen.notes


@pytest.mark.parametrize(
    ("seconds", "name"),
    [
        ((0, 2_655), "1h"),  # the second row is the state of a bar that was not over
        ((0, 1, 604_800, 604_801, 1_209_600), "1w"),
        ((0, 3_600, 3_660, 7_200, 7_260, 14_400), "1h"),
        ((0, 60), "1M"),
    ],
)
def test_a_few_odd_rows_do_not_contradict_the_longer_timeframe_of_a_name(seconds: list[float], name: str) -> None:
    publication = published(unix(*seconds), DeclaredTimeframe(file_name=Timeframe.parse(name)))
    assert (name, TimeframeFrom.FILE_NAME) == (str(publication.timeframe), publication.chosen.origin)
    begin, moment = moments(publication)[0]
    assert Timeframe.parse(name).after(begin) <= moment


@pytest.mark.parametrize(
    ("times", "message"),
    [
        ([5.0], "there is only one bar, so its length is unknown; " + BY_OPTION),
        ([5.0, 5.0], "there is only one bar, so its length is unknown; " + BY_OPTION),
        (
            [number * (number + 1) / 2 for number in range(40)],
            "the bars have no common length, as only 1 of 39 distances between them are equal; " + BY_OPTION,
        ),
        (
            [0, 1.5, 3],
            "bars of 1.5 s are no whole number of seconds long; " + BY_OPTION,
        ),
    ],
)
def test_bars_whose_length_is_unknown_are_refused(times: list[float], message: str) -> None:
    with pytest.raises(UnknownTimeframe) as caught:
        published(unix(*times))
    assert message == str(caught.value)


def test_one_bar_of_a_declared_timeframe() -> None:
    assert [HOUR] == delays(published([NEW_YEAR], DeclaredTimeframe(file_name=Timeframe.parse("1h"))))


def test_a_close_time_counts_where_it_is_later() -> None:
    times = [NEW_YEAR, NEW_YEAR + HOUR, NEW_YEAR + 2 * HOUR]
    ends = [NEW_YEAR + HOUR - timedelta(milliseconds=1), NEW_YEAR + 2.5 * HOUR, NEW_YEAR + 3 * HOUR]
    publication = published(times, close_times=ends)
    assert [HOUR, 1.5 * HOUR, HOUR] == delays(publication)
    assert (3,) == publication.irregular
    # In the order in which the closes are published.
    assert [2, 3, 4] == [int(row) + 2 for row in publication.kept]


def test_closes_are_published_in_the_order_of_their_moments() -> None:
    times = [NEW_YEAR, NEW_YEAR + HOUR, NEW_YEAR + 2 * HOUR]
    publication = published(times, close_times=[NEW_YEAR + 5 * HOUR, NEW_YEAR + 2 * HOUR, NEW_YEAR + 3 * HOUR])
    assert [1, 2, 0] == publication.kept.tolist()
    assert sorted(publication.published.tolist()) == publication.published.tolist()


def test_rows_in_any_order() -> None:
    times = [NEW_YEAR + 2 * HOUR, NEW_YEAR, NEW_YEAR + HOUR]
    publication = published(times)
    assert [1, 2, 0] == publication.kept.tolist()
    assert [NEW_YEAR + hour * HOUR for hour in (1, 2, 3)] == [moment for _, moment in moments(publication)]


def test_a_bar_off_the_grid_ends_after_the_timeframe_if_no_bar_begins_at_the_next_line() -> None:
    times = [NEW_YEAR + hour * HOUR for hour in (0, 1, 2, 3.5, 6, 7, 8)]
    assert [HOUR] * 7 == delays(published(times))


def test_a_bar_off_the_grid_ends_at_the_next_line_where_a_bar_begins() -> None:
    times = [NEW_YEAR + hour * HOUR for hour in (0, 1, 2, 3.5, 4, 5, 6)]
    publication = published(times)
    assert [HOUR, HOUR, HOUR, 0.5 * HOUR, HOUR, HOUR, HOUR] == delays(publication)
    assert (5,) == publication.irregular


def test_a_month_off_the_grid_ends_with_its_month() -> None:
    listed = datetime(2024, 1, 17, tzinfo=UTC)
    firsts = [datetime(2024, month, 1, tzinfo=UTC) for month in range(2, 9)]
    publication = published([listed, *firsts[:-1]])
    assert firsts == [moment for _, moment in moments(publication)]
    assert (2,) == publication.irregular


def test_bars_that_overlap_are_cut_by_no_line() -> None:
    times = [NEW_YEAR + number * HOUR / 2 for number in range(9)]
    publication = published(times, HOURLY)
    assert [HOUR] * 9 == delays(publication)
    assert tuple(range(2, 10)) == publication.irregular


def test_a_last_bar_that_had_not_ended_when_the_file_was_written_is_left_out() -> None:
    times = [NEW_YEAR + hour * HOUR for hour in range(3)]
    publication = published(times, until=NEW_YEAR + 2.9 * HOUR)
    assert [HOUR, HOUR] == delays(publication)
    assert (4,) == publication.incomplete
    assert 3 == len(published(times, until=NEW_YEAR + 3 * HOUR).kept)


def test_a_last_bar_whose_close_time_is_too_soon_is_left_out() -> None:
    times = [NEW_YEAR + hour * HOUR for hour in range(4)]
    ends = [time + HOUR - timedelta(milliseconds=1) for time in times]
    ends[-1] = times[-1] + 12 * MINUTE
    assert (5,) == published(times, close_times=ends).incomplete
    # One that is unknown shows nothing.
    close_times = micros(ends)
    close_times[-1] = np.iinfo(np.int64).min
    publication = publish(micros(times), np.arange(4), close_times=close_times)
    assert ([HOUR] * 4, ()) == (delays(publication), publication.incomplete)


def test_a_month_of_thirty_days_is_complete_although_most_have_more() -> None:
    times = [datetime(2025, month, 1, tzinfo=UTC) for month in (7, 8, 9, 10, 11, 12)]
    ends = [time - timedelta(milliseconds=1) for time in times[1:]]
    monthly = DeclaredTimeframe(option=Timeframe.parse("1M"))
    assert () == published(times[:3], monthly, close_times=ends[:3]).incomplete
    too_soon = published(times[:3], monthly, close_times=[*ends[:2], ends[2] - timedelta(hours=1)])
    assert (4,) == too_soon.incomplete


def test_stamps_that_are_ends() -> None:
    stamps = [NEW_YEAR + hour * HOUR for hour in (1, 2, 3, 5)]
    publication = published(stamps, stamps_are_ends=True)
    assert [(stamp - HOUR, stamp) for stamp in stamps] == moments(publication)
    assert (1, ()) == (publication.gaps, publication.irregular)


@pytest.mark.parametrize("missing", [timedelta(milliseconds=1), timedelta(seconds=1)])
def test_stamps_may_be_the_last_moment_of_a_bar(missing: timedelta) -> None:
    ends = [NEW_YEAR + hour * HOUR for hour in (1, 2, 3)]
    publication = published([end - missing for end in ends], stamps_are_ends=True)
    assert [(end - HOUR, end) for end in ends] == moments(publication)


def test_a_live_row_among_stamps_that_are_ends() -> None:
    stamps = [NEW_YEAR + hour * HOUR for hour in (1, 2, 3)]
    publication = published([*stamps, NEW_YEAR + 3.4 * HOUR], stamps_are_ends=True)
    assert stamps == [moment for _, moment in moments(publication)]
    assert (5, ()) == (publication.live, publication.incomplete)


def test_months_by_their_ends() -> None:
    ends = [datetime(2024, month, 1, tzinfo=UTC) for month in range(2, 10)]
    publication = published([end - timedelta(seconds=1) for end in ends], stamps_are_ends=True)
    begins = [datetime(2024, month, 1, tzinfo=UTC) for month in range(1, 9)]
    assert "1M" == str(publication.timeframe)
    assert list(zip(begins, ends, strict=True)) == moments(publication)


def test_trading_days_have_gaps_at_weekends() -> None:
    days = [NEW_YEAR + day * DAY for day in range(1, 40) if (NEW_YEAR + day * DAY).weekday() < 5]
    publication = published(days)
    assert {DAY} == set(delays(publication))
    assert 5 == publication.gaps


def test_the_sentence_of_a_year() -> None:
    times = [NEW_YEAR + hour * HOUR for hour in range(8_760) if hour not in {100, 500}]
    times[4_709] += 17 * MINUTE  # after an outage
    assert (
        "BTC/USDT: 8 758 bars of 1 h, 2025-01-01 to 2026-01-01, 3 gaps, 1 bar of another length: row 4 711"
        == published(times).noticed.sentence("BTC/USDT")
    )


def test_a_year_of_minutes_is_quick() -> None:
    begins = 1_735_689_600_000_000 + np.arange(525_600, dtype=np.int64) * 60_000_000
    publication = publish(begins, np.arange(525_600, dtype=np.int64))
    assert "BTC/USDT: 525 600 bars of 1 m, 2025-01-01 to 2026-01-01" == publication.noticed.sentence("BTC/USDT")
