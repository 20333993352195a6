"""Bars: their checks, widened highs and lows, repeated bars, and volumes that say nothing."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from domain.trading.arithmetic import multiply, plain, subtract
from domain.types import Symbol
from market.history.conversion.clock_changes import hint_of_double_hour
from market.history.conversion.joining import Groups, Piece, Sorter
from market.history.conversion.numbers import NUMBER, Mask, decimals_of
from market.history.conversion.part import Part, as_mask, utc_text
from market.history.conversion.problems import Problems
from market.history.conversion.rows import Changes, SpooledBars
from market.history.conversion.time_formats import NO_TIME
from market.history.dialects.reading import Role
from market.history.streaming.ordering import micros
from market.history.streaming.spool import Block

PRICES = (Role.OPEN, Role.HIGH, Role.LOW, Role.CLOSE)
FLOAT_STEP = Decimal("4.5e-16")
"""The relative distance of two neighbouring floats, doubled: so much may separate prices that floats computed."""
MAX_STEP = Decimal("0.01")
"""A rounding step that is a greater part of the price is no reason to change a high or low."""
MAX_ZERO_VOLUMES = 0.99
"""A column with more zeros than this fraction says nothing about the volume."""
_VALUES = ("close", "open", "high", "low", "volume")
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


def join_bars(
    sorter: Sorter, groups: Groups, problems: Problems, *, is_text: bool, have_zone: bool
) -> tuple[SpooledBars, ...]:
    """Return the bars of each symbol and length from the pieces of a file.

    Bars with the same begin and values are dropped; such with different values refuse the file.

    Args:
        sorter: has the pieces.
        groups: of symbol and length.
        problems: where different bars are described.
        is_text: whether rows are lines of a text.
        have_zone: whether times say how far from UTC they are.
    """
    bars, conflicts, clean = [], _Conflicts(problems, is_text=is_text, have_zone=have_zone), sorter.spool()
    for number, (symbol, timeframe) in enumerate(groups.numbers):
        ordered = sorter.ordered(number)
        if not ordered.blocks:
            continue
        counts, blocks = groups.counts[number], ordered.blocks
        duplicates = 0
        if not ordered.is_rising:
            for table in ordered.tables():
                kept = _without_duplicates(table, symbol, conflicts)
                duplicates += table.num_rows - kept.num_rows
                clean.add(kept, number)
            blocks = clean.blocks(number)
        changes = Changes(
            sorter.reordered[number], duplicates, counts.skipped, counts.widened, counts.rounded, counts.left_out,
            _meaningless_zeros(blocks),
        )  # fmt: skip
        bars.append(SpooledBars(symbol, timeframe, blocks, changes, has_ends=sorter.has_ends))
    conflicts.end()
    return tuple(bars)


def _meaningless_zeros(blocks: Sequence[Block]) -> int:
    """Return the number of zeros in a column of volumes with hardly anything else, otherwise 0."""
    stated = zeros = 0
    for block in blocks:
        volume = block.read(("volume",))["volume"]
        stated += len(volume) - volume.null_count
        zeros += pc.sum(pc.equal(volume, pa.scalar(0, pa.int64()))).as_py() or 0
    return zeros if zeros > stated * MAX_ZERO_VOLUMES else 0


class _Conflicts:
    """Bars with one begin and different values: the first ones are described, the others counted."""

    def __init__(self, problems: Problems, *, is_text: bool, have_zone: bool) -> None:
        self._problems = problems
        self._place = "line" if is_text else "row"
        self._count = 0
        self._needs_hint = not have_zone

    def add(self, symbol: Symbol, before: dict[str, Any], row: dict[str, Any]) -> None:
        """Add a pair of bars."""
        self._count += 1
        if self._count <= MAX_CONFLICTS:
            first, second = sorted((before, row), key=lambda one: int(one["line"]))
            hint = hint_of_double_hour(row["time"]) if self._needs_hint else ""
            self._needs_hint = self._needs_hint and not hint  # once is enough
            self._problems.add(
                f"{self._place} {first['line']} and {self._place} {second['line']} are different bars of {symbol} that"
                f" both begin at {utc_text(row['time'])}: {_difference(first, second)}{hint}"
            )

    def end(self) -> None:
        """Say how many further pairs there are."""
        if self._count > MAX_CONFLICTS:
            more = self._count - MAX_CONFLICTS
            self._problems.add(f"{more} more bars have the begin of another one, and different values")


def _without_duplicates(table: Any, symbol: Symbol, conflicts: _Conflicts) -> Any:
    """Return sorted rows without those that repeat the one before; those with different values are conflicts."""
    times = micros(table["time"])
    rows = np.flatnonzero(times[1:] == times[:-1]) + 1
    if not rows.size:
        return table
    table = table.combine_chunks()
    here, before = table.take(pa.array(rows)), table.take(pa.array(rows - 1))
    differing = np.zeros(len(rows), dtype=np.bool_)
    if "end" in table.schema.names:  # a bar that was not over has other values, too, or happens to have the same ones
        differing = micros(here["end"]) != micros(before["end"])
    for name in _VALUES:
        one, other = here[name], before[name]
        equal = as_mask(pc.equal(one, other)) | as_mask(pc.and_(pc.is_null(one), pc.is_null(other)))
        differing |= ~equal
    for index in np.flatnonzero(differing):
        place = int(index)
        conflicts.add(symbol, before.slice(place, 1).to_pylist()[0], here.slice(place, 1).to_pylist()[0])
    keep = np.ones(len(times), dtype=np.bool_)
    keep[rows[~differing]] = False
    return table.filter(pa.array(keep))


def _difference(first: dict[str, Any], second: dict[str, Any]) -> str:
    """Return the first value that differs between two rows, in the order of the file."""
    for name in _VALUES:
        texts = ["unknown" if row[name] is None else plain(row[name]) for row in (first, second)]
        if texts[0] != texts[1]:
            return f"{name} {texts[0]} and {texts[1]}"
    ends = ["unknown" if row["end"] == NO_TIME else utc_text(row["end"]) for row in (first, second)]
    return f"close_time {ends[0]} and {ends[1]}"
