"""``run.py agent``: runs a strategy live, on bars of the service's prices, and sends what it wants to the service."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any

import typer

from actors.client import TradingClient
from actors.runtime.pykka_adapter import ThreadingFuture, Timeout
from actors.runtime.timer import SystemClock
from actors.settings import Settings
from actors.system import TradingSystem
from console.completion import portfolio_names
from console.database import opened
from console.display.format import terminal
from console.display.times import local_times, moment
from console.options import with_settings
from console.signals import stoppable
from domain.errors import (
    DatabaseBusy,
    DatabaseUnavailable,
    InvalidRequest,
    NotRunning,
    PaperTradingError,
    SettingsError,
    SubmissionInDoubt,
    UnknownPortfolio,
)
from domain.trading.arithmetic import plain
from domain.trading.decision import Decision, Outcome
from domain.trading.instruments import Instrument, InstrumentCatalog
from domain.trading.portfolio import PortfolioState
from domain.types import DEFAULT_PORTFOLIO, Symbol
from domain.wording import did_you_mean, one_line, quoted
from market.history.timeframe import Timeframe
from persistence.queries.references import SYMBOLS
from persistence.queries.research.live_market import LiveMarketReader
from persistence.queries.row_lists import not_running_message
from research.live.agent import AgentPlan, LiveAgent, Newest
from research.live.bars import KEPT_BARS, LiveBar, StoredPrice, bars_of_columns
from research.loading import load_strategy, new_strategy
from research.market_data import MarketRequest, open_market

POLL_INTERVAL_S = 1.0
"""Between two looks whether a bar is complete; the service stores prices about each second."""
SERVICE_CHECK_S = 10.0
"""Between two looks whether the service runs, while no bar becomes complete."""
MIN_LENGTH = timedelta(seconds=5)
"""Shorter bars would hold one or two of the stored prices."""
PASSING = (DatabaseUnavailable, DatabaseBusy, SubmissionInDoubt)
"""Errors after which the agent waits, and goes on."""


@with_settings
def agent(
    settings: Settings,
    strategy: Annotated[str, typer.Argument(metavar="STRATEGY", help="module:Class, or a file.py.")],
    symbols: Annotated[
        str, typer.Option("--symbols", metavar="S,S", help="The markets that it trades, with commas between them.")
    ],
    timeframe: Annotated[
        str, typer.Option("--timeframe", metavar="T", help="The length of the bars, 5s or longer.")
    ] = "1m",
    parameter: Annotated[
        list[str] | None, typer.Option("--param", metavar="K=V", help="A parameter of the strategy; may be repeated.")
    ] = None,
    portfolio: Annotated[
        str,
        typer.Option("--portfolio", metavar="P", help="The portfolio that trades.", autocompletion=portfolio_names),
    ] = DEFAULT_PORTFOLIO,
) -> None:
    r"""Run a strategy live until Ctrl-C: the class that run.py backtest tests.

    \b
      run.py agent dip.py --symbols BTC/USDT --timeframe 1m
      run.py agent research.examples.crossover:MovingAverageCrossover \
        --symbols BTC/USDT,ETH/USDT --param fast=5

    Bars are made of the prices that the service stores about each second; it must know the symbols (its setting
    symbols). Each decision has a key of strategy, portfolio, symbol, time of the bar and a number, so no restart sends
    it twice. While the service is away it waits. Exit code 1: the strategy raised; the sentence has bar and line.
    """
    kind = load_strategy(strategy)
    chosen = new_strategy(kind, parameter or [])
    length = _length(timeframe)
    with (
        opened(settings) as url,
        closing(LiveMarketReader(url, portfolio)) as reader,
        TradingSystem.attach(url) as client,
        stoppable(),
    ):
        _require_portfolio(reader, client)
        names = _symbols(client, symbols)
        plan = AgentPlan(chosen, names, length, portfolio)
        outcomes = _Outcomes(client)
        live = LiveAgent(plan, _Market(reader), outcomes.send, _say, _recorded(settings, plan, timeframe))
        of = f"{chosen.name} on {', '.join(names)}, bars of {Timeframe.parse(timeframe).label}"
        _say(f"{of}, portfolio {portfolio}; Ctrl-C ends it")
        _run(live, outcomes, client)
    _say("ended")


def _require_portfolio(reader: LiveMarketReader, client: TradingClient) -> None:
    """Refuse a portfolio that does not exist, and a database on which no service has ever run."""
    try:
        reader.portfolio()
    except UnknownPortfolio as error:
        if client.ledger_reader.portfolios():
            raise
        raise NotRunning(
            "no service has ever run on this database: start it first, with the same --home or database"
        ) from error


def _length(text: str) -> timedelta:
    try:
        length = Timeframe.parse(text).length
    except ValueError as error:
        raise InvalidRequest(f"--timeframe: {error}") from None
    if length is None or length < MIN_LENGTH:
        raise InvalidRequest(f"--timeframe {quoted(text)}: must be a fixed length of 5s or more, such as 1m")
    return length


def _symbols(client: TradingClient, text: str) -> list[Symbol]:
    """Return the symbols that are named, in the spelling of the stored prices where there are any."""
    stored = [str(row["symbol"]) for row in client.ledger_reader.rows(SYMBOLS)]
    catalog = InstrumentCatalog([Instrument(Symbol(name), None) for name in stored])
    chosen: dict[Symbol, None] = {}
    for name in filter(None, (part.strip() for part in text.split(","))):
        resolved = catalog.resolve(name)
        if isinstance(resolved, Instrument):
            chosen[resolved.symbol] = None
        elif "/" in name:
            _say(f"{name}: no price is stored yet; the service must know it, by its setting symbols")
            chosen[Symbol(name)] = None
        else:
            hint = did_you_mean(name, stored) or "; write it as the service does, such as BTC/USDT"
            raise InvalidRequest(f"--symbols {quoted(name)}: no price of it is stored{hint}")
    if not chosen:
        raise InvalidRequest("--symbols is empty: name a symbol, such as BTC/USDT")
    return list(chosen)


def _recorded(settings: Settings, plan: AgentPlan, timeframe: str) -> Mapping[Symbol, Sequence[LiveBar]]:
    """Return the last bars of the program's own history, which warm the strategy up; none where there are none."""
    if plan.strategy.warm_up <= 1:
        return {}
    count = min(plan.strategy.warm_up, KEPT_BARS)
    wanted = MarketRequest((), settings.home, SystemClock().now(), plan.symbols, timeframe, settings.exchange)
    try:
        market = open_market(wanted).market
    except SettingsError:
        return {}
    return {one.symbol: bars_of_columns(one, count) for one in market.columns}


