"""The first rows of a file, as the dialects look at them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cached_property

from market.history.containers.raw_table import RawTable
from market.history.recognition.file_name import FileName

SAMPLE_ROWS = 200
MIN_GOOD_PER_BAD = 50
"""One bad row in so many does not change what a file is."""
NO_VALUES = frozenset({"", "null", "NULL", "NaN", "nan", "None", "N/A", "#N/A", "-"})
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
_UNIX = re.compile(r"\d{9,10}(\.\d+)?|\d{12,13}(\.0*)?|\d{15,16}|\d{18,19}", re.ASCII)
_UNIX_SECONDS = re.compile(r"\d{9,10}(\.\d+)?", re.ASCII)
_DATED = re.compile(
    r"\d{4}[-./]\d{1,2}[-./]\d{1,2}.*|\d{1,2}[-./]\d{1,2}[-./](\d{4}|\d\d)\b.*|(19|20)\d{6}([T ]?\d{4,9})?Z?"
    r"|\d{1,2}[ -][A-Za-z]{3,9}[ ,-]+\d{2,4}.*|[A-Za-z]{3,9}\.? \d{1,2},? \d{4}.*",
    re.ASCII,
)
_CLOCK = re.compile(r"\d{1,2}:\d\d(:\d\d([.,]\d+)?)?( ?[AaPp]\.?[Mm]\.?)?|\d{1,9}", re.ASCII)


@dataclass(frozen=True)
class Sample:
    """The first rows of a file, its header and its name.

    Attributes:
        names: the header in lower case; None: there is none.
        headers: all lines of the header as they are written.
        rows: the first `SAMPLE_ROWS` rows; a missing cell is empty.
        width: the number of columns.
        preamble: the lines before the header, as one text.
        file_name: what the file's name says.
    """

    names: tuple[str, ...] | None
    headers: tuple[tuple[str, ...], ...]
    rows: tuple[tuple[str, ...], ...]
    width: int
    preamble: str
    file_name: FileName

    @classmethod
    def of(cls, raw: RawTable, file_name: str) -> Sample:
        """Take the sample of a table."""
        columns = [column.slice(0, SAMPLE_ROWS).to_pylist() for column in raw.columns]
        rows = tuple(zip(*columns, strict=True))
        names = None if raw.names is None else tuple(name.lower() for name in raw.names)
        headers = (*(() if raw.names is None else (raw.names,)), *raw.more_headers)
        parsed = FileName.parse(file_name)
        if raw.member is not None and parsed.symbol is None:
            parsed = FileName.parse(raw.path.name)  # the archive is named for what it holds
            key = FileName.of_key(raw.member)
            if not raw.is_text and key.symbol is not None:
                parsed = replace(parsed, text=key.text, symbol=key.symbol)
        return cls(names, headers, rows, len(raw.columns), "\n".join(raw.preamble).lower(), parsed)

    @cached_property
    def full_rows(self) -> tuple[tuple[str, ...], ...]:
        """The rows with a value in each column."""
        return tuple(row for row in self.rows if not any(cell in NO_VALUES for cell in row))

    def column(self, index: int) -> list[str]:
        """Return the values of a column; empty cells are left out."""
        return [row[index] for row in self.rows if row[index] not in NO_VALUES]

    def is_unix(self, index: int, *, seconds: bool = False) -> bool:
        """Return whether a column holds Unix times."""
        return self.matches(index, _UNIX_SECONDS if seconds else _UNIX)

    def is_dated(self, index: int) -> bool:
        """Return whether the values of a column begin with a date."""
        return self.matches(index, _DATED)

    def is_clock(self, index: int) -> bool:
        """Return whether a column holds times of day."""
        return self.matches(index, _CLOCK)

    def are_numbers(self, first: int, last: int) -> bool:
        """Return whether the columns from ``first`` to ``last`` hold numbers only."""
        return all(self.matches(index, _NUMBER) for index in range(first, last + 1))

    def matches(self, index: int, pattern: re.Pattern[str]) -> bool:
        """Return whether the values of a column match, and whether there are any; a few may be bad."""
        return _most(pattern.fullmatch(cell) is not None for cell in self.column(index))

    def is_ohlc(self, open_: int, high: int, low: int, close: int) -> bool:
        """Return whether high and low are the highest and the lowest of the four columns; a few rows may be bad.

        A difference in the ninth digit is float noise.
        """
        return _most(_is_bar(row, (open_, high, low, close)) for row in self.full_rows)

    def lies_between(self, index: int, low: int, high: int) -> bool:
        """Return whether a column is 0, or between two others but for float noise; a few rows may be bad."""
        return _most(_is_between(row, (index, low, high)) for row in self.full_rows)


def _numbers(row: Sequence[str], indices: Sequence[int]) -> list[Decimal]:
    """Return the numbers in some columns; none where a cell is no number."""
    cells = [row[index] for index in indices]
    return [Decimal(cell) for cell in cells] if all(_NUMBER.fullmatch(cell) for cell in cells) else []


def _is_bar(row: Sequence[str], indices: Sequence[int]) -> bool:
    numbers = _numbers(row, indices)
    if not numbers:
        return False
    noise = abs(numbers[1]) * Decimal("1e-8")
    return numbers[1] >= max(numbers) - noise and numbers[2] <= min(numbers) + noise


def _is_between(row: Sequence[str], indices: Sequence[int]) -> bool:
    numbers = _numbers(row, indices)
    if not numbers:
        return False
    value, lowest, highest = numbers
    noise = highest * Decimal("1e-6")
    return not value or lowest - noise <= value <= highest + noise


def _most(flags: Iterable[bool]) -> bool:
    """Return whether nearly all are true: a file may have bad rows, which are dealt with when it is read."""
    flags = list(flags)
    return any(flags) and flags.count(False) <= len(flags) // MIN_GOOD_PER_BAD
