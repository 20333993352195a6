"""Resolution of symbols, and defaults of an instrument."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.trading.instruments import Instrument, InstrumentCatalog, Unresolved
from domain.types import Symbol
from tests.support.values.builders import instrument
from tests.support.values.strategies import INSTRUMENTS

BOOK = InstrumentCatalog(
    [instrument(name) for name in ("BTC/USDT", "BTC/USD", "ETH/USDT", "AAPL", "BRK-B", "BTC/USDT:USDT")]
)


@pytest.mark.parametrize("typed", ["BTC/USDT", "btc/usdt", "BTC-USDT", "BTCUSDT", "btc_usdt", "Btc Usdt", "btcusdt"])
def test_usual_spellings_resolve_to_the_venues_symbol(typed: str) -> None:
    resolved = BOOK.resolve(typed)
    assert isinstance(resolved, Instrument)
    assert Symbol("BTC/USDT") == resolved.symbol


def test_a_perpetual_is_another_market() -> None:
    for typed in ("btc/usdt:usdt", "BTCUSDTUSDT", "btc-usdt-usdt"):
        assert BOOK.instruments["BTC/USDT:USDT"] is BOOK.resolve(typed)


def test_an_ambiguous_symbol_is_unresolved_unless_it_is_spelt_exactly() -> None:
    catalog = InstrumentCatalog([instrument("A/BC"), instrument("AB/C"), instrument("X/Y")])
    expected = Unresolved("'abc' could be any of A/BC, AB/C")
    assert expected == catalog.resolve("abc")
    assert catalog.instruments["AB/C"] is catalog.resolve("AB/C")
    assert catalog.instruments["A/BC"] is catalog.resolve("A/BC")


@pytest.mark.parametrize(
    ("expected", "typed"),
    [
        ("'BTC/USDX' is not traded here; did you mean BTC/USD or BTC/USDT or BTC/USDT:USDT?", "BTC/USDX"),
        ("'appl' is not traded here; did you mean AAPL?", "appl"),
        ("'ZZZZ' is not traded here", "ZZZZ"),
        ("'' is not traded here", ""),
        ("'/' is not traded here", "/"),
        (
            '"\'; DROP TABLE paper_orders; --" is not traded here',
            "'; DROP TABLE paper_orders; --",
        ),
    ],
)
def test_the_reason_for_an_unknown_symbol_names_similar_ones(expected: str, typed: str) -> None:
    assert Unresolved(expected) == BOOK.resolve(typed)


def test_a_catalog_lists_its_instruments_once() -> None:
    assert len(BOOK) == len(BOOK.instruments)
    assert {"BTC/USDT", "BTC/USD", "ETH/USDT", "AAPL", "BRK-B", "BTC/USDT:USDT"} == set(BOOK.instruments)
    empty = InstrumentCatalog([])
    assert (len(empty), empty.resolve("BTC/USDT")) == (0, Unresolved("'BTC/USDT' is not traded here"))


@given(st.text(max_size=12))
def test_any_text_resolves_to_an_instrument_or_a_reason(typed: str) -> None:
    resolved = BOOK.resolve(typed)
    assert isinstance(resolved, Instrument) or resolved.reason.startswith(repr(typed))


@given(st.sampled_from(INSTRUMENTS), st.sampled_from(["/", "-", "_", "", " "]), st.booleans())
def test_separator_and_case_do_not_matter(meant: Instrument, separator: str, lower: bool) -> None:
    typed = meant.symbol.replace("/", separator)
    assert meant is InstrumentCatalog(INSTRUMENTS).resolve(typed.lower() if lower else typed)


def test_an_instrument_has_defaults_for_rules_that_its_venue_does_not_state() -> None:
    bare = Instrument(Symbol("AAPL"), None)
    assert (Decimal("1e-12"), Decimal("1e-8"), Decimal(0)) == (bare.tick, bare.step, bare.min_notional)
    assert (bare.quote, bare.asset_class) == (None, "crypto")


GONE = Instrument(Symbol("LUNA/USDT"), "USDT", not_traded="is delisted or suspended at kraken")
SWAP = Instrument(Symbol("BTC/USDT:USDT"), "USDT", not_traded="is a swap at kraken, and only spot markets are traded")


@pytest.mark.parametrize("typed", ["LUNA/USDT", "luna-usdt", "LUNAUSDT"])
def test_an_instrument_that_is_not_traded_has_a_reason(typed: str) -> None:
    expected = Unresolved("LUNA/USDT is delisted or suspended at kraken")
    assert expected == InstrumentCatalog([GONE]).resolve(typed)


def test_a_traded_instrument_has_priority() -> None:
    spot = Instrument(Symbol("BTC/USDT"), "USDT")
    twin = Instrument(Symbol("BTC-USDT"), "USDT", not_traded="is delisted or suspended at kraken")
    catalog = InstrumentCatalog([SWAP, twin, spot])
    assert spot is catalog.resolve("btcusdt")
    expected = Unresolved("BTC/USDT:USDT is a swap at kraken, and only spot markets are traded")
    assert expected == catalog.resolve("BTC/USDT:USDT")


def test_a_large_catalog_compares_a_misspelled_symbol_with_those_of_its_first_letter() -> None:
    many = [Instrument(Symbol(f"C{number}/USDT"), "USDT") for number in range(600)]
    catalog = InstrumentCatalog([*many, Instrument(Symbol("BTC/USDT"), "USDT")])
    expected = Unresolved("'BTCC/USDT' is not traded here; did you mean BTC/USDT?")
    assert expected == catalog.resolve("BTCC/USDT")
    assert Unresolved("'VTC/USDT' is not traded here") == catalog.resolve("VTC/USDT")
