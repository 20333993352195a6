"""The series that ``prices = history`` plays: one of each symbol, and never a guess between exchanges."""

from __future__ import annotations

from pathlib import Path

import pytest

from domain.errors import SettingsError
from market.history.selection import select
from market.history.store import HistoryStore, SeriesKey, key_of
from tests.support.history.candles import candles, row


def stored(folder: Path, *keys: str) -> HistoryStore:
    """Return a store with series such as ``kraken BTC/USDT 1h``."""
    store = HistoryStore(folder)
    for key in keys:
        exchange, symbol, timeframe = key.split(" ")
        store.save(exchange, candles([row("1")], symbol=symbol, timeframe=timeframe), [])
    return store


def names(store: HistoryStore, symbols: list[str] | None, exchange: str = "kraken") -> list[str]:
    """Return the series that are chosen."""
    return [str(key_of(one)) for one in select(store, symbols, exchange).manifests]


def test_every_symbol_is_played_unless_some_are_named(tmp_path: Path) -> None:
    store = stored(tmp_path, "kraken ETH/USDT 1h", "files AAPL 1d")
    assert ["files AAPL 1d", "kraken ETH/USDT 1h"] == names(store, None)
    assert ["kraken ETH/USDT 1h"] == names(store, ["eth-usdt", "ETH/USDT"])


def test_the_shortest_bars_are_played_and_a_note_says_so(tmp_path: Path) -> None:
    store = stored(tmp_path, "kraken BTC/USDT 1M", "kraken BTC/USDT 1m", "kraken BTC/USDT 1d", "kraken BTC/USDT 1w")
    selection = select(store, None, "kraken")
    assert ["kraken BTC/USDT 1m"] == [str(key_of(one)) for one in selection.manifests]
    (note,) = selection.notes
    assert note.startswith("kraken BTC/USDT 1m is played, and not kraken BTC/USDT ")


def test_of_two_exchanges_the_one_of_the_setting_counts(tmp_path: Path) -> None:
    store = stored(tmp_path, "binance BTC/USDT 1m", "files BTC/USDT 1h")
    assert ["binance BTC/USDT 1m"] == names(store, None, "binance")
    assert ["files BTC/USDT 1h"] == names(store, None, "files")
    with pytest.raises(SettingsError) as refused:
        names(store, None, "kraken")
    expected = "prices = history: BTC/USDT is stored from binance or files; say which by the setting exchange"
    assert expected == str(refused.value)


def test_an_empty_history_and_missing_symbols_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="prices = history: nothing is stored yet"):
        names(HistoryStore(tmp_path), None)
    store = stored(tmp_path, "kraken BTC/USDT 1h")
    with pytest.raises(SettingsError) as refused:
        names(store, ["BTD/USDT", "BTC/USDT", "X"])
    assert "symbols: 'BTD/USDT', 'X' are not in the history; did you mean BTC/USDT?" == str(refused.value)


def test_a_damaged_file_stops_only_those_who_want_its_symbol(tmp_path: Path) -> None:
    store = stored(tmp_path, "kraken BTC/USDT 1h", "kraken ETH/USDT 1h")
    store.path(SeriesKey("kraken", "BTC/USDT", "1h")).write_bytes(b"nothing")
    assert ["kraken ETH/USDT 1h"] == names(store, ["ETH/USDT"])
    for symbols in (None, ["BTC/USDT"]):
        with pytest.raises(SettingsError, match=r"BTC%2FUSDT/1h.parquet: cannot read it"):
            names(store, symbols)
