"""Candles as exchanges answer them, rows of six numbers without header: freqtrade's JSON, and Bitfinex's."""

from __future__ import annotations

from market.history.dialects.reading import Kind, Reading, ReadOptions, Role
from market.history.recognition.dialect import PRICES, column_names, of_one_symbol, positions
from market.history.recognition.sample import Sample

_FREQTRADE_NAMES = ("date", "open", "high", "low", "close", "volume")
_IN_ORDER = positions(Role.TIME, *PRICES, Role.VOLUME)
_CLOSE_SECOND = positions(Role.TIME, Role.OPEN, Role.CLOSE, Role.HIGH, Role.LOW, Role.VOLUME)
_WIDTH = 6
_NOT_PRICES = ("funding_rate", "premiumIndex")


class Freqtrade:
    """date, open, high, low, close, volume: with names in feather and Parquet, without in JSON."""

    name = "freqtrade"

    def read(self, sample: Sample, options: ReadOptions) -> Reading | None:
        """Recognise a file by the order of its columns and its name, such as BTC_USDT-1h.feather."""
        file_name = sample.file_name
        named = self.name in (file_name.source, options.dialect)
        if sample.names is None:
            if not _are_candles(sample) or not sample.is_ohlc(1, 2, 3, 4):
                return None
            if not named and sample.is_ohlc(1, 3, 4, 2):
                return None  # Bitfinex asks
        elif not named or column_names(sample) != _FREQTRADE_NAMES:
            return self._trades(sample, options) if named else None
        questions: tuple[str, ...] = ()
        if file_name.data in _NOT_PRICES:
            questions = (f"its name says that it holds {file_name.data.replace('_', ' ')}, which are no prices",)
        notes = ("these are mark prices, at which nothing is traded",) if file_name.data in {"mark", "index"} else ()
        return of_one_symbol(self.name, Kind.BARS, _IN_ORDER, sample, options, notes=notes, questions=questions)

    def _trades(self, sample: Sample, options: ReadOptions) -> Reading | None:
        names = column_names(sample)
        if sample.file_name.data != "trades" or not {"timestamp", "price", "amount"} <= set(names):
            return None
        columns = {
            Role.TIME: names.index("timestamp"), Role.PRICE: names.index("price"), Role.VOLUME: names.index("amount")
        }  # fmt: skip
        return of_one_symbol(self.name, Kind.TICKS, columns, sample, options)


class Bitfinex:
    """Unix milliseconds, open, close, high, low, volume: the close comes second."""

    name = "bitfinex"

    def read(self, sample: Sample, options: ReadOptions) -> Reading | None:
        """Recognise a file by prices that are possible in this order alone, or by a header in this order."""
        if sample.names is not None:
            names = column_names(sample)
            if names[:1] != ("mts",) or not {"open", "close", "high", "low"} <= set(names):
                return None
            columns = {role: names.index(role.value) for role in (*PRICES, Role.VOLUME) if role.value in names}
            return of_one_symbol(self.name, Kind.BARS, {Role.TIME: 0, **columns}, sample, options)
        if not _are_candles(sample) or not sample.is_ohlc(1, 3, 4, 2):
            return None
        questions: tuple[str, ...] = ()
        if options.dialect is None and sample.is_ohlc(1, 2, 3, 4):
            questions = (
                (
                    "the file has no header, and its columns may be open, high, low, close or open, close, high, low:"
                    " say which with --as freqtrade or --as bitfinex"
                ),
            )
        return of_one_symbol(self.name, Kind.BARS, _CLOSE_SECOND, sample, options, questions=questions)


def _are_candles(sample: Sample) -> bool:
    return (
        sample.width == _WIDTH
        and sample.is_unix(0)
        and not sample.is_unix(0, seconds=True)
        and (sample.are_numbers(1, 5))
    )
