"""The prices of a backtest, from the program's own history or from files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from domain.errors import SettingsError
from domain.trading.instruments import Instrument, InstrumentCatalog
from domain.wording import counted, did_you_mean, quoted
from market.files.history_source import open_stored
from market.files.opening import OpenedFiles, open_files
from market.files.recording import EVERYTHING, TimeSpan
from market.files.series import instruments_of, one_of_each_symbol
from research.backtest.pieces import Market
from research.columns.bar_columns import BarColumns, time_of


@dataclass(frozen=True, slots=True)
class MarketRequest:
    """Which prices are wanted.

    Attributes:
        files: paths or patterns; empty: the history.
        home: the program's folder, where the history is.
        symbols: as people type them; None: all.
        timeframe: the length of the bars, such as 1h; None: of the history the shortest.
        exchange: is preferred, where the history has a symbol from several.
        until: prices that are known later are left out; None: none is.
        now: bars that end later are left out.
        quote_currency: of symbols whose names do not tell it; None: it is unknown.
    """

    files: Sequence[str]
    home: Path
    now: datetime
    symbols: Sequence[str] | None = None
    timeframe: str | None = None
    exchange: str = ""
    until: datetime | None = None
    quote_currency: str | None = None


@dataclass(frozen=True, slots=True)
class OpenedMarket:
    """Prices that were read.

    Attributes:
        market: the prices.
        notes: what was read, and its gaps; sentences.
    """

    market: Market
    notes: tuple[str, ...]


def open_market(request: MarketRequest) -> OpenedMarket:
    """Return the prices that are wanted.

    Raises:
        SettingsError: there are none, a file is malformed, or a symbol is not in it.
    """
    part = EVERYTHING if request.until is None else TimeSpan(EVERYTHING.first, request.until)
    columns: list[BarColumns] = []
    instruments: list[Instrument] = []
    notes: list[str] = []
    opened = [open_files(name, request.now, part) for name in request.files] or [
        open_stored(request.home, request.symbols, request.exchange, part, request.timeframe)
    ]
    for files in opened:
        new = _columns(files, request)
        if twice := {one.symbol for one in columns} & {one.symbol for one in new}:
            raise SettingsError(f"{', '.join(sorted(twice))} is in several files; name them by one pattern")
        columns += new
        catalog = InstrumentCatalog(instruments_of(files, request.quote_currency))
        instruments += [catalog.instruments[one.symbol] for one in new]
        notes += [*files.warnings, *files.notes]
    if request.files and request.symbols is not None:
        columns, instruments = _chosen(columns, instruments, request.symbols)
    return OpenedMarket(Market.of(columns, instruments), (*notes, *_gaps(columns)))


def _columns(files: OpenedFiles, request: MarketRequest) -> list[BarColumns]:
    timeframe = request.timeframe if request.files else None
    return [BarColumns.of(series) for series in one_of_each_symbol(files, timeframe)]


def _chosen(
    columns: Sequence[BarColumns], instruments: Sequence[Instrument], symbols: Sequence[str]
) -> tuple[list[BarColumns], list[Instrument]]:
    catalog, by_symbol = InstrumentCatalog(instruments), {one.symbol: one for one in columns}
    chosen: dict[str, Instrument] = {}
    for typed in symbols:
        instrument = catalog.resolve(typed)
        if not isinstance(instrument, Instrument):
            hint = did_you_mean(typed, list(by_symbol)) or f"; there are {', '.join(sorted(by_symbol))}"
            raise SettingsError(f"symbols: {quoted(typed)} is not among the prices{hint}")
        chosen[instrument.symbol] = instrument
    return [by_symbol[instrument.symbol] for instrument in chosen.values()], list(chosen.values())


def _gaps(columns: Sequence[BarColumns]) -> Iterator[str]:
    for one in columns:
        number, missing = one.gaps()
        if number:
            first = time_of(int(one.time[:-1][one.begin[1:] - one.time[:-1] >= one.usual_length][0]))
            yield (
                f"{one.symbol}: {counted(number, 'gap')} with {counted(missing, 'bar')} missing, the first after"
                f" {first:%Y-%m-%d %H:%M} UTC; a decision in a gap waits for the next price"
            )
