"""What a backtest records: fills, trades, ends of decisions and values, in columns of Arrow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar, NamedTuple
from uuid import UUID

import pyarrow

from domain.analytics.funnel import COUNTED
from domain.analytics.returns import Valuation
from domain.analytics.round_trips import Execution
from domain.trading.account.trades import Trade
from domain.trading.arithmetic import ZERO, add, subtract
from domain.trading.bookkeeping import Result
from domain.trading.decision import PendingDecision, Refusal, reason_code
from domain.trading.engine import Ended
from domain.trading.events import Filled, OrderEnded
from domain.trading.portfolio import PortfolioState
from domain.types import (
    DecisionId,
    OrderId,
    OrderStatus,
    OutcomeStatus,
    PositionId,
    PositionSide,
    Symbol,
)
from research.columns.bar_columns import time_of

NUMBER = pyarrow.decimal128(38, 18)
TIME = pyarrow.timestamp("us", tz="UTC")
ID = pyarrow.binary(16)
NAME = pyarrow.dictionary(pyarrow.int32(), pyarrow.string())
FILLS = pyarrow.schema([
    ("at", TIME), ("decision_id", pyarrow.int64()), ("order_id", ID), ("position_id", ID), ("leg", pyarrow.int16()),
    ("fill_no", pyarrow.int32()), ("symbol", NAME), ("asset_class", NAME), ("side", NAME), ("position_side", NAME),
    ("strategy", NAME),
    ("order_type", NAME), ("liquidity", NAME), ("ambiguous", pyarrow.bool_()), ("quantity", NUMBER), ("price", NUMBER),
    ("base_price", NUMBER), ("notional", NUMBER), ("commission", NUMBER), ("slippage", NUMBER), ("spread", NUMBER),
    ("cash", NUMBER), ("held", NUMBER),
])  # fmt: skip
"""Columns of the fills; ``cash`` and ``held`` are the portfolio's cash and the position's quantity after it."""
TRADES = pyarrow.schema([
    ("position_id", ID), ("order_id", ID), ("fill_no", pyarrow.int32()), ("portfolio", NAME), ("symbol", NAME),
    ("asset_class", NAME), ("side", NAME), ("quantity", NUMBER), ("cost", NUMBER), ("exit_notional", NUMBER),
    ("exit_price", NUMBER), ("entry_commission", NUMBER), ("exit_commission", NUMBER), ("entry_time", TIME),
    ("exit_time", TIME), ("strategy", NAME), ("closes", pyarrow.bool_()),
])  # fmt: skip
"""Columns of the closings; see `domain.trading.account.trades.Trade`."""
ENDS = pyarrow.schema([
    ("at", TIME), ("decision_id", pyarrow.int64()), ("status", NAME), ("reason", NAME), ("has_order", pyarrow.bool_()),
])  # fmt: skip
"""Columns of the ends of decisions."""
VALUES = pyarrow.schema([("time", TIME), ("total_value", NUMBER), ("positions_value", NUMBER), ("cash", NUMBER)])
"""Columns of the snapshots."""
ROWS_A_BATCH = 4_096
MAX_SENTENCES = 1_000


class Rows:
    """Rows that become columns, batch by batch.

    Args:
        schema: their columns.
    """

    def __init__(self, schema: Any) -> None:
        self._schema = schema
        self._batches: list[Any] = []
        self._rows: list[tuple[Any, ...]] = []
        self._count = 0

    @property
    def names(self) -> list[str]:
        """The names of the columns."""
        return list(self._schema.names)

    def __len__(self) -> int:
        return self._count

    def add(self, row: tuple[Any, ...]) -> None:
        """Add a row."""
        self._rows.append(row)
        self._count += 1
        if len(self._rows) == ROWS_A_BATCH:
            self._flush()

    def add_batch(self, batch: Any) -> None:
        """Add rows that are columns already."""
        if self._rows:
            self._flush()
        self._batches.append(batch)
        self._count += batch.num_rows

    def _flush(self) -> None:
        columns = zip(*self._rows, strict=True)
        arrays = [pyarrow.array(column, field.type) for column, field in zip(columns, self._schema, strict=True)]
        self._batches.append(pyarrow.RecordBatch.from_arrays(arrays, schema=self._schema))
        self._rows = []

    def table(self) -> Any:
        """Return all rows as a table."""
        if self._rows:
            self._flush()
        return pyarrow.Table.from_batches(self._batches, self._schema)

    def tuples(self, names: Sequence[str] | None = None) -> Iterator[tuple[Any, ...]]:
        """Yield the rows, or some columns of them; of an id its bytes."""
        table = self.table() if names is None else self.table().select(list(names))
        for batch in table.to_batches(max_chunksize=ROWS_A_BATCH):
            yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)


class PlainRecord(NamedTuple):
    """What has happened in a whole run of plain orders; see `Records`.

    Attributes:
        decided, filled, closed: numbers of decisions, fills and closings.
        fills, trades, ends: batches of columns; empty where these are only counted.
        confidences: of the decisions; empty where they are only counted.
    """

    decided: int
    filled: int
    closed: int
    fills: Sequence[Any]
    trades: Sequence[Any]
    ends: Sequence[Any]
    sentences: Mapping[str, str]
    confidences: Sequence[Decimal]
    traded: Mapping[Symbol, Decimal]
    first_fills: Mapping[Symbol, datetime]


class Records:
    """Takes what happens in a backtest.

    A subclass that sets `COUNTS_ALONE` gets the numbers of fills and closings alone of a run in integers.

    Attributes:
        fills: see `FILLS`.
        trades: see `TRADES`.
        ends: see `ENDS`.
        values: see `VALUES`.
        sentences: of decisions without a fill: the first one of each reason.
        confidences: of the decisions, by their numbers from 1 on.
        traded: notional of all fills, by symbol.
        first_fills: time of the first fill, by symbol.
    """

    COUNTS_ALONE: ClassVar[bool] = False

    def __init__(self) -> None:
        self.fills, self.trades, self.ends, self.values = Rows(FILLS), Rows(TRADES), Rows(ENDS), Rows(VALUES)
        self.sentences: dict[str, str] = {}
        self.confidences: list[Decimal] = []
        self.traded: dict[Symbol, Decimal] = {}
        self.first_fills: dict[Symbol, datetime] = {}
        self._counted = bytearray()  # by number: whether the funnel counts the decision
        self._at: datetime | None = None

    def decide(self, decision: PendingDecision) -> None:
        """Take a decision that was made."""
        self.confidences.append(decision.confidence)
        self._counted.append(decision.action in COUNTED)
        self._at = decision.created_at

    def take(self, one: Ended) -> None:
        """Take an event, or the end of a decision without one."""
        if isinstance(one, Refusal):
            self._end(self._at, one.decision_id, one.status, one.reason.value, False, one.sentence)
            return  # the engine returns those that end with it, too
        event = one.event
        if isinstance(event, Filled):
            self._fill(one, event)
            if one.status is OrderStatus.FILLED and not event.order.is_exit:
                self.ends.add((event.at, event.order.decision_id, "executed", "", True))
        elif isinstance(event, OrderEnded) or event.ends:
            own = event.order.decision_id
            for end in one.ends:
                reason = end.reason.partition(":")[0]
                self._end(event.at, end.decision_id, end.status, reason, end.decision_id == own, end.reason)

    def _end(
        self, at: datetime | None, decision: DecisionId, status: OutcomeStatus, reason: str, has_order: bool, text: str
    ) -> None:
        self.ends.add((at, decision, status.value, reason, has_order))
        if status is not OutcomeStatus.EXECUTED and len(self.sentences) < MAX_SENTENCES:
            self.sentences.setdefault(reason_code(status, text), text)

    def _fill(self, one: Result, event: Filled) -> None:
        order, fill, trade = event.order, event.fill, one.trade
        position = one.position
        side = position.side if position is not None else trade.side if trade is not None else PositionSide.LONG
        strategy = position.strategy if position is not None else trade.strategy if trade is not None else None
        symbol, quote = order.instrument.symbol, fill.quote
        # Without bid and ask the mark is the price itself; that is so of bars.
        spread = ZERO if quote.bid is None and quote.price == fill.base_price else fill.costs.spread
        assert one.position_id is not None  # each fill has one
        self.fills.add((
            fill.filled_at, order.decision_id, order.order_id.bytes, one.position_id.bytes, order.leg, fill.fill_no,
            symbol, order.instrument.asset_class, order.side, side, strategy,
            order.order_type, fill.liquidity,
            fill.ambiguous, fill.quantity, fill.price, fill.base_price, fill.notional, fill.commission, fill.slippage,
            spread, one.state.cash, position.quantity if position is not None else ZERO,
        ))  # fmt: skip
        before = self.traded.get(symbol)
        if before is None:
            self.first_fills[symbol] = fill.filled_at
            before = ZERO
        self.traded[symbol] = add(before, fill.notional)
        if trade is not None:
            self.trades.add((
                trade.position_id.bytes, trade.order_id.bytes, trade.fill_no, trade.portfolio, trade.symbol,
                trade.asset_class, trade.side, trade.quantity, trade.cost, trade.exit_notional, trade.exit_price,
                trade.entry_commission, trade.exit_commission, trade.entry_time, trade.exit_time, trade.strategy,
                trade.closes,
            ))  # fmt: skip

    @property
    def takes_plain(self) -> bool:
        """Whether columns may take the place of events; not where a subclass wants each event, or each decision."""
        kind = type(self)
        return (kind.take, kind.decide, kind.snapshot) == (Records.take, Records.decide, Records.snapshot)

    def take_plain(self, happened: PlainRecord) -> None:
        """Take a whole run without events, after its values; all its decisions want to trade."""
        for rows, batches in (
            (self.fills, happened.fills), (self.trades, happened.trades), (self.ends, happened.ends),
        ):  # fmt: skip
            for batch in batches:
                rows.add_batch(batch)
        self.sentences.update(happened.sentences)
        self.confidences.extend(happened.confidences)
        self._counted.extend(b"\1" * len(happened.confidences))
        self.traded.update(happened.traded)
        self.first_fills.update(happened.first_fills)

    def snapshot(self, state: PortfolioState, marks: dict[Symbol, Decimal], micros: int) -> None:
        """Take the value of the portfolio at a time."""
        self.take_value(micros, state.equity(marks), state.cash)

    def take_value(self, micros: int, equity: Decimal, cash: Decimal) -> None:
        """Take the value of the portfolio, and its cash, at a time in microseconds since 1970."""
        self.values.add((time_of(micros), equity, subtract(equity, cash), cash))

    def outcome_counts(self) -> Counter[tuple[str, str | None, bool]]:
        """Return the number of decisions that want to trade by status, reason and whether they have an order."""
        counts: Counter[tuple[str, str | None, bool]] = Counter()
        for _, decision, status, reason, has_order in self.ends.tuples():
            if self._counted[decision - 1]:
                counts[status, reason, has_order] += 1
        waiting = sum(self._counted) - counts.total()
        if waiting:
            counts[OutcomeStatus.PENDING.value, None, False] = waiting
        return counts

    def executions(self) -> Iterator[Execution]:
        """Yield the fills as the report takes them; their side is that of the position."""
        names = (
            "position_id", "symbol", "asset_class", "position_side", "strategy", "notional", "commission", "slippage",
            "at", "spread", "decision_id",
        )  # fmt: skip
        for (
            position,
            symbol,
            asset_class,
            side,
            strategy,
            notional,
            commission,
            slippage,
            at,
            spread,
            decision,
        ) in self.fills.tuples(names):
            yield Execution(
                PositionId(UUID(bytes=position)), symbol, asset_class, PositionSide(side), strategy, notional,
                commission, slippage, at, spread, decision, self.confidences[decision - 1],
            )  # fmt: skip

    def closings(self) -> Iterator[Trade]:
        """Yield the trades."""
        for position, order, fill_no, portfolio, symbol, asset_class, side, *rest in self.trades.tuples():
            ids = PositionId(UUID(bytes=position)), OrderId(UUID(bytes=order))
            yield Trade._make((*ids, fill_no, portfolio, symbol, asset_class, PositionSide(side), *rest))

    def valuations(self) -> Iterator[Valuation]:
        """Yield the snapshots."""
        for at, total, positions, _ in self.values.tuples():
            yield Valuation(at, total, positions)
