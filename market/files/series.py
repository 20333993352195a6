"""What was read of each symbol: one series of prices, and its instrument."""

from __future__ import annotations

from datetime import timedelta

import numpy as np

from domain.errors import SettingsError
from domain.trading.instruments import Instrument
from domain.types import Symbol
from domain.wording import quoted
from market.files.instruments import recorded_instrument
from market.files.opening import OpenedFiles
from market.files.recording import PriceSeries
from market.history.grid import Micros
from market.history.storage.manifest import NOTHING_STATED
from market.history.timeframe import MICROSECOND, Timeframe

_MONTH = timedelta(days=28), timedelta(days=31)
"""The lengths of the months."""


def instruments_of(files: OpenedFiles, quote_currency: str | None) -> list[Instrument]:
    """Return the instruments of all symbols.

    Args:
        files: what was read.
        quote_currency: of the prices of symbols whose names do not tell it; None: it is unknown.
    """
    lowest = files.recording.lowest_prices()
    return [
        recorded_instrument(symbol, quote_currency, files.instruments.get(symbol, NOTHING_STATED), lowest.get(symbol))
        for symbol in files.recording.symbols
    ]


def parse_timeframe(text: str | None) -> Timeframe | None:
    """Return the length of bars that an option names; None where it names none.

    Raises:
        SettingsError: it is no length.
    """
    if text is None:
        return None
    try:
        return Timeframe.parse(text)
    except ValueError as error:
        raise SettingsError(f"timeframe: {error}") from None


def one_of_each_symbol(files: OpenedFiles, timeframe: str | None = None) -> list[PriceSeries]:
    """Return one series of each symbol, those without a price in the part that was read left out.

    Args:
        files: what was read.
        timeframe: the length of the bars; None: there is one series of each symbol.

    Raises:
        SettingsError: a symbol has several series, or none of that length.
    """
    wanted = parse_timeframe(timeframe)
    by_symbol: dict[Symbol, list[PriceSeries]] = {symbol: [] for symbol in files.recording.symbols}
    for series in files.recording.series:
        if len(series.moments) and (wanted is None or _has_length(series, wanted)):
            by_symbol[series.symbol].append(series)
    for symbol, several in by_symbol.items():
        if len(several) > 1:
            raise SettingsError(f"{symbol} has {len(several)} series of prices; choose one by timeframe, such as 1m")
    chosen = [several[0] for several in by_symbol.values() if several]
    if not chosen:
        raise SettingsError(f"timeframe {quoted(str(timeframe))}: {files.label} has no bars of this length")
    return chosen


def _has_length(series: PriceSeries, timeframe: Timeframe) -> bool:
    if series.begins is None:
        return False
    steps: Micros = np.diff(series.begins) if len(series.begins) > 1 else series.moments - series.begins
    values, counts = np.unique(steps, return_counts=True)
    usual = int(values[counts.argmax()]) * MICROSECOND
    if timeframe.length is not None:
        return usual == timeframe.length
    return timeframe.count * _MONTH[0] <= usual <= timeframe.count * _MONTH[1]
