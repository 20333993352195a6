"""Files in gzip and in zip archives are read as the files that they hold; bombs are refused."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from pathlib import Path
from random import Random
from struct import pack
from time import process_time
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import feather, parquet

from market.history.containers.raw_table import ReadLimits
from market.history.containers.reading import read_tables
from market.history.containers.refusal import RefusedFile
from tests.support.raw_tables import refusal, rows_of, table_in, write

PLAIN = "time,open,close\n2024-01-01,1.5,2\n2024-01-02,2,1.75\n"
ROWS = [("2024-01-01", "1.5", "2"), ("2024-01-02", "2", "1.75")]
NAMES = ("time", "open", "close")
BOMB = "it unpacks to more than 100 times its size, as no file of prices does (a decompression bomb?)"


def packed(folder: Path, members: dict[str, str | bytes], **options: Any) -> Path:
    path = folder / "prices.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content, **options)
    return path


def in_each_format() -> dict[str, bytes]:
    columns = dict(zip(NAMES, map(list, zip(*ROWS, strict=True)), strict=True))
    as_parquet, as_feather = io.BytesIO(), io.BytesIO()
    parquet.write_table(pa.table(columns), as_parquet)
    feather.write_feather(pa.table(columns), as_feather)
    return {
        "prices.csv": PLAIN.encode(),
        "prices.json": json.dumps([dict(zip(NAMES, row, strict=True)) for row in ROWS]).encode(),
        "prices.parquet": as_parquet.getvalue(),
        "prices.feather": as_feather.getvalue(),
    }


@pytest.mark.parametrize("name", list(in_each_format()))
def test_each_format_in_gzip_and_in_zip(tmp_path: Path, name: str) -> None:
    content = in_each_format()[name]
    table = table_in(write(tmp_path, gzip.compress(content), f"{name}.gz"))
    assert (NAMES, ROWS, None) == (table.names, rows_of(table), table.member)
    table = table_in(packed(tmp_path, {name: content}))
    assert (NAMES, ROWS, name) == (table.names, rows_of(table), table.member)


def test_a_gzip_file_of_several_pieces(tmp_path: Path) -> None:
    pieces = PLAIN.encode().splitlines(keepends=True)
    assert ROWS == rows_of(table_in(write(tmp_path, b"".join(map(gzip.compress, pieces)))))


def test_a_long_gzip_file(tmp_path: Path) -> None:
    lines = [f"{number},1.5" for number in range(300_000)]
    table = table_in(write(tmp_path, gzip.compress(("time,close\n" + "\n".join(lines)).encode(), 1)))
    assert 300_000 == table.rows
    assert [str(number) for number in range(300_000)] == table.columns[0].to_pylist()


def test_a_damaged_gzip_file(tmp_path: Path) -> None:
    content = gzip.compress(PLAIN.encode())
    assert ": it is cut off: its compressed data has no end" == refusal(write(tmp_path, content[:-12]))
    assert ": it is cut off: its compressed data has no end" == refusal(write(tmp_path, content[:5]))
    assert ": its compressed data is damaged" == refusal(write(tmp_path, content[:-8] + b"12345678"))
    assert ": its compressed data is damaged" == refusal(write(tmp_path, content[:10] + b"\xff" * 50))
    assert ": it is empty" == refusal(write(tmp_path, gzip.compress(b"")))


def test_several_members(tmp_path: Path) -> None:
    path = packed(
        tmp_path,
        {
            "folder/A.csv": PLAIN, "README.txt": "Dear Sir", "__MACOSX/._A.csv": b"\0\5", ".hidden.csv": "x",
            "empty/": "", "B.JSON": "[[1,2],[3,4]]", "chart.png": b"\x89PNG",
        },
    )  # fmt: skip
    first, second = read_tables(path)
    assert ("folder/A.csv", ROWS) == (first.member, rows_of(first))
    assert ("B.JSON", [("1", "2"), ("3", "4")]) == (second.member, rows_of(second))


def test_a_member_of_a_general_name_is_read_where_no_other_is(tmp_path: Path) -> None:
    assert "DAT_MT.txt" == table_in(packed(tmp_path, {"DAT_MT.txt": PLAIN, "a.pdf": "%PDF"})).member


def test_a_message_names_the_member(tmp_path: Path) -> None:
    assert ", a/B.csv: it is empty" == refusal(packed(tmp_path, {"A.csv": PLAIN, "a/B.csv": ""}))
    path = packed(tmp_path, {"A\n\x1b.csv": PLAIN + "1,2," + "7" * 2000})
    assert refusal(path).startswith(", A\ufffd\ufffd.csv, line 4: a cell has 2 000 characters")
    path = packed(tmp_path, {"B.json": json.dumps({"result": {"X": [[1, 2, "7" * 2000]]}})})
    assert refusal(path).startswith(", B.json result.X, row 1: a cell has 2 000 characters")


def test_archives_without_tables(tmp_path: Path) -> None:
    assert ": it holds no table such as a CSV file, but no file" == refusal(packed(tmp_path, {}))
    assert ": it holds no table such as a CSV file, but 'a.png', 'b.pdf'" == refusal(
        packed(tmp_path, {"a.png": "1", "b.pdf": "2"})
    )
    document = ": it is a document such as an Excel workbook (xlsx), not a table; save it as CSV"
    assert document == refusal(packed(tmp_path, {"[Content_Types].xml": "<?xml?>", "xl/workbook.xml": "<?xml?>"}))


def test_archives_within_archives(tmp_path: Path) -> None:
    inner = packed(tmp_path, {"A.csv": PLAIN}).read_bytes()
    path = packed(tmp_path, {"A.csv": PLAIN, "b/B.zip": inner})
    assert ": it holds another archive, 'b/B.zip'; unpack it first" == refusal(path)
    message = "it is an archive inside another; unpack it first"
    assert f", A.csv: {message}" == refusal(packed(tmp_path, {"A.csv": inner}))
    assert f": {message}" == refusal(write(tmp_path, gzip.compress(inner)))
    assert f": {message}" == refusal(write(tmp_path, gzip.compress(gzip.compress(PLAIN.encode()))))


def test_a_damaged_zip_archive(tmp_path: Path) -> None:
    path = packed(tmp_path, {"A.csv": PLAIN})
    content = path.read_bytes()
    path.write_bytes(content[:-30])
    assert ": it is not a valid zip archive: it is cut off" == refusal(path)
    path.write_bytes(content.replace(content[35:60], b"\xff" * 25, 1))
    assert ", A.csv: its compressed data is damaged" == refusal(path)
    directory = content.index(b"PK\x01\x02")
    path.write_bytes(content[: directory + 8] + b"\1" + content[directory + 9 :])
    assert ", A.csv: it is encrypted; unpack it with its password first" == refusal(path)
    path = packed(tmp_path, {"A.csv": PLAIN}, compress_type=zipfile.ZIP_LZMA)
    assert ", A.csv: it is compressed by an unusual method; make an ordinary zip archive of it" == refusal(path)


class TestBombs:
    def test_gzip(self, tmp_path: Path) -> None:
        row = b"1704067200,1,1,1,1,0\n"
        content = io.BytesIO()
        with gzip.GzipFile(fileobj=content, mode="wb") as file:
            for _ in range(64):
                file.write(row * (1 << 16))
        path = write(tmp_path, content.getvalue())
        assert path.stat().st_size < 1 << 20
        begin = process_time()
        assert f": {BOMB}" == refusal(path)
        assert process_time() - begin < 5

    def test_zip_by_the_size_that_it_states(self, tmp_path: Path) -> None:
        path = packed(tmp_path, {"A.csv": b"1,2,3,4\n" * (3 << 20)})
        assert (
            ", A.csv: it unpacks to more than 100 times its size, as no file of prices does (a decompression bomb?)"
            == (refusal(path))
        )

    def test_a_zip_archive_that_understates_a_size(self, tmp_path: Path) -> None:
        path = packed(tmp_path, {"A.csv": b"1,2,3,4\n" * (1 << 20)})
        content = bytearray(path.read_bytes())
        directory = content.index(b"PK\x01\x02")
        content[directory + 24 : directory + 28] = pack("<I", 80)
        path.write_bytes(content)
        assert ", A.csv: its compressed data is damaged" == refusal(path)  # only 80 bytes were unpacked

    def test_the_absolute_limit(self, tmp_path: Path) -> None:
        limits = ReadLimits(max_unpacked_bytes=50)
        assert ": it unpacks to more than 50 bytes" == refusal(write(tmp_path, gzip.compress(PLAIN.encode())), limits)
        path = packed(tmp_path, {"A.csv": "1,2\n" * 7, "B.csv": "1,2\n" * 7})
        assert ": it unpacks to more than 50 bytes" == refusal(path, limits)

    def test_many_members(self, tmp_path: Path) -> None:
        path = packed(tmp_path, {f"{number}.csv": "1,2\n" for number in range(4)})
        assert ": it holds 4 files; at most 3 are possible" == refusal(path, ReadLimits(max_members=3))
        path = packed(tmp_path, {f"{number}.csv": "" for number in range(20_000)})
        begin = process_time()
        assert ": it holds more than 1 000 files" == refusal(path)
        assert process_time() - begin < 1


@pytest.mark.parametrize("kind", ["csv", "utf-16", "json", "gzip", "zip"])
def test_a_file_with_other_bytes_is_refused_or_read_but_never_fails(tmp_path: Path, kind: str) -> None:
    rows = json.dumps([[number, f"{number}.5", None] for number in range(30)])
    content = {
        "csv": PLAIN.encode() * 9,
        "utf-16": (PLAIN * 9).encode("utf-16"),
        "json": rows.encode(),
        "gzip": gzip.compress(PLAIN.encode() * 9, mtime=0),
        "zip": packed(tmp_path, {"A.csv": PLAIN, "B.json": rows}).read_bytes(),
    }[kind]
    random = Random(7)
    for _ in range(150):
        changed = bytearray(content)
        for _ in range(random.randint(1, 4)):
            place = random.randrange(len(changed))
            length = random.choice((0, 1, 1, 9))
            changed[place : place + length] = bytes([random.choice(b'[]{},:"\n\r\t ;|0\\\x00\xff\xe9')])
        try:
            for table in read_tables(write(tmp_path, bytes(changed))):
                assert {table.rows} == {len(column) for column in table.columns}
                assert {0} == {column.null_count for column in table.columns}
                assert table.lines is None or table.rows == len(table.lines)
        except RefusedFile as error:
            assert error.reason
