"""Ways to write a moment: each is a pattern with named parts, from which microseconds since 1970 are computed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

Microseconds = np.ndarray[Any, np.dtype[np.int64]]
NO_TIME = np.iinfo(np.int64).min
"""Stands for a time that is missing or invalid."""
SECOND_US = 1_000_000
DAY_US = 86_400 * SECOND_US
_CLOCK = r"(?P<H>\d{1,2}):(?P<M>\d{2})(?::(?P<S>\d{2})(?:[.,](?P<f>\d{1,9}))?)?(?: ?(?P<ap>[AaPp])\.?[Mm]\.?)?"
_ZONE = r"(?: ?(?:Z|UTC|GMT)?(?P<z>[+-]\d{1,2}(?::?\d{2})?)?)"
_AFTER = rf"(?:(?:,? |T){_CLOCK}{_ZONE})?$"
_MONTHS = {
    name: number
    for number, names in enumerate(
        ("jan january", "feb february", "mar march", "apr april", "may", "jun june", "jul july", "aug august",
         "sep sept september", "oct october", "nov november", "dec december"), 1
    )
    for name in names.split()
}  # fmt: skip
_DAYS_OF_MONTHS = np.array([0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])


@dataclass(frozen=True, slots=True)
class TimeFormat:
    """One way to write a moment.

    Attributes:
        name: as a person would write it.
        pattern: with the parts ``y`` ``m`` ``d`` (or ``a`` and ``b``, day and month in an unknown order), ``mon`` for
            the month's name, ``H`` ``M`` ``S``, ``f`` for the fraction, ``ap`` for AM and PM, ``z`` for the offset.
    """

    name: str
    pattern: str

    @property
    def order_is_open(self) -> bool:
        """Whether the pattern leaves open which part is the day."""
        return "<a>" in self.pattern


ISO = TimeFormat(
    "2026-01-31 12:00:00", rf"^(?P<y>\d{{4}})-(?P<m>\d{{1,2}})-(?P<d>\d{{1,2}})(?:(?:[T ]){_CLOCK}{_ZONE})?$"
)
FORMATS = (
    ISO,
    TimeFormat("2019-10-17 09-AM", r"^(?P<y>\d{4})-(?P<m>\d\d)-(?P<d>\d\d) (?P<H>\d{1,2})-(?P<ap>[AaPp])[Mm]$"),
    TimeFormat("2026.01.31 12:00", rf"^(?P<y>\d{{4}})[./](?P<m>\d{{1,2}})[./](?P<d>\d{{1,2}}){_AFTER}"),
    TimeFormat(
        "20260131 120000",
        r"^(?P<y>\d{4})(?P<m>\d\d)(?P<d>\d\d)[T _-](?P<H>\d\d):?(?P<M>\d\d)(?::?(?P<S>\d\d)\.?(?P<f>\d{3,9})?)?Z?$",
    ),
    TimeFormat("31.01.2026 12:00", rf"^(?P<a>\d{{1,2}})\.(?P<b>\d{{1,2}})\.(?P<y>\d{{4}}|\d\d){_AFTER}"),
    TimeFormat("31/01/2026 12:00", rf"^(?P<a>\d{{1,2}})[/-](?P<b>\d{{1,2}})[/-](?P<y>\d{{4}}|\d\d){_AFTER}"),
    TimeFormat("31 Jan 2026", rf"^(?P<d>\d{{1,2}})[ -](?P<mon>[A-Za-z]{{3,9}})\.?[ ,-]+(?P<y>\d{{4}}|\d\d){_AFTER}"),
    TimeFormat("Jan 31, 2026", rf"^(?P<mon>[A-Za-z]{{3,9}})\.? (?P<d>\d{{1,2}}),? (?P<y>\d{{4}}){_AFTER}"),
)  # fmt: skip
"""All formats but those of digits alone."""
DIGITS_8 = TimeFormat("20260131", r"^(?P<y>\d{4})(?P<m>\d\d)(?P<d>\d\d)$")
DIGITS_10 = TimeFormat("2026013112", r"^(?P<y>\d{4})(?P<m>\d\d)(?P<d>\d\d)(?P<H>\d\d)$")
DIGITS_12 = TimeFormat("202601311200", r"^(?P<y>\d{4})(?P<m>\d\d)(?P<d>\d\d)(?P<H>\d\d)(?P<M>\d\d)$")
DIGITS_14 = TimeFormat("20260131120000", r"^(?P<y>\d{4})(?P<m>\d\d)(?P<d>\d\d)(?P<H>\d\d)(?P<M>\d\d)(?P<S>\d\d)$")
SHORT_DATES = {
    "year, month, day": TimeFormat("260131", r"^(?P<y>\d\d)(?P<m>\d\d)(?P<d>\d\d)$"),
    "day, month, year": TimeFormat("310126", r"^(?P<d>\d\d)(?P<m>\d\d)(?P<y>\d\d)$"),
    "month, day, year": TimeFormat("013126", r"^(?P<m>\d\d)(?P<d>\d\d)(?P<y>\d\d)$"),
}
CLOCKS = (
    TimeFormat("12:00:00", rf"^{_CLOCK}$"),
    TimeFormat("120000", r"^(?P<H>\d\d)(?P<M>\d\d)(?P<S>\d\d)(?P<f>\d{3})?$"),
)


def matches(texts: Any, time_format: TimeFormat) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Return for each text whether it is written in a format."""
    mask: np.ndarray[Any, np.dtype[np.bool_]] = pc.match_substring_regex(texts, time_format.pattern).to_numpy(
        zero_copy_only=False
    )
    return mask


