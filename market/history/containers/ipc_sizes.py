"""The sizes that the batches of a feather file will have in memory, without unpacking them.

A feather file (of version 2) is an Arrow IPC file: messages, each with metadata as a flatbuffer and a body of buffers.
A compressed buffer begins with the number of bytes that it unpacks to, so a bomb can be refused before it explodes.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct, error, unpack_from
from typing import BinaryIO, NamedTuple

MAGIC = b"ARROW1\0\0"
_INT64 = Struct("<q")
_DICTIONARY_BATCH, _RECORD_BATCH = 2, 3
_MAX_METADATA_BYTES = 16 << 20


class DamagedFile(Exception):
    """The file is not as an Arrow IPC file must be."""


class BatchSize(NamedTuple):
    """The size of a batch: rows, and bytes after unpacking."""

    rows: int
    size: int


def batch_sizes(file: BinaryIO, file_size: int) -> Iterator[BatchSize]:
    """Yield the size of each batch of an Arrow IPC file, in its order; reads the metadata alone.

    Raises:
        DamagedFile: it is cut off, or otherwise invalid.
    """
    position = len(MAGIC)
    while True:
        file.seek(position)
        prefix = file.read(8)
        if len(prefix) < 8:
            raise DamagedFile("it is cut off")
        marker, length = unpack_from("<Ii", prefix)
        if marker != 0xFFFFFFFF:  # before Arrow 0.15 there was no marker
            raise DamagedFile("a message does not begin as it must")
        if length == 0:
            return  # the end of the messages; the footer follows
        if not 0 < length <= _MAX_METADATA_BYTES:
            raise DamagedFile("a message has an impossible length")
        metadata = file.read(length)
        if len(metadata) < length:
            raise DamagedFile("it is cut off")
        body = position + 8 + length
        try:
            batch, body_size = _batch(metadata, file, body)
        except error:
            raise DamagedFile("a message is invalid") from None
        if body_size < 0 or body + body_size > file_size:
            raise DamagedFile("it is cut off")
        if batch is not None:
            yield batch
        position = body + body_size


def _batch(metadata: bytes, file: BinaryIO, body: int) -> tuple[BatchSize | None, int]:
    """Return the size of a message's batch, None for a schema, and the size of its body."""
    message = _Table(metadata, unpack_from("<I", metadata)[0])
    kind = message.scalar(1, "<B")
    body_size = message.scalar(3, "<q")
    if kind not in {_DICTIONARY_BATCH, _RECORD_BATCH}:
        return None, body_size
    header = message.table(2)
    if kind == _DICTIONARY_BATCH:
        header = header.table(1)
    rows = header.scalar(0, "<q")
    is_compressed = header.has(3)
    total = 0
    for offset, length in header.pairs(2):
        unpacked = length
        if is_compressed and length >= _INT64.size:
            file.seek(body + offset)
            (unpacked,) = _INT64.unpack(file.read(_INT64.size))
            unpacked = length if unpacked == -1 else unpacked  # -1: this one is not compressed after all
        if unpacked < 0:
            raise DamagedFile("a buffer has a negative length")
        total += unpacked
    if rows < 0:
        raise DamagedFile("a batch has a negative number of rows")
    return BatchSize(rows, total), body_size


class _Table:
    """A table of a flatbuffer."""

    def __init__(self, data: bytes, position: int) -> None:
        self._data = data
        self._position = position
        self._fields = position - int(unpack_from("<i", data, position)[0])
        if self._fields < 0:
            raise DamagedFile("a message is invalid")
        self._size = int(unpack_from("<H", data, self._fields)[0])

    def _offset(self, field: int) -> int:
        entry = 4 + 2 * field
        return int(unpack_from("<H", self._data, self._fields + entry)[0]) if entry < self._size else 0

    def has(self, field: int) -> bool:
        return bool(self._offset(field))

    def scalar(self, field: int, code: str) -> int:
        offset = self._offset(field)
        return int(unpack_from(code, self._data, self._position + offset)[0]) if offset else 0

    def _target(self, field: int) -> int:
        offset = self._offset(field)
        if not offset:
            raise DamagedFile("a message is invalid")
        place = self._position + offset
        return place + int(unpack_from("<I", self._data, place)[0])

    def table(self, field: int) -> _Table:
        return _Table(self._data, self._target(field))

    def pairs(self, field: int) -> Iterator[tuple[int, int]]:
        place = self._target(field)
        (count,) = unpack_from("<I", self._data, place)
        for index in range(count):
            yield unpack_from("<qq", self._data, place + 4 + 16 * index)
