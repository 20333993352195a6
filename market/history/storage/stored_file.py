"""One stored series as a Parquet file: exact decimals, the manifest in its footer, and hashes of both."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.compute
import pyarrow.parquet

from domain.errors import PaperTradingError
from domain.files.owners import exposure
from domain.files.private_files import open_own_file, written_atomically
from domain.types import Symbol
from market.history.candles import SCHEMA, Candles
from market.history.storage.manifest import InvalidManifest, Manifest, parse_manifest, seal
from market.history.streaming.series import SpooledCandles
from market.history.streaming.spool import BLOCK_ROWS, Spool, of_equal_size
from market.history.timeframe import Timeframe

ROWS_A_GROUP = BLOCK_ROWS
"""Rows that a reader has in memory at a time."""
MANIFEST, MANIFEST_SHA256 = b"paper_trading_manifest", b"paper_trading_manifest_sha256"
"""Keys of the file's metadata."""


class DamagedFile(PaperTradingError):
    """A stored file that cannot be used; the message says why."""


def write(path: Path, tables: Iterable[Any], manifest: Manifest) -> None:
    """Write a series in one step.

    Args:
        path: the file; its folder exists.
        tables: rows with the columns of `SCHEMA`, by rising ``published``.
        manifest: of these rows.

    Raises:
        PaperTradingError: it cannot be written; an existing file is unchanged.
    """
    document = manifest.to_json()
    schema = SCHEMA.with_metadata({MANIFEST: document, MANIFEST_SHA256: seal(document)})
    with (
        written_atomically(path) as stream,
        pyarrow.parquet.ParquetWriter(
            stream, schema, compression="zstd", write_page_checksum=True, use_dictionary=False
        ) as writer,
    ):
        for table in of_equal_size(tables):
            writer.write_table(table.cast(schema), row_group_size=ROWS_A_GROUP)


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
    candles, manifest = read_spooled(path)
    try:
        return candles.load(), manifest
    except ValueError as error:
        raise DamagedFile(f"{path}: {error}") from None


def read_spooled(path: Path) -> tuple[SpooledCandles, Manifest]:
    """Return the rows of a stored file in blocks, and its manifest; few of the rows are in memory.

    Raises:
        DamagedFile: it cannot be read, or does not hold what its manifest says.
        PaperTradingError: there is no room for the blocks.
    """
    with _opened(path) as file:
        manifest = _manifest(path, file)
        if [(field.name, field.type) for field in file.schema_arrow] != [(field.name, field.type) for field in SCHEMA]:
            raise DamagedFile(f"{path}: its columns are not those of a stored series")
        spool = Spool(SCHEMA)
        try:
            for batch in file.iter_batches(ROWS_A_GROUP, use_threads=False):
                spool.add(pyarrow.Table.from_batches([batch]).cast(SCHEMA))
        except (pyarrow.ArrowException, OSError, ValueError) as error:
            raise DamagedFile(f"{path}: cannot read it: {_first_line(error)}") from None
    try:
        candles = SpooledCandles(Symbol(manifest.symbol), Timeframe.parse(manifest.timeframe), spool.blocks())
    except ValueError as error:
        raise DamagedFile(f"{path}: {error}") from None
    if content_sha256_of(len(candles), candles.tables) != manifest.content_sha256:
        raise DamagedFile(f"{path}: its rows are not those of its manifest")
    return candles, manifest


def content_sha256(table: Any) -> str:
    """Return the hash of the rows of a table with the columns of `SCHEMA`, however they are divided into pieces."""
    return content_sha256_of(table.num_rows, lambda names: [table.select(names)])


def content_sha256_of(rows: int, tables: Callable[[Sequence[str]], Iterable[Any]]) -> str:
    """Return the hash of rows that come in several tables; it does not depend on how they are divided.

    Args:
        rows: how many there are.
        tables: returns the rows of some columns.
    """
    digest = hashlib.sha256()
    for name in SCHEMA.names:
        digest.update(f"{name}:{rows};".encode())
        nulls: list[Any] = []
        for table in tables((name,)):
            for chunk in table[name].chunks:
                digest.update(_bytes_of(chunk))
                nulls.append(chunk.is_null() if chunk.null_count else len(chunk))
        for mask in nulls:
            is_null = bytes(mask) if isinstance(mask, int) else mask.cast(pyarrow.int8()).to_numpy(zero_copy_only=False)
            digest.update(is_null)
    return digest.hexdigest()


def _bytes_of(chunk: Any) -> Any:
    # A null's own bytes are not defined: it counts as 0, and the nulls are hashed beside the values.
    filled = chunk.fill_null(0) if chunk.null_count else chunk
    width = chunk.type.bit_width // 8
    return memoryview(filled.buffers()[1] or b"")[filled.offset * width : (filled.offset + len(filled)) * width]


def _opened(path: Path) -> Any:
    try:
        if (reason := exposure(path.parent)) is not None:
            raise DamagedFile(f"{path}: it is not read, because another user can change its folder: {reason}")
        os.close(open_own_file(path, os.O_RDONLY))  # nobody else can exchange it between this and the next line
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
