"""The check of a store: every fault of its files, a sentence each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy
import pyarrow
from pyarrow import compute

from domain.wording import counted, format_time
from market.history.candles import PRICES, Candles
from market.history.storage import stored_file
from market.history.storage.gaps import gaps_of
from market.history.storage.manifest import Manifest
from market.history.storage.stored_file import DamagedFile
from market.history.store import LOCK_NAME, HistoryStore, StoredSeries


@dataclass(frozen=True, slots=True)
class Checked:
    """A file of the store that was read as a whole.

    Attributes:
        stored: the file, and its manifest where it has one.
        faults: what is wrong with it, a clause each; empty where nothing is.
    """

    stored: StoredSeries
    faults: tuple[str, ...]


def check(store: HistoryStore) -> Iterator[Checked]:
    """Yield each series of a store with its faults: of its name, its manifest, its rows, and their order."""
    for one in store.stored():
        yield Checked(one, tuple(_faults(one)))


def foreign_files(store: HistoryStore) -> Iterator[Path]:
    """Yield each file in a store's folder that is no series, and was not left by an interrupted write or download."""
    expected = {store.folder / LOCK_NAME, *store.files(), *store.left_over(), *store.unfinished()}
    yield from sorted(path for path in store.folder.rglob("*") if not path.is_dir() and path not in expected)


def _faults(one: StoredSeries) -> Iterator[str]:
    if one.manifest is None:
        yield one.fault.removeprefix(f"{one.path}: ")
        return
    try:
        candles, manifest = stored_file.read(one.path)
    except DamagedFile as error:
        yield str(error).removeprefix(f"{one.path}: ")
        return
    yield from _differences(candles, manifest)
    yield from _wrong_rows(candles)


def _differences(candles: Candles, manifest: Manifest) -> Iterator[str]:
    """Yield what the manifest states that the rows do not bear out."""
    gaps, limits = gaps_of(candles), compute.min_max(candles.table["begin"]).as_py()
    counts = {"rows": len(candles), "gaps": gaps.count, "missing_bars": gaps.bars}
    for name, number in counts.items():
        if (stated := getattr(manifest, name)) != number:
            yield f"its manifest states {stated:,} {name.replace('_', ' ')}, and it has {number:,}"
    if gaps.longest != manifest.longest_gaps:
        yield "its manifest names other gaps than its rows have"
    for name, moment in (("first", limits["min"]), ("last", limits["max"])):
        if getattr(manifest, name) != moment:
            yield f"its manifest has another {name} bar than its rows"


def _wrong_rows(candles: Candles) -> Iterator[str]:
    table = candles.table
    begins = numpy.sort(table["begin"].cast(pyarrow.int64()).to_numpy())
    if duplicates := int(numpy.count_nonzero(begins[1:] == begins[:-1])):
        yield f"{counted(duplicates, 'bar begins', 'bars begin')} together with another one"
    conditions = {"published before it has begun": compute.less_equal(table["published"], table["begin"])}
    zero = pyarrow.scalar(0).cast(table["close"].type)
    for name in PRICES:
        conditions[f"with {name} not above 0"] = compute.less_equal(table[name], zero)
    conditions["with a negative volume"] = compute.less(table["volume"], zero)
    for name in ("open", "low", "close"):
        conditions[f"with {name} above high"] = compute.greater(table[name], table["high"])
    for name in ("open", "close"):
        conditions[f"with {name} below low"] = compute.less(table[name], table["low"])
    for what, condition in conditions.items():
        if count := int(compute.sum(condition).as_py() or 0):
            first = _first_time(table, condition)
            yield f"{counted(count, 'bar')} {what}, the first one of {first}"


def _first_time(table: Any, condition: Any) -> str:
    index = compute.index(condition, True).as_py()
    return format_time(table["begin"][index].as_py())
