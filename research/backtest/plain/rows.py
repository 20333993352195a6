"""What a plain backtest records: rows of integers, which become the columns of `research.backtest.records`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import pyarrow

from domain.types import LONG, MAKER, TAKER, OrderType, Side
from research.backtest.plain.rules import MONEY_SCALE, PlainRules
from research.backtest.records import ENDS, FILLS, ID, NAME, NUMBER, ROWS_A_BATCH, TIME, TRADES

NUMBER_BYTES = 16
"""Of a number in a column."""
STOP, TARGET = 2, 3
"""The legs of an entry's exits."""


class FillColumns(NamedTuple):
    """Fills; a row of them is a tuple in this order, which takes a fifth of the time of an object.

    Attributes:
        at: in microseconds since 1970.
        leg: 1 of an order of its own, `STOP` or `TARGET`.
        cash, held: after the fill.
    """

    at: Sequence[int]
    decision: Sequence[int]
    order_id: Sequence[bytes]
    position_id: Sequence[bytes]
    leg: Sequence[int]
    fill_no: Sequence[int]
    buys: Sequence[bool]
    strategy: Sequence[str | None]
    ambiguous: Sequence[bool]
    quantity: Sequence[int]
    price: Sequence[int]
    base: Sequence[int]
    notional: Sequence[int]
    commission: Sequence[int]
    slippage: Sequence[int]
    spread: Sequence[int]
    cash: Sequence[int]
    held: Sequence[int]


class TradeColumns(NamedTuple):
    """Closings of the position or of a part of it."""

    position_id: Sequence[bytes]
    order_id: Sequence[bytes]
    fill_no: Sequence[int]
    quantity: Sequence[int]
    cost: Sequence[int]
    notional: Sequence[int]
    price: Sequence[int]
    entry_commission: Sequence[int]
    commission: Sequence[int]
    entered: Sequence[int]
    at: Sequence[int]
    strategy: Sequence[str | None]
    closes: Sequence[bool]


class EndColumns(NamedTuple):
    """Ends of decisions."""

    at: Sequence[int]
    decision: Sequence[int]
    status: Sequence[str]
    reason: Sequence[str]
    has_order: Sequence[bool]


Row: TypeAlias = tuple[Any, ...]


