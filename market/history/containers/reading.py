"""`read_tables`: any file of prices as tables of text."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import BinaryIO

from market.history.containers.archives import GZIP_MAGIC, ZIP_MAGICS, GzipText, opened_members
from market.history.containers.arrow_tables import feather_tables, parquet_tables
from market.history.containers.csv_tables import csv_tables
from market.history.containers.json_tables import is_json, json_tables
from market.history.containers.opening import HEAD_BYTES, open_regular, require_readable_kind
from market.history.containers.raw_table import RawTable, ReadLimits
from market.history.containers.refusal import Source
from market.history.containers.text import BLOCK_BYTES, Readable, utf8_blocks

DEFAULT_LIMITS = ReadLimits()
_PARQUET, _FEATHERS = b"PAR1", (b"ARROW1", b"FEA1")
_SPOOL_BYTES = 16 << 20


def read_tables(path: Path, limits: ReadLimits = DEFAULT_LIMITS) -> Iterator[RawTable]:
    """Yield the tables of a file, each in one or several parts (see `RawTable`); what it is, its content says.

    Read are CSV and its relatives, JSON, Parquet and feather, each also in gzip or as members of a zip archive. The
    memory does not grow with the file, but for a JSON file that is one object.

    Args:
        path: of a regular file.
        limits: what no file may exceed.

    Raises:
        RefusedFile: the file is missing, not readable, no table, or exceeds a limit; one sentence.
    """
    source = Source(path)
    with open_regular(path, source) as file, source.refusing(OSError, reason="it cannot be read"):
        head = file.read(HEAD_BYTES)
        file.seek(0)
        if head.startswith(GZIP_MAGIC):
            yield from _unpacked_tables(GzipText(file, source, limits), source, limits)
        elif head.startswith(ZIP_MAGICS):
            with opened_members(file, source, limits) as members:
                for member, stream in members:
                    yield from _unpacked_tables(stream, member, limits)
        elif head.startswith((_PARQUET, *_FEATHERS)):
            yield from _arrow_tables(head, file, source, limits)
        else:
            yield from _text_tables(head, file, source, limits)


def _unpacked_tables(stream: Readable, source: Source, limits: ReadLimits) -> Iterator[RawTable]:
    """Yield the tables of a file that is being unpacked."""
    head = b""
    while len(head) < HEAD_BYTES and (data := stream.read(HEAD_BYTES - len(head))):
        head += data
    if head.startswith((GZIP_MAGIC, *ZIP_MAGICS)):
        source.refuse("it is an archive inside another; unpack it first")
    if head.startswith((_PARQUET, *_FEATHERS)):
        with _spooled(_Joined(head, stream)) as file:
            yield from _arrow_tables(head, file, source, limits)
    else:
        yield from _text_tables(head, _Joined(head, stream), source, limits)


@contextmanager
def _spooled(stream: Readable) -> Iterator[BinaryIO]:
    """Give a copy in which one can seek, in memory while it is small."""
    with tempfile.SpooledTemporaryFile(_SPOOL_BYTES) as file:
        while block := stream.read(BLOCK_BYTES):
            file.write(block)
        file.seek(0)
        yield file  # type: ignore[misc]  # it has the methods, and is no BinaryIO by name


class _Joined:
    """A stream whose first bytes have been read already."""

    def __init__(self, head: bytes, rest: Readable) -> None:
        self._head = head
        self._rest = rest

    def read(self, size: int, /) -> bytes:
        if self._head:
            data, self._head = self._head[:size], self._head[size:]
            return data + self._rest.read(size - len(data)) if len(data) < size else data
        return self._rest.read(size)


def _arrow_tables(head: bytes, file: BinaryIO, source: Source, limits: ReadLimits) -> Iterator[RawTable]:
    tables = parquet_tables if head.startswith(_PARQUET) else feather_tables
    yield from tables(file, source, limits)


def _text_tables(head: bytes, stream: Readable, source: Source, limits: ReadLimits) -> Iterator[RawTable]:
    require_readable_kind(head, source)
    blocks = utf8_blocks(stream, source)
    first = next(blocks, b"")
    tables = json_tables if is_json(first) else csv_tables
    yield from tables(chain((first,), blocks), source, limits)
