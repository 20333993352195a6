"""The price source that plays the bars of the program's own history: ``prices = history``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from domain.errors import SettingsError
from domain.types import Symbol
from market.files.file_source import FilePrices
from market.files.opening import OpenedFiles, limited
from market.files.recording import EVERYTHING, PriceSeries, Recording, TimeSpan
from market.files.series import parse_timeframe
from market.history.selection import Selection, select
from market.history.storage.manifest import Manifest
from market.history.storage.stored_file import DamagedFile
from market.history.store import HistoryStore, key_of
from market.history.timeframe import Timeframe
from market.history.wording import counted
from market.registry import SourceOptions


def open_history(store: HistoryStore, selection: Selection, part: TimeSpan = EVERYTHING) -> OpenedFiles:
    """Return series of the store as a recording.

    Args:
        store: the history.
        selection: the series that are played.
        part: what is played of them.

    Raises:
        SettingsError: a file is damaged, or nothing is in that part.
    """
    try:
        series = [PriceSeries.of_candles(store.read(key_of(manifest))) for manifest in selection.manifests]
    except DamagedFile as error:
        raise SettingsError(f"prices = history: {error}") from None
    notes = limited([_note(manifest) for manifest in selection.manifests])
    return OpenedFiles(
        str(store.folder),
        Recording(series, part),
        (*notes, *limited(selection.notes)),
        instruments={Symbol(manifest.symbol): manifest.instrument for manifest in selection.manifests},
    )


def open_stored(
    home: Path, symbols: Sequence[str] | None, exchange: str, part: TimeSpan = EVERYTHING, timeframe: str | None = None
) -> OpenedFiles:
    """Return the history under the program's folder as a recording: one series of each symbol.

    Args:
        home: the program's folder.
        symbols: those that are wanted, as people type them; None: all.
        exchange: is preferred, where a symbol is stored from several.
        part: what is wanted of them.
        timeframe: the length of the bars; None: the shortest that are stored.

    Raises:
        SettingsError: there is no such history, a file is damaged, or nothing is in that part.
    """
    store = HistoryStore(home)
    return open_history(store, select(store, symbols, exchange, parse_timeframe(timeframe)), part)


def from_options(options: SourceOptions) -> FilePrices:
    """Return the source that plays the history under ``options.home``; see `market.registry`."""
    store = HistoryStore(options.home)
    selection = select(store, options.symbols, options.exchange)
    part = TimeSpan(options.price_from or EVERYTHING.first, options.price_to or EVERYTHING.last)
    files = open_history(store, selection, part)
    return FilePrices(files, options.price_speed, options.clock, quote_currency=options.quote_currency)


def _note(manifest: Manifest) -> str:
    timeframe = Timeframe.parse(manifest.timeframe)
    gaps = f", {counted(manifest.gaps, 'gap')}" if manifest.gaps else ""
    return (
        f"{manifest.symbol}: {counted(manifest.rows, 'bar')} of {timeframe.label} from {manifest.exchange},"
        f" {manifest.first:%Y-%m-%d} to {timeframe.after(manifest.last):%Y-%m-%d}{gaps}"
    )
