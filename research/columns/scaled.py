"""Exact decimal numbers as columns of integers, with one scale for all of a column."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import pyarrow
from numpy.typing import NDArray

from domain.trading.arithmetic import CONTEXT

MAX_SCALE = 18
"""The decimals of the program's own history."""
UNKNOWN = -1
"""Stands for an unknown number in a column of prices or sizes, which are never below 0."""
INT64 = np.iinfo(np.int64)
Integers: TypeAlias = NDArray[Any]
"""int64; Python's own integers where the numbers need more digits."""


class Scaled(NamedTuple):
    """Columns of integers with one scale: a number is its integer × 10^-scale.

    Attributes:
        columns: by name. An unknown number is `UNKNOWN`.
    """

    scale: int
    columns: Mapping[str, Integers]


def scaled(columns: Mapping[str, Any]) -> Scaled:
    """Return columns of exact numbers as integers of the smallest scale that all of them fit.

    Args:
        columns: arrays of ``decimal128`` with `MAX_SCALE` decimals, by name; null is unknown.
    """
    arrays = {name: _one_array(column) for name, column in columns.items()}
    scale = max((_scale(array) for array in arrays.values()), default=0)
    return Scaled(scale, {name: _integers(array, scale) for name, array in arrays.items()})


def exact(value: int, scale: int) -> Decimal:
    """Return the number that an integer stands for, without trailing zeros.

    >>> exact(11048585000, 5)
    Decimal('110485.85')
    """
    while scale and value % 10 == 0:
        value, scale = value // 10, scale - 1
    return Decimal(value).scaleb(-scale, CONTEXT)


def integer_below(number: Decimal, scale: int) -> int:
    """Return the largest integer whose number is not above ``number``."""
    return int(number.scaleb(scale, CONTEXT).to_integral_value(ROUND_FLOOR, CONTEXT))


def integer_above(number: Decimal, scale: int) -> int:
    """Return the smallest integer whose number is not below ``number``."""
    return int(number.scaleb(scale, CONTEXT).to_integral_value(ROUND_CEILING, CONTEXT))


def within(value: int, column: Integers) -> int:
    """Return an integer with which a column can be compared: at most what 64 bits hold, where that is its type."""
    return value if column.dtype == object else min(max(value, INT64.min), INT64.max)


def _one_array(column: Any) -> Any:
    array = column.combine_chunks() if isinstance(column, pyarrow.ChunkedArray) else column
    return array.cast(pyarrow.decimal128(38, MAX_SCALE))


def _scale(array: Any) -> int:
    """Return the number of decimals that the numbers of an array need."""
    fewest, enough = 0, MAX_SCALE
    while fewest < enough:
        middle = (fewest + enough) // 2
        try:
            array.cast(pyarrow.decimal128(38, middle))
        except pyarrow.ArrowInvalid:  # digits would be lost
            fewest = middle + 1
        else:
            enough = middle
    return fewest


def _integers(array: Any, scale: int) -> Integers:
    numbers = array.cast(pyarrow.decimal128(38, scale))
    filled = numbers.fill_null(0) if numbers.null_count else numbers
    words = np.frombuffer(filled.buffers()[1] or b"", dtype="<i8").reshape(-1, 2)
    words = words[filled.offset : filled.offset + len(filled)]
    low, high = words[:, 0], words[:, 1]
    values: Integers
    if np.array_equal(high, low >> 63):  # 64 bits hold each number
        values = low.astype(np.int64)
    else:
        values = np.array([int(value.scaleb(scale, CONTEXT)) for value in filled.to_pylist()], dtype=object)
    if numbers.null_count:
        values[numbers.is_null().to_numpy(zero_copy_only=False)] = UNKNOWN
    values.flags.writeable = False
    return values