def day_evidence(texts: Any, time_format: TimeFormat) -> tuple[bool, bool]:
    """Return whether the day is first in some text, because no month is over 12, and whether it is second."""
    parts = pc.extract_regex(texts, time_format.pattern)
    first, second = (_integers(parts, name, 0) for name in ("a", "b"))
    return bool((first > 12).any()), bool((second > 12).any())


def moments(texts: Any, time_format: TimeFormat, *, day_first: bool = True) -> tuple[Microseconds, Any]:
    """Return the moments of texts in a format, `NO_TIME` where a part is out of range; and which texts have a zone.

    Args:
        texts: a `pyarrow.Array` of strings.
        time_format: how they are written.
        day_first: which of ``a`` and ``b`` is the day.
    """
    parts = pc.extract_regex(texts, time_format.pattern)
    names = {field.name for field in parts.type}
    days, valid = _days(parts, names, day_first=day_first)
    clock, clock_valid = _clock(parts, names)
    offset = np.zeros(len(texts), dtype=np.int64)
    has_zone = np.zeros(len(texts), dtype=np.bool_)
    if "z" in names:
        has_zone = pc.match_substring_regex(texts, r"(Z|UTC|GMT|:\d\d(\.\d+)? ?[+-]\d[\d:]*)$").to_numpy(
            zero_copy_only=False
        )
        offset = _offsets(pc.struct_field(parts, "z"))
    result = days * DAY_US + clock - offset
    result[~(valid & clock_valid) | (offset == NO_TIME)] = NO_TIME
    return result, has_zone


def clock_times(texts: Any, time_format: TimeFormat) -> Microseconds:
    """Return the microseconds since midnight of texts that match one of `CLOCKS`; `NO_TIME` where out of range."""
    parts = pc.extract_regex(texts, time_format.pattern)
    clock, valid = _clock(parts, {field.name for field in parts.type})
    clock[~valid] = NO_TIME
    return clock


