"""One stored series as a Parquet file: exact decimals, the manifest in its footer, and hashes of both."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.compute
import pyarrow.parquet

from domain.errors import PaperTradingError
from domain.types import Symbol
from market.history.candles import SCHEMA, Candles
from market.history.storage.manifest import InvalidManifest, Manifest, parse_manifest, seal
from market.history.timeframe import Timeframe
from market.private_files import written_atomically

ROWS_A_GROUP = 65_536
"""Rows that a reader has in memory at a time."""
MANIFEST, MANIFEST_SHA256 = b"paper_trading_manifest", b"paper_trading_manifest_sha256"
"""Keys of the file's metadata."""


class DamagedFile(PaperTradingError):
    """A stored file that cannot be used; the message says why."""


def write(path: Path, table: Any, manifest: Manifest) -> None:
    """Write a series in one step.

    Args:
        path: the file; its folder exists.
        table: rows with the columns of `SCHEMA`, by rising ``published``.
        manifest: of these rows.

    Raises:
        PaperTradingError: it cannot be written; an existing file is unchanged.
    """
    document = manifest.to_json()
    stored = table.cast(SCHEMA).replace_schema_metadata({MANIFEST: document, MANIFEST_SHA256: seal(document)})
    with written_atomically(path) as stream:
        pyarrow.parquet.write_table(
            stored, stream, row_group_size=ROWS_A_GROUP, compression="zstd", write_page_checksum=True,
            use_dictionary=False,
        )  # fmt: skip


def read_manifest(path: Path) -> Manifest:
    """Return the manifest of a stored file; its rows are not read.

    Raises:
        DamagedFile: it cannot be read, or its manifest is not valid.
    """
    with _opened(path) as file:
        return _manifest(path, file)


def read(path: Path) -> tuple[Candles, Manifest]:
    """Return the rows of a stored file, and its manifest.

    Raises:
        DamagedFile: it cannot be read, or does not hold what its manifest says.
    """
    with _opened(path) as file:
        manifest = _manifest(path, file)
        if [(field.name, field.type) for field in file.schema_arrow] != [(field.name, field.type) for field in SCHEMA]:
            raise DamagedFile(f"{path}: its columns are not those of a stored series")
        try:
            table = file.read(use_threads=False).cast(SCHEMA)
        except (pyarrow.ArrowException, OSError, ValueError) as error:
            raise DamagedFile(f"{path}: cannot read it: {_first_line(error)}") from None
    if content_sha256(table) != manifest.content_sha256:
        raise DamagedFile(f"{path}: its rows are not those of its manifest")
    try:
        return Candles(Symbol(manifest.symbol), Timeframe.parse(manifest.timeframe), table), manifest
    except ValueError as error:
        raise DamagedFile(f"{path}: {error}") from None


def content_sha256(table: Any) -> str:
    """Return the hash of the rows of a table with the columns of `SCHEMA`, however they are divided into pieces."""
    digest = hashlib.sha256()
    for name in SCHEMA.names:
        digest.update(f"{name}:{table.num_rows};".encode())
        for piece in _bytes_of(table[name]):
            digest.update(piece)
    return digest.hexdigest()


def _bytes_of(column: Any) -> Iterator[Any]:
    # A null's own bytes are not defined: it counts as 0, and the nulls are hashed beside the values.
    for chunk in column.chunks:
        if len(chunk):
            filled = chunk.fill_null(0) if chunk.null_count else chunk
            width = chunk.type.bit_width // 8
            yield memoryview(filled.buffers()[1])[filled.offset * width : (filled.offset + len(filled)) * width]
    for chunk in column.chunks:
        yield chunk.is_null().cast(pyarrow.int8()).to_numpy(zero_copy_only=False)


def _opened(path: Path) -> Any:
    try:
        return pyarrow.parquet.ParquetFile(path, page_checksum_verification=True)
    except FileNotFoundError:
        raise DamagedFile(f"{path}: there is no such file") from None
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise DamagedFile(f"{path}: cannot read it: {_first_line(error)}") from None


def _manifest(path: Path, file: Any) -> Manifest:
    metadata = file.metadata.metadata or {}
    if MANIFEST not in metadata:
        raise DamagedFile(f"{path}: it has no manifest, so it was not written by this program")
    try:
        return parse_manifest(metadata[MANIFEST], metadata.get(MANIFEST_SHA256, b""))
    except InvalidManifest as error:
        raise DamagedFile(f"{path}: {error}") from None


def _first_line(error: Exception) -> str:
    return getattr(error, "strerror", None) or (str(error).splitlines() or [type(error).__name__])[0]
