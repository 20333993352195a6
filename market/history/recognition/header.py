"""Columns by their names: the words that vendors use in headers, and the roles that they mean."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from market.history.dialects.reading import Role
from market.history.recognition.sample import Sample

_NO_LETTERS = re.compile(r"[^a-z0-9]+")
TIMES = (
    "time", "timestamp", "datetime", "dateandtime", "opentime", "timeopen", "unix", "unixtime", "unixtimestamp",
    "epoch", "mts", "snappedat", "windowstart", "gmttime", "utctime", "timeutc", "dateutc", "datetimeutc", "localtime",
    "starttime", "begin", "beginning", "startat", "bartime", "timestampms", "tradedate", "day", "t", "ts",
)  # fmt: skip
"""Names of the time of a row, the best first."""
DATES = ("date", "day", "yyyymmdd", "tradedate", "dateyyyymmdd")
UNNAMED = ("", "unnamed0", "indexlevel0", "index", "level0")
"""Names that pandas gives to an index without a name."""
WORDS: Mapping[Role, tuple[str, ...]] = {
    Role.END: ("closetime", "timeclose", "endtime"),
    Role.SYMBOL: ("symbol", "ticker", "instrument", "pair", "tic", "s", "name"),
    Role.TIMEFRAME: ("timeframe",),
    Role.OPEN: ("open", "openprice", "priceopen", "openingprice", "o"),
    Role.HIGH: ("high", "highprice", "pricehigh", "h"),
    Role.LOW: ("low", "lowprice", "pricelow", "l"),
    Role.CLOSE: ("close", "closeprice", "priceclose", "closelast", "closingprice", "c"),
    Role.VOLUME: ("volume", "vol", "v", "basevolume", "volumebase", "volbase", "tradedvolume"),
    Role.PRICE: ("price", "last", "lastprice", "p"),
    Role.BID: ("bid", "bidprice", "bestbid", "bestbidprice"),
    Role.ASK: ("ask", "askprice", "bestask", "bestaskprice", "offer"),
    Role.BID_SIZE: ("bidsize", "bidqty", "bestbidqty", "bestbidsize", "bidvolume"),
    Role.ASK_SIZE: ("asksize", "askqty", "bestaskqty", "bestasksize", "askvolume"),
}
_WORDS_OF_A_HEADER = frozenset((*TIMES, *DATES, *(name for names in WORDS.values() for name in names)))


def plain_name(name: str) -> str:
    """Return a column's name without case, spaces and punctuation.

    >>> plain_name("<Adj Close>")
    'adjclose'
    """
    return _NO_LETTERS.sub("", name.lower())


@dataclass(frozen=True, slots=True)
class Header:
    """The columns of a header by their roles.

    Attributes:
        columns: the index of each role's column; the time of a row is not among them.
        times: the columns that may be the time, the best first.
        names: the plain names of all columns.
        twice: names in the header that are there twice and have a role.
    """

    columns: Mapping[Role, int]
    times: tuple[int, ...]
    names: tuple[str, ...]
    twice: tuple[str, ...]

    @classmethod
    def of(cls, sample: Sample) -> Header:
        """Give the columns of a header their roles."""
        names = tuple(plain_name(name) for name in sample.names or ())
        columns: dict[Role, int] = {}
        twice: list[str] = []
        for role, spellings in WORDS.items():
            for spelling in spellings:
                if spelling in names and (role is not Role.SYMBOL or _is_symbol_column(sample, names.index(spelling))):
                    columns[role] = names.index(spelling)
                    if names.count(spelling) > 1:
                        twice.append(spelling)
                    break
        if Role.CLOSE in columns and Role.PRICE in columns and names[columns[Role.PRICE]] != "price":
            del columns[Role.PRICE]  # beside the close, Last is the last trade of the day
        times = [names.index(name) for name in dict.fromkeys((*TIMES, *DATES)) if name in names]
        twice += [names[index] for index in times if names.count(names[index]) > 1]
        if not times:
            times = [
                index
                for index, name in enumerate(names)
                if name in UNNAMED and (sample.is_unix(index) or sample.is_dated(index))
            ][:1]
        return cls(columns, tuple(times), names, tuple(dict.fromkeys(twice)))

    def has(self, *roles: Role) -> bool:
        """Return whether there is a column for each role."""
        return all(role in self.columns for role in roles)

    def index(self, *names: str) -> int | None:
        """Return the first column with one of these plain names."""
        return next((self.names.index(name) for name in names if name in self.names), None)


def _is_symbol_column(sample: Sample, index: int) -> bool:
    """Return whether a column may hold symbols; one such as ``name`` may hold numbers."""
    name = plain_name((sample.names or ())[index])
    if name in {"symbol", "ticker"}:
        return True
    cells = sample.column(index)
    return bool(cells) and not any(cell.replace(".", "").isdigit() for cell in cells)


def looks_like_header(names: tuple[str, ...]) -> bool:
    """Return whether any of these names is one that headers use."""
    return any(plain_name(name) in _WORDS_OF_A_HEADER for name in names)
