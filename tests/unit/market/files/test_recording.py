"""Recordings: the order of their prices, what a bar tells open orders, and the part that is played."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pyarrow
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import SettingsError
from domain.trading.quotes import BarPrices
from domain.types import Symbol
from market.files import recording
from market.files.recording import PriceSeries, Recording, Row, TimeSpan
from market.history.candles import SCHEMA, Candles
from market.history.timeframe import Timeframe

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
BTC, ETH = Symbol("BTC/USDT"), Symbol("ETH/USDT")


def bars(symbol: Symbol, *texts: str, every: timedelta = HOUR, first: timedelta = timedelta(0)) -> PriceSeries:
    """Return bars, one after the other: ``100 105 95 101 x40`` has open, high, low, close and volume; - is unknown."""
    rows = []
    for number, text in enumerate(texts):
        *prices, volume = (None if value == "-" else Decimal(value.removeprefix("x")) for value in text.split())
        begin = NOON + first + number * every
        rows.append(dict(zip(SCHEMA.names, [begin, begin + every, *prices, volume], strict=True)))
    table = pyarrow.Table.from_pylist(rows, schema=SCHEMA)
    return PriceSeries.of_candles(Candles(symbol, Timeframe.of_length(every), table))


def bar_row(at: timedelta, symbol: Symbol, text: str, every: timedelta = HOUR) -> Row:
    *prices, volume = (None if value == "-" else Decimal(value.removeprefix("x")) for value in text.split())
    opened, high, low, close = (price for price in prices if price is not None)
    bar = BarPrices(NOON + at - every, opened, high, low, volume)
    return Row(NOON + at, symbol, close, volume=volume, bar=bar)


def test_a_bar_is_a_row_at_the_moment_of_its_close() -> None:
    played = Recording([bars(BTC, "100.50 105 95 101 x40", "101 102 101 101.5 -", "101.5 101.5 101.5 101.5 x0")])
    assert [
        bar_row(HOUR, BTC, "100.5 105 95 101 x40"),
        bar_row(2 * HOUR, BTC, "101 102 101 101.5 -"),
        bar_row(3 * HOUR, BTC, "101.5 101.5 101.5 101.5 x0"),
    ] == list(played.rows())


def test_where_prices_of_a_bar_are_unknown_the_known_ones_count() -> None:
    played = Recording([bars(BTC, "- - - 101 -", "100 - - 101 -", "- 105 - 101 -", "100 - 99 101 -")])
    assert [
        bar_row(HOUR, BTC, "101 101 101 101 -"),
        bar_row(2 * HOUR, BTC, "100 101 100 101 -"),
        bar_row(3 * HOUR, BTC, "101 105 101 101 -"),
        bar_row(4 * HOUR, BTC, "100 101 99 101 -"),
    ] == list(played.rows())


def test_numbers_are_exact_and_plain() -> None:
    (row,) = Recording([bars(BTC, "1e-18 12345678901234567890.123456789012345678 1e-18 100 x0.10")]).rows()
    assert row.bar is not None
    texts = [str(value) for value in (row.bar.open, row.bar.high, row.price, row.volume)]
    assert ["1E-18", "12345678901234567890.123456789012345678", "100", "0.1"] == texts


def test_prices_of_several_series_come_in_the_order_of_their_moments() -> None:
    ticks = PriceSeries(
        ETH,
        bars(ETH, *["1 1 1 1 -"] * 3, every=timedelta(minutes=40)).moments,
        None,
        {"price": pyarrow.array([Decimal(7), Decimal(8), Decimal(9)]), "bid": pyarrow.array([None, Decimal(7), None])},
    )
    played = Recording([bars(BTC, "1 1 1 1 -", "2 2 2 2 -"), ticks])
    assert (BTC, ETH) == played.symbols
    assert [
        (NOON + 40 * MINUTE, [Row(NOON + 40 * MINUTE, ETH, Decimal(7))]),
        (NOON + HOUR, [bar_row(HOUR, BTC, "1 1 1 1 -")]),
        (NOON + 80 * MINUTE, [Row(NOON + 80 * MINUTE, ETH, Decimal(8), bid=Decimal(7))]),
        (NOON + 2 * HOUR, [bar_row(2 * HOUR, BTC, "2 2 2 2 -"), Row(NOON + 2 * HOUR, ETH, Decimal(9))]),
    ] == list(played.batches())


def test_a_bar_that_begins_before_a_known_price_tells_open_orders_its_close_only() -> None:
    # By the minute bars, what happened before 12:59 was known; the bar of the hour tells it again.
    hour = bars(BTC, "100 200 50 104 x90")
    minutes = bars(BTC, "100 101 99 103 x4", "103 106 102 104 x5", every=MINUTE, first=58 * MINUTE)
    assert [
        bar_row(59 * MINUTE, BTC, "100 101 99 103 x4", MINUTE),
        bar_row(HOUR, BTC, "104 104 104 104 x90"),
        bar_row(HOUR, BTC, "103 106 102 104 x5", MINUTE),
    ] == list(Recording([hour, minutes]).rows())


def test_it_goes_on_at_any_row_whatever_the_size_of_the_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    series = [
        bars(BTC, *[f"{n} {n} {n} {n} -" for n in range(1, 30)]),
        bars(ETH, *[f"{n} {n} {n} {n} x1" for n in range(1, 60)], every=timedelta(minutes=25)),
    ]
    expected = list(Recording(series).rows())
    assert 88 == len(expected) == len(Recording(series))
    assert sorted(row.time for row in expected) == [row.time for row in expected]
    monkeypatch.setattr(recording, "PIECE_ROWS", 7)
    monkeypatch.setattr(recording, "ROWS_OF_SERIES", 1)
    for first in (0, 1, 6, 7, 50, 87, 88):
        assert expected[first:] == list(Recording(series).rows(first))


def test_a_part_has_the_bars_that_begin_and_end_in_it() -> None:
    series = [bars(BTC, *[f"{n} {n} {n} {n} -" for n in range(1, 6)])]
    part = TimeSpan(NOON + HOUR, NOON + 4 * HOUR)
    assert [2, 3, 4] == [row.price for row in Recording(series, part).rows()]
    assert [2, 3, 4, 5] == [row.price for row in Recording(series, TimeSpan(first=NOON + MINUTE)).rows()]
    assert [1, 2] == [row.price for row in Recording(series, TimeSpan(last=NOON + 2.9 * HOUR)).rows()]


def test_a_part_without_prices_is_refused() -> None:
    with pytest.raises(SettingsError) as caught:
        Recording([bars(BTC, "1 1 1 1 -", "2 2 2 2 -")], TimeSpan(first=NOON + 9 * HOUR))
    assert (
        "no price lies between price_from and price_to; the recording has prices of 2026-01-31 12:00:00 to"
        " 2026-01-31 14:00:00"
    ) == str(caught.value)


LENGTHS = st.sampled_from([MINUTE, timedelta(minutes=40), HOUR])
SERIES = st.lists(
    st.tuples(st.sampled_from([BTC, ETH]), LENGTHS, st.integers(0, 300), st.integers(1, 12)), min_size=1, max_size=4
)


@given(SERIES)
def test_no_bar_tells_open_orders_prices_from_before_what_they_have_seen(
    drawn: list[tuple[Symbol, timedelta, int, int]],
) -> None:
    series = [
        bars(symbol, *["100 110 90 101 x5"] * count, every=every, first=first * MINUTE)
        for symbol, every, first, count in drawn
    ]
    rows = list(Recording(series).rows())
    assert sum(count for *_, count in drawn) == len(rows)
    for row in rows:
        assert row.bar is not None
        seen = [other.time for other in rows if other.symbol == row.symbol and other.time < row.time]
        is_new = not seen or row.bar.begin >= max(seen)
        assert (100, 110, 90) == row.bar[1:4] if is_new else (101, 101, 101) == row.bar[1:4]
