"""Yahoo Finance: its own downloads, and the files that yfinance's frames become, with one header line or three."""

from __future__ import annotations

from domain.types import Symbol
from market.history.dialects.reading import Kind, Reading, ReadOptions, Role, Series
from market.history.recognition.dialect import PRICES, header_columns, of_one_symbol, timeframe_of
from market.history.recognition.header import WORDS, Header, plain_name
from market.history.recognition.sample import Sample
from market.history.recognition.symbols import market_symbol

_FIELDS = {name: role for role in (*PRICES, Role.VOLUME) for name in WORDS[role]}
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
    """Three header lines: the fields, the ticker of each column, and the name of the index; or tickers, then fields."""

    name = "yfinance"

    def read(self, sample: Sample, options: ReadOptions) -> Reading | None:
        """Recognise a file by the words Price and Ticker that begin the first two lines."""
        headers = sample.headers
        # In Parquet, the second line of the header is a row.
        in_rows = _HEADER_LINES - len(headers)
        lines = [*headers, *sample.rows[:in_rows]]
        if not headers or len(lines) < _HEADER_LINES:
            return None
        fields, tickers = lines[:2]
        if plain_name(fields[0]) == "ticker":
            fields, tickers = tickers, fields
        if [plain_name(fields[0]), plain_name(tickers[0])] != ["price", "ticker"]:
            return None
        by_ticker: dict[str, dict[Role, int]] = {}
        for index in range(1, sample.width):
            if role := _FIELDS.get(plain_name(fields[index])):
                by_ticker.setdefault(tickers[index], {Role.TIME: 0}).setdefault(role, index)
        series = [
            Series(columns, market_symbol(ticker)) for ticker, columns in by_ticker.items() if Role.CLOSE in columns
        ]
        if not series:
            return None
        questions: tuple[str, ...] = ()
        if options.symbol is not None and len(series) == 1:
            series = [Series(series[0].columns, Symbol(options.symbol))]
        elif options.symbol is not None:
            questions = (f"the file holds {len(series)} symbols, so --symbol {options.symbol} cannot name them",)
        return Reading(
            self.name,
            Kind.BARS,
            tuple(series),
            timeframe_of(sample.file_name),
            header_rows=in_rows,
            questions=questions,
        )
