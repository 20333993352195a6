"""Candles: the columns and the order of their table."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pyarrow
import pytest

from domain.types import Symbol
from market.history.candles import NUMBER, SCHEMA, Candles
from market.history.timeframe import Timeframe

HOUR = Timeframe.parse("1h")
BTC = Symbol("BTC/USDT")


def table(*hours: tuple[int, int]) -> pyarrow.Table:
    """Return bars that begin and are published at these hours of a day."""
    rows = [
        {
            "begin": datetime(2025, 1, 1, begin, tzinfo=UTC),
            "published": datetime(2025, 1, 1, published, tzinfo=UTC),
            "close": Decimal(begin),
        }
        for begin, published in hours
    ]
    return pyarrow.Table.from_pylist(rows, schema=SCHEMA)


def test_candles_keep_a_table_in_the_order_of_publication() -> None:
    candles = Candles(BTC, HOUR, table((10, 12), (11, 12), (12, 13)))
    assert 3 == len(candles)
    assert [Decimal(10), Decimal(11), Decimal(12)] == candles.table["close"].to_pylist()
    assert 0 == len(Candles(BTC, HOUR, table()))


def test_candles_read_from_a_file_may_hold_metadata() -> None:
    assert 1 == len(Candles(BTC, HOUR, table((10, 11)).replace_schema_metadata({"source": "test"})))


def test_another_order_is_refused() -> None:
    with pytest.raises(ValueError) as caught:
        Candles(BTC, HOUR, table((10, 12), (11, 11)))
    assert "candles must be in the order in which their closes were published" == str(caught.value)


def test_other_columns_are_refused() -> None:
    with pytest.raises(ValueError, match="candles have the columns"):
        Candles(BTC, HOUR, table((10, 11)).drop_columns(["volume"]))


def test_a_bar_without_a_close_is_refused() -> None:
    nulls = table((10, 11)).set_column(5, "close", pyarrow.nulls(1, NUMBER))
    with pytest.raises(ValueError) as caught:
        Candles(BTC, HOUR, nulls)
    assert "candles must have a value in each row of close" == str(caught.value)
