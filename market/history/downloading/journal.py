"""The partial file of a download: what has arrived so far, so that a download that is killed goes on where it was.

Each line is one piece: a checksum and a JSON document. A piece is on the disk before the next one is requested. A line
that a kill or a power failure cut off is removed when the file is opened again, and what it held is requested again.
"""

from __future__ import annotations

import fcntl
import json
import os
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from domain.errors import PaperTradingError
from domain.files.private_files import make_private_folder, open_own_file, sync_folder
from market.history.downloading.pages import Row

VERSION = 1


@dataclass(frozen=True, slots=True)
class Piece:
    """A span of time about which the exchange was asked.

    Attributes:
        begin: of the span, in milliseconds since 1970.
        end: of the span, excluded.
        rows: the bars in it, by begin.
        gaps: begin and end of each span in it for which the exchange has no bars, asked at least twice.
        empty: those parts of the gaps about which each answer was empty: none went on beyond them.
        compared: number of bars that were fetched a second time and compared.
    """

    begin: int
    end: int
    rows: Mapping[int, Row]
    gaps: Sequence[tuple[int, int]]
    empty: Sequence[tuple[int, int]]
    compared: int = 0


class Journal:
    """The pieces that one download has so far; see `Journal.opened`.

    Attributes:
        spans: begin and end of what the exchange was asked about, in the order of time; none touches another.
    """

    def __init__(self, path: Path, file: BinaryIO, series: Mapping[str, Any]) -> None:
        self._path = path
        self._file = file
        self.spans: list[tuple[int, int]] = []
        self._header = {"version": VERSION, **series}
        self._load()

    @classmethod
    @contextmanager
    def opened(cls, path: Path, series: Mapping[str, Any]) -> Iterator[Journal]:
        """Open the file, or create it, for this process alone.

        Args:
            path: of the file.
            series: what its pieces belong to; a file of another series is emptied.

        Raises:
            PaperTradingError: another process has it open, or it cannot be written.
        """
        try:
            make_private_folder(path.parent)
            with _locked(path) as file:
                yield cls(path, file, series)
        except OSError as error:
            raise PaperTradingError(f"cannot write {path}: {error.strerror or error}") from error

    def append(self, piece: Piece) -> None:
        """Write a piece; it is on the disk when this returns."""
        rows = [[begin, *row[:5], row.change] if row.change else [begin, *row[:5]] for begin, row in piece.rows.items()]
        document = {"begin": piece.begin, "end": piece.end, "gaps": list(piece.gaps), "empty": list(piece.empty)}
        self._write({**document, "compared": piece.compared, "rows": rows})
        self._add(piece.begin, piece.end)

    def pieces(self) -> Iterator[Piece]:
        """Yield the pieces, in the order in which they were written."""
        self._file.seek(0)
        for document in self._documents():
            if "begin" in document:
                rows = {cells[0]: Row(*cells[1:]) for cells in document["rows"]}
                gaps, empty = [[(begin, end) for begin, end in document[name]] for name in ("gaps", "empty")]
                yield Piece(document["begin"], document["end"], rows, gaps, empty, document["compared"])

    def remove(self) -> None:
        """Remove the file: all of it is in the store."""
        self._path.unlink(missing_ok=True)
        sync_folder(self._path.parent)

    def _load(self) -> None:
        """Read the spans; keep the part of the file that is complete and belongs to this series."""
        end = 0
        self._file.seek(0)
        for number, document in enumerate(self._documents()):
            if number == 0 and document != self._header:
                break
            if number:
                self._add(document["begin"], document["end"])
            end = self._file.tell()
        self._file.seek(end)
        self._file.truncate()
        if end == 0:
            self._write(self._header)
            sync_folder(self._path.parent)

    def _add(self, begin: int, end: int) -> None:
        self.spans = merged_spans([*self.spans, (begin, end)])

    def _documents(self) -> Iterator[dict[str, Any]]:
        while line := self._file.readline():
            document = _document(line)
            if document is None:
                return
            yield document

    def _write(self, document: Mapping[str, Any]) -> None:
        text = json.dumps(document, separators=(",", ":")).encode("utf-8")
        self._file.seek(0, os.SEEK_END)
        self._file.write(b"%08x %b\n" % (zlib.crc32(text), text))
        self._file.flush()
        os.fsync(self._file.fileno())


def first_missing(spans: Iterable[tuple[int, int]], begin: int, end: int) -> tuple[int, int] | None:
    """Return the first part of a span that is in none of ``spans``; those are in the order of time."""
    for span_begin, span_end in spans:
        if span_begin > begin:
            end = min(end, span_begin)
            break
        begin = max(begin, span_end)
    return (begin, end) if begin < end else None


def merged_spans(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return spans in the order of time; those that touch are one."""
    merged: list[tuple[int, int]] = []
    for begin, end in sorted(spans):
        if merged and begin <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((begin, end))
    return merged


def _document(line: bytes) -> dict[str, Any] | None:
    """Return the document of a line; None where the line is not complete or was changed."""
    checksum, _, text = line.partition(b" ")
    if not text.endswith(b"\n") or checksum != b"%08x" % zlib.crc32(text[:-1]):
        return None
    document: dict[str, Any] = json.loads(text)
    return document


@contextmanager
def _locked(path: Path) -> Iterator[BinaryIO]:
    """Yield the file, created if need be and open for reading and writing, locked by this process."""
    while True:
        with os.fdopen(open_own_file(path, os.O_RDWR | os.O_CREAT), "r+b") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise PaperTradingError(f"another download writes {path}; wait until it has ended") from None
            # The other download may have ended, and removed the file, between the opening and the lock.
            if path.exists() and os.path.samestat(os.fstat(file.fileno()), path.stat()):
                yield file
                return
