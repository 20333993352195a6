"""What a settlement by bars may do otherwise than a program that ran on: mark it, and take the worse side.

Bars leave open where in a minute a price lies. What came of it is judged here by the trades of the market, which the
settlement did not see, and by no function of the program:

- *marked*: the first thing of a decision that differs from the undisturbed program's lies in a recorded settlement, and
  each other fill, trigger or expiry there is ``recovered``; later differences of the decision follow from these.
- *a maker* gets its limit, neither more nor less, and only where a trade of that bar lies beyond the limit: a touch is
  not enough, nor is a bar that began before the order.
- *a stop* gets the stop price or, where the bar opened beyond it, the open: never a better price than its stop; and the
  mark of a trailing stop is never better than the best trade since its acceptance.
- *no stop is missed*: where the undisturbed program's stop was reached, the position is closed by the end of that bar.
- *both exits in one bar*: the stop.
- *an expiry* has the order's own time, and no fill is at that time or later.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from domain.trading.bookkeeping import Result
from domain.trading.events import Filled, OrderAccepted, OrderAmended, OrderEnded, OrderTriggered
from domain.trading.quotes import Quote
from domain.types import DecisionId, Liquidity, OrderId, OrderStatus, OrderType, Side, Symbol
from tests.support.actors.memory_stores import MemoryDatabase

MINUTE = timedelta(minutes=1)
Entry = tuple[datetime, int, str, tuple[object, ...]]
"""What happened to an order: time, leg, kind, and its values."""


class Trades:
    """The trades of the market, by symbol."""

    def __init__(self, trades: Sequence[Quote]) -> None:
        self._times: dict[Symbol, list[datetime]] = {}
        self._prices: dict[Symbol, list[Decimal]] = {}
        for one in trades:
            self._times.setdefault(one.symbol, []).append(one.price_time)
            self._prices.setdefault(one.symbol, []).append(one.price)

    def since(self, symbol: Symbol, begin: datetime, end: datetime) -> list[Decimal]:
        """Return the prices from a time on, up to another."""
        times = self._times[symbol]
        return self._prices[symbol][bisect_left(times, begin) : bisect_right(times, end)]

    def of_bar(self, symbol: Symbol, end: datetime) -> list[Decimal]:
        """Return the prices in the bar that ended then: whole at a full minute, else that of the present minute."""
        begin = begin_of_bar(end)
        is_over = end == begin + MINUTE
        times = self._times[symbol]
        last = bisect_left(times, end) if is_over else bisect_right(times, end)
        return self._prices[symbol][bisect_left(times, begin) : last]


def begin_of_bar(end: datetime) -> datetime:
    """Return the beginning of the bar that ended then."""
    minute = end.replace(second=0, microsecond=0)
    return minute - MINUTE if minute == end else minute


class WorseSide:
    """The judgement on a program that was killed and settled by bars.

    Args:
        trades: of the market.
        undisturbed: the database of the program that ran on.
        settled: that of the program that was killed.
    """

    def __init__(self, trades: Sequence[Quote], undisturbed: MemoryDatabase, settled: MemoryDatabase) -> None:
        self._trades = Trades(trades)
        self._undisturbed = undisturbed
        self._settled = settled
        self._accepted = {
            result.order.order_id: result for result in settled.events if isinstance(result.event, OrderAccepted)
        }

    def differing(self) -> dict[DecisionId, set[Entry]]:
        """Return the decisions to which other things happened, each with these of both programs."""
        different = {
            id_: set(entries(self._undisturbed, id_)) ^ set(entries(self._settled, id_))
            for id_ in self._undisturbed.rows | self._settled.rows
        }
        return {id_: one for id_, one in different.items() if one}

    def violations(self) -> list[str]:
        """Return what is neither the same nor marked and on the worse side, as sentences."""
        return [*self._unmarked(), *self._too_good(), *self._missed()]

    def _unmarked(self) -> Iterator[str]:
        for id_, different in self.differing().items():
            time, leg, kind, _ = min(different, key=lambda entry: entry[:3])
            if not self._in_settlement(id_, time):
                yield f"decision {id_}: leg {leg} has another {kind} at {time}, when the program ran"
            for result in results(self._settled, id_):
                others = different.intersection(_entry(result))
                if others and not result.recovered and self._in_settlement(id_, result.event.at, ended=False):
                    yield f"{_named(result)} has another {kind} at {result.event.at}, and nothing marks it"

    def _in_settlement(self, id_: DecisionId, time: datetime, *, ended: bool = True) -> bool:
        """Return whether a time lies in a settlement; at its end, the new process sees the market, too."""
        symbol = self._settled.rows[id_].decision.symbol
        spans = [span for span in self._settled.spans if span.symbol == symbol and span.since < time <= span.until]
        return any(ended or time < span.until for span in spans)

    def _too_good(self) -> Iterator[str]:
        for result in (*self._settled.fills, *self._settled.events):
            event, order = result.event, result.order
            if isinstance(event, Filled) and order.expires_at is not None and event.at >= order.expires_at:
                yield f"{_named(result)} is filled at {event.at}, and expired at {order.expires_at}"
            if not result.recovered:
                continue
            if isinstance(event, Filled) and event.fill.liquidity is Liquidity.MAKER:
                yield from self._maker(result, event)
            elif isinstance(event, Filled):
                yield from self._stop(result, event)
            elif isinstance(event, OrderTriggered) and event.mark is not None:
                seen = self._trades.since(order.instrument.symbol, order.created_at, event.at)
                accepted = self._accepted[order.order_id].event
                assert isinstance(accepted, OrderAccepted)
                assert accepted.mark is not None
                if event.mark > max([accepted.mark, *seen]):
                    yield f"{_named(result)} was triggered from the mark {event.mark}, which no trade reached"
            elif isinstance(event, OrderEnded) and event.status is OrderStatus.EXPIRED and event.at != order.expires_at:
                yield f"{_named(result)} expired at {event.at}, not at {order.expires_at}"

    def _maker(self, result: Result, event: Filled) -> Iterator[str]:
        order, limit = result.order, result.order.limit_price
        assert limit is not None
        prices = self._trades.of_bar(order.instrument.symbol, event.at)
        if event.fill.price != limit:
            yield f"{_named(result)} is a maker, and got {event.fill.price}, not its limit {limit}"
        if not (min(prices) < limit if order.side is Side.BUY else max(prices) > limit):
            yield f"{_named(result)} was filled at {limit} at {event.at}, beyond which nobody traded"
        if begin_of_bar(event.at) < order.created_at:
            yield f"{_named(result)} was filled by a bar that began before it was made"
        stop = self._stop_beside(result)
        if stop is not None and min(prices) <= stop:
            yield f"{_named(result)} was filled by a bar that reached its stop {stop}, too"

    def _stop_beside(self, result: Result) -> Decimal | None:
        """Return the fixed price of the stop that protects the same position; None for an entry, or without one."""
        if not result.order.is_exit:
            return None
        stops = [
            r.order.stop_price for r in results(self._settled, result.order.decision_id)
            if isinstance(r.event, OrderAccepted | OrderAmended) and r.order.order_type is OrderType.STOP
        ]  # fmt: skip
        return stops[-1] if stops else None

    def _stop(self, result: Result, event: Filled) -> Iterator[str]:
        """Judge a fill of a triggered stop; all stops here sell."""
        triggers = [
            r.event for r in self._settled.events
            if r.order.order_id == result.order.order_id and isinstance(r.event, OrderTriggered)
        ]  # fmt: skip
        if not triggers:
            yield f"{_named(result)} was taken while nobody saw the market, and is no stop"
            return
        stop = triggers[-1].order.stop_price
        prices = self._trades.of_bar(result.order.instrument.symbol, event.at)
        assert stop is not None
        if event.fill.price != min(stop, prices[0]):
            yield f"{_named(result)} got {event.fill.price}; its stop is {stop}, and the bar opened at {prices[0]}"
        if min(prices) > stop:
            yield f"{_named(result)} was triggered at {event.at}, and nobody traded at {stop} or below"

    def _missed(self) -> Iterator[str]:
        """Find stops that were reached in a gap, and whose positions were still held after that bar."""
        for reached in self._undisturbed.events:
            event, order = reached.event, reached.order
            if not isinstance(event, OrderTriggered) or order.order_type is not OrderType.STOP:
                continue
            for span in self._settled.spans:
                if span.symbol != order.instrument.symbol or not span.since < event.at <= span.until:
                    continue
                end = min(event.at.replace(second=0, microsecond=0) + MINUTE, span.until)
                present = self._accepted.get(order.order_id)
                if present is not None and present.order.created_at < end and self._held(order.decision_id, end):
                    yield f"{_named(reached)} was reached at {event.at}, and its position is held after the bar"

    def _held(self, id_: DecisionId, time: datetime) -> Decimal:
        """Return what is left of a decision's position after what happened up to a time."""
        fills = [r.event for r in results(self._settled, id_) if isinstance(r.event, Filled) and r.event.at <= time]
        signs = {Side.BUY: 1, Side.SELL: -1}
        return sum((fill.fill.quantity * signs[fill.order.side] for fill in fills), Decimal(0))

    def better_stops(self) -> list[Decimal]:
        """Return by how much stops that both programs have got more by the bars' rule, the stop price itself."""
        theirs = self._stop_prices(self._undisturbed)
        ours = self._stop_prices(self._settled)
        return sorted(price - theirs[id_] for id_, price in ours.items() if id_ in theirs and price > theirs[id_])

    def _stop_prices(self, database: MemoryDatabase) -> dict[OrderId, Decimal]:
        return {
            result.order.order_id: result.fill.price for result in database.fills
            if result.order.order_type in {OrderType.STOP, OrderType.TRAILING_STOP}
        }  # fmt: skip


def results(database: MemoryDatabase, id_: DecisionId) -> list[Result]:
    """Return what happened to the orders of a decision."""
    return [result for result in (*database.fills, *database.events) if result.order.decision_id == id_]


def entries(database: MemoryDatabase, id_: DecisionId) -> list[Entry]:
    """Return the fills, triggers and expiries of a decision."""
    return [entry for result in results(database, id_) for entry in _entry(result)]


def _entry(result: Result) -> list[Entry]:
    event, leg = result.event, result.order.leg
    if isinstance(event, Filled):
        return [(event.at, leg, "fill", (event.fill.fill_no, event.fill.quantity, event.fill.price))]
    if isinstance(event, OrderTriggered):
        return [(event.at, leg, "trigger", (event.order.stop_price,))]
    if isinstance(event, OrderEnded) and event.status is OrderStatus.EXPIRED:
        return [(event.at, leg, "expiry", ())]
    return []


def _named(result: Result) -> str:
    return f"decision {result.order.decision_id}, leg {result.order.leg}"
