"""JSON becomes columns of text: lists of rows, objects that hold them, and lines of objects."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from market.history.containers.raw_table import RawTable, ReadLimits
from market.history.containers.reading import read_tables
from tests.support.raw_tables import refusal, rows_of, table_in, write

ROWS = [("1518044400000", "7750.00", ""), ("1518048000000", "7720.10", "1e-07")]
LISTS = "[[1518044400000,7750.00,null],[1518048000000,7720.10,1e-07]]"


def tables_in(folder: Path, value: Any) -> list[RawTable]:
    return list(read_tables(write(folder, json.dumps(value), "prices.json")))


@pytest.mark.parametrize(
    "text",
    [
        LISTS,
        LISTS.replace(",", ", "),
        LISTS.replace("[", " [\n\t").replace("]", "\r\n ]").replace(",", " , ") + "\n",
        LISTS.replace("7720.10", '"7720.10"'),
        LISTS.replace("7720.10", '" 7720.10 "').replace(",", ", "),
        "\ufeff" + LISTS,
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_list_of_lists(tmp_path: Path, text: str, encoding: str) -> None:
    table = table_in(write(tmp_path, text.encode(encoding), "BTC_USDT-1h.json"))
    assert (None, ROWS, None) == (table.names, rows_of(table), table.member)
    assert ("row 1", "row 2") == (table.place(0), table.place(1))


@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")])
def test_a_list_of_objects(tmp_path: Path, separators: tuple[str, str]) -> None:
    value = [{"time": "2024-01-02 05:00", "close": 1.5, "open": True}, {"open": None, "time": "a],[}, {b"}]
    table = table_in(write(tmp_path, json.dumps(value, separators=separators)))
    assert ("time", "close", "open") == table.names
    assert [("2024-01-02 05:00", "1.5", "true"), ("a],[}, {b", "", "")] == rows_of(table)


def test_lines_of_objects(tmp_path: Path) -> None:
    table = table_in(write(tmp_path, '{"t":1,"c":1.50}\n{"t":2,"c":2}\n\n'))
    assert (("t", "c"), [("1", "1.50"), ("2", "2")]) == (table.names, rows_of(table))


def test_no_digit_is_lost(tmp_path: Path) -> None:
    digits = "12345678901234567890.123456789012345678901234567890"
    for text in (f"[[1,{digits}],[2,NaN]]", f'[["1",{digits}],[2,NaN]]', f'[{{"a":1,"b":{digits}}},{{"a":2,"b":NaN}}]'):
        assert [("1", digits), ("2", "NaN")] == rows_of(table_in(write(tmp_path, text)))


@pytest.mark.parametrize("space", ["", " ", "\n  "])
@pytest.mark.parametrize("kind", ["numbers", "texts", "objects"])
def test_a_long_list_is_read_piece_by_piece_and_comes_in_parts(tmp_path: Path, kind: str, space: str) -> None:
    row = {"numbers": "[{0},{0}.5]", "texts": '[{0},"{0}.5"]', "objects": '{{"t":{0},"c":{0}.5}}'}[kind]
    count = 100_000
    rows = f",{space}".join(row.format(number) for number in range(count))
    path = write(tmp_path, f"[{space}{rows}{space}]{space}")
    parts = list(read_tables(path, ReadLimits(part_bytes=1 << 18)))
    assert len(parts) > 1
    assert list(range(len(parts))) == [part.part for part in parts]
    assert [f"{number}.5" for number in range(count)] == [
        cell for part in parts for cell in part.columns[1].to_pylist()
    ]
    assert [part.first_line for part in parts[1:]] == [part.line(part.rows - 1) + 1 for part in parts[:-1]]


def test_the_series_of_coingecko_are_one_table(tmp_path: Path) -> None:
    value = {"prices": [[1, 1.5], [2, 2.5]], "market_caps": [], "total_volumes": [[2, 7], [3, 8]], "status": "ok"}
    (table,) = tables_in(tmp_path, value)
    assert ("time", "prices", "total_volumes") == table.names
    assert [("1", "1.5", ""), ("2", "2.5", "7")] == rows_of(table)
    (table,) = tables_in(tmp_path, {"prices": [[1, 1.5], [1, 2.5]], "total_volumes": [[1, 7]]})
    assert (("time", "prices"), [("1", "1.5"), ("1", "2.5")]) == (table.names, rows_of(table))


def test_tables_within_an_object(tmp_path: Path) -> None:
    answer = {"error": [], "result": {"XXBTZUSD": [[1, "2.0", "3"]], "XETHZUSD": [[4, "5", "6"]], "last": 7}}
    first, second = tables_in(tmp_path, answer)
    assert ("result.XXBTZUSD", None, [("1", "2.0", "3")]) == (first.member, first.names, rows_of(first))
    assert ("result.XETHZUSD", [("4", "5", "6")]) == (second.member, rows_of(second))
    (table,) = tables_in(tmp_path, {"bars": [{"t": "2024-01-02", "c": 1}, {"t": "2024-01-03", "o": 2}]})
    assert (("t", "c", "o"), "bars") == (table.names, table.member)
    assert [("2024-01-02", "1", ""), ("2024-01-03", "", "2")] == rows_of(table)


def test_an_object_of_columns(tmp_path: Path) -> None:
    (table,) = tables_in(tmp_path, {"s": "ok", "t": [1, 2], "c": [1.5, None]})
    assert (("t", "c"), [("1", "1.5"), ("2", "")]) == (table.names, rows_of(table))


@pytest.mark.parametrize("index", [True, False])
def test_split_as_pandas_writes_it(tmp_path: Path, index: bool) -> None:
    value = {"columns": ["open", "close"], "index": [1704067200000], "data": [[1, 2.5]]}
    if not index:
        del value["index"]
    (table,) = tables_in(tmp_path, value)
    names, row = ("open", "close"), ("1", "2.5")
    assert (("", *names) if index else names) == table.names
    assert [("1704067200000", *row) if index else row] == rows_of(table)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", ": it is empty"),
        ("[1,2]", ": it is JSON, and its list holds no rows"),
        ("{}", ": it is JSON, and holds no list of rows"),
        ('{"message": "Not Found"}', ": it is JSON, and holds no list of rows"),
        ("[[1,2],[3,4]", ": it is not valid JSON: its list does not end, or something follows it"),
        ("[[1,2],[3,4]] 5", ": it is not valid JSON: extra data, at ']'"),
        ("[[1,2],[3,4", ": it is not valid JSON: its list does not end, or something follows it"),
        ("[[1,2],,[3,4]]", ": it is not valid JSON: expecting value, at ',[3,4]]'"),
        ("[[1 2,3]]", ": it is not valid JSON: expecting ',' delimiter, at '2,3]]'"),
        ('[{"a":1}{"a":2}]', ": it is not valid JSON: expecting ',' delimiter, at '{\"a\":2}]'"),
        ('{"a": [[1,2]', ": it is not valid JSON: expecting ',' delimiter, at its end"),
        ("[[1,2],[3]]", ", row 2: it has 1 cell, the first row 2"),
        ("[[1,2],[3,4,5]]", ", row 2: it has 3 cells, the first row 2"),
        ("[[1,2],[]]", ", row 2: it has 0 cells, the first row 2"),
        ("[[],[1]]", ", row 1: it is no row"),
        ("[[1,2],3,[4,5]]", ", row 2: it is no row"),
        ('[[1,2],{"a":1},[3,4]]', ", row 2: it is no row"),
        ("[[1,[2]],[3,4]]", ", row 1: one of its cells is a list; it must be a number, a text or null"),
        ('[{"a":1,"b":{"c":2}}]', ", row 1: one of its cells is an object; it must be a number, a text or null"),
        ('[{"a":1},{"a":1,"b":2}]', ", row 2: it has the key 'b', and the first row has not"),
        ('[{"a":1},[1]]', ": it is not valid JSON: its list does not end, or something follows it"),
        ("[{}]", ", row 1: it has no keys"),
        ("[[" * 200_000 + "]]" * 200_000, ": it is JSON that is nested too deeply"),
        ('{"a":' * 200_000 + "1" + "}" * 200_000, ": it is JSON that is nested too deeply"),
    ],
)
def test_other_json_is_refused(tmp_path: Path, text: str, message: str) -> None:
    assert message == refusal(write(tmp_path, text))


def test_half_a_character_is_replaced(tmp_path: Path) -> None:
    assert [("?", "1")] == rows_of(table_in(write(tmp_path, r'[["\ud800",1]]')))


def test_limits(tmp_path: Path) -> None:
    huge = "7" * 32768
    start = ", row 2: a cell has 32 768 characters; at most 1 000 are possible: '777"
    for text in (f"[[1,2],[1,{huge}]]", f'[[1,2],[1,"{huge}"]]', f'[{{"a":1}},{{"a":{huge}}}]'):
        assert refusal(write(tmp_path, text)).startswith(start)
    row = "[" + ",".join("1" * 101) + "]"
    assert ": its rows have 101 cells; at most 100 are possible" == refusal(write(tmp_path, f"[{row}]"))
    keys = json.dumps({str(number): 1 for number in range(101)})
    assert ": its rows have 101 keys; at most 100 are possible" == refusal(write(tmp_path, f"[{keys}]"))
    assert ": its rows have 101 cells; at most 100 are possible" == refusal(write(tmp_path, f'{{"a":[{row}]}}'))
    path = write(tmp_path, "[[1," + " " * (3 << 20) + "2]]")
    assert ": a row of its list is longer than 1 MB" == refusal(path)
    path = write(tmp_path, '{"a": [[1, 2]]}' + " " * 3000)
    assert ": it is one JSON object of over 2.93 kB; a list of rows may be longer" == refusal(
        path, ReadLimits(max_object_bytes=3000)
    )
    assert ": it has more than 1 rows; split it" == refusal(write(tmp_path, LISTS), ReadLimits(max_rows=1))
