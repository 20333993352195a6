"""One series made of two that may overlap: equal rows count once, rows that contradict each other are refused."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy
import pyarrow
from pyarrow import compute

from domain.errors import SettingsError
from domain.trading.arithmetic import plain
from domain.wording import format_time
from market.history.candles import SCHEMA, TIME, Candles
from market.history.grid import ends
from market.history.publication import publish
from market.history.streaming.series import SpooledCandles
from market.history.timeframe_choice import DeclaredTimeframe

VALUES = ("open", "high", "low", "close", "volume")


class ContradictingRows(SettingsError):
    """Two series of one market have different rows of one time, or overlapping ones; the message has the first two."""


@dataclass(frozen=True, slots=True)
class Merged:
    """What became of two series.

    Attributes:
        candles: both together.
        added: bars that only the new one had.
        equal: bars that both had alike.
        replaced: bars that the new one changed, as it was asked to.
        completed: bars in which the new one has a value that was unknown.
        moved: further bars whose close is published later than before.
    """

    candles: Candles | SpooledCandles
    added: int
    equal: int = 0
    replaced: int = 0
    completed: int = 0
    moved: int = 0

    @property
    def changes(self) -> bool:
        """Whether any row differs from what was stored."""
        return bool(self.added or self.replaced or self.completed or self.moved)


def merge(before: Candles, new: Candles, *, replace: bool = False) -> Merged:
    """Return one series of both, by rising ``published``.

    A value that one of them does not know is taken from the other. Of two moments at which a close was published the
    later one counts: a close must never be available before its bar has ended. Two bars contradict each other if they
    begin together and differ, or if one begins before the other one ends, as days of two zones do.

    Args:
        before: has symbol and timeframe of the result.
        new: rows of the same market and timeframe.
        replace: whether the new row counts where two contradict each other.

    Raises:
        ContradictingRows: two rows contradict each other, and ``replace`` is false.
    """
    if before.table.equals(new.table):
        return Merged(before, added=0, equal=len(new))
    old_begins, new_begins = _begins(before.table), _begins(new.table)
    if not len(old_begins) or not len(new_begins) or _ends(before, old_begins.max()) <= new_begins.min():
        # The usual case of a series that goes on: nothing is copied.
        table = pyarrow.concat_tables([before.table, new.table])
        return Merged(_sorted(before, table), added=len(new_begins))
    _, old_common, new_common = numpy.intersect1d(old_begins, new_begins, assume_unique=True, return_indices=True)
    old_rows, new_rows = _rows(before.table, old_common), _rows(new.table, new_common)
    contradict = _contradictions(old_rows, new_rows)
    only_old = numpy.setdiff1d(numpy.arange(len(old_begins)), old_common, assume_unique=True)
    only_new = numpy.setdiff1d(numpy.arange(len(new_begins)), new_common, assume_unique=True)
    old_overlaps, new_overlaps = _overlaps(before, old_begins[only_old], new_begins[only_new])
    if not replace:
        _refuse(before, old_rows.filter(contradict), new_rows.filter(contradict))
        overlapped = _rows(before.table, only_old[old_overlaps]), _rows(new.table, only_new[new_overlaps])
        _refuse(before, *overlapped)
    common, (replaced, completed, moved) = _common_rows(old_rows, new_rows, contradict)
    dropped = numpy.unique(old_overlaps)
    counts = len(only_new), len(old_common) - replaced, replaced + len(dropped), completed, moved
    merged = Merged(before, *counts)
    if not merged.changes:
        return merged
    old_table = before.table
    if merged.replaced or completed or moved:
        old_table = pyarrow.concat_tables([_rows(old_table, numpy.delete(only_old, dropped)), common])
    table = pyarrow.concat_tables([old_table, _rows(new.table, only_new)])
    return dataclasses.replace(merged, candles=_sorted(before, table))


def _ends(like: Candles, begins: Any) -> Any:
    """Return when bars end; long ones a tenth earlier: a day has 23 hours where the time of the year changes."""
    begins = numpy.atleast_1d(begins)
    usual = ends(like.timeframe, begins)
    return usual - (usual - begins) // 10 if like.timeframe.is_long else usual


def _overlaps(like: Candles, old: Any, new: Any) -> tuple[Any, Any]:
    """Return the places of old and new bars of which one begins before the other one ends, a pair each."""
    if not len(old) or not len(new):
        return numpy.empty(0, dtype=numpy.int64), numpy.empty(0, dtype=numpy.int64)
    order = numpy.argsort(old, kind="stable")
    old = old[order]
    following = numpy.searchsorted(old, new)
    last, first = following - 1, numpy.minimum(following, len(old) - 1)
    in_old = (last >= 0) & (new < _ends(like, old)[numpy.maximum(last, 0)])
    in_new = (following < len(old)) & (old[first] < _ends(like, new))
    places = numpy.flatnonzero(in_old), numpy.flatnonzero(in_new)
    pairs = numpy.concatenate([order[last[places[0]]], order[first[places[1]]]]), numpy.concatenate(places)
    by_time = numpy.argsort(new[pairs[1]], kind="stable")
    return pairs[0][by_time], pairs[1][by_time]


def _rows(table: Any, indices: Any) -> Any:
    """Return rows of a table; successive ones are not copied."""
    if not len(indices):
        return table.slice(0, 0)
    first, last = int(indices[0]), int(indices[-1])
    if last - first + 1 == len(indices) and bool((numpy.diff(indices) == 1).all()):
        return table.slice(first, len(indices))
    return table.combine_chunks().take(pyarrow.array(indices))


def republished(candles: Candles) -> Candles:
    """Return bars with their moments of publication as the bars beside them demand it, which may be later.

    Bars that come together from several files say more about each other's ends: the last day of one file may have 25
    hours by the first bar of the next one. No moment becomes earlier, and no bar is left out.
    """
    table = candles.table
    before = table["published"].cast(pyarrow.int64()).to_numpy()
    publication = publish(
        _begins(table),
        numpy.arange(len(candles)),
        DeclaredTimeframe(column=candles.timeframe),
        close_times=before,
    )
    moments = before.copy()
    moments[publication.kept] = publication.published
    if bool((moments == before).all()):
        return candles
    later = pyarrow.array(numpy.maximum(moments, before)).cast(TIME)
    return _sorted(candles, table.set_column(1, SCHEMA.field("published"), later))


def _begins(table: Any) -> Any:
    return table["begin"].cast(pyarrow.int64()).to_numpy()


def _sorted(like: Candles, table: Any) -> Candles:
    published = table["published"].cast(pyarrow.int64()).to_numpy()
    if len(published) > 1 and bool((published[1:] < published[:-1]).any()):
        order = numpy.lexsort((_begins(table), published))
        table = table.combine_chunks().take(pyarrow.array(order))
    return Candles(like.symbol, like.timeframe, table)


def _mask(condition: Any) -> Any:
    return condition.combine_chunks().fill_null(False).to_numpy(zero_copy_only=False)


def _contradictions(old: Any, new: Any) -> Any:
    """Return for each pair of rows whether they have two different values."""
    result = numpy.zeros(old.num_rows, dtype=bool)
    for name in VALUES:
        result |= _mask(compute.not_equal(old[name], new[name]))
    return result


def _common_rows(old: Any, new: Any, contradict: Any) -> tuple[Any, tuple[int, int, int]]:
    """Return one row of each pair, and how many were replaced, completed, and otherwise published later."""
    columns, completed = {"begin": old["begin"]}, numpy.zeros(old.num_rows, dtype=bool)
    new_counts = pyarrow.array(contradict)
    old_published, new_published = old["published"], new["published"]
    later = compute.fill_null(compute.greater(new_published, old_published), False)
    columns["published"] = compute.if_else(later, new_published, old_published)
    for name in VALUES:
        old_values, new_values = old[name], new[name]
        completed |= _mask(compute.and_(compute.is_null(old_values), compute.is_valid(new_values)))
        either = compute.coalesce(old_values, new_values)
        # A row that replaces another one does so as a whole: its unknown values are unknown.
        columns[name] = compute.if_else(new_counts, new_values, either)
    completed &= ~contradict
    moved = _mask(later) & ~contradict & ~completed
    counts = tuple(int(numpy.count_nonzero(mask)) for mask in (contradict, completed, moved))
    return pyarrow.table(columns, schema=old.schema), (counts[0], counts[1], counts[2])


def _refuse(series: Candles, old: Any, new: Any) -> None:
    """Refuse pairs of rows, if there are any; the message has the first one.

    Raises:
        ContradictingRows: there are some.
    """
    if not old.num_rows:
        return
    stored, other = (table["begin"][0].as_py() for table in (old, new))
    count = len(compute.unique(new["begin"]))
    # What was downloaded before its last bar had ended usually contradicts the next download in that bar alone.
    is_last = count == 1 and stored == other == compute.max(series.table["begin"]).as_py()
    hint = "; it is the last stored bar, and may have been unfinished" if is_last else ""
    if stored == other:
        which = f"the bar of {format_time(other)} differs from the stored one"
        if count > 1:
            which = f"{count} bars differ from the stored ones, the first of {format_time(other)}"
    else:
        hint = "; they seem to be of different sources"
        which = f"the bar of {format_time(other)} overlaps the stored one of {format_time(stored)}"
        if count > 1:
            which = f"{count} bars overlap stored ones, the first of {format_time(other)} that of {format_time(stored)}"
    raise ContradictingRows(f"{series.symbol} {series.timeframe}: {which}: {_row(new)}; stored: {_row(old)}{hint}")


def _row(table: Any) -> str:
    """Return the values of a table's first row."""
    return " ".join(f"{name} {_number(table[name][0].as_py())}" for name in VALUES)


def _number(value: Decimal | None) -> str:
    return "unknown" if value is None else plain(value)
