"""The rules for rows: sorted, repeated, skipped, widened and bad ones; and refusals with all that is wrong."""

from __future__ import annotations

import re
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pytest

from domain.errors import SettingsError
from domain.types import Symbol
from market.history.conversion.rows import BarRows, Changes, TickRows
from market.history.dialects.reading import ReadOptions
from tests.support.history.dialect_files import read_file

HEADER = "time,open,high,low,close,volume\n"
SECOND_US = 1_000_000


def write_file(folder: Path, text: str, name: str = "BTC-USDT.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def bars(folder: Path, text: str, options: ReadOptions | None = None) -> BarRows:
    [series] = read_file(write_file(folder, text), options)[1].bars
    return series.load()


def ticks(folder: Path, text: str) -> TickRows:
    [series] = read_file(write_file(folder, text))[1].ticks
    return series.load()


def refusal(path: Path, options: ReadOptions | None = None) -> str:
    with pytest.raises(SettingsError) as caught:
        read_file(path, options)
    assert str(caught.value).startswith(str(path))
    return str(caught.value).removeprefix(str(path))


def numbers(column: object) -> list[Decimal | None]:
    return column.to_pylist()  # type: ignore[attr-defined, no-any-return]


def test_rows_are_sorted_and_their_lines_kept(tmp_path: Path) -> None:
    series = bars(tmp_path, HEADER + "180,4,4,4,4,1\n60,2,2,2,2,1\n120,3,3,3,3,1\n")
    assert [60 * SECOND_US, 120 * SECOND_US, 180 * SECOND_US] == series.begin.tolist()
    assert [Decimal(2), Decimal(3), Decimal(4)] == numbers(series.close)
    assert [3, 4, 2] == series.lines.tolist()
    assert Changes(reordered=1) == series.changes


@pytest.mark.parametrize(
    ("time", "hint"),
    [
        ("2024-10-27 02:30", "in Europe this hour came twice on that day, .* such as 2024-10-27T02:30\\+01:00$"),
        ("2024-11-03 01:00", "in North America this hour .* such as 2024-11-03T01:00-05:00$"),
        ("2024-04-07 02:00", "in Australia this hour .* such as 2024-04-07T02:00\\+10:00$"),
        ("2024-10-27 04:00", "close 5 and 6$"),
        ("2024-10-20 02:00", "close 5 and 6$"),
        ("2024-10-27T02:30Z", "close 5 and 6$"),
        ("2024-10-27T02:30+02:00", "close 5 and 6$"),
        ("1729996200", "close 5 and 6$"),
    ],
)
def test_two_bars_of_an_hour_that_came_twice_have_a_hint(tmp_path: Path, time: str, hint: str) -> None:
    path = write_file(tmp_path, f"time,close\n{time},5\n{time},6\n2024-12-01 00:00,5\n")
    assert re.search(hint, refusal(path))


def test_equal_rows_are_dropped(tmp_path: Path) -> None:
    series = bars(tmp_path, HEADER + "60,2,3,1,2,1\n60,2.0,3,1.00,2,1\n120,2,3,1,2,\n120,2,3,1,2,\n120,2,3,1,2,\n")
    assert [2, 4] == series.lines.tolist()
    assert Changes(duplicates=3) == series.changes


def test_two_different_bars_with_one_begin_are_refused_with_both_rows(tmp_path: Path) -> None:
    text = HEADER + "60,2,3,1,2,1\n120,2,3,1,2,1\n60,2,3,1,2.5,1\n"
    assert refusal(write_file(tmp_path, text)) == (
        ": line 2 and line 4 are different bars of BTC/USDT that both begin at 1970-01-01T00:01:00Z: close 2 and 2.5"
    )


def test_only_the_first_pairs_of_different_bars_are_described(tmp_path: Path) -> None:
    rows = "".join(f"{minute * 60},2,3,1,2,{volume}\n" for minute in range(7) for volume in ("1", ""))
    message = refusal(write_file(tmp_path, HEADER + rows))
    assert message.startswith(": 6 things are wrong: line 2 and line 3 are different bars of BTC/USDT that both begin")
    assert message.endswith("volume 1 and unknown; 2 more bars have the begin of another one, and different values")


@pytest.mark.parametrize(
    ("rows", "difference"),
    [
        ("60,2,120\n60,3,180\n", "close 2 and 3"),
        ("60,3,100\n60,2,120\n", "close 3 and 2"),  # the first is the state of a bar that was not over
        ("60,2,120\n60,2,100\n", "close_time 1970-01-01T00:02:00Z and 1970-01-01T00:01:40Z"),
        ("60,2,\n60,2,120\n", "close_time unknown and 1970-01-01T00:02:00Z"),
    ],
)
def test_bars_with_one_begin_and_different_ends_are_refused_too(tmp_path: Path, rows: str, difference: str) -> None:
    assert refusal(write_file(tmp_path, "time,close,close_time\n0,2,60\n" + rows)) == (
        ": line 3 and line 4 are different bars of BTC/USDT that both begin at 1970-01-01T00:01:00Z: " + difference
    )


def test_a_repeated_bar_with_the_same_end_counts_once(tmp_path: Path) -> None:
    series = bars(tmp_path, "time,close,close_time\n60,2,120\n120,3,180\n60,2,120\n")
    assert series.end is not None
    assert [120 * SECOND_US, 180 * SECOND_US] == series.end.tolist()
    assert Changes(reordered=1, duplicates=1) == series.changes


@pytest.mark.parametrize("close", ["", "null", "NaN", "nan", "None", "N/A", "-"])
def test_rows_without_a_close_are_skipped(tmp_path: Path, close: str) -> None:
    series = bars(tmp_path, HEADER + f"60,2,3,1,2,1\nx,y,z,-1,{close},?\n180,2,3,1,2,1\n")
    assert [2, 4] == series.lines.tolist()
    assert Changes(skipped=1) == series.changes


@pytest.mark.parametrize("cell", ["", "null", "NaN", "nan", "#N/A"])
def test_a_missing_volume_is_unknown_and_a_zero_says_that_nothing_was_traded(tmp_path: Path, cell: str) -> None:
    series = bars(tmp_path, HEADER + f"60,2,3,1,2,{cell}\n120,2,3,1,2,0\n180,2,3,1,2,5\n")
    assert [None, Decimal(0), Decimal(5)] == numbers(series.volume)


@pytest.mark.parametrize(("zeros", "is_unknown"), [(198, False), (199, True)])
def test_a_column_with_more_than_99_percent_zeros_is_unknown(tmp_path: Path, zeros: int, is_unknown: bool) -> None:
    rows = "".join(f"{row},1,1,1,1,{0 if row <= zeros else 7}\n" for row in range(1, 201))
    series = bars(tmp_path, HEADER + rows)
    assert (200 if is_unknown else 0) == series.volume.null_count
    assert (zeros if is_unknown else 0) == series.changes.zero_volumes


@pytest.mark.parametrize(
    ("row", "high", "low"),
    [
        ("10.01,10.00,9.50,9.99", "10.01", "9.5"),
        ("10.00,10.05,10.01,10.05", "10.05", "10"),
        ("10.00,10.05,9.51,9.50", "10.05", "9.5"),
        ("10.00,10.04,9.51,10.05", "10.05", "9.51"),
    ],
)
def test_a_high_or_low_one_rounding_step_beside_open_or_close_is_moved_there(
    tmp_path: Path, row: str, high: str, low: str
) -> None:
    series = bars(tmp_path, f"time,open,high,low,close\n60,{row}\n")
    assert ([Decimal(high)], [Decimal(low)]) == (numbers(series.high), numbers(series.low))
    assert Changes(widened=1) == series.changes


def test_float_noise_beside_open_or_close_is_widened(tmp_path: Path) -> None:
    row = "60,0.0858666747808456,0.0858666747808456,0.0853402093052864,0.08586667478084562"
    series = bars(tmp_path, f"time,open,high,low,close\n{row}\n")
    assert [Decimal("0.08586667478084562")] == numbers(series.high)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("2,5,6,5.5,5.7,1", "low 5.5 is above open 5"),
        ("2,,6,5.5,5,1", "low 5.5 is above close 5"),
        ("2,6.5,6,5,5,1", "open 6.5 is above high 6"),
        ("2,5,6,5,7.10,1", "close 7.1 is above high 6"),
        ("2,5,6,5,abc,1", "close is 'abc'; it must be a number such as 110485.85"),
        ("2,5,6,5,1_000,1", "close is '1_000'; it must be a number such as 110485.85"),
        ("2,5,6,5,0,1", "close is '0'; it must be above 0 and below 1e20"),
        ("2,5,6,5,1e-19,1", "close is '1e-19'; it must be above 0 and below 1e20"),
        ("2,5,1e20,5,5,1", "high is '1e20'; it must be a number such as 110485.85"),
        ("2,inf,6,5,5,1", "open is 'inf'; it must be a number such as 110485.85"),
        ("2,5,6,-5,5,1", "low is '-5'; it must be above 0 and below 1e20"),
        ("2,5,6,5,5,-1", "volume is '-1'; it must be at least 0 and below 1e20"),
        ("x,5,6,5,5,1", "time is 'x'; it must be one such as 2026-01-31T12:00:00Z or unix seconds"),
        (",5,6,5,5,1", "time is ''; it must be one such as 2026-01-31T12:00:00Z or unix seconds"),
        ("1e9,5,6,5,5,1", "time is '1e9'; it must be one such as 2026-01-31T12:00:00Z or unix seconds"),
        ("1969-12-31,5,6,5,5,1", "time '1969-12-31' is 1969-12-31T00:00:00Z, which is before 1970"),
        ("2026-12-01,5,6,5,5,1", "time '2026-12-01' is 2026-12-01T00:00:00Z, which is in the future"),
        ("20240102153000000,5,6,5,5,1", "time '20240102153000000' is 2611-05-21T10:35:53Z, which is after 2100"),
    ],
)
def test_a_bad_row_is_refused_with_its_line(tmp_path: Path, row: str, reason: str) -> None:
    path = write_file(tmp_path, f"{HEADER}1,5,6,5,5,1\n{row}\n3,5,6,5,5,1\n")
    assert f", line 3: {reason}" == refusal(path)


