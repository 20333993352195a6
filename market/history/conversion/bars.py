"""Bars: their checks, widened highs and lows, repeated bars, and volumes that say nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from domain.trading.arithmetic import multiply, plain, subtract
from market.history.conversion.joining import Groups, Joined, Piece
from market.history.conversion.numbers import NUMBER, Mask, decimals_of
from market.history.conversion.part import Part, as_mask, utc_text
from market.history.conversion.problems import Problems
from market.history.conversion.rows import BarRows, Changes
from market.history.dialects.reading import Role

PRICES = (Role.OPEN, Role.HIGH, Role.LOW, Role.CLOSE)
FLOAT_STEP = Decimal("4.5e-16")
"""The relative distance of two neighbouring floats, doubled: so much may separate prices that floats computed."""
MAX_STEP = Decimal("0.01")
"""A rounding step that is a greater part of the price is no reason to change a high or low."""
MAX_ZERO_VOLUMES = 0.99
"""A column with more zeros than this fraction says nothing about the volume."""
MAX_CONFLICTS = 5
"""So many pairs of bars with one begin and different values are described one by one."""


def bar_piece(part: Part, groups: Groups) -> Piece:
    """Return the good bars of a part; what is wrong with the others is described in its problems."""
    part.skipped |= part.is_empty(Role.CLOSE)
    prices = {role: part.number(role) if part.has(role) else _nulls(part) for role in (Role.CLOSE, *PRICES[:3])}
    volume = part.number(Role.VOLUME, may_be_zero=True) if part.has(Role.VOLUME) else _nulls(part)
    begin = part.times()
    ends = part.ends(begin)
    numbers = groups.of_rows((part.symbols(), part.timeframes()))
    widened = _widen(part, prices)
    groups.count(part, numbers, widened)
    values = {role.value: prices[role] for role in PRICES} | {"volume": volume}
    return Piece.of(part, numbers, begin, ends, values)


def _nulls(part: Part) -> Any:
    return pa.nulls(part.rows, NUMBER)


def _widen(part: Part, prices: dict[Role, Any]) -> Mask:
    """Widen highs and lows that are one rounding step beside open or close, and return where; more makes a row bad."""
    widened = np.zeros(part.rows, dtype=np.bool_)
    open_, close = prices[Role.OPEN], prices[Role.CLOSE]
    # The pairs in the order in which they are named: low and open, low and close, open and high, close and high.
    for edge, other_role, other in (
        (Role.LOW, Role.OPEN, open_), (Role.LOW, Role.CLOSE, close),
        (Role.HIGH, Role.OPEN, open_), (Role.HIGH, Role.CLOSE, close),
    ):  # fmt: skip
        is_low = edge is Role.LOW
        values = prices[edge]
        beyond = pc.greater(values, other) if is_low else pc.less(values, other)
        mask = as_mask(beyond) & ~part.skipped & ~part.bad
        if not mask.any():
            continue
        rows = np.flatnonzero(mask)
        step = _step(part, edge)
        near = np.zeros(part.rows, dtype=np.bool_)
        edges, others = values.take(pa.array(rows)).to_pylist(), other.take(pa.array(rows)).to_pylist()
        for row, value, beside in zip(rows, edges, others, strict=True):
            distance = abs(subtract(value, beside))
            near[row] = distance <= min(step, multiply(beside, MAX_STEP)) or distance <= multiply(beside, FLOAT_STEP)
        if near.any():
            prices[edge] = pc.if_else(pa.array(near), other, values)
            widened |= near

        def describe(
            row: int,
            edge: Role = edge,
            value: Any = values,
            other_role: Role = other_role,
            other: Any = other,
            *,
            is_low: bool = is_low,
        ) -> str:
            texts = [(edge, plain(value[row].as_py())), (other_role, plain(other[row].as_py()))]
            (lower, low), (upper, high) = texts if is_low else texts[::-1]
            return f"{lower} {low} is above {upper} {high}"

        part.refuse(mask & ~near, describe)
    return widened


def _step(part: Part, edge: Role) -> Decimal:
    """Return the rounding step of high or low: the last decimal that its column writes.

    A column of whole numbers writes none; then that of the finest column of prices counts.
    """
    decimals = decimals_of(part.texts(edge))
    if not decimals:
        decimals = max(decimals_of(part.texts(role)) for role in PRICES if part.has(role))
    return Decimal(1).scaleb(-decimals)


def join_bars(pieces: Sequence[Piece], groups: Groups, problems: Problems, *, is_text: bool) -> tuple[BarRows, ...]:
    """Return the bars of each symbol and length from the pieces of a file.

    Bars with the same begin and values are dropped; such with different values refuse the file.
    """
    joined = Joined.of(pieces, len(groups.counts))
    keys = list(groups.numbers)
    duplicates = _drop_duplicates(joined, keys, problems, is_text=is_text)
    bars = []
    for number, (symbol, timeframe) in enumerate(keys):
        first, last = joined.bounds(number)
        if first == last:
            continue
        counts = groups.counts[number]
        changes = Changes(
            int(joined.reordered[number]), int(duplicates[number]), counts.skipped, counts.widened, counts.rounded,
            counts.left_out,
        )  # fmt: skip
        values = {name: array.slice(first, last - first) for name, array in joined.values.items()}
        zeros = _meaningless_zeros(values["volume"])
        if zeros:
            values["volume"] = pa.nulls(last - first, NUMBER)
            changes = replace(changes, zero_volumes=zeros)
        bars.append(
            BarRows(
                symbol,
                timeframe,
                joined.times[first:last],
                None if joined.ends is None else joined.ends[first:last],
                **values,
                lines=joined.lines[first:last],
                changes=changes,
            )
        )
    return tuple(bars)


def _meaningless_zeros(volume: Any) -> int:
    """Return the number of zeros in a column of volumes with hardly anything else, otherwise 0."""
    stated = len(volume) - volume.null_count
    zeros = pc.sum(pc.equal(volume, pa.scalar(0, pa.int64()))).as_py() or 0
    return zeros if zeros > stated * MAX_ZERO_VOLUMES else 0


def _drop_duplicates(joined: Joined, keys: list[Any], problems: Problems, *, is_text: bool) -> np.ndarray[Any, Any]:
    """Drop bars that repeat the one before, and return how many by group; refuse those with different values."""
    same = (joined.times[1:] == joined.times[:-1]) & (joined.groups[1:] == joined.groups[:-1])
    if joined.ends is not None:
        same &= joined.ends[1:] == joined.ends[:-1]
    rows = np.flatnonzero(same) + 1
    if not rows.size:
        return np.zeros(len(keys), dtype=np.int64)
    here, before = pa.array(rows), pa.array(rows - 1)
    differing = np.zeros(len(rows), dtype=np.bool_)
    for array in joined.values.values():
        one, other = array.take(here), array.take(before)
        equal = as_mask(pc.equal(one, other)) | as_mask(pc.and_(pc.is_null(one), pc.is_null(other)))
        differing |= ~equal
    place = "line" if is_text else "row"
    conflicts = rows[differing]
    for row in conflicts[:MAX_CONFLICTS]:
        first, second = sorted((joined.lines[row - 1], joined.lines[row]))
        problems.add(
            f"{place} {first} and {place} {second} are different bars of {keys[joined.groups[row]][0]} that both begin"
            f" at {utc_text(joined.times[row])}: {_difference(joined, int(row))}"
        )
    if len(conflicts) > MAX_CONFLICTS:
        problems.add(f"{len(conflicts) - MAX_CONFLICTS} more bars have the begin of another one, and different values")
    dropped = np.bincount(joined.groups[rows[~differing]], minlength=len(keys))
    keep = np.ones(len(joined.times), dtype=np.bool_)
    keep[rows[~differing]] = False
    joined.take(np.flatnonzero(keep))
    return dropped


def _difference(joined: Joined, row: int) -> str:
    """Return the first value that differs between a row and the one before, in the order of the file."""
    pair = sorted((row - 1, row), key=lambda index: int(joined.lines[index]))
    for name in ("close", "open", "high", "low", "volume"):
        texts = []
        for index in pair:
            value = joined.values[name][index].as_py()
            texts.append("unknown" if value is None else plain(value))
        if texts[0] != texts[1]:
            return f"{name} {texts[0]} and {texts[1]}"
    raise AssertionError("the rows are equal")
