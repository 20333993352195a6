"""``prices = history``: the series of the store are played, in the order in which their closes were published."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from domain.errors import SettingsError
from domain.trading.instruments import InstrumentCatalog
from domain.trading.quotes import PriceSource, Quote
from market.history.storage.manifest import InstrumentValues
from market.history.store import HistoryStore, SeriesKey
from market.registry import SourceOptions, open_source
from tests.support.history.candles import BEGIN, candles, row

HOUR = timedelta(hours=1)


class StandingClock:
    """A clock that stands still."""

    def now(self) -> datetime:
        """Return the same time always."""
        return datetime(2026, 1, 31, tzinfo=UTC)

    def monotonic(self) -> float:
        """Return the same time always."""
        return 0.0


class Listener:
    """A listener that keeps what it receives."""

    def __init__(self) -> None:
        self.catalog = InstrumentCatalog([])
        self.quotes: list[Quote] = []
        self.reason = ""
        self.ended = threading.Event()

    def instruments_loaded(self, catalog: InstrumentCatalog) -> None:
        self.catalog = catalog

    def quotes_seen(self, quotes: Sequence[Quote]) -> None:
        self.quotes.extend(quotes)

    def waiting(self) -> int:
        return 0

    def source_ended(self, reason: str) -> None:
        self.reason = reason
        self.ended.set()


@pytest.fixture
def store(tmp_path: Path) -> HistoryStore:
    """A store with hours of one symbol and minutes of another."""
    result = HistoryStore(tmp_path)
    values = InstrumentValues(tick=Decimal("0.01"), step=Decimal("0.001"), min_notional=Decimal(5))
    bars = [("100", "103", "99", "102", "7"), row("104", None)]
    result.save("kraken", candles(bars), [], instrument=values)
    result.save("files", candles([row("5"), row("6")], symbol="AAPL", timeframe="30m"), [])
    return result


def source(home: Path, **changes: Any) -> PriceSource:
    """Return the source of ``prices = history`` with other settings as they are by default."""
    values: dict[str, Any] = {
        "prices": "history", "home": home, "clock": StandingClock(), "exchange": "kraken", "exchange_options": {},
        "symbols": None, "seed": 1, "price_interval": 1.0, "price_speed": math.inf, "price_from": None,
        "price_to": None, "price_spread": Decimal(0), "max_price_age": 30.0, "max_quote_lag": 60.0,
    }  # fmt: skip
    return open_source(SourceOptions(**{**values, **changes}))


def played(of: PriceSource) -> Listener:
    """Play a source to its end."""
    listener = Listener()
    of.start(listener)
    assert listener.ended.wait(10)
    of.stop()
    return listener


def test_the_series_are_played_together_with_their_bars(store: HistoryStore, tmp_path: Path) -> None:
    listener = played(source(tmp_path))
    closes = [(quote.symbol, quote.price, quote.price_time - BEGIN) for quote in listener.quotes]
    half = timedelta(minutes=30)
    assert [
        ("AAPL", Decimal(5), half), ("AAPL", Decimal(6), HOUR), ("BTC/USDT", Decimal(102), HOUR),
        ("BTC/USDT", Decimal(104), 2 * HOUR),
    ] == sorted(closes, key=lambda close: (close[2], close[0]))  # fmt: skip
    assert [close[2] for close in closes] == sorted(close[2] for close in closes)
    first, second = (quote.bar for quote in listener.quotes if quote.symbol == "BTC/USDT")
    assert (BEGIN, Decimal(100), Decimal(103), Decimal(99), Decimal(7)) == first
    assert second is not None
    assert second.volume is None
    assert {("file", False)} == {(quote.source, quote.real) for quote in listener.quotes}


def test_the_instruments_have_the_values_of_the_manifest(store: HistoryStore, tmp_path: Path) -> None:
    instruments = played(source(tmp_path)).catalog.instruments
    stated = instruments["BTC/USDT"]
    assert ("USDT", Decimal("0.01"), Decimal("0.001"), Decimal(5)) == (
        stated.quote, stated.tick, stated.step, stated.min_notional,
    )  # fmt: skip
    assert Decimal(0) == instruments["AAPL"].min_notional


def test_symbols_and_a_part_are_played_where_they_are_named(store: HistoryStore, tmp_path: Path) -> None:
    listener = played(source(tmp_path, symbols=("btc-usdt",), price_from=BEGIN + HOUR))
    assert [Decimal(104)] == [quote.price for quote in listener.quotes]
    assert ["BTC/USDT"] == list(listener.catalog.instruments)
    with pytest.raises(SettingsError, match="no price lies between price_from and price_to"):
        source(tmp_path, price_from=BEGIN + timedelta(days=3))


def test_the_notes_say_what_is_played(store: HistoryStore, tmp_path: Path) -> None:
    store.save("kraken", candles([row("1")], timeframe="1d"), [])
    assert [
        "AAPL: 2 bars of 30 m from files, 2025-01-01 to 2025-01-01",
        "BTC/USDT: 2 bars of 1 h from kraken, 2025-01-01 to 2025-01-01",
        "kraken BTC/USDT 1h is played, and not kraken BTC/USDT 1d",
    ] == list(source(tmp_path).notes)


def test_an_empty_history_and_a_damaged_file_are_one_sentence(store: HistoryStore, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="prices = history: nothing is stored yet"):
        source(tmp_path / "other")
    path = store.path(SeriesKey("kraken", "BTC/USDT", "1h"))
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(SettingsError, match=r"prices = history: .*1h.parquet: cannot read it"):
        source(tmp_path)