def test_a_row_with_another_number_of_columns_is_bad(tmp_path: Path) -> None:
    assert ", line 3: it has 5 cells, the other lines 6" == refusal(
        write_file(tmp_path, HEADER + "1,5,6,5,5,1\n2,5,6,5,5\n")
    )


def test_all_that_is_wrong_is_in_one_message(tmp_path: Path) -> None:
    text = "time,open,high,low,close,volume\n01/02/2024,5,6,5,abc,1\n01/03/2024,5,6,5,0,-1\n01/04/2024,5,4,3,5,1\n"
    assert refusal(write_file(tmp_path, text, "prices.csv")) == (
        ": 3 things are wrong: neither a column nor the file's name says the symbol: give it with --symbol, or name the"
        " file for it, such as BTC-USDT.csv or BTC_USDT-1h.csv; dates such as '01/02/2024' may have the day or the"
        " month first: say which with --day-first or --month-first; 3 of 3 rows are bad: line 2: close is 'abc'; it"
        " must be a number such as 110485.85; line 3: close is '0'; it must be above 0 and below 1e20; line 4: open"
        " 5 is above high 4"
    )


def test_only_the_first_bad_rows_are_described(tmp_path: Path) -> None:
    rows = "".join(f"{row},1,1,1,x,1\n" for row in range(1, 31))
    message = refusal(write_file(tmp_path, HEADER + rows))
    assert message.startswith(": 30 of 30 rows are bad: line 2: close is 'x'")
    assert message.endswith("line 11: close is 'x'; it must be a number such as 110485.85; and 20 more")


