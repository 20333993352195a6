"""Bars made of single prices."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.types import Symbol
from market.history.candles import NUMBER
from market.history.conversion.rows import Changes, SpooledTicks
from market.history.folding import fold
from market.history.publication import EPOCH
from market.history.streaming.series import loaded
from market.history.streaming.spool import Block
from market.history.timeframe import Timeframe

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
Tick = tuple[datetime, Decimal, Decimal | None]


def ticks(rows: list[Tick], size: int = 100) -> SpooledTicks:
    """Return prices as files give them, in blocks of at most so many."""
    blocks = [_block(rows[first : first + size]) for first in range(0, len(rows), size)]
    return SpooledTicks(Symbol("BTC/USDT"), blocks, Changes())


def _block(rows: list[Tick]) -> Block:
    none = pyarrow.nulls(len(rows), NUMBER)
    times = np.array([(time - EPOCH) // MICROSECOND for time, _, _ in rows], dtype=np.int64)
    price, volume = (pyarrow.array([row[column] for row in rows], NUMBER) for column in (1, 2))
    table = pyarrow.table({
        "time": times, "line": np.arange(len(rows)), "price": price, "bid": none, "ask": none, "volume": volume,
        "bid_size": none, "ask_size": none,
    })  # fmt: skip
    return Block(len(rows), table.schema, table)


def folded(prices: SpooledTicks, timeframe: str) -> Any:
    """Return the table of the bars of prices."""
    return loaded(fold(prices, Timeframe.parse(timeframe), NOW)).table


def at(text: str) -> datetime:
    """Return a time in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("timeframe", "time", "begin", "end"),
    [
        ("1m", "2026-01-15T10:59:59.999999", "2026-01-15T10:59", "2026-01-15T11:00"),
        ("4h", "2026-01-15T11:00", "2026-01-15T08:00", "2026-01-15T12:00"),
        ("1d", "2026-01-15T23:59", "2026-01-15", "2026-01-16"),
        ("1w", "2026-01-18T23:59", "2026-01-12", "2026-01-19"),
        ("1w", "2026-01-12", "2026-01-12", "2026-01-19"),
        ("1M", "2025-02-28T23:59", "2025-02-01", "2025-03-01"),
        ("3M", "2025-06-30", "2025-04-01", "2025-07-01"),
    ],
)
def test_bars_begin_on_multiples_of_their_length(timeframe: str, time: str, begin: str, end: str) -> None:
    table = folded(ticks([(at(time), Decimal(1), None)]), timeframe)
    assert ([at(begin)], [at(end)]) == (table["begin"].to_pylist(), table["published"].to_pylist())


def test_a_volume_is_unknown_where_one_of_its_parts_is() -> None:
    rows: list[Tick] = [
        (at("2026-01-15T10:00:01"), Decimal(3), Decimal("0.1")), (at("2026-01-15T10:00:02"), Decimal(4), None),
        (at("2026-01-15T10:01:01"), Decimal(5), Decimal("0.1")), (at("2026-01-15T10:01:02"), Decimal(4), Decimal(2)),
    ]  # fmt: skip
    table = folded(ticks(rows), "1m")
    assert [None, Decimal("2.1")] == table["volume"].to_pylist()


def test_a_bar_that_has_not_ended_is_left_out() -> None:
    rows: list[Tick] = [(NOW - timedelta(minutes=1), Decimal(1), None), (NOW, Decimal(2), None)]
    table = folded(ticks(rows), "1m")
    assert [NOW] == table["published"].to_pylist()
    assert 0 == len(fold(ticks(rows[1:]), Timeframe.parse("1m"), NOW))


@pytest.mark.slow
@given(
    st.lists(
        st.tuples(
            st.integers(0, 10_000).map(lambda seconds: at("2026-01-15") + timedelta(seconds=seconds)),
            st.integers(1, 1_000).map(Decimal),
            st.none() | st.integers(0, 1_000).map(Decimal),
        ),
        min_size=1,
        max_size=60,
    ).map(lambda rows: sorted(rows, key=lambda row: row[0])),
    st.integers(1, 60),
)
def test_each_price_is_in_the_bar_of_its_time_however_many_are_read_together(rows: list[Tick], size: int) -> None:
    expected: dict[datetime, list[Tick]] = {}
    for row in rows:
        expected.setdefault(row[0].replace(minute=row[0].minute // 15 * 15, second=0), []).append(row)
    table = folded(ticks(rows, size), "15m")
    assert [
        {
            "begin": begin,
            "published": begin + timedelta(minutes=15),
            "open": bar[0][1],
            "high": max(price for _, price, _ in bar),
            "low": min(price for _, price, _ in bar),
            "close": bar[-1][1],
            "volume": None
            if any(volume is None for _, _, volume in bar)
            else sum(v for _, _, v in bar if v is not None),
        }
        for begin, bar in expected.items()
    ] == table.to_pylist()
