"""The buffer of market data: numbered, and kept for open orders until what rests on them is committed."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Collection, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple

from domain.immutable.records import replace
from domain.market_data.folding import fold
from domain.trading.quotes import MarketData, Quote
from domain.types import Epoch, Symbol

MAX_KEPT_PIECES = 100_000
"""Pieces of market data that are kept; the oldest of more are dropped."""
MAX_WAITING_PIECES = 10_000
"""Pieces of a symbol that wait for a commit; more of them are folded into one."""
MAX_BOOK_AGE = timedelta(seconds=10)
"""Bid and ask of a trade were seen at most so long before it. Otherwise it counts by its own price, so that stops are
triggered by trades although quotes have stopped."""
NUMBERS_OF_A_PROCESS = 2**36
"""More than a process gives in two years at 1 000 a second, so numbers grow from process to process. They fit into
bigint for 134 million epochs; each restore of a backup takes a million of them."""


RESERVED_NUMBERS = 2**24
"""Numbers for data that are fetched in place of lost ones: more than a price source tells at once."""


class LostData(NamedTuple):
    """Which data of a symbol are not kept any more, although nothing that rests on them was committed.

    Attributes:
        last_no: the number of the last of them.
        fetched_from: the lowest number that was given to data fetched in their place; 0 where none were.
        fetched_to: the highest one.
    """

    last_no: int
    fetched_from: int = 0
    fetched_to: int = 0

    def concern(self, since: int) -> bool:
        """Return whether they may concern an order that sees data after this number.

        One that fetched data have made may stand before others of these that were not settled.
        """
        return since < self.last_no or self.fetched_from <= since <= self.fetched_to


def first_number(epoch: Epoch) -> int:
    """Return the number below that of any market data that a process receives."""
    return epoch * NUMBERS_OF_A_PROCESS


@dataclass(frozen=True, slots=True)
class BufferLimits:
    """The most that a `MarketDataBuffer` keeps.

    Attributes:
        kept: see `MAX_KEPT_PIECES`.
        waiting: see `MAX_WAITING_PIECES`.
    """

    kept: int = MAX_KEPT_PIECES
    waiting: int = MAX_WAITING_PIECES


USUAL_LIMITS = BufferLimits()


class MarketDataBuffer:
    """Numbers market data, and keeps those of watched symbols. It outlives restarts of the PriceTracker.

    Args:
        epoch: of the process.
        limits: the most that it keeps.

    Attributes:
        watched: the symbols with open orders; read by the price source's threads, too, and replaced as a whole.
        dropped: pieces that were dropped because too many were kept.
    """

    def __init__(self, epoch: Epoch, limits: BufferLimits = USUAL_LIMITS) -> None:
        self.watched: frozenset[Symbol] = frozenset()
        self.dropped = 0
        self._limits = limits
        self._last_number = first_number(epoch)
        self._kept: deque[MarketData] = deque()
        self._waiting: Counter[Symbol] = Counter()
        self._newest: dict[Symbol, MarketData] = {}
        self._books: dict[Symbol, Quote] = {}  # the last quote of each symbol that was no trade
        self._last_kept: dict[Symbol, int] = {}
        self._released: dict[Symbol, int] = {}
        self._lost: dict[Symbol, LostData] = {}
        self._leaving: frozenset[Symbol] = frozenset()
        # The quotes of the last call, each with its numbered one.
        self._last_batch: list[tuple[Quote, Quote]] = []

    @property
    def last_number(self) -> int:
        """The number of the newest piece."""
        return self._last_number

    def number(self, quotes: Sequence[Quote]) -> list[Quote]:
        """Return quotes with the next numbers; those of watched symbols are kept.

        A message that is handled again after a crash has the same quotes: they keep the numbers that they got, so that
        none of them counts twice.
        """
        before = {id(quote): numbered for quote, numbered in self._last_batch}
        numbered = [before.get(id(quote)) or self._numbered(quote) for quote in quotes]
        self._last_batch = list(zip(quotes, numbered, strict=True))
        return numbered

    def _numbered(self, quote: Quote) -> Quote:
        self._last_number += 1
        numbered = replace(quote, data_no=self._last_number)
        if not quote.is_trade:
            if quote.no_buy is None:  # else trades near the last price do not belong to it
                self._books[quote.symbol] = quote
        elif (book := self._books.get(quote.symbol)) is not None and quote.seen.since(book.seen) <= MAX_BOOK_AGE:
            # With the bid and ask that are known now: a stop that it triggers is filled no better.
            numbered = replace(numbered, bid=book.bid, ask=book.ask)
        data = self._newest[quote.symbol] = numbered.market_data
        if quote.symbol in self.watched:
            self._keep(data)
        return numbered

    def _keep(self, data: MarketData) -> None:
        if data.data_no <= self._last_kept.get(data.symbol, 0):
            return
        self._last_kept[data.symbol] = data.data_no
        self._kept.append(data)
        self._waiting[data.symbol] += 1
        if self._waiting[data.symbol] > self._limits.waiting:
            self._fold(data.symbol)
        if len(self._kept) > self._limits.kept:
            self._lose(self._drop_first())

    def _lose(self, piece: MarketData) -> None:
        self.dropped += 1
        if piece.data_no > self._released.get(piece.symbol, 0):
            before = self._lost.get(piece.symbol) or LostData(0)
            self._lost[piece.symbol] = before._replace(last_no=piece.data_no)

    def lost(self, symbols: Iterable[Symbol]) -> dict[Symbol, LostData]:
        """Return what was dropped of some symbols and is not committed."""
        return {
            symbol: lost
            for symbol in symbols
            if (lost := self._lost.get(symbol)) is not None and lost.last_no > self._released.get(symbol, 0)
        }

    def numbers_for_fetched(self, symbols: Collection[Symbol]) -> tuple[int, int]:
        """Return the first number for data that are fetched now, and the number of the last data before any later ones.

        The first number is 0 where nothing was lost: what no process has seen is numbered below what this one receives.
        """
        if not (lost := self.lost(symbols)):
            return 0, self._last_number
        first_no = self._last_number + 1
        self._last_number += RESERVED_NUMBERS
        for symbol, one in lost.items():
            fetched_from = one.fetched_from or first_no
            self._lost[symbol] = one._replace(fetched_from=fetched_from, fetched_to=self._last_number)
        return first_no, self._last_number

    def _fold(self, symbol: Symbol) -> None:
        """Fold what waits of a symbol into one piece; what is committed of it does not wait."""
        released = self._released.get(symbol, 0)
        pieces = [piece for piece in self._kept if piece.symbol == symbol and piece.data_no > released]
        if len(pieces) > self._limits.waiting:
            pieces = [fold(pieces)]
        self._keep_all([*(piece for piece in self._kept if piece.symbol != symbol), *pieces])

    def _keep_all(self, pieces: Iterable[MarketData]) -> None:
        self._kept = deque(sorted(pieces, key=lambda piece: piece.data_no))
        self._waiting = Counter(piece.symbol for piece in self._kept)

    def _drop_first(self) -> MarketData:
        first = self._kept.popleft()
        self._waiting[first.symbol] -= 1
        return first

    def watch(self, numbers: Mapping[Symbol, int], *, begins: bool) -> None:
        """Watch these symbols; of each, data after its number are kept from now on.

        Data of a symbol that was not watched were not kept; its newest is known all the same, and kept if it counts.

        Args:
            numbers: the symbols with open orders.
            begins: a generation begins: no other symbols are watched. Else those that have no open order any more are
                watched until the end of their orders is committed: should it fail, their data are needed again.
        """
        self._leaving = frozenset() if begins else (self.watched - numbers.keys())
        self.watched = frozenset(numbers) | self._leaving
        for symbol, number in numbers.items():
            newest = self._newest.get(symbol)
            if newest is not None and newest.data_no > max(number, self._released.get(symbol, 0)):
                self._keep(newest)

    def since(self, numbers: Mapping[Symbol, int], symbols: Collection[Symbol]) -> list[MarketData]:
        """Return the kept pieces of some symbols, each after the number of its symbol, in their order.

        It reads no further back than to the first piece of these symbols; of new ones that is among the last.
        """
        left = sum(self._waiting[symbol] for symbol in symbols)
        newest, pieces = reversed(self._kept), []
        while left:
            piece = next(newest)
            if piece.symbol in symbols:
                left -= 1
                if piece.data_no > numbers[piece.symbol]:
                    pieces.append(piece)
        return sorted(pieces, key=lambda piece: piece.data_no)

    def keep_only(self, pieces: Iterable[MarketData]) -> None:
        """Drop all kept pieces but these: a generation begins that needs no others."""
        self._keep_all(pieces)

    def release(self, numbers: Mapping[Symbol, int], watched: Set[Symbol]) -> None:
        """Drop what was kept of each symbol up to its number; watch no longer those that have no open order."""
        left = self._leaving - watched
        self.watched, self._leaving = self.watched - left, self._leaving - left
        for symbol, number in numbers.items():
            self._released[symbol] = max(number, self._released.get(symbol, 0))
        while self._kept and self._kept[0].data_no <= self._released.get(self._kept[0].symbol, 0):
            self._drop_first()

    def __len__(self) -> int:
        return len(self._kept)
