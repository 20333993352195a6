"""Separated text becomes columns of text, whatever its separator, encoding and header."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from time import process_time

import pytest

from market.history.containers.raw_table import LeftOut, ReadLimits
from market.history.containers.reading import read_tables
from tests.support.raw_tables import refusal, rows_of, table_in, write

NAMES = ("time", "open", "close")
ROWS = [("2024-01-01", "1.5", "2"), ("2024-01-02", "2", "1.75")]
PLAIN = "time,open,close\n2024-01-01,1.5,2\n2024-01-02,2,1.75\n"


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_separators_and_line_ends(tmp_path: Path, separator: str, line_end: str) -> None:
    table = table_in(write(tmp_path, PLAIN.replace(",", separator).replace("\n", line_end)))
    assert (NAMES, ROWS, 2) == (table.names, rows_of(table), table.first_line)
    assert (None, (), (), 0, True) == (table.member, table.preamble, table.more_headers, table.part, table.is_text)


def test_line_ends_of_several_kinds_in_one_file(tmp_path: Path) -> None:
    table = table_in(write(tmp_path, "time,close\r\n1,2\r3,4\n5,6\r\r\n7\r8,9\r"))
    assert [("1", "2"), ("3", "4"), ("5", "6"), ("8", "9")] == rows_of(table)
    assert [2, 3, 4, 7] == [table.line(row) for row in range(4)]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"])
def test_encodings(tmp_path: Path, encoding: str) -> None:
    table = table_in(write(tmp_path, "Zeit;Börse;Schluß\n2024-01-01;Zürich;1,5\n".encode(encoding)))
    assert ("Zeit", "Börse", "Schluß") == table.names
    assert [("2024-01-01", "Zürich", "1,5")] == rows_of(table)


def test_codes_that_windows_does_not_use_are_latin_1(tmp_path: Path) -> None:
    assert [("1", "\x81é")] == rows_of(table_in(write(tmp_path, b"1,\x81\xe9\n")))


@pytest.mark.parametrize("offset", [-3, -2, -1, 0, 1])
@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "utf-16"])
def test_a_character_that_two_blocks_share(tmp_path: Path, offset: int, encoding: str) -> None:
    # The first block of 1 MB ends within or beside the first character beyond ASCII.
    line = "2024-01-01,1\n"
    width = 2 if encoding == "utf-16" else 1
    count = (1 << 20) // width // len(line)
    text = line * (count - 1)
    text += "2024-01-01," + "7" * ((1 << 20) // width + offset - len(text) - 11) + "é\n"
    table = table_in(write(tmp_path, text.encode(encoding)))
    assert count == table.rows
    assert {"1"} == set(table.columns[1][:-1].to_pylist())
    assert "7é" == table.columns[1][-1].as_py()[-2:]


def test_a_text_that_begins_as_utf_8_must_remain_so(tmp_path: Path) -> None:
    path = write(tmp_path, "é,1\n".encode() + b"\xe9,1\n")
    assert ": it begins as UTF-8 text, and is not valid as such further on" == refusal(path)
    path = write(tmp_path, "1,2\n".encode("utf-16") + b"\x00\xd8")
    assert ": it begins as UTF-16 text, and is not valid as such further on" == refusal(path)


def test_a_binary_file_is_no_text(tmp_path: Path) -> None:
    assert ": it is binary (it holds zero bytes), not a text, Parquet or feather file" == refusal(
        write(tmp_path, b"1,2\n3,\x004\n")
    )


@pytest.mark.parametrize(
    ("first", "names"),
    [
        ("1518040800000,7700.00,12", None), ("20120201 000000,1.3,0", None), ("2024.01.02 04:00,+1,2", None),
        ("BTC/USDT,x,$42.5", None), ("AAPL,Jan 2 2024,x", None), ("a,-4.66%,b", None), ("a,117.65K,b", None),
        ("a,10:30,b", None), ('a,"1,234.5",b', None), ("a,2024-01,b", None), ("a,1e-05,b", None), ("a,.5,", None),
        ("a,02-Jan-2024 10:00,", None), ("a,9:30 AM,", None),
        ("timestamp,1. open,4. close", ("timestamp", "1. open", "4. close")),
        ("<DATE>,<TIME>,<CLOSE>", ("<DATE>", "<TIME>", "<CLOSE>")), (",open,Volume 24h", ("", "open", "Volume 24h")),
        ('"Date" , "Vol." ,Change %', ("Date", "Vol.", "Change %")), ("time,time,NaN", ("time", "time", "NaN")),
        ("24h,52 week high,SMA20", ("24h", "52 week high", "SMA20")),
    ],
)  # fmt: skip
def test_the_first_line_is_a_header_if_no_cell_is_a_number_or_a_time(
    tmp_path: Path, first: str, names: tuple[str, ...] | None
) -> None:
    table = table_in(write(tmp_path, first + "\n" + "2024-01-01,1,2\n" * 3))
    assert (names, 4 if names is None else 3) == (table.names, table.rows)
    assert (1 if names is None else 2) == table.first_line


@pytest.mark.parametrize("first", ["0,1,2", ",0,1"])
def test_positions_that_pandas_writes_are_no_names(tmp_path: Path, first: str) -> None:
    table = table_in(write(tmp_path, f"{first}\n7,1,2\n8,3,4\n"))
    assert (None, (first,), 2, 2) == (table.names, table.preamble, table.first_line, table.rows)


def test_lines_above_the_header_are_kept(tmp_path: Path) -> None:
    table = table_in(write(tmp_path, "https://www.example.com\n\n# hourly\n" + PLAIN))
    assert (NAMES, ("https://www.example.com", "# hourly"), 5) == (table.names, table.preamble, table.first_line)
    assert (ROWS, "line 6") == (rows_of(table), table.place(1))


def test_further_lines_of_names_are_kept(tmp_path: Path) -> None:
    table = table_in(write(tmp_path, "Price,Close,Open\nTicker,MSFT,MSFT\nDate,,\n2023-02-17,254.5,null\n"))
    assert ("Price", "Close", "Open") == table.names
    assert (("Ticker", "MSFT", "MSFT"), ("Date", "", "")) == table.more_headers
    assert ([("2023-02-17", "254.5", "null")], 4) == (rows_of(table), table.first_line)


def test_the_separator_that_excel_states(tmp_path: Path) -> None:
    table = table_in(write(tmp_path, "sep=;\nDatum;Kurs\n31.01.2026;1,5\n01.02.2026;1,6\n"))
    assert (("Datum", "Kurs"), ("sep=;",), 3) == (table.names, table.preamble, table.first_line)
    assert [("31.01.2026", "1,5"), ("01.02.2026", "1,6")] == rows_of(table)


def test_a_comma_is_a_decimal_comma_where_another_separator_fits(tmp_path: Path) -> None:
    assert [("1,5", "2,5"), ("3,5", "4,5")] == rows_of(table_in(write(tmp_path, "1,5;2,5\n3,5;4,5\n")))


def test_quotes_and_white_space(tmp_path: Path) -> None:
    text = 'time, open ,"close"\n"2024-01-01", "1,500.5" ,2 \r\n 2024-01-02 ,"say ""3""",\n'
    table = table_in(write(tmp_path, text))
    assert NAMES == table.names
    assert [("2024-01-01", "1,500.5", "2"), ("2024-01-02", 'say "3"', "")] == rows_of(table)


