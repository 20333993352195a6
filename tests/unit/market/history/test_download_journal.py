"""The partial file of a download: pieces that are complete stay, whatever happened to the rest."""

from __future__ import annotations

import zlib
from pathlib import Path

import pytest

from market.history.downloading.journal import Journal, Piece, first_missing, merged_spans
from market.history.downloading.pages import WIDENED, Row

SERIES = {"series": "kraken BTC/USDT 1m", "phase": 0}
ROW = Row("1.5", "2", "1", "1.25", "0.000000000000000001")
PIECES = [
    Piece(0, 120_000, {0: ROW, 60_000: Row("1", "1", "1", "1", None, WIDENED)}, [], [], compared=2),
    Piece(120_000, 240_000, {}, [(120_000, 240_000)], [(180_000, 240_000)]),
    Piece(240_000, 300_000, {240_000: ROW}, [], []),
]


def write(path: Path) -> None:
    with Journal.opened(path, SERIES) as journal:
        for piece in PIECES:
            journal.append(piece)


def read(path: Path, series: dict[str, object] = SERIES) -> list[Piece]:
    with Journal.opened(path, series) as journal:
        assert merged_spans((piece.begin, piece.end) for piece in journal.pieces()) == journal.spans
        return list(journal.pieces())


def test_pieces_are_read_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "kraken" / "1m.download"
    write(path)
    assert PIECES == read(path)
    assert 0o600 == path.stat().st_mode & 0o777


def test_each_shorter_file_has_the_pieces_that_are_complete(tmp_path: Path) -> None:
    path = tmp_path / "1m.download"
    write(path)
    content = path.read_bytes()
    ends = [end for end in range(1, len(content) + 1) if content[end - 1 : end] == b"\n"]
    for length in range(len(content) + 1):
        path.write_bytes(content[:length])
        complete = max(sum(end <= length for end in ends) - 1, 0)
        assert PIECES[:complete] == read(path)
        with Journal.opened(path, SERIES) as journal:
            journal.append(PIECES[-1])
        assert [*PIECES[:complete], PIECES[-1]] == read(path)


@pytest.mark.parametrize("damaged", [1, 2, 3])
def test_nothing_after_a_damaged_line_counts(tmp_path: Path, damaged: int) -> None:
    path = tmp_path / "1m.download"
    write(path)
    lines = path.read_bytes().splitlines(keepends=True)
    lines[damaged] = lines[damaged].replace(b"000", b"001", 1)
    path.write_bytes(b"".join(lines))
    assert PIECES[: damaged - 1] == read(path)


def test_a_file_of_another_series_is_emptied(tmp_path: Path) -> None:
    path = tmp_path / "1m.download"
    write(path)
    assert [] == read(path, {**SERIES, "phase": 3_600_000})
    assert [] == read(path)


def test_a_line_is_a_checksum_and_a_document(tmp_path: Path) -> None:
    path = tmp_path / "1m.download"
    write(path)
    for line in path.read_bytes().splitlines():
        checksum, _, text = line.partition(b" ")
        assert int(checksum, 16) == zlib.crc32(text)


def test_spans_that_touch_are_one() -> None:
    assert [(0, 3), (4, 6)] == merged_spans([(4, 6), (1, 3), (0, 1), (5, 6)])


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        ([], (10, 50)), ([(0, 20)], (20, 50)), ([(20, 30)], (10, 20)), ([(10, 50)], None), ([(0, 60)], None),
        ([(0, 5), (10, 20), (40, 60)], (20, 40)), ([(50, 60)], (10, 50)), ([(0, 10)], (10, 50)),
    ],
)  # fmt: skip
def test_the_first_part_that_is_missing(spans: list[tuple[int, int]], expected: tuple[int, int] | None) -> None:
    assert expected == first_missing(spans, 10, 50)
