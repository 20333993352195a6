"""A backtest from its parts to its result."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from domain.trading.decision import PendingDecision
from domain.trading.portfolio import PortfolioRules, PortfolioState
from domain.wording import counted
from research.backtest.feeds import Feed, ListFeed, StrategyFeed, place_of_signal, signal_wishes
from research.backtest.lookahead import LookAhead, look_ahead
from research.backtest.pieces import Market
from research.backtest.plain.rules import NotPlain
from research.backtest.plain.run import PlainRun
from research.backtest.records import Records
from research.backtest.run import BacktestRun, RunOptions
from research.strategy import Strategy
from research.tape import DecisionTape
from research.view import Account

SLOW_CALL_S = 0.001
"""A strategy whose calls take longer on average is called slow."""
MIN_SLOW_S = 1.0
"""Below it nobody minds."""


@dataclass(frozen=True, slots=True)
class BacktestRequest:
    """What is tested, on what.

    Attributes:
        subject: makes a new strategy for each run; or the tape. Where a run begins anew, it is asked once more.
        market: the prices.
        rules: of the portfolio.
        begin: decisions and values begin here, in microseconds since 1970; earlier prices warm a strategy up.
        same_currency: currencies that count 1:1.
        fill_at_close: see `research.backtest.run.RunOptions`.
        engine_alone: the engine runs it whatever it is about.
    """

    subject: Callable[[], Strategy[Any]] | DecisionTape
    market: Market
    rules: PortfolioRules
    begin: int
    same_currency: frozenset[str] = frozenset()
    fill_at_close: bool = False
    engine_alone: bool = False


@dataclass(frozen=True, slots=True)
class BacktestResult:
    """What came of it.

    Attributes:
        request: what was tested.
        name: of the strategy or the tape.
        state: of the portfolio at the end.
        records: fills, trades, ends of decisions and values.
        seconds: how long the run took, without reading.
        bars: number of bars, of all symbols.
        looks: pieces of market data that were looked at.
        notes: about the run, such as a slow strategy; sentences.
    """

    request: BacktestRequest
    name: str
    state: PortfolioState
    records: Records
    seconds: float
    bars: int
    looks: int
    notes: tuple[str, ...] = ()


def backtest(request: BacktestRequest, records: Records | None = None) -> BacktestResult:
    """Run a backtest.

    Args:
        request: what is tested, on what.
        records: takes what happens; by default it keeps everything for the report. After an error it may be empty.

    Raises:
        StrategyError: the strategy raises, or wants what makes no sense.
    """
    return _run(request, Records() if records is None else records)


def find_look_ahead(request: BacktestRequest) -> LookAhead | None:
    """Return the first difference between what a strategy decides with and without later prices; None without any.

    Raises:
        StrategyError: the strategy raises, or wants what makes no sense.
    """

    def decide(market: Market) -> Sequence[PendingDecision]:
        decisions = _Decisions()
        part = BacktestRequest(
            request.subject, market, request.rules, request.begin, request.same_currency, request.fill_at_close
        )
        _run(part, decisions)
        return decisions.made

    return look_ahead(request.market, request.begin, decide)


class _Decisions(Records):
    """Records that keep the decisions, and the rest as usual."""

    def __init__(self) -> None:
        super().__init__()
        self.made: list[PendingDecision] = []

    def decide(self, decision: PendingDecision) -> None:
        """Take a decision that was made."""
        super().decide(decision)
        self.made.append(decision)


def _run(request: BacktestRequest, records: Records) -> BacktestResult:
    begun = time.perf_counter()
    if not request.engine_alone and records.takes_plain:
        try:
            return _run_by(PlainRun, request, records, begun)
        except NotPlain:  # nothing has been recorded
            pass
    return _run_by(BacktestRun, request, records, begun)


def _run_by(
    kind: type[PlainRun | BacktestRun], request: BacktestRequest, records: Records, begun: float
) -> BacktestResult:
    market, subject, notes = request.market, request.subject, []
    feeds: list[StrategyFeed] = []
    if isinstance(subject, DecisionTape):
        name, strategy_name = subject.name, None
        end = market.end
        late = sum(entry.micros > end for entry in subject.entries)
        if late:
            notes.append(f"{counted(late, 'decision')} came after the last price and was left out")

        def feed(account: Sequence[Account]) -> Feed:  # noqa: ARG001 - its decisions are made already
            return ListFeed(subject.wishes(request.begin), subject.place)
    else:
        strategy = subject()
        name = strategy_name = strategy.name

        def feed(account: Sequence[Account]) -> Feed:
            if strategy.has_signals:
                return ListFeed(
                    signal_wishes(strategy, market, request.begin), partial(place_of_signal, strategy, market)
                )
            feeds.append(StrategyFeed(strategy, market, account, request.begin))
            return feeds[0]

    options = RunOptions(request.rules, request.begin, request.same_currency, request.fill_at_close, strategy_name)
    run = kind(market, options, feed, records)
    state = run.run()
    seconds = time.perf_counter() - begun
    for one in feeds:
        if one.calls and one.seconds > MIN_SLOW_S and one.seconds / one.calls > SLOW_CALL_S:
            milliseconds = 1_000 * one.seconds / one.calls
            notes.append(f"{name} is slow: a call takes {milliseconds:.1f} ms, {one.seconds / seconds:.0%} of the run")
    bars = sum(map(len, market.columns))
    return BacktestResult(request, name, state, records, seconds, bars, run.looks, tuple(notes))
