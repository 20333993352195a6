"""What an exchange trades, kept in a file so that a start does not need the exchange."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from loguru import logger

from domain.trading.arithmetic import plain
from domain.trading.instruments import Instrument, InstrumentCatalog
from domain.types import Symbol

VERSION = 1


def read(path: Path, exchange: str) -> InstrumentCatalog | None:
    """Return the book that was kept, None without one; a damaged file is said and ignored."""
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        if (kept["version"], kept["exchange"]) != (VERSION, exchange):
            return None
        return InstrumentCatalog([_instrument(row) for row in kept["instruments"]])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, ArithmeticError) as error:
        logger.warning("the markets kept in {} cannot be read ({}); the exchange is asked", path, type(error).__name__)
        return None


def write(path: Path, exchange: str, book: InstrumentCatalog) -> None:
    """Keep ``book``; a reader sees the old file or the new one, never a part. What fails is said, and no harm."""
    rows = [_row(instrument) for instrument in book.instruments.values()]
    text = json.dumps({"version": VERSION, "exchange": exchange, "instruments": rows})
    try:
        _make_private(path.parent)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.stem, suffix=".new")  # mode 0600
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        logger.warning("the markets of {} cannot be kept in {}: {}", exchange, path, error.strerror)


def renewed(before: InstrumentCatalog | None, instruments: Iterable[Instrument], exchange: str) -> InstrumentCatalog:
    """Return the book as the exchange tells it now; what it told before and tells no more is not traded."""
    now = {instrument.symbol: instrument for instrument in instruments}
    for symbol, instrument in (before.instruments if before is not None else {}).items():
        if symbol not in now:
            now[Symbol(symbol)] = replace(instrument, not_traded=f"is not listed at {exchange} any more")
    return InstrumentCatalog(now.values())


def _make_private(folder: Path) -> None:
    """Make the folder and those above it that are missing: `Path.mkdir` would open the upper ones to everybody."""
    if not folder.exists():
        _make_private(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)


def _row(instrument: Instrument) -> dict[str, Any]:
    return {
        "symbol": instrument.symbol,
        "quote": instrument.quote,
        "tick": plain(instrument.tick),
        "step": plain(instrument.step),
        "min_notional": plain(instrument.min_notional),
        "min_quantity": plain(instrument.min_quantity),
        "not_traded": instrument.not_traded,
    }


def _instrument(row: dict[str, Any]) -> Instrument:
    tick, step = Decimal(row["tick"]), Decimal(row["step"])
    if not (tick > 0 and step > 0):
        msg = "tick and step must be above 0"
        raise ValueError(msg)
    return Instrument(
        symbol=Symbol(row["symbol"]),
        quote=row["quote"],
        tick=tick,
        step=step,
        min_notional=Decimal(row["min_notional"]),
        min_quantity=Decimal(row["min_quantity"]),
        not_traded=row["not_traded"],
    )