def thousand_rows(bad: int) -> str:
    return HEADER + "".join(f"{row},1,1,1,{'x' if row <= bad else 1},1\n" for row in range(1, 1001))


def test_bad_rows_up_to_a_thousandth_are_left_out(tmp_path: Path) -> None:
    reading, rows = read_file(write_file(tmp_path, thousand_rows(1)))
    assert reading.dialect == "bars"
    assert [999] == [len(series) for series in rows.bars]
    assert [Changes(left_out=1)] == [series.changes for series in rows.bars]
    assert rows.notes == (
        "1 bad row was left out, the first in line 2: close is 'x'; it must be a number such as 110485.85",
    )
    assert refusal(write_file(tmp_path, thousand_rows(2))).startswith(": 2 of 1 000 rows are bad: line 2: close is 'x'")


def test_the_reader_may_allow_more_bad_rows_or_none(tmp_path: Path) -> None:
    path = write_file(tmp_path, thousand_rows(20))
    assert [980] == [len(series) for series in read_file(path, ReadOptions(max_bad_rows=Decimal("0.02")))[1].bars]
    path = write_file(tmp_path, thousand_rows(1))
    assert refusal(path, ReadOptions(max_bad_rows=Decimal(0))).startswith(", line 2: close is 'x'")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("time,close\n", "it has a header but no prices"),
        ("time,close\n1,\n2,null\n", "none of its 2 rows has a price"),
        (
            "time,price,close\n1,1,1\n",
            "the header names price and close; it must name price for prices or close for bars",
        ),
        ("time,BID,ASK,close\n1,1,1,1\n", "the header names bid and ask and close"),
        ("time,date,close\n1,1,1\n", "the header names time and date; it must name one of them as the time"),
        ("close,volume\n1,1\n", "no column is the time: it must be named time, timestamp, date or datetime"),
        ("time,close,CLOSE\n1,1,1\n", "the header names close twice"),
        ("time,time,close\n1,1,1\n", "the header names time twice"),
        (
            "time,volume\n1,1\n",
            "the header names neither close (for bars) nor price, or bid and ask (for single prices)",
        ),
        ("time,close,symbol\n1,1,\n", "symbol is ''; it must be one such as BTC/USDT"),
        ("time,close,symbol\n1,1,A B\n", "symbol is 'A B'; it must be one such as BTC/USDT"),
        ("time,close,timeframe\n1,1,1y\n", "timeframe is '1y'; it must be one such as 1m, 4h, 1d, 1w or 1M"),
        ("time,close,close_time\n5,1,4\n", "close_time 1970-01-01T00:00:04Z is before time 1970-01-01T00:00:05Z"),
        ("time,close,close_time\n5,1,x\n", "close_time is 'x'; it must be one such as 2026-01-31T12:00:00Z"),
        ('time,close\n1,"1,234"\n', "numbers such as 1,234 may have a decimal comma or group their digits"),
    ],
)
def test_a_wrong_file_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    assert reason in refusal(write_file(tmp_path, text))