class _Market:
    """What the agent reads; see `research.live.agent.LiveMarket`."""

    def __init__(self, reader: LiveMarketReader) -> None:
        self._reader = reader

    def newest(self, symbols: Sequence[Symbol]) -> Newest:
        return Newest(*self._reader.newest(symbols))

    def prices(self, symbol: Symbol, since: datetime, until: datetime) -> list[StoredPrice]:
        return [StoredPrice(*row) for row in self._reader.prices(symbol, since, until)]

    def portfolio(self) -> tuple[PortfolioState, Mapping[Symbol, Decimal]]:
        return self._reader.portfolio()


class _Outcomes:
    """Sends decisions, and prints what becomes of them."""

    def __init__(self, client: TradingClient) -> None:
        self._client = client
        self._awaited: list[tuple[Decision, ThreadingFuture[Outcome]]] = []

    def send(self, decision: Decision) -> None:
        """Commit a decision."""
        future = self._client.submit(decision)
        quantity = "" if decision.quantity is None else f" {plain(decision.quantity)}"
        _say(f"{decision.decision}{quantity} {decision.symbol}: sent")
        self._awaited.append((decision, future))

    def print_new(self) -> None:
        """Print the outcomes that have come."""
        waiting = []
        for decision, future in self._awaited:
            try:
                outcome = future.get(timeout=0)
            except Timeout:
                waiting.append((decision, future))
            except PaperTradingError as error:
                _say(f"{decision.decision} {decision.symbol}: {error}")
            else:
                _say(f"decision {outcome.decision_id}, {decision.decision} {decision.symbol}: {outcome.reason}")
        self._awaited = waiting


def _run(live: LiveAgent, outcomes: _Outcomes, client: TradingClient) -> None:
    """Take bars as they become complete, until a signal."""
    problem, checked_at, calls = "", time.monotonic(), 0
    while True:
        present = ""
        try:
            live.step()
            outcomes.print_new()
            if live.calls != calls:
                calls, checked_at = live.calls, time.monotonic()
            elif time.monotonic() - checked_at < SERVICE_CHECK_S:
                present = problem
            else:
                checked_at, present = time.monotonic(), _absence(client)
        except PASSING as error:
            present = f"waiting: {error}"
        if present != problem:
            _say(present or "it goes on")
            problem = present
        time.sleep(POLL_INTERVAL_S)


def _absence(client: TradingClient) -> str:
    """Return why no price may come; empty where the service runs."""
    served: dict[str, Any] = client.ledger_reader.served()
    return "" if served["running"] else f"waiting: {not_running_message(served)}"


def _say(sentence: str) -> None:
    terminal().print(f"{moment(SystemClock().now())}  {local_times(one_line(sentence))}")
