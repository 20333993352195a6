"""The instruments of recorded symbols: what is stated, and else what is usual for their kind."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np
import pyarrow
import pytest

from domain.trading.instruments import Instrument
from domain.types import Symbol
from market.files.instruments import recorded_instrument
from market.files.recording import PriceSeries, Recording, TimeSpan
from market.history.storage.manifest import InstrumentValues

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


def made(symbol: str, lowest: str | None = None, currency: str | None = None, **values: str) -> Instrument:
    stated = InstrumentValues.model_validate(values)
    return recorded_instrument(Symbol(symbol), currency, stated, None if lowest is None else Decimal(lowest))


@pytest.mark.parametrize(
    ("symbol", "lowest", "asset_class", "tick", "step"),
    [
        ("AAPL", "185.64", "equity", "0.01", "1"),
        ("SAP.DE", None, "equity", "0.01", "1"),
        ("AAPL/USD", "185.64", "equity", "0.01", "1"),
        ("PENNY", "1", "equity", "0.01", "1"),
        ("PENNY", "0.99", "equity", "0.001", "1"),
        ("PENNY", "0.0043", "equity", "0.00001", "1"),
        ("EURUSD", "1.0436", "fx", "0.00001", "0.01"),
        ("EUR/USD", None, "fx", "0.00001", "0.01"),
        ("USDJPY", "149.22", "fx", "0.001", "0.01"),
        ("XAUUSD", "2650.1", "commodity", "0.01", "0.01"),
        ("BTCEUR", "60058", "crypto", "1e-12", "1e-8"),
        ("SHIB/USDT", "0.00001", "crypto", "1e-12", "1e-8"),
        ("COIN/USDT", "1e-15", "crypto", "1e-12", "1e-8"),
        ("^GSPC", "5900", "index", "1e-12", "1e-8"),
    ],
)
def test_usual_values(symbol: str, lowest: str | None, asset_class: str, tick: str, step: str) -> None:
    instrument = made(symbol, lowest)
    assert (asset_class, Decimal(tick), Decimal(step)) == (instrument.asset_class, instrument.tick, instrument.step)
    assert Decimal(0) == instrument.min_notional


def test_what_is_stated_counts() -> None:
    instrument = made(
        "AAPL", "185", "EUR", quote="USD", tick="0.05", step="0.000001", min_notional="5", asset_class="fund"
    )
    expected = Instrument(Symbol("AAPL"), "USD", Decimal("0.05"), Decimal("0.000001"), Decimal(5), "fund")
    assert expected == instrument
    assert "EUR" == made("AAPL", currency="EUR").quote
    assert made("AAPL").quote is None
    assert (Decimal("0.01"), Decimal("0.5")) == (made("AAPL", step="0.5").tick, made("AAPL", step="0.5").step)


def test_a_coin_whose_name_could_be_a_shares_may_be_stated_as_one() -> None:
    coin = made("TURBO/USD", "0.0043", asset_class="crypto")
    assert ("crypto", Decimal("1e-12"), Decimal("1e-8")) == (coin.asset_class, coin.tick, coin.step)


def test_the_lowest_price_that_is_played() -> None:
    apple, euro = Symbol("AAPL"), Symbol("EURUSD")
    begins = np.array([int((NOON + timedelta(hours=n)).timestamp()) * 10**6 for n in range(3)], np.int64)

    def prices(*texts: str) -> pyarrow.Array:
        return pyarrow.array([Decimal(text) for text in texts], pyarrow.decimal128(38, 18))

    bars = dict.fromkeys(("open", "high", "close"), prices("190", "191", "192")) | {
        "low": prices("180.5", "179.25", "185"),
        "volume": prices("1", "1", "1"),
    }
    series = [
        PriceSeries(apple, begins + 3_600_000_000, begins, bars),
        PriceSeries(euro, begins, None, {"price": prices("1.05", "1.04", "1.06")}),
        PriceSeries(apple, begins, None, {"price": prices("200", "178", "200")}),
    ]
    recording = Recording(series)
    assert {apple: Decimal(178), euro: Decimal("1.04")} == recording.lowest_prices()
    later = Recording(series[:1], TimeSpan(NOON + timedelta(hours=2)))
    assert {apple: Decimal(185)} == later.lowest_prices()
