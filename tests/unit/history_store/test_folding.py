"""Bars made of single prices."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np
import pyarrow
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.types import Symbol
from market.history.candles import NUMBER
from market.history.conversion.rows import Changes, TickRows
from market.history.folding import fold
from market.history.publication import EPOCH
from market.history.timeframe import Timeframe

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
Tick = tuple[datetime, Decimal, Decimal | None]


def ticks(rows: list[Tick]) -> TickRows:
    """Return prices as files give them."""
    none = pyarrow.nulls(len(rows), NUMBER)
    times = np.array([(time - EPOCH) // MICROSECOND for time, _, _ in rows], dtype=np.int64)
    price, volume = (pyarrow.array([row[column] for row in rows], NUMBER) for column in (1, 2))
    lines = np.arange(len(rows), dtype=np.int64)
    return TickRows(Symbol("BTC/USDT"), times, price, none, none, volume, none, none, lines, Changes())


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
    table = fold(ticks([(at(time), Decimal(1), None)]), Timeframe.parse(timeframe), NOW).table
    assert ([at(begin)], [at(end)]) == (table["begin"].to_pylist(), table["published"].to_pylist())


def test_a_volume_is_unknown_where_one_of_its_parts_is() -> None:
    rows: list[Tick] = [
        (at("2026-01-15T10:00:01"), Decimal(3), Decimal("0.1")), (at("2026-01-15T10:00:02"), Decimal(4), None),
        (at("2026-01-15T10:01:01"), Decimal(5), Decimal("0.1")), (at("2026-01-15T10:01:02"), Decimal(4), Decimal(2)),
    ]  # fmt: skip
    table = fold(ticks(rows), Timeframe.parse("1m"), NOW).table
    assert [None, Decimal("2.1")] == table["volume"].to_pylist()


def test_a_bar_that_has_not_ended_is_left_out() -> None:
    rows: list[Tick] = [(NOW - timedelta(minutes=1), Decimal(1), None), (NOW, Decimal(2), None)]
    table = fold(ticks(rows), Timeframe.parse("1m"), NOW).table
    assert [NOW] == table["published"].to_pylist()
    assert 0 == len(fold(ticks(rows[1:]), Timeframe.parse("1m"), NOW))


@given(
    st.lists(
        st.tuples(
            st.integers(0, 10_000).map(lambda seconds: at("2026-01-15") + timedelta(seconds=seconds)),
            st.integers(1, 1_000).map(Decimal),
            st.none() | st.integers(0, 1_000).map(Decimal),
        ),
        min_size=1,
        max_size=60,
    ).map(lambda rows: sorted(rows, key=lambda row: row[0]))
)
def test_each_price_is_in_the_bar_of_its_time(rows: list[Tick]) -> None:
    expected: dict[datetime, list[Tick]] = {}
    for row in rows:
        expected.setdefault(row[0].replace(minute=row[0].minute // 15 * 15, second=0), []).append(row)
    table = fold(ticks(rows), Timeframe.parse("15m"), NOW).table
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
