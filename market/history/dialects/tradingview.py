"""TradingView's exported charts: ``BINANCE_BTCUSDT, 60.csv``, with the chart's indicators beside the bars."""

from __future__ import annotations

from market.history.dialects.reading import Kind, Reading, ReadOptions
from market.history.recognition.dialect import PRICES, header_columns, of_one_symbol
from market.history.recognition.header import Header
from market.history.recognition.sample import Sample

_BEGIN = ("time", "open", "high", "low", "close")


class TradingView:
    """time, open, high, low, close, and what else the chart shows; time is Unix seconds or ISO with an offset."""

    name = "tradingview"

    def read(self, sample: Sample, options: ReadOptions) -> Reading | None:
        """Recognise a file by its first five columns and its name, or an average of the volume."""
        if sample.names is None or sample.names[:5] != _BEGIN:
            return None
        named = self.name in (sample.file_name.source, options.dialect)
        if not named and "volume ma" not in sample.names:
            return None
        header = Header.of(sample)
        columns, questions = header_columns(header, sample)
        # Indicators may bear any name; only the columns of a bar count.
        columns = {role: index for role, index in columns.items() if index < len(_BEGIN) or role == "volume"}
        questions = tuple(question for question in questions if "twice" not in question)
        assert header.has(*PRICES)
        return of_one_symbol(self.name, Kind.BARS, columns, sample, options, questions=questions)
