"""`rows_of`: the rows of a file whose dialect is known, exact and in order, or one refusal with all that is wrong."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from market.history.containers.raw_table import RawTable
from market.history.containers.refusal import RefusedFile, grouped
from market.history.conversion.bars import bar_piece, join_bars
from market.history.conversion.joining import Groups, Piece
from market.history.conversion.numbers import has_decimal_comma
from market.history.conversion.part import Part, Rules
from market.history.conversion.problems import Problems
from market.history.conversion.rows import BarRows, Rows, TickRows
from market.history.conversion.ticks import join_ticks, tick_piece
from market.history.conversion.times import TimeRules
from market.history.dialects.reading import Kind, Reading, ReadOptions, Role

MAX_AHEAD = timedelta(days=1)
"""A time that is further in the future is not plausible."""
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
    first = None
    for raw in parts:
        first = first or raw
        converter.add(raw)
    if first is None:
        raise ValueError("there must be a part at least")
    return converter.rows(first)


class _Converter:
    """The conversion of one file, part by part."""

    def __init__(self, reading: Reading, options: ReadOptions, now: datetime, problems: Problems) -> None:
        self._reading, self._options, self._problems = reading, options, problems
        latest_us = int((now + MAX_AHEAD - _EPOCH) / _SECOND) * 1_000_000
        self._times = TimeRules(latest_us, options.day_first, reading.utc_offset_s)
        self._rules: Rules | None = None
        self._pieces: list[Piece] = []
        self._groups = Groups()
        self._notes: dict[str, None] = {}
        self._rows = 0

    def add(self, raw: RawTable) -> None:
        """Convert a part."""
        if self._rules is None:
            self._rules = Rules(self._times, self._decimal_comma(raw))
        self._problems.add_left_out(raw)
        to_piece = bar_piece if self._reading.kind is Kind.BARS else tick_piece
        for series in self._reading.series:
            if not self._is_complete(series.columns.keys()):
                return  # its time or its price is unknown, which is among the questions
            part = Part(raw, series, self._reading, self._rules, self._problems)
            self._pieces.append(to_piece(part, self._groups))
            self._problems.count(part.rows, int(part.bad.sum()))
            self._rows += part.rows
            self._notes |= dict.fromkeys(part.notes)
            if part.day_first is not None and self._times.day_first is None:
                # What the first part shows holds for the others, whose dates may not show it.
                self._times = replace(self._times, day_first=part.day_first)
                self._rules = replace(self._rules, times=self._times)

    @staticmethod
    def _is_complete(roles: Collection[Role]) -> bool:
        return Role.TIME in roles or Role.DATE in roles

    def _decimal_comma(self, raw: RawTable) -> bool:
        if self._options.decimal_comma is not None:
            return self._options.decimal_comma
        columns = {
            index
            for series in self._reading.series
            for role, index in series.columns.items()
            if role in _NUMBERS and len(raw.columns[index])
        }
        comma = has_decimal_comma(raw.columns[index] for index in sorted(columns))
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
        bars: tuple[BarRows, ...] = ()
        ticks: tuple[TickRows, ...] = ()
        if self._rows and any(len(piece.times) for piece in self._pieces):
            if is_bars:
                bars = join_bars(self._pieces, self._groups, self._problems, is_text=first.is_text)
            else:
                ticks = join_ticks(self._pieces, self._groups)
        self._problems.refuse_if_any(first)
        if not bars and not ticks:
            raise RefusedFile(first.path, self._why_empty(), first.member)
        return Rows(bars, ticks, (*self._notes, *self._problems.notes()))

    def _why_empty(self) -> str:
        if not self._rows:
            return "it has a header but no prices"
        return f"none of its {grouped(self._rows)} rows has a price"
