"""Names of files: no symbol becomes a path by itself, and different symbols have different names everywhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import SettingsError
from market.history.storage.names import exchange_name, symbol_name, timeframe_name
from market.history.store import HistoryStore, SeriesKey

NAMES = {
    "BTC/USDT": "BTC%2FUSDT",
    "BTC/USDT:USDT": "BTC%2FUSDT%3AUSDT",
    "BRK-B": "BRK-B",
    "BRK.B": "BRK%2EB",
    "../../x": "%2E%2E%2F%2E%2E%2F%78",
    "..": "%2E%2E",
    "a/b:c": "%61%2F%62%3A%63",
    "abc": "%61%62%63",
    "ABC": "ABC",
    "AbC": "A%62C",
    "%61": "%2561",
    ".lock": "%2E%6C%6F%63%6B",
    "CON": "%43ON",
    "COM1": "%43OM1",
    "ÄÖ": "%C3%84%C3%96",
    "A\x00B": "A%00B",
    "~A": "%7EA",
}


@pytest.mark.parametrize(("symbol", "name"), NAMES.items())
def test_the_name_of_a_symbol_is_percent_encoded(symbol: str, name: str) -> None:
    assert name == symbol_name(symbol)


def test_a_minute_and_a_month_are_two_files_where_the_system_ignores_case() -> None:
    assert ["1m", "1%4D", "15m", "1w"] == [timeframe_name(text) for text in ("1m", "1M", "15m", "1w")]


def test_exchanges_are_in_small_letters() -> None:
    assert ["kraken", "%63on"] == [exchange_name(text) for text in ("kraken", "con")]


@given(st.text(min_size=1, max_size=300), st.text(min_size=1, max_size=300))
def test_every_symbol_is_one_safe_name_and_different_symbols_differ_in_more_than_case(one: str, other: str) -> None:
    names = []
    for symbol in (one, other):
        try:
            symbol.encode()
        except UnicodeEncodeError:
            with pytest.raises(SettingsError, match="UTF-8"):
                symbol_name(symbol)
            return
        name = symbol_name(symbol)
        assert re.fullmatch(r"[A-Z0-9_%~a-f-]{1,120}", name)
        names.append(name)
    assert (one == other) == (names[0].casefold() == names[1].casefold())


def test_long_symbols_that_differ_at_their_end_have_different_names() -> None:
    names = {symbol_name("A" * 500 + end) for end in ("X", "Y")}
    assert 2 == len(names)
    assert {120} == {len(name) for name in names}


@pytest.mark.parametrize("symbol", ["", "A" * 1001])
def test_an_empty_symbol_and_one_of_over_1000_characters_are_refused(symbol: str) -> None:
    with pytest.raises(SettingsError, match="1 to 1000 characters"):
        symbol_name(symbol)


@pytest.mark.parametrize("symbol", NAMES)
def test_the_file_of_every_symbol_is_three_levels_below_the_store(tmp_path: Path, symbol: str) -> None:
    store = HistoryStore(tmp_path)
    path = store.path(SeriesKey("kraken", symbol, "1h"))
    assert store.folder / "kraken" == path.resolve().parent.parent


@pytest.mark.parametrize("exchange", ["", "..", "a/b", "Kraken", "x" * 41])
def test_an_exchange_is_a_word_in_small_letters(tmp_path: Path, exchange: str) -> None:
    with pytest.raises(SettingsError, match="must be a name in small letters"):
        HistoryStore(tmp_path).path(SeriesKey(exchange, "BTC/USDT", "1h"))
