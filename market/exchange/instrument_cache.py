"""The file that keeps an exchange's list of instruments, so that a start does not need the exchange."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from loguru import logger

from domain.errors import FileNotWritten
from domain.files.private_files import make_private_folder, read_own_file, written_atomically
from domain.trading.arithmetic import plain
from domain.trading.instruments import Instrument, InstrumentCatalog
from domain.types import Symbol

VERSION = 1
TEXTS = ("symbol", "quote", "not_traded")
FEES = ("maker_fee", "taker_fee")
"""None where the exchange states none, and missing in files of earlier versions."""
AMOUNTS = ("tick", "step", "min_notional", "min_quantity")


def read(path: Path, exchange: str) -> InstrumentCatalog | None:
    """Return the catalog in a file, None without one; a damaged file is logged and ignored."""
    try:
        document = json.loads(read_own_file(path))
        if (document["version"], document["exchange"]) != (VERSION, exchange):
            return None
        return InstrumentCatalog([_instrument(row) for row in document["instruments"]])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, ArithmeticError) as error:
        logger.warning("Cannot read the markets in {} ({}); loading them from the exchange", path, type(error).__name__)
        return None


def write(path: Path, exchange: str, catalog: InstrumentCatalog) -> None:
    """Write ``catalog`` to a file, in one step: a reader sees the old file or the new one. A failure is only logged."""
    rows = [_row(instrument) for instrument in catalog.instruments.values()]
    text = json.dumps({"version": VERSION, "exchange": exchange, "instruments": rows})
    try:
        make_private_folder(path.parent)
        with written_atomically(path) as file:
            file.write(text.encode())
    except (OSError, FileNotWritten) as error:
        logger.warning("Cannot keep the markets of {} ({})", exchange, error)


def updated(
    before: InstrumentCatalog | None,
    instruments: Iterable[Instrument],
    exchange: str,
    awaited: Collection[Symbol] = (),
) -> InstrumentCatalog:
    """Return the catalog of an exchange's new list; an instrument that is not in it any more stays, as not traded.

    Args:
        before: the catalog until now.
        instruments: of the new list.
        exchange: its name.
        awaited: symbols that stay as they are, although the list may leave them out.
    """
    current = {instrument.symbol: instrument for instrument in instruments}
    for symbol, instrument in (before.instruments if before is not None else {}).items():
        if symbol not in current and symbol in awaited:
            current[Symbol(symbol)] = instrument
        elif symbol not in current:
            current[Symbol(symbol)] = replace(instrument, not_traded=f"is not listed at {exchange} any more")
    return InstrumentCatalog(current.values())


def _row(instrument: Instrument) -> dict[str, Any]:
    amounts = {name: plain(getattr(instrument, name)) for name in AMOUNTS}
    fees = {name: plain(fee) if (fee := getattr(instrument, name)) is not None else None for name in FEES}
    return {name: getattr(instrument, name) for name in TEXTS} | amounts | fees


def _instrument(row: dict[str, Any]) -> Instrument:
    amounts: dict[str, Any] = {name: Decimal(row[name]) for name in AMOUNTS}
    if not (amounts["tick"] > 0 and amounts["step"] > 0):
        raise ValueError("tick and step must be above 0")
    amounts |= {name: Decimal(row[name]) for name in FEES if row.get(name) is not None}
    return Instrument(**{name: row[name] for name in TEXTS}, **amounts)
