"""Columns of text as moments: the format is found for the whole column, and what has two meanings is asked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from market.history.conversion.time_formats import (
    CLOCKS,
    DAY_US,
    DIGITS_8,
    DIGITS_10,
    DIGITS_12,
    DIGITS_14,
    FORMATS,
    NO_TIME,
    SECOND_US,
    SHORT_DATES,
    Microseconds,
    TimeFormat,
    clock_times,
    day_evidence,
    iso_times,
    matches,
    moments,
)

MAX_US = 4_102_444_800 * SECOND_US
"""The year 2100."""
_UNIX = r"^(\d{1,18}|[1-8]\d{18})(\.\d*)?$"
_SERIAL = r"^\d{5}([.,]\d+)?$"
_FIRST_SERIAL, _LAST_SERIAL = 25_569, 73_050
"""Excel's numbers of the days 1970-01-01 and 2100-01-01."""
_MAX_OTHER_FORMS = 1_000
_LIMITS_OF_UNITS = ((10**11, SECOND_US), (10**14, 1_000), (10**17, 1))
"""A Unix time below the first limit counts seconds, below the second milliseconds, then microseconds."""
_QUICK_UNIX = {
    # Above that, 10 digits may be the year, month, day and hour.
    10: (10**9, 1_970_010_100, SECOND_US, 1),
    13: (10**12, 10**13, 1_000, 1),
    16: (10**15, 10**16, 1, 1),
    19: (10**18, 9 * 10**18, 1, 1_000),
}
"""Unix times by their number of digits: the range, and what makes them microseconds."""


@dataclass(slots=True)
class TimeColumn:
    """A column of moments.

    Attributes:
        values: microseconds since 1970 in UTC; `NO_TIME` where the cell is empty or no time.
        is_invalid: whether a cell is neither empty nor a time.
        notes: what was taken for what.
        questions: what only the reader can know.
        day_first: whether some date shows that the day, or the month, comes first; None: none does.
    """

    values: Microseconds
    is_invalid: np.ndarray[Any, np.dtype[np.bool_]]
    notes: list[str] = field(default_factory=list)
    questions: list[str] = field(default_factory=list)
    day_first: bool | None = None


@dataclass(frozen=True, slots=True)
class TimeRules:
    """How times are read.

    Attributes:
        latest_us: a later moment is no plausible one.
        day_first: whether the day comes before the month; None: it must follow from the dates.
        utc_offset_s: seconds from UTC to times that name no zone.
    """

    latest_us: int
    day_first: bool | None = None
    utc_offset_s: int = 0


def read_times(texts: Any, rules: TimeRules) -> TimeColumn:
    """Convert a column of times.

    Args:
        texts: a `pyarrow.Array` of strings, without nulls.
        rules: how they are read.
    """
    count = len(texts)
    offset = rules.utc_offset_s * SECOND_US
    quick = _quick(texts) if count else None
    if quick is not None:
        values, has_zone = quick
        return TimeColumn(values if has_zone else values - offset, np.zeros(count, dtype=np.bool_))
    column = TimeColumn(np.full(count, NO_TIME, dtype=np.int64), np.zeros(count, dtype=np.bool_))
    empty = pc.is_in(texts, value_set=pa.array(["", "null", "NaT", "nan", "None"])).to_numpy(zero_copy_only=False)
    open_rows = np.flatnonzero(~empty)
    open_rows = _read_digits(texts, open_rows, column, rules)
    for time_format in FORMATS:
        if not open_rows.size:
            return column
        rest = texts.take(pa.array(open_rows))
        matching = matches(rest, time_format)
        if not matching.any():
            continue
        rows, matched = open_rows[matching], rest.filter(pa.array(matching))
        day_first = _day_first(matched, time_format, column, rules) if time_format.order_is_open else True
        values, has_zone = moments(matched, time_format, day_first=day_first)
        invalid = values == NO_TIME
        values = np.where(invalid | has_zone, values, values - offset)
        column.values[rows], column.is_invalid[rows] = values, invalid
        open_rows = open_rows[~matching]
    for row in open_rows[:_MAX_OTHER_FORMS]:
        column.values[row] = _other_form(texts[int(row)].as_py(), offset)
    column.is_invalid[open_rows] = column.values[open_rows] == NO_TIME
    return column


def are_read_alone(texts: Any, rules: TimeRules) -> bool:
    """Return whether each time says what it means without the others in its column, as 2026-01-31 and Unix times do."""
    filled = texts.filter(pc.not_equal(texts, ""))
    if not len(filled) or _quick(filled) is not None:
        return True
    if pc.any(pc.match_substring_regex(filled, r"^[\d.,]+$")).as_py():
        return False
    return not read_times(filled, rules).questions  # what some dates show, such as 31/01/2024, holds for all


