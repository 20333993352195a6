"""Two series that are together longer than the memory, as one: what lies behind both is merged, the rest stays."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pyarrow

from market.history.candles import SCHEMA, Candles
from market.history.conversion.rows import Changes, SpooledBars
from market.history.storage.gaps import GapCounter, Gaps
from market.history.storage.merging import Merged, merge, republished
from market.history.streaming.ordering import Ordered, micros
from market.history.streaming.publishing import VALUES, Publisher
from market.history.streaming.series import WHOLE_ROWS, SpooledCandles, loaded
from market.history.streaming.spool import Block, Spool, of_equal_size
from market.history.timeframe_choice import ChosenTimeframe, TimeframeFrom


def joined(before: SpooledCandles, new: Candles | SpooledCandles, *, replace: bool = False) -> Merged:
    """Return one series of both, as `market.history.storage.merging.merge` does.

    Only those bars are in memory that had not ended when the first new one began, and the new ones with which they are
    merged.

    Raises:
        ContradictingRows: two rows contradict each other, and ``replace`` is false.
    """
    if len(before) + len(new) <= WHOLE_ROWS or not len(new):
        return merge(before.load(), loaded(new), replace=replace)
    new = new if isinstance(new, SpooledCandles) else spooled(new)
    first, _ = (micros(pyarrow.array([time], SCHEMA.field("begin").type))[0] for time in new.limits("begin"))
    ended = [bool((micros(block.read(("published",))["published"]) <= first).all()) for block in before.blocks]
    count = ended.index(False) if False in ended else len(ended)
    head, tail = before.blocks[:count], before.blocks[count:]
    if not tail:
        return Merged(dataclasses.replace(before, blocks=[*head, *new.blocks], gaps=None), added=len(new))
    if len(before) == len(new) and _are_equal(before, new):
        return Merged(before, added=0, equal=len(new))
    merged = merge(dataclasses.replace(before, blocks=tail).load(), loaded(new), replace=replace)
    blocks = [*head, *spooled(loaded(merged.candles)).blocks]
    return dataclasses.replace(merged, candles=dataclasses.replace(before, blocks=blocks, gaps=None))


def together(before: SpooledCandles, new: Candles | SpooledCandles, *, replace: bool = False) -> Merged:
    """Return one series of both, published as the bars beside each one demand it.

    Raises:
        ContradictingRows: two rows contradict each other, and ``replace`` is false.
    """
    merged = joined(before, new, replace=replace)
    if not merged.changes:
        return merged
    candles = merged.candles
    again = _republished(candles) if isinstance(candles, SpooledCandles) else republished(candles)
    return dataclasses.replace(merged, candles=again)


def spooled(candles: Candles, spool: Spool | None = None, number: int = 0) -> SpooledCandles:
    """Return bars on disk.

    Args:
        candles: the bars.
        spool: where they are written; None: into one of their own.
        number: of a series of which the spool has no rows yet.
    """
    spool = spool or Spool(SCHEMA, memory_bytes=0)
    spool.add(candles.table, number)
    return SpooledCandles(candles.symbol, candles.timeframe, spool.blocks(number))


def counted_gaps(candles: SpooledCandles) -> Gaps:
    """Return the gaps of a series."""
    counter = GapCounter(candles.timeframe)
    for table in Ordered(candles.blocks, ("begin", "published")).tables():
        counter.add(micros(table["begin"]), micros(table["published"]))
    return counter.gaps


def _are_equal(before: SpooledCandles, new: SpooledCandles) -> bool:
    pairs = zip(of_equal_size(before.tables()), of_equal_size(new.tables()), strict=True)
    return all(one.equals(other) for one, other in pairs)


def _republished(candles: SpooledCandles) -> SpooledCandles:
    """Return bars as `market.history.storage.merging.republished` does."""
    if candles.timeframe.is_calendar:
        return spooled(republished(candles.load()))
    spool = Spool(_named(SCHEMA.empty_table(), 0).schema)
    rows = 0
    for table in candles.tables():
        spool.add(_named(table, rows))
        rows += table.num_rows
    bars = SpooledBars(candles.symbol, candles.timeframe, _by_time(spool), Changes(), has_ends=True)
    chosen = ChosenTimeframe(candles.timeframe, TimeframeFrom.COLUMN)
    return Publisher(bars, chosen, keeps_all=True).publish()[0]


def _by_time(spool: Spool) -> list[Block]:
    ordered = Ordered(spool.blocks(), ("time", "line"))
    if ordered.is_rising:
        return list(ordered.blocks)
    sorted_rows = Spool(spool.schema)
    for table in ordered.tables():
        sorted_rows.add(table)
    return sorted_rows.blocks()


def _named(table: Any, first: int) -> Any:
    """Return stored bars as rows of a file: their moments are their close times."""
    times = {"time": pyarrow.array(micros(table["begin"])), "end": pyarrow.array(micros(table["published"]))}
    lines = pyarrow.array(np.arange(first, first + table.num_rows))
    return pyarrow.table({**times, "line": lines, **{name: table[name] for name in VALUES}})
