"""Compressed files: gzip, and the members of zip archives; both within limits, so that no bomb explodes."""

from __future__ import annotations

import gzip
import os
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import PurePosixPath
from struct import error as StructError  # noqa: N812 - a class, by an old name
from struct import unpack_from
from typing import BinaryIO

from market.history.containers.raw_table import ReadLimits
from market.history.containers.refusal import Source, grouped, quoted, size
from market.history.containers.text import Readable

GZIP_MAGIC = b"\x1f\x8b"
ZIP_MAGICS = (b"PK\x03\x04", b"PK\x05\x06")
RATIO_FROM_BYTES = 16 << 20
"""Below this size, text of constant prices may be compressed as well as it can be."""
_MAX_MEMBER_ENTRY_BYTES = 1_000
"""An ordinary entry of a zip's directory has about 100."""
_TABLES = frozenset({".csv", ".tsv", ".json", ".jsonl", ".parquet", ".pq", ".feather", ".ftr", ".arrow"})
_PERHAPS = frozenset({".txt", ".dat", ".asc", ".prn", ".data", ""})
_ARCHIVES = frozenset({".zip", ".gz", ".tgz", ".bz2", ".xz", ".zst", ".7z", ".rar", ".tar"})
_ENCRYPTED = 0x1
_ERRORS = (zipfile.BadZipFile, OSError, ValueError, RuntimeError, EOFError, StructError)
"""What Python's reader of zip archives raises for a damaged one; NotImplementedError is a RuntimeError."""


class GzipText:
    """A gzip file that is being unpacked, block by block.

    Args:
        file: the compressed one.
        source: for messages.
        limits: of its unpacked size.
    """

    def __init__(self, file: BinaryIO, source: Source, limits: ReadLimits) -> None:
        self._file = file
        self._unpacked = gzip.GzipFile(fileobj=file, mode="rb")
        self._source = source
        self._limits = limits
        self._count = 0

    def read(self, size: int, /) -> bytes:
        """Return at most ``size`` unpacked bytes; none at the end.

        Raises:
            RefusedFile: it is damaged, or unpacks to too much.
        """
        try:
            data = self._unpacked.read(size)
        except EOFError:
            self._source.refuse("it is cut off: its compressed data has no end")
        except (OSError, zlib.error):
            self._source.refuse("its compressed data is damaged")
        self._count += len(data)
        _require_unpacked(self._count, self._file.tell(), self._source, self._limits)
        return data


def _require_unpacked(unpacked: int, packed: int, source: Source, limits: ReadLimits) -> None:
    if unpacked > limits.max_unpacked_bytes:
        source.refuse(f"it unpacks to more than {size(limits.max_unpacked_bytes)}")
    if unpacked > RATIO_FROM_BYTES and unpacked > limits.max_ratio * packed:
        source.refuse(
            f"it unpacks to more than {grouped(limits.max_ratio)} times its size, as no file of prices does"
            " (a decompression bomb?)"
        )


@contextmanager
def opened_members(file: BinaryIO, source: Source, limits: ReadLimits) -> Iterator[Iterator[tuple[Source, Readable]]]:
    """Give the tables in a zip archive, in the archive's order, each with its name for messages.

    Raises:
        RefusedFile: it is damaged or encrypted, holds no table or another archive, or unpacks to too much.
    """
    _require_short_directory(file, source, limits)
    with source.refusing(*_ERRORS, reason="it is not a valid zip archive"):
        archive = zipfile.ZipFile(file)
    with archive:
        members = _tables_in(archive.infolist(), source, limits)
        yield ((Source(source.path, member.filename), _Member(archive, member, source)) for member in members)


def _require_short_directory(file: BinaryIO, source: Source, limits: ReadLimits) -> None:
    """Refuse an archive whose directory is too long, before it is read."""
    end = file.seek(0, os.SEEK_END)
    file.seek(max(0, end - (1 << 16) - 22))
    tail = file.read()
    position = tail.rfind(b"PK\x05\x06")
    if position < 0 or position + 22 > len(tail):
        source.refuse("it is not a valid zip archive: it is cut off")
    (length,) = unpack_from("<I", tail, position + 12)
    if position >= 20 and tail[position - 20 : position - 16] == b"PK\x06\x07":  # a directory of 64 bits
        (start,) = unpack_from("<Q", tail, position - 12)
        file.seek(min(start, end))
        record = file.read(56)
        if len(record) == 56:
            length = max(length if length != 0xFFFFFFFF else 0, unpack_from("<Q", record, 40)[0])
    file.seek(0)
    if length > limits.max_members * _MAX_MEMBER_ENTRY_BYTES:
        source.refuse(f"it holds more than {grouped(limits.max_members)} files")


def _tables_in(members: Sequence[zipfile.ZipInfo], source: Source, limits: ReadLimits) -> Sequence[zipfile.ZipInfo]:
    """Return the members that are tables, by their names; or, without any, those that may be."""
    if any(member.filename in {"[Content_Types].xml", "mimetype"} for member in members):
        source.refuse("it is a document such as an Excel workbook (xlsx), not a table; save it as CSV")
    files = [member for member in members if not _is_ignored(member.filename)]
    if len(files) > limits.max_members:
        source.refuse(f"it holds {grouped(len(files))} files; at most {grouped(limits.max_members)} are possible")
    for member in files:
        if _suffix(member) in _ARCHIVES:
            source.refuse(f"it holds another archive, {quoted(member.filename)}; unpack it first")
    tables = [member for member in files if _suffix(member) in _TABLES]
    tables = tables or [member for member in files if _suffix(member) in _PERHAPS]
    if not tables:
        names = ", ".join(quoted(member.filename) for member in files[:3]) or "no file"
        source.refuse(f"it holds no table such as a CSV file, but {names}")
    _require_unpacked(sum(member.file_size for member in tables), 1 << 63, source, limits)
    for member in tables:
        inner = Source(source.path, member.filename)
        if member.flag_bits & _ENCRYPTED:
            inner.refuse("it is encrypted; unpack it with its password first")
        if member.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
            inner.refuse("it is compressed by an unusual method; make an ordinary zip archive of it")
        _require_unpacked(member.file_size, member.compress_size, inner, limits)
    return tables


def _is_ignored(name: str) -> bool:
    is_folder = not name or name.endswith("/")
    return is_folder or any(part.startswith(".") or part == "__MACOSX" for part in PurePosixPath(name).parts)


def _suffix(member: zipfile.ZipInfo) -> str:
    return PurePosixPath(member.filename).suffix.lower()


class _Member:
    """A member of a zip archive that is being unpacked; no more is than its entry states."""

    def __init__(self, archive: zipfile.ZipFile, member: zipfile.ZipInfo, source: Source) -> None:
        self._source = Source(source.path, member.filename)
        with self._source.refusing(*_ERRORS, reason="it cannot be unpacked"):
            self._file = archive.open(member)

    def read(self, size: int, /) -> bytes:
        try:
            return self._file.read(size)
        except EOFError:
            self._source.refuse("it is cut off: its compressed data has no end")
        except (*_ERRORS, zlib.error):
            self._source.refuse("its compressed data is damaged")
