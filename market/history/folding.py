"""Bars made of single prices, as trades are: the first, highest, lowest and last price of each span, and its volume."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import numpy as np
import pyarrow
from pyarrow import compute

from market.history.candles import NUMBER, SCHEMA, TIME, Candles
from market.history.conversion.rows import SpooledTicks, TickRows
from market.history.grid import Micros, ends, month_begins
from market.history.publication import EPOCH
from market.history.storage.gaps import GapCounter
from market.history.streaming.ordering import micros
from market.history.streaming.series import WHOLE_ROWS, SpooledCandles
from market.history.streaming.spool import Spool
from market.history.timeframe import MICROSECOND, Timeframe

DAY_US = 86_400_000_000
MONDAY_US = 4 * DAY_US
"""The first Monday after the begin of 1970: weeks begin on Mondays."""
EDGES = "the first and the last bar hold those prices alone that are in the file"


def fold(ticks: SpooledTicks, timeframe: Timeframe, now: datetime) -> Candles | SpooledCandles:
    """Return the bars of single prices; a span without prices has no bar.

    Bars begin on multiples of the timeframe in UTC, weeks on Mondays, months on their first days. The volume of a bar
    is unknown where that of one of its prices is.

    Args:
        ticks: at least one price, in the order of their times.
        timeframe: the length of the bars.
        now: a bar that ends later is left out.
    """
    spool, gaps = Spool(SCHEMA), GapCounter(timeframe)
    last = SCHEMA.empty_table()
    """The bar to which the next piece may add prices."""

    def add(bars: Any) -> None:
        moments = micros(bars["published"])
        complete = int(np.searchsorted(moments, (now - EPOCH) // MICROSECOND, side="right"))
        gaps.add(micros(bars["begin"])[:complete], moments[:complete])
        spool.add(bars.slice(0, complete))

    for piece in ticks.pieces():
        bars = _together(last, _bars(piece, timeframe))
        add(bars.slice(0, bars.num_rows - 1))
        last = bars.slice(bars.num_rows - 1)
    add(last)
    candles = SpooledCandles(ticks.symbol, timeframe, spool.blocks(), gaps.gaps)
    return candles.load() if 0 < len(candles) <= WHOLE_ROWS else candles


def _together(last: Any, bars: Any) -> Any:
    """Return bars behind a last one; that is the same bar as the first of them where both begin together."""
    if not last.num_rows or last["begin"][0] != bars["begin"][0]:
        return pyarrow.concat_tables([last, bars])
    both = pyarrow.concat_tables([last, bars.slice(0, 1)])
    columns = [
        both["begin"].slice(0, 1), both["published"].slice(0, 1), both["open"].slice(0, 1),
        _one(compute.max(both["high"])), _one(compute.min(both["low"])), both["close"].slice(1, 1),
        _one(compute.sum(both["volume"], skip_nulls=False)),
    ]  # fmt: skip
    return pyarrow.concat_tables([pyarrow.table(columns, schema=SCHEMA), bars.slice(1)])


def _one(value: Any) -> Any:
    return pyarrow.array([value.as_py()], NUMBER)


def _bars(ticks: TickRows, timeframe: Timeframe) -> Any:
    """Return the bars of successive prices as a table, those at its edges with these prices alone."""
    begins = _begins(ticks.time, timeframe)
    firsts = np.flatnonzero(np.append(True, begins[1:] != begins[:-1]))
    lasts = np.append(firsts[1:], len(begins)) - 1
    begin = begins[firsts]
    numbers = pyarrow.array(np.repeat(np.arange(len(firsts)), lasts - firsts + 1))
    prices = pyarrow.table({"bar": numbers, "price": ticks.price, "volume": ticks.volume})
    unknown = compute.ScalarAggregateOptions(skip_nulls=False)
    groups = prices.group_by("bar", use_threads=False).aggregate(
        [("price", "max"), ("price", "min"), ("volume", "sum", unknown)]
    )
    groups = groups.sort_by("bar")
    columns: list[Any] = [
        pyarrow.array(begin).cast(TIME),
        pyarrow.array(ends(timeframe, begin)).cast(TIME),
        ticks.price.take(pyarrow.array(firsts)),
        groups["price_max"],
        groups["price_min"],
        ticks.price.take(pyarrow.array(lasts)),
        groups["volume_sum"].cast(NUMBER),
    ]
    return pyarrow.table(columns, schema=SCHEMA)


def _begins(times: Micros, timeframe: Timeframe) -> Micros:
    """Return the begin of the bar to which each time belongs."""
    if timeframe.length is None:
        months = times.astype("datetime64[us]").astype("datetime64[M]").astype(np.int64)
        return month_begins(months // timeframe.count * timeframe.count)
    length = timeframe.length // MICROSECOND
    origin = MONDAY_US if timeframe.unit == "w" else 0
    return (times - origin) // length * length + origin