def iso_times(texts: Any) -> tuple[Microseconds, bool] | None:
    """Return the moments of a column of ISO 8601 with one form of zone, and whether it names one; None: it is not.

    It is the fast way for what most files hold.
    """
    first = texts[0].as_py()
    has_zone = first.endswith("Z") or "+" in first or first.rfind("-") > first.find(":") > 0
    try:
        moment = pa.timestamp("us", "UTC") if has_zone else pa.timestamp("us")
        return texts.cast(moment).cast(pa.int64()).to_numpy(zero_copy_only=False), has_zone
    except pa.ArrowInvalid:
        return None


def _integers(parts: Any, name: str, missing: int) -> Microseconds:
    texts = pc.struct_field(parts, name)
    texts = pc.if_else(pc.equal(texts, ""), str(missing), texts)
    return np.array(texts.cast(pa.int64()).to_numpy(zero_copy_only=False))


def _days(parts: Any, names: set[str], *, day_first: bool) -> tuple[Microseconds, Any]:
    year = _integers(parts, "y", 0)
    short = year < 100  # 69 is 1969, as in POSIX
    year = np.where(short, np.where(year >= 69, year + 1900, year + 2000), year)
    if "a" in names:
        first, second = _integers(parts, "a", 0), _integers(parts, "b", 0)
        day, month = (first, second) if day_first else (second, first)
    else:
        day = _integers(parts, "d", 0)
        month = _month_numbers(parts) if "mon" in names else _integers(parts, "m", 0)
    valid = (month >= 1) & (month <= 12) & (day >= 1) & (year >= 1)
    month = np.where(valid, month, 1)
    leap = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
    valid &= day <= _DAYS_OF_MONTHS[month] + ((month == 2) & leap)
    months = (year - 1970) * 12 + month - 1
    first_days = months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    return first_days + day - 1, valid


def _month_numbers(parts: Any) -> Microseconds:
    encoded = pc.dictionary_encode(pc.utf8_lower(pc.struct_field(parts, "mon")))
    numbers = np.array([_MONTHS.get(name, 0) for name in encoded.dictionary.to_pylist()], dtype=np.int64)
    result: Microseconds = numbers[encoded.indices.to_numpy(zero_copy_only=False)]
    return result


def _clock(parts: Any, names: set[str]) -> tuple[Microseconds, Any]:
    hour, minute, second = (
        _integers(parts, name, 0) if name in names else np.zeros(len(parts), np.int64) for name in ("H", "M", "S")
    )
    valid = (hour <= 23) & (minute <= 59) & (second <= 59)
    if "ap" in names:
        half = pc.utf8_lower(pc.struct_field(parts, "ap"))
        is_am, is_pm = (pc.equal(half, letter).to_numpy(zero_copy_only=False) for letter in ("a", "p"))
        valid &= ~(is_am | is_pm) | ((hour >= 1) & (hour <= 12))
        hour = np.where(is_am & (hour == 12), 0, np.where(is_pm & (hour < 12), hour + 12, hour))
    result = (hour * 3600 + minute * 60 + second) * SECOND_US
    if "f" in names:
        fraction = pc.utf8_slice_codeunits(pc.struct_field(parts, "f"), 0, 6)
        result += pc.utf8_rpad(fraction, 6, "0").cast(pa.int64()).to_numpy(zero_copy_only=False)
    return result, valid


def _offsets(texts: Any) -> Microseconds:
    """Return the microseconds by which the texts' zones are ahead of UTC (+01:00, +0100, +1); `NO_TIME` if none is."""
    encoded = pc.dictionary_encode(texts)
    values = []
    for text in encoded.dictionary.to_pylist():
        digits = text[1:].replace(":", "")
        hours, minutes = (digits[:-2], digits[-2:]) if len(digits) > 2 else (digits, "0")
        size = (int(hours or 0) * 60 + int(minutes)) * 60 * SECOND_US
        is_zone = size < DAY_US and int(minutes) <= 59
        values.append(NO_TIME if not is_zone else -size if text.startswith("-") else size)
    offsets: Microseconds = np.array(values, dtype=np.int64)[encoded.indices.to_numpy(zero_copy_only=False)]
    return offsets
