"""A CSV file as fields of text: the header, then the rows."""

from __future__ import annotations

import csv
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Protocol

from market.files.parsing import refuse


class _Lines(Protocol):
    @property
    def line_num(self) -> int: ...

    def __iter__(self) -> _Lines: ...

    def __next__(self) -> list[str]: ...


def lines(path: Path) -> Generator[tuple[str, Sequence[str]], None, None]:
    """Yield the header and each row, with a place such as ``line 3``; rows are as wide as the header.

    Raises:
        SettingsError: the file cannot be read, or is not valid CSV.
    """
    try:
        # utf-8-sig: spreadsheets often begin a file with a byte order mark.
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield from _lines(path, csv.reader(file, strict=True))
    except FileNotFoundError:
        refuse(path, "there is no such file")
    except OSError as error:
        refuse(path, f"it cannot be read: {error.strerror}")
    except UnicodeDecodeError:
        refuse(path, "it is not UTF-8 text")
    except ValueError as error:  # a NUL in the path
        refuse(path, f"it cannot be read: {error}")


def _lines(path: Path, reader: _Lines) -> Generator[tuple[str, Sequence[str]], None, None]:
    try:
        header = next(reader, None)
        if header is None:
            refuse(path, "it is empty, but must begin with a header such as time,symbol,price")
        yield "line 1", header
        width = len(header)
        for fields in reader:
            if fields:  # an empty line is skipped
                place = f"line {reader.line_num}"
                if len(fields) != width:
                    refuse(path, f"the row has {len(fields)} columns, the header {width}", place)
                yield place, fields
    except csv.Error as error:
        refuse(path, f"it is not valid CSV: {error}", f"line {reader.line_num}")