def test_the_reader_says_what_a_comma_is(tmp_path: Path) -> None:
    text = 'time,close\n1,"1,234"\n'
    assert [Decimal("1.234")] == numbers(bars(tmp_path, text, ReadOptions(decimal_comma=True)).close)
    assert [Decimal(1234)] == numbers(bars(tmp_path, text, ReadOptions(decimal_comma=False)).close)


def test_the_options_symbol_is_that_of_all_rows(tmp_path: Path) -> None:
    options = ReadOptions(symbol=Symbol("ETH/EUR"))
    assert bars(tmp_path, "time,close,symbol\n1,1,A\n2,1,A\n", options).symbol == "ETH/EUR"
    path = write_file(tmp_path, "time,close,symbol\n1,1,A\n2,1,B\n")
    assert refusal(path, options) == (
        ": --symbol ETH/EUR cannot name all rows, because they are of several symbols: A, B; without it, each of them"
        " becomes a series"
    )


def test_symbols_of_other_tools_are_split_and_own_ones_stay(tmp_path: Path) -> None:
    foreign = "symbol,timestamp,open,high,low,close,volume,trade_count,vwap\nBTCUSD,1,1,1,1,1,1,1,1\n"
    assert bars(tmp_path, foreign).symbol == "BTC/USD"
    assert bars(tmp_path, "time,close,symbol\n1,1,BTCUSD\n").symbol == "BTCUSD"


def test_prices_keep_equal_rows_and_take_the_middle_of_bid_and_ask(tmp_path: Path) -> None:
    text = "time,symbol,price,bid,ask,volume\n3,A,2,,,1\n1,A,2,,,1\n1,A,2,,,1\n2,A,,1e-18,2e-18,0\n4,A,,5,,\n"
    series = ticks(tmp_path, text)
    assert [Decimal(2), Decimal(2), Decimal("2e-18"), Decimal(2)] == numbers(series.price)
    assert [3, 4, 5, 2] == series.lines.tolist()
    assert Changes(reordered=1, skipped=1) == series.changes


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("1,A,1,3,2,,", "bid 3 is above ask 2"),
        ("1,A,1,x,,,", "bid is 'x'; it must be a number such as 110485.85"),
        ("1,A,1,2,3,0,", "bid_size is '0'; it must be above 0 and below 1e20"),
        ("1,A,1,,3,5,", "bid_size is 5, and bid is empty"),
        ("1,A,1,2,,,1.50", "ask_size is 1.5, and ask is empty"),
        ("1,BTC/,1,,,,", "symbol is 'BTC/'; it must be one such as BTC/USDT"),
    ],
)
def test_a_bad_price_is_refused(tmp_path: Path, row: str, reason: str) -> None:
    path = write_file(tmp_path, f"time,symbol,price,bid,ask,bid_size,ask_size\n{row}\n")
    assert f", line 2: {reason}" == refusal(path)


def test_numbers_are_rounded_once(tmp_path: Path) -> None:
    text = f"time,close,volume\n1,{'9' * 20}.{'9' * 18},0.0012300000000000002\n2,1e-18,5e-19\n3,1.03e-05,4e-19\n"
    series = bars(tmp_path, text)
    assert [Decimal("9" * 20 + "." + "9" * 18), Decimal("1e-18"), Decimal("0.0000103")] == numbers(series.close)
    assert [Decimal("0.00123"), Decimal("1e-18"), Decimal(0)] == numbers(series.volume)
    assert Changes(rounded=3) == series.changes


def test_the_clock_is_the_callers(tmp_path: Path) -> None:
    assert (
        datetime.fromisoformat("2026-11-30T12:00:00+00:00").timestamp() * SECOND_US
        == bars(tmp_path, "time,close\n2026-11-30T12:00:00,1\n").begin[0]
    )
    assert "in the future" in refusal(write_file(tmp_path, "time,close\n2026-11-30T12:00:01,1\n"))