def test_a_quote_without_end_swallows_no_rows(tmp_path: Path) -> None:
    reason = "a cell in quotes goes over several lines; perhaps a quote has no end"
    assert f", line 4: {reason}" == refusal(write(tmp_path, PLAIN + '1,"2,3\n4,5,6\n7,8",9\n'))
    assert f", line 122: {reason}" == refusal(write(tmp_path, PLAIN * 40 + '\n1,"2\n4",6\n7,8,9\n'))
    assert f": {reason}" == refusal(write(tmp_path, PLAIN * 40 + '1,"2,3\n4,5,6\n'))


def test_a_separator_at_the_end_of_lines_is_one_more_column_without_name(tmp_path: Path) -> None:
    table = table_in(write(tmp_path, "time,close\n2024-01-01,1,\n2024-01-02,2,\n"))
    assert (("time", "close", ""), [("2024-01-01", "1", ""), ("2024-01-02", "2", "")]) == (table.names, rows_of(table))
    table = table_in(write(tmp_path, "time,close,\n2024-01-01,1\n2024-01-02,2\n"))
    assert (("time", "close"), [("2024-01-01", "1"), ("2024-01-02", "2")]) == (table.names, rows_of(table))


def test_lines_with_another_number_of_cells_are_left_out_and_counted(tmp_path: Path) -> None:
    text = "time,close\n\n2024-01-01,1\n\n2024-01-02\n  \n2024-01-03,3,4\r\n\r\n2024-01-04,4"
    table = table_in(write(tmp_path, text))
    assert [("2024-01-01", "1"), ("2024-01-04", "4")] == rows_of(table)
    assert (LeftOut(5, "it has 1 cell, the other lines 2"), LeftOut(7, "it has 3 cells, the other lines 2")) == (
        table.left_out
    )
    assert ["line 3", "line 9"] == [table.place(0), table.place(1)]


def test_too_many_such_lines_refuse_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, PLAIN * 40 + "1\n" * 6)
    assert 5 == len(table_in(write(tmp_path, PLAIN * 40 + "1\n" * 5), ReadLimits(max_left_out=5)).left_out)
    path = write(tmp_path, PLAIN * 40 + "1\n" * 6)
    assert ", line 126: it has 1 cell, the other lines 3, as over 5 lines before it" == refusal(
        path, ReadLimits(max_left_out=5)
    )


