"""Columns of text as exact decimals: floats' noise, exponents, groups of digits, decimal commas and K, M, B."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Context, Decimal, DecimalException
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

NUMBER = pa.decimal128(38, 18)
_WIDE = pa.decimal256(76, 40)
"""Wide enough for the shortest text of any usual float."""
_MISSING = pa.array([
    "", "null", "NULL", "Null", "NaN", "nan", "NAN", "-nan", "None", "none", "NaT", "N/A", "n/a", "NA", "#N/A", "-",
    "--", "<NA>", "nil",
])  # fmt: skip
"""Texts that stand for no value."""
_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,4})?$"
_LONG = r"[eE]|\.\d{19}|^[+-]?\d{21}"
_PLAIN = r"^[+-]?\d{0,20}(\.\d{0,18})?$"
_WIDE_ENOUGH = r"^[+-]?\d{0,20}(\.\d{0,40})?([eE]-\d{1,2})?$"
_GROUPED = r"^[+-]?\d{1,3}(,\d{3})+(\.\d*)?$"
_COMMA = re.compile(r"[+-]?(\d+|\d{1,3}(\.\d{3})+),\d*([eE][+-]?\d{1,4})?|[+-]?\d{1,3}(\.\d{3}){2,}", re.ASCII)
_THOUSANDS = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d*)?", re.ASCII)
_COMMA_NUMBER = r"^[+-]?(\d+|\d{1,3}(\.\d{3})+)(,\d*)?([eE][+-]?\d{1,4})?$"
_POINT = r"^[+-]?(\d*\.(\d{1,2}|\d{4,})|\d{4,}\.\d+)$"
_SPACES = re.compile("[ '\u00a0\u202f\u2019]")
"""What stands between groups of three digits, beside commas and points."""
_CURRENCY = r"^([+-]?) ?[$€£¥₿] ?"
_CONTEXT = Context(prec=80, rounding=ROUND_HALF_UP)
_QUANTUM = Decimal("1e-18")
_LIMIT = Decimal("1e20")
_MULTIPLES = {"K": Decimal(1_000), "M": Decimal(1_000_000), "B": Decimal(1_000_000_000), "T": Decimal(10**12)}
MAX_DECIMALS = 18
MAX_WHOLE_DIGITS = 20
Mask = np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(frozen=True, slots=True)
class NumberColumn:
    """A column of exact numbers.

    Attributes:
        values: decimal128(38, 18); null where the cell is empty, or no number.
        is_invalid: for each row whether its cell is neither empty nor a number below 1e20.
        is_rounded: whether a number had more than 18 decimals.
    """

    values: Any
    is_invalid: Mask
    is_rounded: Mask


def has_decimal_comma(columns: Iterable[Any]) -> bool | None:
    """Return whether the commas of some columns are decimal commas; None: they may be, and may group digits.

    A comma groups digits if three digits follow it, and a decimal point may follow them. Without any comma, or where
    both readings are needed, they are no decimal commas.
    """
    is_decimal = is_group = has_comma = False
    columns = tuple(columns)
    for column in columns:
        mask = pc.match_substring(column, ",")
        if not pc.any(mask).as_py():
            continue
        for written in pc.unique(column.filter(mask)).to_pylist():
            has_comma, text = True, _SPACES.sub("", written)
            comma, group = _COMMA.fullmatch(text) is not None, _THOUSANDS.fullmatch(text) is not None
            is_decimal = is_decimal or (comma and not group)
            is_group = is_group or (group and not comma)
            if is_decimal and is_group:
                return False
    if is_decimal or is_group or not has_comma:
        return is_decimal
    # A point that stands before decimals elsewhere leaves the comma to the groups.
    return False if has_decimal_point(columns) else None


def has_decimal_point(columns: Iterable[Any]) -> bool:
    """Return whether some columns show that a point stands before decimals: other than three digits follow it."""
    return any(pc.any(pc.match_substring_regex(column, _POINT)).as_py() for column in columns)


def read_numbers(texts: Any, *, decimal_comma: bool = False) -> NumberColumn:
    """Convert a column of text.

    Args:
        texts: a `pyarrow.Array` of strings, without nulls.
        decimal_comma: whether a comma stands before the decimals.
    """
    none = np.zeros(len(texts), dtype=np.bool_)
    filled = _without_missing(texts)
    if not decimal_comma and _is_plain(filled):
        try:
            return NumberColumn(filled.cast(NUMBER), none, none)
        except pa.ArrowInvalid:
            pass  # noise, exponents or something that is no number
    clean = _cleaned(filled, decimal_comma=decimal_comma)
    is_number = pc.fill_null(pc.match_substring_regex(clean, _NUMBER), fill_value=False)
    is_long = pc.and_(is_number, pc.fill_null(pc.match_substring_regex(clean, _LONG), fill_value=False))
    null = pa.scalar(None, pa.string())
    values = pc.if_else(pc.and_not(is_number, is_long), clean, null).cast(NUMBER)
    is_rounded = none
    if pc.any(is_long).as_py():
        long_values, changed = _rounded(clean.filter(is_long))
        values = pc.replace_with_mask(values, is_long, long_values)
        is_rounded = none.copy()
        is_rounded[is_long.to_numpy(zero_copy_only=False)] = changed
    is_invalid = pc.and_(pc.is_valid(clean), pc.is_null(values)).to_numpy(zero_copy_only=False)
    return NumberColumn(values, is_invalid, is_rounded)


def _is_plain(texts: Any) -> bool:
    """Return whether no text has an exponent or more digits than fit.

    Arrow reads a text with too many digits as another number, without an error.
    """
    if (pc.max(pc.binary_length(texts)).as_py() or 0) <= MAX_WHOLE_DIGITS:
        return not pc.any(pc.match_substring_regex(texts, "[eE]")).as_py()
    return pc.all(pc.match_substring_regex(texts, _PLAIN)).as_py() is not False


def _without_missing(texts: Any) -> Any:
    is_missing = pc.is_in(texts, value_set=_MISSING)
    return pc.if_else(is_missing, pa.scalar(None, pa.string()), texts)


def _cleaned(texts: Any, *, decimal_comma: bool) -> Any:
    """Return the texts with a decimal point, without groups, currency signs and K, M, B."""
    if not decimal_comma and not pc.any(pc.match_substring_regex(texts, r"[^0-9.eE+-]")).as_py():
        return texts
    texts = pc.replace_substring_regex(texts, _CURRENCY, r"\1")
    texts = pc.replace_substring_regex(texts, rf"{_SPACES.pattern}(\d{{3}})", r"\1")
    if decimal_comma:
        is_comma = pc.match_substring_regex(texts, _COMMA_NUMBER)
        plain = pc.replace_substring(pc.replace_substring(texts, ".", ""), ",", ".")
        # A text in another form, such as 1.5 among decimal commas, stays one that is no number.
        texts = pc.if_else(is_comma, plain, pc.if_else(pc.is_valid(texts), "?", texts))
    else:
        grouped = pc.match_substring_regex(texts, _GROUPED.replace("$", "[KMBT]?$"))
        texts = pc.if_else(grouped, pc.replace_substring(texts, ",", ""), texts)
    has_suffix = pc.match_substring_regex(texts, r"^[+-]?\d[\d.]* ?[KMBT]$")
    if pc.any(has_suffix).as_py():
        multiplied = [None if text is None else _multiplied(text) for text in texts.filter(has_suffix).to_pylist()]
        texts = pc.replace_with_mask(
            texts, pc.fill_null(has_suffix, fill_value=False), pa.array(multiplied, pa.string())
        )
    return texts


def _multiplied(text: str) -> str:
    try:
        return format(_CONTEXT.multiply(Decimal(text[:-1].strip()), _MULTIPLES[text[-1]]), "f")
    except DecimalException:
        return text


def _rounded(texts: Any) -> tuple[Any, Mask]:
    """Return numbers with many digits or exponents rounded to 18 decimals, and which of them that changed."""
    is_safe = pc.match_substring_regex(texts, _WIDE_ENOUGH)
    if not pc.all(is_safe).as_py():
        values, changed = _rounded_one_by_one(texts.filter(pc.invert(is_safe)))
        if not pc.any(is_safe).as_py():
            return values, changed
        others, others_changed = _rounded(texts.filter(is_safe))
        mask = is_safe.to_numpy(zero_copy_only=False)
        all_changed = np.zeros(len(texts), dtype=np.bool_)
        all_changed[mask], all_changed[~mask] = others_changed, changed
        both = pc.replace_with_mask(pa.nulls(len(texts), NUMBER), is_safe, others)
        return pc.replace_with_mask(both, pc.invert(is_safe), values), all_changed
    try:
        wide = texts.cast(_WIDE)
        rounded = pc.round(wide, MAX_DECIMALS, round_mode="half_towards_infinity")
        return rounded.cast(NUMBER), pc.not_equal(wide, rounded).to_numpy(zero_copy_only=False)
    except pa.ArrowInvalid:  # one of them has more than 40 decimals
        return _rounded_one_by_one(texts)


def _rounded_one_by_one(texts: Any) -> tuple[Any, Mask]:
    written = texts.to_pylist()
    values = [_rounded_one(text) for text in written]
    changed = [value is not None and value != Decimal(text) for value, text in zip(values, written, strict=True)]
    return pa.array(values, NUMBER), np.array(changed, dtype=np.bool_)


def _rounded_one(text: str) -> Decimal | None:
    try:
        value = Decimal(text)
        return _CONTEXT.quantize(value, _QUANTUM) if abs(value) < _LIMIT else None
    except DecimalException:
        return None


def decimals_of(texts: Any) -> int:
    """Return the greatest number of decimals that a column of text writes, at most 18."""
    if pc.any(pc.match_substring_regex(texts, "[eE]")).as_py():
        return MAX_DECIMALS
    point = pc.find_substring_regex(texts, r"[.,]\d*$")
    digits = pc.subtract(pc.utf8_length(texts), pc.add(point, 1))
    most = pc.max(pc.if_else(pc.greater_equal(point, 0), digits, 0)).as_py()
    return min(most or 0, MAX_DECIMALS)
