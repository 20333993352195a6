"""`read_tables`: any file of prices as tables of text."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from market.history.containers.csv_tables import csv_tables
from market.history.containers.opening import HEAD_BYTES, open_regular, require_readable_kind
from market.history.containers.raw_table import RawTable, ReadLimits
from market.history.containers.refusal import Source
from market.history.containers.text import Readable, utf8_blocks

DEFAULT_LIMITS = ReadLimits()


def read_tables(path: Path, limits: ReadLimits = DEFAULT_LIMITS) -> Iterator[RawTable]:
    """Yield the tables of a file, each in one or several parts (see `RawTable`); what it is, its content says.

    Args:
        path: of a regular file.
        limits: what no file may exceed.

    Raises:
        RefusedFile: the file is missing, not readable, no table, or exceeds a limit; one sentence.
    """
    source = Source(path)
    with open_regular(path, source) as file, source.refusing(OSError, reason="it cannot be read"):
        head = file.read(HEAD_BYTES)
        require_readable_kind(head, source)
        file.seek(0)
        yield from _text_tables(file, source, limits)


def _text_tables(stream: Readable, source: Source, limits: ReadLimits) -> Iterator[RawTable]:
    blocks = utf8_blocks(stream, source)
    first = next(blocks, b"")
    yield from csv_tables(chain((first,), blocks), source, limits)
