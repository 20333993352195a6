"""`rows_of`: the rows of a file whose dialect is known, exact and in order, or one refusal with all that is wrong."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import chain
from typing import Any

import pyarrow
import pyarrow.compute as pc

from market.history.containers.parts import in_larger_parts
from market.history.containers.raw_table import RawTable
from market.history.containers.refusal import RefusedFile, grouped
from market.history.conversion.bars import bar_piece, join_bars
from market.history.conversion.clock_changes import names_a_zone
from market.history.conversion.joining import Groups, Sorter
from market.history.conversion.numbers import has_decimal_comma, has_decimal_point
from market.history.conversion.part import Part, Rules
from market.history.conversion.problems import Problems
from market.history.conversion.rows import Rows, SpooledBars, SpooledTicks
from market.history.conversion.ticks import join_ticks, tick_piece
from market.history.conversion.times import TimeRules, are_clocks_read_alone, are_read_alone
from market.history.dialects.reading import Kind, Reading, ReadOptions, Role

MAX_AHEAD = timedelta(days=1)
"""A time that is further in the future is not plausible."""
LARGE_PART_BYTES = 128 << 20
"""Times such as 01/02/2024 are explained by others; so many cells of such a file are looked at together."""
_NO_TEXT = pyarrow.array([], pyarrow.string())
_NUMBERS = frozenset(Role) - {Role.TIME, Role.DATE, Role.CLOCK, Role.END, Role.SYMBOL, Role.TIMEFRAME}
_SECOND = timedelta(seconds=1)
_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


def rows_of(parts: Iterable[RawTable], reading: Reading, options: ReadOptions, now: datetime) -> Rows:
    """Convert the rows of a file.

    Args:
        parts: the parts of one table; the first is the one that was recognised.
        reading: what the file was taken for.
        options: what its reader says.
        now: the present time, after which no price was made.

    Raises:
        RefusedFile: something about the file is wrong, or is open; the message says all of it.
    """
    problems = Problems(Decimal(options.max_bad_rows))
    for question in reading.questions:
        problems.add(question)
    converter = _Converter(reading, options, now, problems)
    parts = iter(parts)
    first = next(parts)
    all_parts: Iterable[RawTable] = chain((first,), parts)
    if not converter.reads_cells_alone(first):
        all_parts = in_larger_parts(all_parts, LARGE_PART_BYTES)
    head = replace(first, columns=tuple(column.slice(0, 0) for column in first.columns))
    del first  # its rows are needed no longer than those of the others
    for raw in all_parts:
        converter.add(raw)
    return converter.rows(head)


class _Converter:
    """The conversion of one file, part by part."""

    def __init__(self, reading: Reading, options: ReadOptions, now: datetime, problems: Problems) -> None:
        self._reading, self._options, self._problems = reading, options, problems
        latest_us = int((now + MAX_AHEAD - _EPOCH) / _SECOND) * 1_000_000
        self._times = TimeRules(latest_us, options.day_first, reading.utc_offset_s)
        self._rules = Rules(self._times, decimal_comma=False)
        self._have_zone = bool(reading.utc_offset_s)
        self._comma: bool | None = None
        self._any_point = self._has_decimal_point = False
        self._sorter = Sorter()
        self._groups = Groups()
        self._notes: dict[str, None] = {}
        self._rows = 0

    def reads_cells_alone(self, raw: RawTable) -> bool:
        """Return whether times mean the same in a part of the file and in the whole of it."""
        for series in self._reading.series:
            for role, index in series.columns.items():
                texts = pyarrow.concat_arrays(raw.columns[index].slice(self._reading.header_rows).chunks or [_NO_TEXT])
                if role is Role.CLOCK and not are_clocks_read_alone(texts):
                    return False
                if role in {Role.TIME, Role.DATE, Role.END} and not are_read_alone(texts, self._times):
                    return False
        return True

    def add(self, raw: RawTable) -> None:
        """Convert a part."""
        self._rules = Rules(self._times, self._decimal_comma(raw))
        self._problems.add_left_out(raw)
        to_piece = bar_piece if self._reading.kind is Kind.BARS else tick_piece
        for series in self._reading.series:
            if not self._is_complete(series.columns.keys()):
                return  # its time or its price is unknown, which is among the questions
            part = Part(raw, series, self._reading, self._rules, self._problems)
            if not self._rows and part.rows and part.has(Role.TIME):
                self._have_zone = self._have_zone or names_a_zone(part.texts(Role.TIME)[0].as_py())
            self._sorter.add(to_piece(part, self._groups))
            self._problems.count(part.rows, int(part.bad.sum()))
            self._rows += part.rows
            self._notes |= dict.fromkeys(part.notes)
            if part.day_first is not None and self._times.day_first is None:
                # What the first part shows holds for the others, whose dates may not show it.
                self._times = replace(self._times, day_first=part.day_first)

    @staticmethod
    def _is_complete(roles: Collection[Role]) -> bool:
        return Role.TIME in roles or Role.DATE in roles

    def _decimal_comma(self, raw: RawTable) -> bool:
        """Return whether numbers have a decimal comma: the first part with commas says it."""
        if self._options.decimal_comma is not None:
            return self._options.decimal_comma
        if self._comma is not None:
            return self._comma
        indices = {
            index
            for series in self._reading.series
            for role, index in series.columns.items()
            if role in _NUMBERS and len(raw.columns[index])
        }
        columns = [raw.columns[index] for index in sorted(indices)]
        if not any(_has(column, ",") for column in columns):
            self._any_point = self._any_point or any(_has(column, ".") for column in columns)
            self._has_decimal_point = self._has_decimal_point or has_decimal_point(columns)
            return False
        comma = has_decimal_comma(columns)
        if comma and self._any_point:
            comma = None  # further up, points were taken for those before decimals
        elif comma is None and self._has_decimal_point:
            comma = False
        self._comma = bool(comma)
        if comma is None:
            self._problems.add(
                "numbers such as 1,234 may have a decimal comma or group their digits: say which with --decimal-comma"
                " or --decimal-point"
            )
        elif comma:
            self._notes["numbers have a decimal comma"] = None
        return bool(comma)

    def rows(self, first: RawTable) -> Rows:
        """Return the rows of all parts, or refuse the file."""
        is_bars = self._reading.kind is Kind.BARS
        bars: tuple[SpooledBars, ...] = ()
        ticks: tuple[SpooledTicks, ...] = ()
        if self._rows and not self._problems.has_mixed_symbols:
            if is_bars:
                bars = join_bars(
                    self._sorter, self._groups, self._problems, is_text=first.is_text, have_zone=self._have_zone
                )
            else:
                ticks = join_ticks(self._sorter, self._groups)
        self._problems.refuse_if_any(first)
        if not bars and not ticks:
            raise RefusedFile(first.path, self._why_empty(), first.member)
        return Rows(bars, ticks, (*self._notes, *self._problems.notes()))

    def _why_empty(self) -> str:
        if not self._rows:
            return "it has a header but no prices"
        return f"none of its {grouped(self._rows)} rows has a price"


def _has(column: Any, character: str) -> bool:
    return bool(pc.any(pc.match_substring(column, character)).as_py())
