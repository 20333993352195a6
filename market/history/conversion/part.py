"""One part of a file's table on its way to clean rows: its columns by role, and which of its rows are bad."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from domain.trading.arithmetic import plain
from domain.types import Symbol
from market.history.containers.raw_table import RawTable
from market.history.containers.refusal import quoted
from market.history.conversion.numbers import Mask, read_numbers
from market.history.conversion.problems import Problems
from market.history.conversion.time_formats import DAY_US, NO_TIME, Microseconds
from market.history.conversion.times import MAX_US, TimeColumn, TimeRules, read_clock_times, read_times
from market.history.dialects.reading import Reading, Role, Series
from market.history.recognition.symbols import is_symbol, market_symbol
from market.history.timeframe import Timeframe

_ZERO = pa.scalar(0, pa.int64())


@dataclass(frozen=True, slots=True)
class Rules:
    """How the cells of a file are read, all parts of it alike.

    Attributes:
        times: of the times.
        decimal_comma: whether a comma stands before decimals.
    """

    times: TimeRules
    decimal_comma: bool


@dataclass(frozen=True, slots=True)
class Encoded:
    """A column of few different values: their list, and each row's index in it."""

    values: Sequence[Any]
    codes: np.ndarray[Any, np.dtype[np.int64]]


class Part:
    """The rows of one series in one part of a table.

    Args:
        raw: the part.
        series: the columns.
        reading: how the file is read.
        rules: how its cells are read.
        problems: where bad rows are described.
    """

    def __init__(self, raw: RawTable, series: Series, reading: Reading, rules: Rules, problems: Problems) -> None:
        self.raw, self.series, self.reading, self.rules, self.problems = raw, series, reading, rules, problems
        self.first_row = reading.header_rows if raw.part == 0 else 0
        self.rows = max(raw.rows - self.first_row, 0)
        self.bad: Mask = np.zeros(self.rows, dtype=np.bool_)
        self.skipped: Mask = np.zeros(self.rows, dtype=np.bool_)
        self.rounded = np.zeros(self.rows, dtype=np.int64)
        self.notes: list[str] = []
        self._converted: dict[Role, tuple[Any, Mask]] = {}
        self.day_first: bool | None = None

    def has(self, role: Role) -> bool:
        """Return whether the series has a column of a role."""
        return role in self.series.columns

    def texts(self, role: Role) -> Any:
        """Return the cells of a column."""
        column = self.raw.columns[self.series.columns[role]].slice(self.first_row)
        combined = column.combine_chunks()
        return combined if isinstance(combined, pa.Array) else pa.concat_arrays(combined.chunks)

    @cached_property
    def lines(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        """The line, or row, of each row in the file."""
        if self.raw.lines is not None:
            return self.raw.lines[self.first_row :]
        first = self.raw.first_line + self.first_row
        return np.arange(first, first + self.rows, dtype=np.int64)

    def refuse(self, mask: Mask, describe: Callable[[int], str]) -> None:
        """Mark rows as bad and describe the first of them; rows without a price are left out before."""
        mask = mask & ~self.skipped
        if mask.any():
            self.problems.add_bad(self.raw, self.first_row, mask, describe)
            self.bad |= mask

    def number(self, role: Role, *, may_be_zero: bool = False) -> Any:
        """Return a column of numbers; null where there is none. Cells that are no valid numbers make their rows bad.

        The rows without a price must be marked as skipped before.
        """
        values, is_invalid = self._numbers(role)
        texts = self.texts(role)
        self.refuse(
            is_invalid, lambda row: f"{role} is {quoted(texts[row].as_py())}; it must be a number such as 110485.85"
        )
        least, compare = ("at least", pc.less) if may_be_zero else ("above", pc.less_equal)
        outside = compare(values, _ZERO)
        if pc.any(outside).as_py():
            self.refuse(
                as_mask(outside),
                lambda row: f"{role} is {quoted(texts[row].as_py())}; it must be {least} 0 and below 1e20",
            )
        return values

    def _numbers(self, role: Role) -> tuple[Any, Mask]:
        """Return the values of a column, and which of its cells are no numbers; each column is converted once."""
        if role not in self._converted:
            column = read_numbers(self.texts(role), decimal_comma=self.rules.decimal_comma)
            self.rounded += column.is_rounded
            self._converted[role] = column.values, column.is_invalid
        return self._converted[role]

    def is_empty(self, role: Role) -> Mask:
        """Return for each row whether it has no value in a column of numbers."""
        if not self.has(role):
            return np.ones(self.rows, dtype=np.bool_)
        values, is_invalid = self._numbers(role)
        return as_mask(pc.is_null(values)) & ~is_invalid

    def times(self) -> Microseconds:
        """Return the time of each row; an invalid or implausible one makes its row bad."""
        if self.has(Role.DATE):
            dates, clocks = self._date_column(), self._clock_column()
            valid = (dates.values != NO_TIME) & (clocks.values != NO_TIME)
            values = np.where(valid, dates.values + np.where(valid, clocks.values, 0), NO_TIME)
        else:
            column = self._time_column(Role.TIME)
            values = column.values
            self._refuse_invalid_times(Role.TIME, column)
        self._refuse_implausible(values)
        return values

    def ends(self, begin: Microseconds) -> Microseconds | None:
        """Return when each bar ends, `NO_TIME` where the row does not say it; None without such a column."""
        if not self.has(Role.END):
            return None
        column = self._time_column(Role.END)
        texts = self.texts(Role.END)
        self.refuse(column.is_invalid, lambda row: _no_time(Role.END, texts[row].as_py()))
        early = (column.values != NO_TIME) & (begin != NO_TIME) & (column.values < begin)
        self.refuse(
            early, lambda row: f"close_time {utc_text(column.values[row])} is before time {utc_text(begin[row])}"
        )
        late = column.values > MAX_US
        self.refuse(late, lambda row: f"close_time {utc_text(column.values[row])} is after the year 2100")
        return column.values

    def _time_column(self, role: Role) -> TimeColumn:
        column = read_times(self.texts(role), self.rules.times)
        return self._noted(column)

    def _noted(self, column: TimeColumn) -> TimeColumn:
        self.notes += column.notes
        self.day_first = self.day_first if column.day_first is None else column.day_first
        for question in column.questions:
            self.problems.add(question)
        return column

    def _date_column(self) -> TimeColumn:
        # There are few days and few times of day in a file, so each is read once.
        encoded = self.texts(Role.DATE).dictionary_encode()
        column = self._noted(read_times(encoded.dictionary, self.rules.times))
        codes = encoded.indices.to_numpy(zero_copy_only=False)
        column.values, column.is_invalid = column.values[codes], column.is_invalid[codes]
        self._refuse_invalid_times(Role.DATE, column)
        return column

    def _clock_column(self) -> TimeColumn:
        texts = self.texts(Role.CLOCK)
        encoded = texts.dictionary_encode()
        column = read_clock_times(encoded.dictionary)
        codes = encoded.indices.to_numpy(zero_copy_only=False)
        column.values, column.is_invalid = column.values[codes], column.is_invalid[codes]
        invalid = column.values == NO_TIME
        self.refuse(
            invalid, lambda row: f"time of day is {quoted(texts[row].as_py())}; it must be one such as 09:30 or 093000"
        )
        return column

    def _refuse_invalid_times(self, role: Role, column: TimeColumn) -> None:
        texts = self.texts(role)
        self.refuse(column.values == NO_TIME, lambda row: _no_time(role, texts[row].as_py()))

    def _refuse_implausible(self, values: Microseconds) -> None:
        texts = self.texts(Role.DATE if self.has(Role.DATE) else Role.TIME)
        latest = self.rules.times.latest_us
        outside = (values != NO_TIME) & ((values < 0) | (values > latest))

        def describe(row: int) -> str:
            reason = "before 1970" if values[row] < 0 else "in the future" if values[row] <= MAX_US else "after 2100"
            return f"time {quoted(texts[row].as_py())} is {utc_text(values[row])}, which is {reason}"

        self.refuse(outside, describe)

    def symbols(self) -> Encoded:
        """Return the symbol of each row; an invalid one makes its row bad."""
        if self.series.symbol is not None or not self.has(Role.SYMBOL):
            if self.has(Role.SYMBOL):
                self._require_one_symbol()
            return Encoded((self.series.symbol or Symbol("?"),), np.zeros(self.rows, dtype=np.int64))
        encoded = self.texts(Role.SYMBOL).dictionary_encode()
        names = encoded.dictionary.to_pylist()
        codes = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
        invalid = np.array([not is_symbol(name) for name in names], dtype=np.bool_)
        if invalid.any():
            self.refuse(invalid[codes], lambda row: f"symbol is {names[codes[row]]!r}; it must be one such as BTC/USDT")
        spelled = [market_symbol(name) if self.reading.renames_symbols else Symbol(name) for name in names]
        return Encoded(spelled, codes)

    def _require_one_symbol(self) -> None:
        names = pc.unique(self.texts(Role.SYMBOL)).to_pylist()
        if len(names) > 1:
            self.problems.add(
                f"--symbol {self.series.symbol} cannot name all rows, because they are of several symbols:"
                f" {', '.join(names[:3])}{', …' if len(names) > 3 else ''}; without it, each of them becomes a series"
            )
            self.problems.has_mixed_symbols = True

    def timeframes(self) -> Encoded:
        """Return the timeframe of each row, None where it is not said; an invalid one makes its row bad."""
        if not self.has(Role.TIMEFRAME):
            return Encoded((None,), np.zeros(self.rows, dtype=np.int64))
        encoded = self.texts(Role.TIMEFRAME).dictionary_encode()
        names = encoded.dictionary.to_pylist()
        codes = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
        values = [_timeframe(name) if name else None for name in names]
        invalid = np.array([bool(name) and value is None for name, value in zip(names, values, strict=True)], np.bool_)
        if invalid.any():
            self.refuse(
                invalid[codes],
                lambda row: f"timeframe is {quoted(names[codes[row]])}; it must be one such as 1m, 4h, 1d, 1w or 1M",
            )
        return Encoded(values, codes)


def as_mask(values: Any) -> Mask:
    """Return an array of truths as a mask; an unknown one is False."""
    mask: Mask = pc.fill_null(values, fill_value=False).to_numpy(zero_copy_only=False)
    return mask


def utc_text(moment: int) -> str:
    """Return microseconds since 1970 as text, the year 20 000 included."""
    day, rest = divmod(int(moment), DAY_US)
    date = np.datetime64(day, "D")
    seconds, micro = divmod(rest, 1_000_000)
    clock = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return f"{date}T{clock}{f'.{micro:06}' if micro else ''}Z"


def number_text(value: Any) -> str:
    """Return a number of an array as text."""
    return plain(value.as_py())


def _no_time(role: Role, text: str) -> str:
    return f"{role} is {quoted(text)}; it must be one such as 2026-01-31T12:00:00Z or unix seconds"


def _timeframe(text: str) -> Timeframe | None:
    try:
        return Timeframe.parse(text)
    except ValueError:
        return None
