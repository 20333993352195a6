"""The prices of a sweep on disk: the same columns, not copied, and named by their content."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from domain.errors import PaperTradingError
from research.backtest.pieces import Market
from research.columns.bar_columns import COMPUTED
from research.sweeps.shared_prices import manifest_of, open_prices, prices_until, store_prices
from tests.support.research.markets import START, bars, instrument, market, micros, ticks

ROWS = [(100, 101, "99.5", 100, 5), ("100.25", 102, 99, 101, None), (101, 103, 100, 102, 7)]
COLUMNS = ("begin", "time", "open", "high", "low", "close", "volume", "has_open")


def sample() -> Market:
    times = [START + timedelta(seconds=second) for second in (1, 2)]
    quoted = ticks([("1.5", "1.4", "1.6", 3, None), ("1.7", "1.6", "1.8", 4, 5)], "ETH/USDT", times)
    return market(bars(ROWS), quoted)


def test_what_is_stored_is_read_back_without_being_copied(tmp_path: Path) -> None:
    original = sample()
    folder = store_prices(tmp_path, original)
    read = open_prices(folder)
    assert list(original.instruments) == list(read.instruments)
    assert original.origin == read.origin
    for expected, actual in zip(original.columns, read.columns, strict=True):
        scalars = ("symbol", "price_scale", "size_scale", "has_bars")
        assert [getattr(expected, name) for name in scalars] == [getattr(actual, name) for name in scalars]
        assert expected.quotes.keys() == actual.quotes.keys()
        pairs = [(getattr(expected, name), getattr(actual, name)) for name in (*COLUMNS, *sorted(COMPUTED))]
        pairs += [(expected.quotes[name], actual.quotes[name]) for name in expected.quotes]
        for before, after in pairs:
            assert (before is None) == (after is None)
            if before is not None:
                np.testing.assert_array_equal(before, after)
    bars_read = read.columns[0]
    assert all(isinstance(getattr(bars_read, name).base, np.memmap) for name in (*COLUMNS, "closes", "lowest"))
    assert not bars_read.closes.flags.writeable


def test_a_part_shares_the_whole(tmp_path: Path) -> None:
    folder = store_prices(tmp_path, sample())
    full, part = open_prices(folder), prices_until(folder, micros(START) + 60_000_000)
    assert 1 == len(part.columns[0])
    assert full.origin == part.origin
    for name in ("time", "close", "closes", "lowest"):
        assert np.shares_memory(getattr(full.columns[0], name), getattr(part.columns[0], name))


def test_the_manifest_is_that_of_the_content(tmp_path: Path) -> None:
    one = market(bars(ROWS))
    assert manifest_of(one) == manifest_of(market(bars(ROWS)))
    assert tmp_path / manifest_of(one) == store_prices(tmp_path, one) == store_prices(tmp_path, one)
    others = [
        market(bars([*ROWS[:2], (101, 103, 100, "102.01", 7)])),
        market(bars(ROWS[:2])),
        market(bars(ROWS), tick="0.05"),
        market(bars(ROWS, "ETH/USDT")),
        market(bars(ROWS, start=START + timedelta(minutes=1))),
    ]
    assert 6 == len({manifest_of(other) for other in (one, *others)})


def test_numbers_with_more_digits_than_64_bits_hold_are_kept(tmp_path: Path) -> None:
    one = market(bars([("12345678901234567890.000000000000000001",) * 4, ("1", "2", "0.5", "1")]))
    assert one.columns[0].close.dtype == object
    (read,) = open_prices(store_prices(tmp_path, one)).columns
    assert [12345678901234567890000000000000000001, 10**18] == read.close.tolist()


def test_a_rate_that_is_unknown_stays_unknown_and_others_exact(tmp_path: Path) -> None:
    own = replace(instrument(), maker_fee=None, taker_fee=instrument().tick, calendar="XNYS")
    one = Market.of([bars(ROWS)], [own])
    (read,) = open_prices(store_prices(tmp_path, one)).instruments
    assert (None, own.taker_fee, "XNYS") == (read.maker_fee, read.taker_fee, read.calendar)


def test_a_place_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(PaperTradingError, match=r"^cannot write the prices of the sweep to .*file/prices: "):
        store_prices(tmp_path / "file" / "prices", sample())
