"""The straightforward backtest: the engine is shown each piece of each bar, one after the other.

It is what `research.backtest.run` must agree with to the last digit; it shares the pieces themselves with it, and
neither the search nor what is passed over.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from uuid import UUID

from domain.trading.engine import Ended
from domain.trading.portfolio import PortfolioState
from domain.types import Symbol
from research.backtest.feeds import Feed, Wish
from research.backtest.making import DecisionMaker
from research.backtest.pieces import PHASES, Market, Phase, Piece
from research.backtest.records import Records
from research.backtest.run import DAY_US, BacktestRun, RunOptions, new_engine
from research.view import Account
from tests.support.research.markets import fed, micros


class Listing(Records):
    """Records that also keep what has happened, as it happened."""

    def __init__(self) -> None:
        super().__init__()
        self.happened: list[Ended] = []

    def take(self, one: Ended) -> None:
        self.happened.append(one)
        super().take(one)


def all_pieces(market: Market) -> list[tuple[int, int, Piece]]:
    """Return each piece of a market with its symbol, in order."""
    pieces = []
    for number, columns in enumerate(market.columns):
        for bar in range(len(columns)):
            if columns.has_open[bar]:
                opened = int(columns.begin[bar]) * PHASES + Phase.OPEN
                pieces.append((opened, number, Piece(opened, bar, is_open=True)))
            closed = int(columns.time[bar]) * PHASES + Phase.CLOSE
            pieces.append((closed, number, Piece(closed, bar, is_open=False)))
    return sorted(pieces)


def show_everything(market: Market, options: RunOptions, wishes: Sequence[Wish]) -> tuple[PortfolioState, Listing]:
    """Run a backtest without passing over anything; return the last state and what has happened."""
    engine, records = new_engine(market, options), Listing()
    maker = DecisionMaker(options.rules.portfolio, options.strategy)
    name, rule = options.rules.portfolio, options.rules.execution.price_rule
    seen: dict[int, Piece] = {}
    events: list[tuple[int, str, object]] = [
        (moment, "pieces", [(number, piece) for _, number, piece in batch])
        for moment, batch in groupby(all_pieces(market), key=lambda one: one[0])
    ]
    events += [(one.moment, "decision", one) for one in wishes]
    midnights = range((options.begin // DAY_US + 1) * DAY_US, market.end + 1, DAY_US)
    events += [(midnight * PHASES + Phase.SNAPSHOT, "snapshot", None) for midnight in midnights]
    expiries = [one.intent.expires_at for one in wishes if one.intent.expires_at is not None]
    expiries += [one.intent.order_expires_at for one in wishes if one.intent.order_expires_at is not None]
    ends = sorted({micros(at) * PHASES + Phase.EXPIRY for at in expiries})
    events += [(end, "expiry", None) for end in ends]
    events.sort(key=lambda event: event[0])

    def state() -> PortfolioState:
        present = engine.state(name)
        assert present is not None
        return present

    def value(at: int) -> None:
        marks: dict[Symbol, object] = {
            market.columns[number].symbol: market.mark(number, piece, rule) for number, piece in seen.items()
        }
        records.snapshot(state(), marks, at)  # type: ignore[arg-type]

    for moment, kind, subject in events:
        if moment >= (market.end + 1) * PHASES:
            break  # the prices are over
        now = market.instant(moment)
        happened: list[Ended] = []
        if kind == "pieces":
            assert isinstance(subject, list)
            seen.update(subject)
            happened = engine.on_quotes([market.quote(number, piece) for number, piece in subject], now)
        elif kind == "expiry":
            happened = engine.on_time(now)
        elif kind == "snapshot":
            value(moment // PHASES)
        else:
            assert isinstance(subject, Wish)
            received = market.instant(moment - Phase.DECISION + Phase.CLOSE) if options.fill_at_close else now
            symbol = market.columns[subject.symbol].symbol if subject.symbol is not None else Symbol("")
            decision = maker.make(subject.intent, symbol, UUID(bytes=subject.uid), received)
            records.decide(decision)
            happened = engine.on_decision(decision, received)
            if decision.expired(received.time):
                happened += engine.on_time(received)
        for one in happened:
            records.take(one)
    value(market.end)
    return state(), records


def run_listed(market: Market, options: RunOptions, wishes: Sequence[Wish]) -> tuple[PortfolioState, Listing]:
    """Run the same by `research.backtest.run`."""
    return run_feed(market, options, lambda _: fed(wishes))


def run_feed(
    market: Market, options: RunOptions, feed: Callable[[Sequence[Account]], Feed]
) -> tuple[PortfolioState, Listing]:
    """Run a backtest of a feed by `research.backtest.run`; return the last state and what has happened."""
    records = Listing()
    return BacktestRun(market, options, feed, records).run(), records
