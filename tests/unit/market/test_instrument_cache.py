"""The file with the markets of an exchange: read as it was written, and private to its user."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from domain.trading.instruments import Instrument, InstrumentCatalog
from domain.types import Symbol
from market.exchange import instrument_cache


@pytest.fixture
def open_to_all() -> Iterator[None]:
    """Set a umask that hides nothing, so that each mode is the program's own choice."""
    before = os.umask(0)
    yield
    os.umask(before)


def test_a_catalog_is_read_as_written_and_private_with_every_created_folder(open_to_all: None, tmp_path: Path) -> None:
    path = tmp_path / "home" / "markets" / "kraken.json"
    catalog = InstrumentCatalog([Instrument(Symbol("BTC/USDT"), "USDT", tick=Decimal("0.01"))])
    instrument_cache.write(path, "kraken", catalog)
    stored = instrument_cache.read(path, "kraken")
    assert stored is not None
    assert dict(catalog.instruments) == dict(stored.instruments)
    assert [stat.S_IMODE(file.stat().st_mode) for file in (path, path.parent, path.parent.parent)] == [
        0o600, 0o700, 0o700,
    ]  # fmt: skip
    assert list(path.parent.iterdir()) == [path]
    instrument_cache.write(path, "kraken", catalog)  # where all of them exist
    assert instrument_cache.read(path, "binance") is None


def test_the_fees_of_the_venue_are_kept_and_a_file_of_an_earlier_version_has_none(tmp_path: Path) -> None:
    path = tmp_path / "kraken.json"
    fees = {"maker_fee": Decimal("-0.00005"), "taker_fee": Decimal("0.0026")}
    catalog = InstrumentCatalog([Instrument(Symbol("BTC/USDT"), "USDT", **fees), Instrument(Symbol("A/B"), "B")])
    instrument_cache.write(path, "kraken", catalog)
    stored = instrument_cache.read(path, "kraken")
    assert stored is not None
    assert {"BTC/USDT": tuple(fees.values()), "A/B": (None, None)} == {
        symbol: (one.maker_fee, one.taker_fee) for symbol, one in stored.instruments.items()
    }
    document = json.loads(path.read_text())
    for row in document["instruments"]:
        del row["maker_fee"], row["taker_fee"]
    path.write_text(json.dumps(document))
    earlier = instrument_cache.read(path, "kraken")
    assert earlier is not None
    assert {(None, None)} == {(one.maker_fee, one.taker_fee) for one in earlier.instruments.values()}