class PlainRows:
    """Keeps rows, and turns some thousands at a time into columns.

    Args:
        rules: of the instrument.
        counts_alone: they are counted and not kept.

    Attributes:
        fills, trades, ends: the rows that are no columns yet.
        filled, closed: numbers of the fills and closings that are not in these rows any more.
    """

    def __init__(self, rules: PlainRules, *, counts_alone: bool) -> None:
        self.filled = self.closed = 0
        self._counts_alone = counts_alone
        self.fills: list[Row] = []
        self.trades: list[Row] = []
        self.ends: list[Row] = []
        self._rules = rules
        self._batches: tuple[list[Any], list[Any], list[Any]] = ([], [], [])

    def trim(self) -> None:
        """Turn rows into columns where there are many."""
        if len(self.fills) >= ROWS_A_BATCH:
            self._flush_fills()
        if len(self.trades) >= ROWS_A_BATCH:
            self._flush_trades()
        if len(self.ends) >= ROWS_A_BATCH:
            self._flush_ends()

    def batches(self) -> tuple[Sequence[Any], Sequence[Any], Sequence[Any]]:
        """Return all fills, trades and ends as columns."""
        self._flush_fills()
        self._flush_trades()
        self._flush_ends()
        return self._batches

    def _flush_fills(self) -> None:
        self.filled += len(self.fills)
        if not self.fills or self._counts_alone:
            self.fills.clear()
            return
        one = FillColumns._make(zip(*self.fills, strict=True))
        count, rules = len(self.fills), self._rules
        prices, quantities = rules.price_scale, rules.quantity_scale
        legs = np.array(one.leg, dtype=np.int16)
        columns = [
            times(one.at), pyarrow.array(one.decision, pyarrow.int64()), ids(one.order_id), ids(one.position_id),
            pyarrow.array(legs), pyarrow.array(np.array(one.fill_no, dtype=np.int32)),
            same(rules.instrument.symbol, count), same(rules.instrument.asset_class, count),
            named((Side.SELL, Side.BUY), np.array(one.buys, dtype=np.int32)), same(LONG, count),
            pyarrow.array(one.strategy, NAME),
            named((OrderType.MARKET, OrderType.STOP, OrderType.LIMIT), legs - 1),
            named((TAKER, MAKER), legs == TARGET), pyarrow.array(one.ambiguous, pyarrow.bool_()),
            numbers(one.quantity, quantities), numbers(one.price, prices), numbers(one.base, prices),
            *(numbers(column, MONEY_SCALE)
              for column in (one.notional, one.commission, one.slippage, one.spread, one.cash)),
            numbers(one.held, quantities),
        ]  # fmt: skip
        self._batches[0].append(pyarrow.RecordBatch.from_arrays(columns, schema=FILLS))
        self.fills.clear()

    def _flush_trades(self) -> None:
        self.closed += len(self.trades)
        if not self.trades or self._counts_alone:
            self.trades.clear()
            return
        one = TradeColumns._make(zip(*self.trades, strict=True))
        count, rules = len(self.trades), self._rules
        columns = [
            ids(one.position_id), ids(one.order_id), pyarrow.array(np.array(one.fill_no, dtype=np.int32)),
            same(rules.rules.portfolio, count), same(rules.instrument.symbol, count),
            same(rules.instrument.asset_class, count), same(LONG, count), numbers(one.quantity, rules.quantity_scale),
            numbers(one.cost, MONEY_SCALE), numbers(one.notional, MONEY_SCALE), numbers(one.price, rules.price_scale),
            numbers(one.entry_commission, MONEY_SCALE), numbers(one.commission, MONEY_SCALE), times(one.entered),
            times(one.at), pyarrow.array(one.strategy, NAME), pyarrow.array(one.closes, pyarrow.bool_()),
        ]  # fmt: skip
        self._batches[1].append(pyarrow.RecordBatch.from_arrays(columns, schema=TRADES))
        self.trades.clear()

    def _flush_ends(self) -> None:
        if not self.ends or self._counts_alone:
            self.ends.clear()
            return
        one = EndColumns._make(zip(*self.ends, strict=True))
        columns = [
            times(one.at), pyarrow.array(one.decision, pyarrow.int64()), pyarrow.array(one.status, NAME),
            pyarrow.array(one.reason, NAME), pyarrow.array(one.has_order, pyarrow.bool_()),
        ]  # fmt: skip
        self._batches[2].append(pyarrow.RecordBatch.from_arrays(columns, schema=ENDS))
        self.ends.clear()


def numbers(values: Sequence[int], scale: int) -> Any:
    """Return integers × 10^-scale as a column of exact numbers."""
    try:
        low = np.array(values, dtype=np.int64)
    except OverflowError:
        words = b"".join([value.to_bytes(NUMBER_BYTES, "little", signed=True) for value in values])
    else:
        words = np.stack([low, low >> 63], axis=1).tobytes()
    column = pyarrow.Array.from_buffers(pyarrow.decimal128(38, scale), len(values), [None, pyarrow.py_buffer(words)])
    return column.cast(NUMBER)


def times(values: Sequence[int]) -> Any:
    """Return microseconds since 1970 as a column of times."""
    return pyarrow.array(np.array(values, dtype=np.int64)).view(TIME)


def ids(values: Sequence[bytes]) -> Any:
    """Return a column of ids."""
    return pyarrow.Array.from_buffers(ID, len(values), [None, pyarrow.py_buffer(b"".join(values))])


def same(name: str, count: int) -> Any:
    """Return a column of one name."""
    return named((name,), np.zeros(count, dtype=np.int32))


def named(names: Sequence[str], places: Any) -> Any:
    """Return a column of names by their places."""
    texts = pyarrow.array([str(name) for name in names], pyarrow.string())
    return pyarrow.DictionaryArray.from_arrays(pyarrow.array(places.astype(np.int32)), texts)
