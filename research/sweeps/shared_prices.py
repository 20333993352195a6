"""The prices of a sweep: written once, and memory-mapped by all workers.

Each column of a symbol is a file of numpy. A worker opens it without reading it: the pages that it touches are those of
the system's cache, of which there is one copy, however many workers there are. What indicators use, the prices as
binary fractions, is among the files, so that no worker computes it for itself.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import fields
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from domain.errors import PaperTradingError
from domain.files.private_files import make_private_folder
from domain.trading.instruments import Instrument
from domain.types import Symbol
from research.backtest.pieces import Market
from research.columns.bar_columns import BarColumns

Array = NDArray[Any]
DESCRIPTION = "prices.json"
COLUMNS = ("begin", "time", "open", "high", "low", "close", "volume", "has_open")
FRACTIONS = ("opens", "highs", "lows", "closes", "volumes")
AMOUNTS = ("tick", "step", "min_notional", "min_quantity", "maker_fee", "taker_fee")
"""Fields of an instrument that are decimals."""
MAX_PARTS = 16
"""So many beginnings of the prices a worker keeps: a fold has two."""


def manifest_of(market: Market) -> str:
    """Return the SHA-256 of prices and instruments: the same for the same content, from whichever files it came."""
    digest = hashlib.sha256(_text(_description(market)))
    for one in market.columns:
        for name, column in _columns(one):
            digest.update(f"{one.symbol} {name} {column.dtype.str}".encode())
            digest.update(np.ascontiguousarray(column).data)
    return digest.hexdigest()


def store_prices(folder: Path, market: Market, manifest: str | None = None) -> Path:
    """Write prices below a folder, unless they are there; return their own folder, which is named by their manifest.

    Args:
        folder: of the prices of all sweeps.
        market: the prices.
        manifest: of them, where it is computed already.

    Raises:
        PaperTradingError: they cannot be written.
    """
    own = folder / (manifest or manifest_of(market))
    if own.is_dir():
        return own
    part = folder / f".{uuid4().hex}"
    try:
        make_private_folder(folder)
        part.mkdir(mode=0o700)
        for number, one in enumerate(market.columns):
            for name, column in (*_columns(one), *_fractions(one)):
                np.save(_file(part, number, name), column, allow_pickle=False)
        (part / DESCRIPTION).write_bytes(_text(_description(market)))
        part.rename(own)
    except OSError as error:
        if not own.is_dir():  # else another process has just written the same
            raise PaperTradingError(f"cannot write the prices of the sweep to {folder}: {error.strerror}") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return own


@lru_cache(maxsize=2)
def open_prices(folder: Path) -> Market:
    """Return prices that `store_prices` wrote, without reading them.

    Raises:
        OSError: they are not there.
    """
    described = json.loads((folder / DESCRIPTION).read_bytes())
    columns = [_opened(folder, number, one) for number, one in enumerate(described["symbols"])]
    return Market.of(columns, [_instrument(one["instrument"]) for one in described["symbols"]])


@lru_cache(maxsize=MAX_PARTS)
def prices_until(folder: Path, micros: int) -> Market:
    """Return what was known of these prices at a time, in microseconds since 1970."""
    return open_prices(folder).until(micros)


def _description(market: Market) -> Mapping[str, Any]:
    return {
        "symbols": [
            {
                "symbol": one.symbol,
                "bars": len(one),
                "has_bars": one.has_bars,
                "price_scale": one.price_scale,
                "size_scale": one.size_scale,
                "quotes": sorted(one.quotes),
                "has_volume": one.volume is not None,
                "instrument": _instrument_to_dict(instrument),
            }
            for one, instrument in zip(market.columns, market.instruments, strict=True)
        ]
    }


def _text(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _columns(one: BarColumns) -> Iterator[tuple[str, Array]]:
    """Yield the exact columns; integers with more digits than 64 bits hold are text."""
    columns = {name: getattr(one, name) for name in COLUMNS} | one.quotes
    for name, column in columns.items():
        if column is not None:
            yield name, column.astype(np.str_) if column.dtype == object else column


def _fractions(one: BarColumns) -> Iterator[tuple[str, Array]]:
    for name in FRACTIONS:
        yield name, getattr(one, name)


def _file(folder: Path, number: int, name: str) -> Path:
    return folder / f"{number}.{name}.npy"


def _opened(folder: Path, number: int, described: Mapping[str, Any]) -> BarColumns:
    def column(name: str) -> Array:
        # A plain view: each slice of numpy's own class for mapped files costs a microsecond more.
        mapped = np.load(_file(folder, number, name), mmap_mode="r", allow_pickle=False).view(np.ndarray)
        return np.array([int(text) for text in mapped], dtype=object) if mapped.dtype.kind == "U" else mapped

    begin, time, opened, high, low, close = map(column, COLUMNS[:6])
    one = BarColumns(
        Symbol(described["symbol"]), begin, time, opened, high, low, close,
        column("volume") if described["has_volume"] else None, described["price_scale"], described["size_scale"],
        column("has_open"), described["has_bars"], {name: column(name) for name in described["quotes"]},
    )  # fmt: skip
    vars(one).update({name: column(name) for name in FRACTIONS})
    # Computed once for all parts; where no price lies outside of high and low they are these columns themselves.
    assert len(one.lowest) == len(one.highest) == described["bars"]
    return one


def _instrument_to_dict(instrument: Instrument) -> Mapping[str, str | None]:
    values = {field.name: getattr(instrument, field.name) for field in fields(instrument)}
    return {name: None if value is None else str(value) for name, value in values.items()}


def _instrument(values: Mapping[str, str | None]) -> Instrument:
    amounts = {name: None if values[name] is None else Decimal(str(values[name])) for name in AMOUNTS}
    return Instrument(**{**values, **amounts})  # type: ignore[arg-type]
