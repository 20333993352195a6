"""Yahoo Finance: its own downloads, and the files that yfinance's frames become, with one header line or three."""

from __future__ import annotations

import re
from typing import NamedTuple

from market.history.dialects.reading import Kind, Reading, ReadOptions, Role, Series
from market.history.recognition.dialect import PRICES, header_columns, of_one_symbol, timeframe_of
from market.history.recognition.header import WORDS, Header, plain_name
from market.history.recognition.sample import Sample
from market.history.recognition.symbols import market_symbol

_FIELDS = {name: role for role in (*PRICES, Role.VOLUME) for name in WORDS[role]}
_PAIR = re.compile(r"\('([^']*)', '([^']*)'\)")
_HEADER_LINES = 3
"""Lines of yfinance's header: the fields and the tickers, or the other way round, and the name of the index."""


class Yahoo:
    """Date, Open, High, Low, Close, Adj Close, Volume; rows of dividends and of days without trade are ``null``."""

    name = "yahoo"

    def read(self, sample: Sample, options: ReadOptions) -> Reading | None:
        """Recognise a file by its column of adjusted closes, or of dividends and splits."""
        header = Header.of(sample)
        if not header.has(*PRICES) or header.index("adjclose", "dividends", "stocksplits") is None:
            return None
        columns, questions = header_columns(header, sample)
        notes = () if header.index("adjclose") is None else ("Close is read, and not Adj Close",)
        return of_one_symbol(self.name, Kind.BARS, columns, sample, options, notes=notes, questions=questions)


class YFinance:
    """Three header lines: the fields, the ticker of each column, and the name of the index; or tickers, then fields.

    In Parquet, a frame with two levels has names such as ``('Close', 'AAPL')``.
    """

    name = "yfinance"

    def read(self, sample: Sample, options: ReadOptions) -> Reading | None:
        """Recognise a file by the words Price and Ticker that begin the first two lines, or by names of two levels."""
        levels = _levels_of_lines(sample) or _levels_of_names(sample)
        if levels is None:
            return None
        by_ticker: dict[str, dict[Role, int]] = {}
        for index, (field, ticker) in enumerate(zip(levels.fields, levels.tickers, strict=True)):
            role = _FIELDS.get(plain_name(field))
            if role is not None and index != levels.time:
                by_ticker.setdefault(ticker, {Role.TIME: levels.time}).setdefault(role, index)
        series = [
            Series(columns, market_symbol(ticker)) for ticker, columns in by_ticker.items() if Role.CLOSE in columns
        ]
        if not series:
            return None
        questions: tuple[str, ...] = ()
        if options.symbol is not None and len(series) == 1:
            series = [Series(series[0].columns, options.symbol)]
        elif options.symbol is not None:
            questions = (f"the file holds {len(series)} symbols, so --symbol {options.symbol} cannot name them",)
        return Reading(
            self.name,
            Kind.BARS,
            tuple(series),
            timeframe_of(sample.file_name),
            header_rows=levels.header_rows,
            questions=questions,
        )


class _Levels(NamedTuple):
    """The field and the ticker of each column, the column of the time, and the rows that belong to the header."""

    fields: tuple[str, ...]
    tickers: tuple[str, ...]
    time: int
    header_rows: int


def _levels_of_lines(sample: Sample) -> _Levels | None:
    headers = sample.headers
    in_rows = max(_HEADER_LINES - len(headers), 0)
    lines = [*headers, *sample.rows[:in_rows]]
    if not headers or len(lines) < _HEADER_LINES:
        return None
    fields, tickers = lines[:2]
    if plain_name(fields[0]) == "ticker":
        fields, tickers = tickers, fields
    if [plain_name(fields[0]), plain_name(tickers[0])] != ["price", "ticker"]:
        return None
    return _Levels(fields, tickers, 0, in_rows)


def _levels_of_names(sample: Sample) -> _Levels | None:
    names = sample.headers[0] if sample.headers else ()
    pairs = [_PAIR.fullmatch(name) for name in names]
    first = tuple(name if pair is None else pair[1] for name, pair in zip(names, pairs, strict=True))
    second = tuple("" if pair is None else pair[2] for pair in pairs)
    time = next((index for index, ticker in enumerate(second) if not ticker), None)
    if time is None or sum(pair is not None for pair in pairs) < len(PRICES):
        return None
    if any(plain_name(field) in _FIELDS for field in second):
        return _Levels(second, first, time, 0)
    return _Levels(first, second, time, 0)
