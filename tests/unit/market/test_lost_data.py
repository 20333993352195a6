"""What a buffer could not keep until it was committed: which orders it concerns, and the numbers of what is fetched."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

from domain.market_data.buffer import RESERVED_NUMBERS, BufferLimits, LostData, MarketDataBuffer
from domain.types import Epoch, Symbol
from tests.support.values.builders import BTC, ETH, quote

SYMBOL, OTHER = Symbol(BTC), Symbol(ETH)


def overflowing() -> MarketDataBuffer:
    """Return a buffer that has received five pieces and dropped the first two: 1 of the one symbol, 2 of the other."""
    buffer = MarketDataBuffer(Epoch(0), BufferLimits(kept=3))
    buffer.watch({SYMBOL: 0, OTHER: 0}, begins=True)
    buffer.number([quote("100"), quote("10", ETH), quote("101"), quote("102"), quote("103")])
    return buffer


def test_what_is_dropped_before_it_is_committed_is_lost() -> None:
    buffer = overflowing()
    assert (2, 3) == (buffer.dropped, len(buffer))
    assert {SYMBOL: LostData(1), OTHER: LostData(2)} == buffer.lost([SYMBOL, OTHER])
    assert {OTHER: LostData(2)} == buffer.lost([OTHER])
    buffer.release({SYMBOL: 3}, {SYMBOL, OTHER})
    assert {OTHER: LostData(2)} == buffer.lost([SYMBOL, OTHER])


def test_what_is_committed_already_is_not_lost_when_it_is_dropped() -> None:
    buffer = MarketDataBuffer(Epoch(0), BufferLimits(kept=2))
    buffer.watch({SYMBOL: 0, OTHER: 0}, begins=True)
    buffer.number([quote("10", ETH), quote("100")])
    buffer.release({SYMBOL: 2}, {SYMBOL, OTHER})  # it stays behind the piece that waits
    buffer.number([quote("101"), quote("102")])
    assert (2, {OTHER: LostData(1)}) == (buffer.dropped, buffer.lost([SYMBOL, OTHER]))


def test_it_concerns_orders_that_may_not_have_seen_it() -> None:
    lost = LostData(10, 101, 200)
    cases = {0: True, 9: True, 10: False, 50: False, 100: False, 101: True, 200: True, 201: False}
    assert cases == {since: lost.concern(since) for since in cases}
    assert not LostData(10).concern(10)
    assert LostData(10).concern(9)


def test_what_is_fetched_in_its_place_is_numbered_before_all_that_comes_later() -> None:
    buffer = overflowing()
    assert (6, 5 + RESERVED_NUMBERS) == buffer.numbers_for_fetched({SYMBOL})
    (later,) = buffer.number([quote("104")])
    assert 6 + RESERVED_NUMBERS == later.data_no
    assert {SYMBOL: LostData(3, 6, 5 + RESERVED_NUMBERS)} == buffer.lost([SYMBOL])
    buffer.release({SYMBOL: later.data_no, OTHER: 2}, {SYMBOL, OTHER})
    assert {} == buffer.lost([SYMBOL, OTHER])
    assert (0, later.data_no) == buffer.numbers_for_fetched({SYMBOL})


class CountedPieces(deque[Any]):
    """Kept pieces that count how many of them are read."""

    read = 0

    def __iter__(self) -> Iterator[Any]:
        return self._counted(super().__iter__())

    def __reversed__(self) -> Iterator[Any]:
        return self._counted(super().__reversed__())

    def _counted(self, pieces: Iterator[Any]) -> Iterator[Any]:
        for piece in pieces:
            self.read += 1
            yield piece


def test_kept_pieces_are_read_no_further_back_than_new_symbols_need() -> None:
    buffer = MarketDataBuffer(Epoch(0))
    buffer.watch({SYMBOL: 0}, begins=True)
    buffer.number([quote("10", ETH), *(quote("100") for _ in range(50))])
    buffer._kept = pieces = CountedPieces(buffer._kept)
    assert [] == buffer.since({SYMBOL: 0}, frozenset())
    assert 0 == pieces.read
    buffer.watch({SYMBOL: 0, OTHER: 0}, begins=False)  # its newest piece has an older number, and is kept from now on
    assert [1] == [piece.data_no for piece in buffer.since({SYMBOL: 0, OTHER: 0}, {OTHER})]
    assert 1 == pieces.read
    everything = buffer.since({SYMBOL: 40, OTHER: 0}, {SYMBOL, OTHER})
    assert [1, *range(41, 52)] == [piece.data_no for piece in everything]
