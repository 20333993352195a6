"""The buffer of market data: numbered, and kept for open orders until what rests on them is committed."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import replace

from domain.trading.quotes import Quote
from domain.types import Epoch, Symbol

MAX_KEPT = 100_000
"""Pieces of market data that are kept; the oldest of more are dropped."""
NUMBERS_OF_A_PROCESS = 2**40
"""More than a process can give in 30 years at 1 000 a second; so numbers grow from process to process."""


class MarketDataBuffer:
    """Numbers market data, and keeps those of watched symbols. It outlives restarts of the PriceTracker.

    Args:
        epoch: of the process.

    Attributes:
        watched: the symbols with open orders; read by the price source's threads, too, and replaced as a whole.
        dropped: pieces that were dropped because too many were kept.
    """

    def __init__(self, epoch: Epoch) -> None:
        self.watched: frozenset[Symbol] = frozenset()
        self.dropped = 0
        self._last_number = epoch * NUMBERS_OF_A_PROCESS
        self._kept: deque[Quote] = deque()

    def number(self, quote: Quote) -> Quote:
        """Return a quote with the next number; it is kept if its symbol is watched."""
        self._last_number += 1
        numbered = replace(quote, data_no=self._last_number)
        if quote.symbol in self.watched:
            self.keep(numbered)
        return numbered

    def keep(self, quote: Quote) -> None:
        """Keep a numbered quote."""
        self._kept.append(quote)
        if len(self._kept) > MAX_KEPT:
            self._kept.popleft()
            self.dropped += 1

    def watch(self, symbols: Collection[Symbol]) -> frozenset[Symbol]:
        """Watch these symbols and no others; return those that were not watched before."""
        before, self.watched = self.watched, frozenset(symbols)
        return self.watched - before

    def since(self, numbers: Mapping[Symbol, int]) -> list[Quote]:
        """Return the quotes that were kept after these numbers, each symbol having its own, in their order."""
        kept = [quote for quote in self._kept if quote.data_no > numbers.get(quote.symbol, quote.data_no)]
        return sorted(kept, key=lambda quote: quote.data_no)

    def release(self, data_no: int) -> None:
        """Drop what was kept up to this number."""
        while self._kept and self._kept[0].data_no <= data_no:
            self._kept.popleft()

    def __len__(self) -> int:
        return len(self._kept)
