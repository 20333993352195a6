"""Bars made of single prices, as trades are: the first, highest, lowest and last price of each span, and its volume."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import numpy as np
import pyarrow
from pyarrow import compute

from market.history.candles import NUMBER, SCHEMA, TIME, Candles
from market.history.conversion.rows import TickRows
from market.history.grid import Micros, ends, month_begins
from market.history.publication import EPOCH
from market.history.timeframe import MICROSECOND, Timeframe

DAY_US = 86_400_000_000
MONDAY_US = 4 * DAY_US
"""The first Monday after the begin of 1970: weeks begin on Mondays."""
EDGES = "the first and the last bar hold those prices alone that are in the file"


def fold(ticks: TickRows, timeframe: Timeframe, now: datetime) -> Candles:
    """Return the bars of single prices; a span without prices has no bar.

    Bars begin on multiples of the timeframe in UTC, weeks on Mondays, months on their first days. The volume of a bar
    is unknown where that of one of its prices is.

    Args:
        ticks: at least one price, in the order of their times.
        timeframe: the length of the bars.
        now: a bar that ends later is left out.
    """
    begins = _begins(ticks.time, timeframe)
    firsts = np.flatnonzero(np.append(True, begins[1:] != begins[:-1]))
    lasts = np.append(firsts[1:], len(begins)) - 1
    begin = begins[firsts]
    end = ends(timeframe, begin)
    numbers = pyarrow.array(np.repeat(np.arange(len(firsts)), lasts - firsts + 1))
    prices = pyarrow.table({"bar": numbers, "price": ticks.price, "volume": ticks.volume})
    unknown = compute.ScalarAggregateOptions(skip_nulls=False)
    groups = prices.group_by("bar", use_threads=False).aggregate(
        [("price", "max"), ("price", "min"), ("volume", "sum", unknown)]
    )
    groups = groups.sort_by("bar")
    columns: list[Any] = [
        pyarrow.array(begin).cast(TIME),
        pyarrow.array(end).cast(TIME),
        ticks.price.take(pyarrow.array(firsts)),
        groups["price_max"],
        groups["price_min"],
        ticks.price.take(pyarrow.array(lasts)),
        groups["volume_sum"].cast(NUMBER),
    ]
    complete = int(np.searchsorted(end, (now - EPOCH) // MICROSECOND, side="right"))
    return Candles(ticks.symbol, timeframe, pyarrow.table(columns, schema=SCHEMA).slice(0, complete))


def _begins(times: Micros, timeframe: Timeframe) -> Micros:
    """Return the begin of the bar to which each time belongs."""
    if timeframe.length is None:
        months = times.astype("datetime64[us]").astype("datetime64[M]").astype(np.int64)
        return month_begins(months // timeframe.count * timeframe.count)
    length = timeframe.length // MICROSECOND
    origin = MONDAY_US if timeframe.unit == "w" else 0
    return (times - origin) // length * length + origin
