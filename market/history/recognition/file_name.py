"""What a file's name says: symbol, timeframe, the kind of its data."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from domain.currencies import DECIMALS, OTHER_BASES, split_name
from domain.types import Symbol
from market.history.recognition.symbols import market_symbol

_SUFFIXES = re.compile(r"(\.(csv|txt|tsv|json|feather|parquet|pq|zip|gz|gzip|arrow|prn))+$", re.IGNORECASE)
_KRAKEN_KEY = re.compile(r"^X([A-Z]{3})Z([A-Z]{3})$")
_COPY = re.compile(r" ?\(\d+\)$")
_UNIT = "mo|min|mins|minute|minutes|hour|hours|day|days|week|weeks|[smhdwSHDWM]"
_PERIOD = rf"(?P<length>[1-9]\d{{0,4}}) ?(?P<unit>{_UNIT})"
_DATES = r"(?:[-_]\d{4}(?:[-_]?\d{2}){0,2}){0,2}"
_MINUTES = r"(?P<minutes>1|3|5|10|15|30|45|60|120|180|240|360|480|720|1440|10080|21600)"
_PAIR = r"(?P<base>[A-Z0-9]+)_(?P<quote>[A-Z][A-Z0-9]*)(?:_(?P<settle>[A-Z][A-Z0-9]*))?"
_CANDLES = r"(?P<data>futures|mark|index|premiumIndex|funding_rate|trades)"
_TEXT = r"(?P<text>\^?[A-Z0-9][A-Z0-9.=&^]*(?:[-_][A-Z][A-Z0-9]*)*)"
_TERMINAL_PERIOD = r"(?P<terminal>M[1-9]\d?|H[1-9]\d?|D1|W1|MN1?|Daily|Weekly|Monthly)"
_CHART_PERIOD = r"(?:(?P<minutes>[1-9]\d{0,4})|(?P<length>[1-9]\d*)?(?P<unit>[SDWMH]))"
_PAIR_ONLY = "pair"
"""Marks a pattern that counts only where it finds a pair of known currencies: EUR-USD-quotes, but not TV-export."""
_SMALL_PERIOD = r"(?:(?P<small>[mhdw])(?P<length>[1-9]\d*)|(?P<length_first>[1-9]\d{0,3})(?P<unit_first>[mhdw]))"
_PATTERNS = tuple(
    (source, re.compile(pattern, re.ASCII))
    for source, pattern in (
        ("tradingview", rf"(?:(?P<venue>[A-Z0-9]+)_)?(?P<text>[^,]+), {_CHART_PERIOD}(?:_\w+)?"),
        ("histdata", r"DAT_(?:ASCII|MT|NT|XLSX)_(?P<text>[A-Z0-9]+)_(?P<terminal>M1|T)(?:_[A-Z]+)?_\d{4,6}"),
        # freqtrade writes the separators of a pair as _: BTC_USDT-1h, BTC_USDT_USDT-1h-futures.
        ("freqtrade", rf"{_PAIR}(?:-{_PERIOD})?-{_CANDLES}"),
        ("freqtrade", rf"{_PAIR}-{_PERIOD}{_DATES}"),
        ("binance", rf"(?P<text>[A-Z0-9]+(?:_[A-Z0-9]+)?)-(?P<data>trades|aggTrades){_DATES}"),
        ("cryptodatadownload", r"(?P<venue>[A-Za-z]+)_(?P<text>[A-Z0-9]{5,})(?:_\d{4})?_(?P<letter>d|minute|hour)"),
        ("metatrader", rf"(?P<text>[A-Za-z0-9.#]*[A-Z0-9])[-_]{_TERMINAL_PERIOD}(?:_\d{{8,12}}_\d{{8,12}})?"),
        ("metatrader", r"(?P<text>[A-Z0-9.#]+)_\d{8,12}_\d{8,12}"),
        ("kraken", rf"(?P<text>[A-Z0-9.]+)_{_MINUTES}"),
        (
            "dukascopy",
            r"(?P<text>[A-Z0-9.]+)_Candlestick_(?P<length>\d+)_(?P<candle>S|M|Hour|D|Week|Month)_(?:BID|ASK)_.*",
        ),
        ("coingecko", r"(?P<base>[a-z0-9]+)-(?P<quote>[a-z]{3,4})-max"),
        # Bitfinex's tBTCUSD means trading.
        ("", rf"(?:(?P<venue>[A-Za-z]+)_)?t?{_TEXT}[-_ ]{_PERIOD}{_DATES}(?:[-_ ][a-z]\w*)*"),
        (_PAIR_ONLY, rf"(?P<text>[A-Z]{{6}}){_MINUTES}"),  # MetaTrader 4: EURUSD60
        ("", rf"t?{_TEXT}{_DATES}"),
        (_PAIR_ONLY, rf"{_TEXT}(?:[-_ ][a-z]\w*)+"),
        # dukascopy-node: eurusd-m1-bid-2019-01-01-2019-02-01
        (_PAIR_ONLY, rf"(?P<text>[a-z]{{5,10}})(?:[-_ ]{_SMALL_PERIOD})?(?:[-_ ].*)?"),
    )
)
_UNITS = {"mo": "M", "minute": "m", "hour": "h", "day": "d", "week": "w", "min": "m"}
_TERMINAL = {"M": "m", "H": "h", "D": "d", "W": "w"}
_TERMINAL_WORDS = {"Daily": "1d", "Weekly": "1w", "Monthly": "1M", "MN": "1M", "MN1": "1M", "T": None}
_CANDLE_UNITS = {"S": "s", "M": "m", "Hour": "h", "D": "d", "Week": "w", "Month": "M"}
_LETTERS = {"d": "1d", "minute": "1m", "hour": "1h"}
_NO_SYMBOLS = frozenset({
    "ALL", "BARS", "CANDLES", "CHART", "CLOSE", "DATA", "DAILY", "EXPORT", "FILE", "FUTURES", "HISTORY", "HOURLY",
    "INPUT", "KLINES", "MARKET", "OHLC", "OHLCV", "OUTPUT", "PRICE", "PRICES", "QUOTES", "SAMPLE", "SAMPLES", "SPOT",
    "STOCK", "STOCKS", "SYMBOLS", "TABLE", "TEST", "TICKS", "TRADES", "UNTITLED",
})  # fmt: skip
"""Words that name a file's content and not a symbol."""


