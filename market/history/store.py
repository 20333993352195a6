"""The history that a user keeps: one file a series, under ``home/history/<exchange>/<symbol>/<timeframe>.parquet``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyarrow import compute

from domain.errors import PaperTradingError, SettingsError
from domain.files.private_files import PART_SUFFIX, locked, make_private_folder, sync_folder
from domain.wording import quoted
from market.history.candles import SCHEMA, Candles
from market.history.storage import stored_file
from market.history.storage.gaps import gaps_of
from market.history.storage.manifest import NOTHING_STATED, Input, InstrumentValues, Manifest, merged_inputs
from market.history.storage.merging import Merged
from market.history.storage.names import exchange_name, symbol_name, timeframe_name
from market.history.storage.stored_file import DamagedFile
from market.history.streaming.joining import counted_gaps, together
from market.history.streaming.series import SpooledCandles

FOLDER = "history"
"""Name of the store's folder in the program's home."""
DEFAULT_EXCHANGE = "files"
"""Exchange of series whose exchange nobody named."""
SUFFIX = ".parquet"
DOWNLOAD_SUFFIX = ".download"
"""Ends the name of what a download has fetched so far."""
LOCK_NAME = ".lock"
LOCK_TIMEOUT_S = 60.0
"""Longest wait for another process that writes into the store."""
_EXCHANGE = re.compile(r"[a-z0-9_]{1,40}")
_PART = re.compile(rf"\.[0-9a-f]{{16}}{re.escape(PART_SUFFIX)}")


@dataclass(frozen=True, slots=True, order=True)
class SeriesKey:
    """The name of a stored series.

    Attributes:
        exchange: in small letters, such as ``kraken``.
        symbol: such as ``BTC/USDT``.
        timeframe: such as ``1h``.
    """

    exchange: str
    symbol: str
    timeframe: str

    def __str__(self) -> str:
        return f"{self.exchange} {self.symbol} {self.timeframe}"


@dataclass(frozen=True, slots=True)
class StoredSeries:
    """A file of the store.

    Attributes:
        path: of the file.
        bytes: its size.
        manifest: what it holds; None where it cannot be read.
        fault: why it cannot be read, a sentence; empty where it can.
    """

    path: Path
    bytes: int
    manifest: Manifest | None
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Saved:
    """What became of rows that were saved.

    Attributes:
        key: the series.
        manifest: of the series as it is stored now.
        merged: what was added and replaced.
        created: whether the series is new.
        written: whether the file was written; it is not where nothing changes.
    """

    key: SeriesKey
    manifest: Manifest
    merged: Merged
    created: bool
    written: bool


class HistoryStore:
    """Series of bars in files; one process at a time writes, and readers see complete files only.

    Args:
        home: the program's folder.
    """

    def __init__(self, home: Path) -> None:
        self.folder = home / FOLDER

    def path(self, key: SeriesKey) -> Path:
        """Return the file of a series, whether it exists or not.

        Raises:
            SettingsError: a part of the name cannot be one.
        """
        if not _EXCHANGE.fullmatch(key.exchange):
            raise SettingsError(f"exchange {quoted(key.exchange)} must be a name in small letters, such as kraken")
        folder = self.folder / exchange_name(key.exchange) / symbol_name(key.symbol)
        return folder / f"{timeframe_name(key.timeframe)}{SUFFIX}"

    def files(self) -> Iterator[Path]:
        """Yield each file of a series, by name; files that this program did not name are left out."""
        yield from sorted(path for path in self.folder.glob(f"*/*/*{SUFFIX}") if not path.name.startswith("."))

    def stored(self) -> Iterator[StoredSeries]:
        """Yield each file with its manifest, also those that cannot be read."""
        for path in self.files():
            try:
                size = path.stat().st_size
                manifest = self._manifest(path)
            except DamagedFile as error:
                yield StoredSeries(path, size, None, str(error))
            except FileNotFoundError:
                continue  # it was removed meanwhile
            else:
                yield StoredSeries(path, size, manifest)

    def series(self) -> list[SeriesKey]:
        """Return the series whose manifest can be read."""
        return [key_of(one.manifest) for one in self.stored() if one.manifest is not None]

    def has(self, key: SeriesKey) -> bool:
        """Return whether the series is stored."""
        return self.path(key).is_file()

    def manifest(self, key: SeriesKey) -> Manifest:
        """Return the manifest of a series; its rows are not read.

        Raises:
            SettingsError: it is not stored.
            DamagedFile: its file cannot be used.
        """
        return self._manifest(self._existing(key))

    def read(self, key: SeriesKey) -> Candles:
        """Return the rows of a series.

        Raises:
            SettingsError: it is not stored.
            DamagedFile: its file cannot be used.
        """
        return stored_file.read(self._existing(key))[0]

    def save(
        self,
        exchange: str,
        candles: Candles | SpooledCandles,
        inputs: Sequence[Input],
        *,
        replace: bool = False,
        instrument: InstrumentValues | None = None,
    ) -> Saved:
        """Add bars to their series, or create it; nothing is written where nothing changes.

        Args:
            exchange: in small letters, such as ``kraken``.
            candles: the bars, with different begins; at least one.
            inputs: where they come from.
            replace: whether a new bar counts where it contradicts a stored one.
            instrument: values that are set; those that are None stay as they are.

        Raises:
            ContradictingRows: a stored bar differs, and ``replace`` is false; nothing was changed.
            DamagedFile: the stored file cannot be used; nothing was changed.
            PaperTradingError: the file cannot be written, or another process writes for more than a minute.
        """
        key = SeriesKey(exchange, candles.symbol, str(candles.timeframe))
        path = self.path(key)
        with self._writing():
            if before := stored_file.read_spooled(path) if path.exists() else None:
                stored, manifest_before = before
                merged = together(stored, candles, replace=replace)
                values = manifest_before.instrument.updated(instrument or NOTHING_STATED)
                all_inputs = merged_inputs(manifest_before.inputs, tuple(inputs))
                manifest = _new_manifest(key, merged.candles, all_inputs, values)
                if manifest.describes_same_rows(manifest_before):
                    return Saved(key, manifest_before, merged, created=False, written=False)
            else:
                merged = Merged(candles, added=len(candles))
                manifest = _new_manifest(key, candles, tuple(inputs), instrument or NOTHING_STATED)
            try:
                make_private_folder(path.parent)
            except OSError as error:
                raise PaperTradingError(f"cannot write {path}: {error.strerror}") from error
            self._remove_parts(path.parent)
            stored_file.write(path, _tables(merged.candles, SCHEMA.names), manifest)
        return Saved(key, manifest, merged, created=before is None, written=True)

    def remove(self, key: SeriesKey) -> None:
        """Remove a series.

        Raises:
            SettingsError: it is not stored.
            PaperTradingError: its file cannot be removed.
        """
        self.remove_file(self._existing(key))

    def remove_file(self, path: Path) -> None:
        """Remove a file of the store, also one that cannot be read, and the folders that are empty then.

        Raises:
            PaperTradingError: it cannot be removed.
        """
        with self._writing():
            try:
                self._remove_parts(path.parent)
                path.unlink(missing_ok=True)
                sync_folder(path.parent)
            except OSError as error:
                raise PaperTradingError(f"cannot remove {path}: {error.strerror}") from error
            with suppress(OSError):  # they hold other series
                path.parent.rmdir()
                path.parent.parent.rmdir()

    def unfinished(self) -> Iterator[Path]:
        """Yield the files of downloads that were interrupted, or go on; they continue with the next download."""
        yield from sorted(self.folder.glob(f"*/*/*{DOWNLOAD_SUFFIX}"))

    def left_over(self) -> Iterator[Path]:
        """Yield what an interrupted write left: it does no harm, and the next write of that symbol removes it."""
        yield from sorted(path for path in self.folder.glob(f"*/*/.*{PART_SUFFIX}") if _PART.fullmatch(path.name))

    def _writing(self) -> Any:
        return locked(self.folder / LOCK_NAME, LOCK_TIMEOUT_S, waiting_for=f"writes into {self.folder}")

    def _existing(self, key: SeriesKey) -> Path:
        path = self.path(key)
        if not path.is_file():
            raise SettingsError(f"there is no history of {key.symbol} {key.timeframe} from {key.exchange}")
        return path

    def _manifest(self, path: Path) -> Manifest:
        manifest = stored_file.read_manifest(path)
        if self.path(key_of(manifest)) != path:
            raise DamagedFile(f"{path}: it holds {key_of(manifest)}, so its name should be another one")
        return manifest

    def _remove_parts(self, folder: Path) -> None:
        for path in folder.glob(f".*{PART_SUFFIX}"):
            if _PART.fullmatch(path.name):  # nobody writes it now, as the store's lock is held
                path.unlink(missing_ok=True)


def key_of(manifest: Manifest) -> SeriesKey:
    """Return the name of the series that a manifest describes."""
    return SeriesKey(manifest.exchange, manifest.symbol, manifest.timeframe)


def _tables(candles: Candles | SpooledCandles, names: Sequence[str]) -> Iterable[Any]:
    return candles.tables(names) if isinstance(candles, SpooledCandles) else [candles.table.select(names)]


def _new_manifest(
    key: SeriesKey, candles: Candles | SpooledCandles, inputs: tuple[Input, ...], instrument: InstrumentValues
) -> Manifest:
    if isinstance(candles, SpooledCandles):
        first, last = candles.limits("begin")
        gaps = candles.gaps or counted_gaps(candles)
    else:
        limits = compute.min_max(candles.table.column("begin")).as_py()
        first, last, gaps = limits["min"], limits["max"], gaps_of(candles)
    return Manifest(
        exchange=key.exchange,
        symbol=key.symbol,
        timeframe=key.timeframe,
        rows=len(candles),
        first=first,
        last=last,
        gaps=gaps.count,
        missing_bars=gaps.bars,
        longest_gaps=gaps.longest,
        inputs=inputs,
        instrument=instrument,
        content_sha256=stored_file.content_sha256_of(len(candles), lambda names: _tables(candles, names)),
    )