def are_clocks_read_alone(texts: Any) -> bool:
    """Return whether each time of day says what it means without the others in its column, as 09:30 does."""
    return not pc.any(pc.match_substring_regex(texts, r"^(\d{1,5}|\d{7,9})$")).as_py()


def _quick(texts: Any) -> tuple[Microseconds, bool] | None:
    """Read a column that is wholly ISO 8601, or wholly Unix times of today's size; None: it needs a closer look."""
    first = texts[0].as_py()
    if len(first) >= 10 and first[4:5] == "-" and first[:4].isdigit():
        return iso_times(texts)
    if not first.isdigit() or len(first) not in _QUICK_UNIX:
        return None
    lowest, below, multiply, divide = _QUICK_UNIX[len(first)]
    try:
        counts = texts.cast(pa.int64()).to_numpy(zero_copy_only=False)
    except pa.ArrowInvalid:
        return None
    if counts.min() < lowest or counts.max() >= below:
        return None
    return counts * multiply // divide, True


def _other_form(text: str, offset: int) -> int:
    """Return the moment of a rare form of ISO 8601, such as 2026-W05-1."""
    if text.isdigit():
        return NO_TIME
    try:
        moment = datetime.fromisoformat(text)
        utc = (moment if moment.tzinfo is None else moment.astimezone(UTC)).replace(tzinfo=None)
    except (ValueError, OverflowError):
        return NO_TIME
    micro = np.datetime64(utc, "us").astype(np.int64)
    return int(micro) - (offset if moment.tzinfo is None else 0)


def _day_first(texts: Any, time_format: TimeFormat, column: TimeColumn, rules: TimeRules) -> bool:
    """Return whether the day comes first, which must follow from the dates or from the reader."""
    first, second = day_evidence(texts, time_format)
    if first != second:
        if rules.day_first is not None and rules.day_first != first:
            column.questions.append(
                f"dates such as {_quoted(texts[0])} have the {'day' if first else 'month'} first, as some of them show,"
                f" and not the {'month' if first else 'day'}"
            )
        column.day_first = first
        return first
    if rules.day_first is not None:
        return rules.day_first
    if "." in time_format.name:
        if not first:
            column.notes.append(f"dates such as {_quoted(texts[0])} have the day first, as all dates with points have")
        return True
    if not first:
        column.questions.append(
            f"dates such as {_quoted(texts[0])} may have the day or the month first: say which with --day-first or"
            " --month-first"
        )
    return True


def _quoted(text: Any) -> str:
    return repr(text.as_py())


def _read_digits(texts: Any, rows: Any, column: TimeColumn, rules: TimeRules) -> Any:
    """Read the cells that are numbers, and return the rows of the others."""
    if not rows.size:
        return rows
    cells = texts.take(pa.array(rows))
    is_unix = pc.match_substring_regex(cells, _UNIX).to_numpy(zero_copy_only=False)
    if is_unix.all() and _read_whole_column(cells, rows, column, rules):
        return rows[:0]
    if not is_unix.any():
        return _read_serials(cells, rows, column)
    left = is_unix.copy()
    for time_format in (DIGITS_8, DIGITS_14):
        matching = matches(cells, time_format) & left
        if not matching.any():
            continue
        values, _ = moments(cells.filter(pa.array(matching)), time_format)
        column.values[rows[matching]] = np.where(values == NO_TIME, values, values - rules.utc_offset_s * SECOND_US)
        left &= ~matching
    if left.any():
        column.values[rows[left]] = _unix_times(cells.filter(pa.array(left)))
    column.is_invalid[rows[is_unix]] = column.values[rows[is_unix]] == NO_TIME
    return rows[~is_unix]


def _read_whole_column(cells: Any, rows: Any, column: TimeColumn, rules: TimeRules) -> bool:
    """Read a column of numbers that only the column as a whole explains, and return whether it is one."""
    first = cells[0].as_py()
    offset = rules.utc_offset_s * SECOND_US
    length = len(first)
    if length in {12, 10}:
        time_format = DIGITS_12 if length == 12 else DIGITS_10
        if matches(cells, time_format).all():
            values, _ = moments(cells, time_format)
            # As Unix seconds, 2024010215 lies in the future; as milliseconds, 202401021530 is in 1976.
            future = length == 12 or bool((_unix_times(cells) > rules.latest_us).any())
            if future and not (values == NO_TIME).any():
                column.values[rows] = values - offset
                return True
    if length == 6 and pc.all(pc.match_substring_regex(cells, r"^\d{6}$")).as_py():
        return _read_short_dates(cells, rows, column, rules)
    return not _read_serials(cells, rows, column).size