@dataclass(frozen=True, slots=True)
class FileName:
    """What a file's name says.

    Attributes:
        source: the dialect whose names have this form; empty: any.
        text: the symbol as it is written there; empty: none.
        symbol: the symbol in the program's spelling.
        timeframe: the length of bars, such as 1h.
        data: the kind of the data, where the name says it: ``trades``, ``futures``.
    """

    source: str = ""
    text: str = ""
    symbol: Symbol | None = None
    timeframe: str | None = None
    data: str = ""

    @classmethod
    def parse(cls, name: str) -> FileName:
        """Return what a name says.

        >>> FileName.parse("BTCUSDT-1h-2018-02.zip").timeframe
        '1h'
        """
        stem = _COPY.sub("", _SUFFIXES.sub("", PurePosixPath(name).name))
        for source, pattern in _PATTERNS:
            if match := pattern.fullmatch(stem):
                groups = {key: text for key, text in match.groupdict().items() if text}
                if source != _PAIR_ONLY or _is_pair(groups["text"]):
                    return _named(source.removeprefix(_PAIR_ONLY), groups)
        return cls()

    @classmethod
    def of_key(cls, key: str) -> FileName:
        """Return what the key of a list within a JSON object says.

        >>> FileName.of_key("bars.AAPL").symbol, FileName.of_key("result.XXBTZUSD").symbol
        ('AAPL', 'BTC/USD')
        """
        stem, parsed = _SUFFIXES.sub("", key), cls()
        while stem and parsed.symbol is None:
            _, _, stem = stem.partition(".")
            parsed = cls.parse(_KRAKEN_KEY.sub(r"\1\2", stem))
        return parsed


def _named(source: str, groups: dict[str, str]) -> FileName:
    data = groups.get("data", "")
    timeframe = _timeframe(groups)
    if "base" in groups:
        settle = f":{groups['settle']}" if "settle" in groups else ""
        text = f"{groups['base']}/{groups['quote']}{settle}".upper()
        return FileName(source, text, Symbol(text), timeframe, data)
    text = groups["text"]
    if text in _NO_SYMBOLS or text.isdigit():
        return FileName(source, timeframe=timeframe, data=data)
    return FileName(source, text, market_symbol(text), timeframe, data)


def _is_pair(text: str) -> bool:
    """Return whether a text is a pair of two currencies that are known."""
    pair = split_name(text)
    return pair is not None and (pair.base in DECIMALS or pair.base in OTHER_BASES)


def _timeframe(groups: dict[str, str]) -> str | None:
    terminal = groups.get("terminal", "")
    timeframe: str | None = None
    if "minutes" in groups:
        timeframe = minutes_text(int(groups["minutes"]))
    elif "letter" in groups:
        timeframe = _LETTERS[groups["letter"]]
    elif terminal in _TERMINAL_WORDS:
        timeframe = _TERMINAL_WORDS[terminal]
    elif terminal:
        letters = terminal.rstrip("0123456789")
        timeframe = terminal[len(letters) :] + _TERMINAL[letters]
    elif "small" in groups:
        timeframe = groups["length"] + groups["small"]
    elif "unit_first" in groups:
        timeframe = groups["length_first"] + groups["unit_first"]
    elif "candle" in groups:
        timeframe = groups["length"] + _CANDLE_UNITS[groups["candle"]]
    elif "unit" in groups:
        unit = groups["unit"].rstrip("s") if len(groups["unit"]) > 1 else groups["unit"]
        timeframe = groups.get("length", "1") + _UNITS.get(unit, unit if unit == "M" else unit.lower())
    return timeframe


def minutes_text(minutes: int) -> str:
    """Return a number of minutes as a timeframe.

    >>> minutes_text(240)
    '4h'
    """
    for unit, length in (("w", 10_080), ("d", 1_440), ("h", 60)):
        if minutes % length == 0:
            return f"{minutes // length}{unit}"
    return f"{minutes}m"