def test_a_header_without_rows(tmp_path: Path) -> None:
    table = table_in(write(tmp_path, "time,open,close"))
    assert (NAMES, 0, 3, 2) == (table.names, table.rows, len(table.columns), table.first_line)


@pytest.mark.parametrize("content", ["", "\n\n", " \r\n\t\n", "\ufeff"])
def test_an_empty_file(tmp_path: Path, content: str) -> None:
    assert ": it is empty" == refusal(write(tmp_path, content))


def test_a_text_that_is_no_table(tmp_path: Path) -> None:
    assert (
        ": it is no table: its lines are not separated into columns by commas, semicolons, tabs or | (the first is"
        " 'Dear Sir')"
    ) == refusal(write(tmp_path, "Dear Sir\nbuy low\n"))
    assert (
        ": its lines have different numbers of columns: most have 2, separated by commas, and the first 21 have others"
    ) == refusal(write(tmp_path, "a\n" * 21 + "1,2\n" * 22))


def test_a_huge_cell_is_refused_within_milliseconds(tmp_path: Path) -> None:
    start = ": a cell has 32 768 characters; at most 1 000 are possible: '777"
    for content, place in (
        (PLAIN + "2024-01-03,1," + "7" * 32768 + "\n", ", line 4"),
        (PLAIN * 40 + "\n2024-01-03,1," + "7" * 32768 + "\n", ", line 122"),
        ("2024-01-03,1," + "7" * 32768, ", line 1"),
    ):
        path = write(tmp_path, content)
        begin = process_time()
        assert refusal(path).startswith(place + start)
        assert process_time() - begin < 1  # of the processor; converting the digits to a number took 23 s


def test_a_cell_of_the_greatest_length(tmp_path: Path) -> None:
    assert 1000 == len(table_in(write(tmp_path, PLAIN + "1,2," + "é" * 1000)).columns[2][2].as_py())
    assert refusal(write(tmp_path, PLAIN * 40 + "1,2," + "é" * 1001)).startswith(", line 121: a cell has 1 001 char")


def test_too_many_columns(tmp_path: Path) -> None:
    assert 100 == len(table_in(write(tmp_path, ",".join("1" * 100) + "\n")).columns)
    refused = "columns; at most 100 are possible"
    assert f", line 1: there are 101 {refused}" == refusal(write(tmp_path, ",".join("1" * 101) + "\n"))
    assert f", line 1: there are 500 000 {refused}" == refusal(write(tmp_path, ",".join("1" * 500_000) + "\n"))


class TestHugeLines:
    """Files of several GB are refused after their first blocks; they are sparse, so they take no space."""

    @pytest.fixture
    def path(self, tmp_path: Path) -> Iterator[Path]:
        path = tmp_path / "prices.csv"
        yield path
        path.unlink()

    def extend(self, path: Path, content: bytes) -> None:
        with path.open("wb") as file:
            file.write(content)
            file.truncate(3 << 30)

    def test_a_line_of_3_gb(self, path: Path) -> None:
        self.extend(path, b"time,close\n" + b"7" * (5 << 20))
        gc.collect()
        tracemalloc.start()
        try:
            assert ", line 2: the line is longer than 1 MB" == refusal(path)
            assert tracemalloc.get_traced_memory()[1] < 20 << 20
        finally:
            tracemalloc.stop()

    def test_3_gb_of_zero_bytes(self, path: Path) -> None:
        self.extend(path, b"")
        assert ": it is binary (it holds zero bytes), not a text, Parquet or feather file" == refusal(path)


def test_a_long_file_comes_in_parts(tmp_path: Path) -> None:
    text = "x\ntime,close\n" + "".join(f"{number},1.5\n" for number in range(300_000)) + "\n1\n7,8\n"
    path = write(tmp_path, text)
    (complete,) = read_tables(path)
    parts = list(read_tables(path, ReadLimits(part_bytes=1 << 20)))
    assert len(parts) > 3
    assert list(range(len(parts))) == [part.part for part in parts]
    assert {(("x",), ("time", "close"))} == {(part.preamble, part.names) for part in parts}
    assert complete.columns[0].to_pylist() == [cell for part in parts for cell in part.columns[0].to_pylist()]
    assert [*range(3, 300_003), 300_005] == [part.line(row) for part in parts for row in range(part.rows)]
    assert [300_004] == [line.line for part in parts for line in part.left_out]
    assert replace(complete, columns=(), lines=None, left_out=()).first_line == parts[0].first_line


def test_too_many_rows(tmp_path: Path) -> None:
    assert ": it has more than 1 rows; split it" == refusal(write(tmp_path, PLAIN), ReadLimits(max_rows=1))


def test_a_repeated_reading_is_the_same(tmp_path: Path) -> None:
    path = write(tmp_path, PLAIN)
    assert rows_of(table_in(path)) == rows_of(table_in(path))