def _read_short_dates(cells: Any, rows: Any, column: TimeColumn, rules: TimeRules) -> bool:
    readings = {}
    for name, time_format in SHORT_DATES.items():
        values, _ = moments(cells, time_format)
        if not (values == NO_TIME).any() and (values >= 0).all() and (values <= rules.latest_us).all():
            readings[name] = values - rules.utc_offset_s * SECOND_US
    if rules.day_first is not None:
        readings = {name: values for name, values in readings.items() if name.startswith("day") == rules.day_first}
    if not readings:
        return False
    name, values = next(iter(readings.items()))
    others = list(readings)
    if rules.day_first is None and not (clock_times(cells, CLOCKS[1]) == NO_TIME).any():
        others.append("a time of day")
    if len(others) > 1:
        column.questions.append(
            f"times of 6 digits such as {_quoted(cells[0])} may be {' or '.join(others)}: write them as 2026-01-31,"
            " or say with --day-first that the day comes first"
        )
    else:
        column.notes.append(f"dates of 6 digits such as {_quoted(cells[0])} are {name}")
    column.values[rows] = values
    return True


def _read_serials(cells: Any, rows: Any, column: TimeColumn) -> Any:
    """Read a column of Excel's serial numbers, days since 1900, and return the rows that are none."""
    if not pc.all(pc.match_substring_regex(cells, _SERIAL)).as_py():
        return rows
    days = pc.replace_substring(cells, ",", ".").cast(pa.float64()).to_numpy(zero_copy_only=False)
    if days.min() < _FIRST_SERIAL or days.max() > _LAST_SERIAL:
        return rows
    # A serial number is a float: 1 h is 0.041666666664. No file has times finer than a millisecond this way.
    milliseconds = np.rint((days - _FIRST_SERIAL) * (DAY_US // 1_000)).astype(np.int64)
    column.values[rows] = milliseconds * 1_000
    day = np.datetime64(int(milliseconds[0]), "ms").astype("datetime64[D]")
    column.notes.append(f"times are Excel's serial numbers: {cells[0].as_py()} is in {day}")
    return rows[:0]


def _unix_times(cells: Any) -> Microseconds:
    """Return the moments of Unix times, whose size shows whether they count seconds, milli-, micro- or nanoseconds."""
    parts = pc.extract_regex(cells, r"^(?P<i>\d{1,19})(?:\.(?P<f>\d*))?$")
    counts = np.array(pc.struct_field(parts, "i").cast(pa.int64()).to_numpy(zero_copy_only=False))
    fractions = pc.utf8_rpad(pc.utf8_slice_codeunits(pc.struct_field(parts, "f"), 0, 6), 6, "0")
    fraction = fractions.cast(pa.int64()).to_numpy(zero_copy_only=False)
    result = counts // 1_000
    for limit, factor in reversed(_LIMITS_OF_UNITS):
        smaller = counts < limit
        result = np.where(smaller, np.minimum(counts, limit) * factor + fraction * factor // SECOND_US, result)
    return result


def read_clock_times(texts: Any) -> TimeColumn:
    """Convert a column of times of day into microseconds since midnight: 09:30, 9:30 AM, 0930, 93000."""
    column = TimeColumn(np.full(len(texts), NO_TIME, dtype=np.int64), np.zeros(len(texts), dtype=np.bool_))
    is_digits = pc.match_substring_regex(texts, r"^\d{1,9}$")
    if pc.any(is_digits).as_py():
        # A spreadsheet drops the zeros in front: 0930 becomes 930, and 000000 becomes 0.
        longest = pc.max(pc.utf8_length(texts.filter(is_digits))).as_py()
        width = 4 if longest <= 4 else 6 if longest <= 6 else 9
        padded = pc.utf8_lpad(texts, width, "0")
        texts = pc.if_else(is_digits, pc.utf8_rpad(padded, 6, "0") if width == 4 else padded, texts)
    left = np.flatnonzero(pc.not_equal(texts, "").to_numpy(zero_copy_only=False))
    for time_format in CLOCKS:
        if not left.size:
            break
        rest = texts.take(pa.array(left))
        matching = matches(rest, time_format)
        if matching.any():
            column.values[left[matching]] = clock_times(rest.filter(pa.array(matching)), time_format)
            left = left[~matching]
    column.is_invalid = (column.values == NO_TIME) & pc.not_equal(texts, "").to_numpy(zero_copy_only=False)
    return column
