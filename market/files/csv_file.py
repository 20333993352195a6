"""A CSV file as fields of text: the header, then the rows."""

from __future__ import annotations

import csv
from collections.abc import Generator, Sequence
from pathlib import Path

from market.files.parsing import refuse, refusing_unreadable


def lines(path: Path) -> Generator[tuple[str, Sequence[str]], None, None]:
    """Yield the header and each row, with a place such as ``line 3``; rows are as wide as the header.

    Raises:
        SettingsError: the file cannot be read, or is not valid CSV.
    """
    # utf-8-sig: spreadsheets often begin a file with a byte order mark.
    with refusing_unreadable(path), path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, strict=True)
        try:
            header = next(reader, None)
            if header is None:
                refuse(path, "it is empty, but must begin with a header such as time,symbol,price")
            yield "line 1", header
            for fields in reader:
                if fields:  # an empty line is skipped
                    place = f"line {reader.line_num}"
                    if len(fields) != len(header):
                        refuse(path, f"the row has {len(fields)} columns, the header {len(header)}", place)
                    yield place, fields
        except csv.Error as error:
            refuse(path, f"it is not valid CSV: {error}", f"line {reader.line_num}")
        except UnicodeDecodeError:
            refuse(path, "it is not UTF-8 text")
