"""The markets of an exchange, kept in a file: read again as they were written, and nobody else's to read."""

from __future__ import annotations

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
    """A umask that hides nothing, so that each mode is the program's own choice."""
    before = os.umask(0)
    yield
    os.umask(before)


def test_what_is_kept_is_read_again_and_private_with_every_folder_that_was_made(
    open_to_all: None, tmp_path: Path
) -> None:
    path = tmp_path / "home" / "markets" / "kraken.json"
    book = InstrumentCatalog([Instrument(Symbol("BTC/USDT"), "USDT", tick=Decimal("0.01"))])
    instrument_cache.write(path, "kraken", book)
    kept = instrument_cache.read(path, "kraken")
    assert kept is not None
    assert dict(book.instruments) == dict(kept.instruments)
    assert [stat.S_IMODE(each.stat().st_mode) for each in (path, path.parent, path.parent.parent)] == [
        0o600, 0o700, 0o700,
    ]  # fmt: skip
    assert list(path.parent.iterdir()) == [path]
    instrument_cache.write(path, "kraken", book)  # where all of them exist
    assert instrument_cache.read(path, "binance") is None
