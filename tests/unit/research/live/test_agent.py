"""A strategy that runs live: bars of stored prices, each decision once, and what goes wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from domain.errors import DatabaseUnavailable, IdempotencyConflict
from domain.trading.decision import Decision
from domain.trading.portfolio import PortfolioState
from domain.types import Action, OrderType, Symbol
from research.backtest.backtest import BacktestRequest, backtest
from research.backtest.feeds import StrategyFeed
from research.errors import StrategyFailed
from research.examples.crossover import CrossoverParameters, VectorisedCrossover
from research.live.agent import AgentPlan, LiveAgent, Newest
from research.live.bars import LiveBar, StoredPrice, bars_of_columns, bars_of_prices, columns_of
from research.live.intents import Place
from research.strategy import Intent, Parameters, Strategy
from research.view import Account, Bar, View
from tests.support.research.markets import MINUTE, START, bars, flat_bars, market
from tests.support.values.builders import BTC, ETH, rules

SECOND = timedelta(seconds=1)


def price(at: datetime, value: float, *, since: datetime | None = None, high: float = 0, low: float = 0) -> StoredPrice:
    last = Decimal(str(value))
    return StoredPrice(since or at, at, last, Decimal(str(high or value)), Decimal(str(low or value)))


class Prices:
    """Stored prices, and a portfolio that never changes."""

    def __init__(self) -> None:
        self.stored: dict[Symbol, list[StoredPrice]] = {BTC: [], ETH: []}
        self.now = START
        self.reads = 0
        self.away = False

    def minute(self, number: int, value: float, symbol: Symbol = BTC) -> None:
        """Store the prices of a minute: one, and another one at its very end."""
        begin = START + number * MINUTE
        self.stored[symbol] += [price(begin + 10 * SECOND, value), price(begin + 59 * SECOND, value)]
        self.now = max(self.now, begin + 60 * SECOND)

    def tick(self, symbol: Symbol = BTC) -> None:
        """Store a price of the next minute, which ends the one before."""
        self.stored[symbol].append(price(self.now + SECOND, 100))
        self.now += SECOND

    def newest(self, symbols: Sequence[Symbol]) -> Newest:
        times = [one.time for symbol in symbols for one in self.stored[symbol]]
        return Newest(max(times, default=None), self.now)

    def prices(self, symbol: Symbol, since: datetime, until: datetime) -> list[StoredPrice]:
        if self.away:
            raise DatabaseUnavailable("the database is away")
        self.reads += 1
        return [one for one in self.stored[symbol] if since <= one.time < until]

    def portfolio(self) -> tuple[PortfolioState, Mapping[Symbol, Decimal]]:
        return PortfolioState.opened(rules()), {}


class Always(Strategy[Parameters]):
    """Buys at each bar."""

    def __init__(self, parameters: Parameters | None = None) -> None:
        super().__init__(parameters or Parameters())
        self.seen: list[tuple[str, datetime, float, int]] = []

    def on_bar(self, bar: Bar, view: View) -> list[Intent] | Intent | None:
        self.seen.append((bar.symbol, bar.time, bar.price, len(view.closes(100))))
        return Intent.buy()


class Run:
    """An agent over these prices."""

    def __init__(
        self,
        prices: Prices,
        strategy: Strategy[Any],
        *symbols: Symbol,
        recorded: Mapping[Symbol, Sequence[LiveBar]] | None = None,
        portfolio: str = "default",
    ) -> None:
        self.sent: list[Decision] = []
        self.notes: list[str] = []
        self.errors: list[Exception] = []
        plan = AgentPlan(strategy, symbols or (BTC,), MINUTE, portfolio)
        self.agent = LiveAgent(plan, prices, self._send, self.notes.append, recorded or {})

    def _send(self, decision: Decision) -> None:
        if self.errors:
            raise self.errors.pop()
        self.sent.append(decision)


@pytest.fixture
def prices() -> Prices:
    return Prices()


def test_bars_have_the_extremes_of_their_time_alone() -> None:
    made = bars_of_prices(
        [
            price(START + 5 * SECOND, 100, since=START + 4 * SECOND, high=101, low=99),
            price(START + 59 * SECOND, 102, since=START + 58 * SECOND, high=103, low=98),
            price(START + 61 * SECOND, 104, since=START + 59 * SECOND, high=200, low=50),
            price(START + 180 * SECOND, 90),
        ],
        MINUTE,
    )
    expected = [(0, 100, 103, 98, 102), (1, 104, 104, 104, 104), (3, 90, 90, 90, 90)]
    assert expected == [(int((one.begin - START) / MINUTE), *map(int, one[2:6])) for one in made]
    assert [MINUTE] * 3 == [one.end - one.begin for one in made]


def test_columns_of_bars_are_those_of_a_recording() -> None:
    columns = bars([(100, 103, 98, "102.5", 7), (104, 104, 104, 104, None)])
    again = columns_of(BTC, bars_of_columns(columns, 5))
    assert (columns.price_scale, columns.time.tolist()) == (again.price_scale, again.time.tolist())
    assert [columns.high.tolist(), columns.volumes[0]] == [again.high.tolist(), again.volumes[0]]
    assert 1 == len(bars_of_columns(columns, 1))


def test_the_strategy_is_called_at_each_complete_bar_and_its_decisions_are_sent(prices: Prices) -> None:
    strategy = Always()
    run = Run(prices, strategy)
    run.agent.step()
    assert [] == strategy.seen  # there is no price yet
    prices.minute(0, 100)
    run.agent.step()
    assert [] == strategy.seen  # nothing tells that the bar is complete
    prices.tick()
    run.agent.step()
    run.agent.step()
    prices.minute(1, 101)
    prices.tick()
    run.agent.step()
    assert [(BTC, START + MINUTE, 100.0, 1), (BTC, START + 2 * MINUTE, 101.0, 2)] == strategy.seen
    first, second = run.sent
    assert ("Always default BTC/USDT 2026-01-05T00:01:00Z 0", "Always") == (first.idempotency_key, first.strategy)
    assert (Action.BUY, BTC, "default") == (first.decision, first.symbol, first.portfolio)
    assert first.uid != second.uid


def test_a_restart_sends_the_same_decision_which_is_stored_once(prices: Prices) -> None:
    prices.minute(0, 100)
    prices.tick()
    before, after = Run(prices, Always()), Run(prices, Always())
    before.agent.step()
    after.agent.step()
    assert before.sent == after.sent
    assert before.sent[0].uid == after.sent[0].uid
    other = Run(prices, Always(), portfolio="other")
    other.agent.step()
    assert before.sent[0].uid != other.sent[0].uid
    assert before.sent[0].idempotency_key != other.sent[0].idempotency_key


def test_a_bar_that_was_decided_otherwise_before_a_restart_stays_as_it_was(prices: Prices) -> None:
    class Twice(Always):
        def on_bar(self, bar: Bar, view: View) -> list[Intent] | Intent | None:
            super().on_bar(bar, view)
            return [Intent.buy(), Intent.sell()]

    prices.minute(0, 100)
    prices.tick()
    run = Run(prices, Twice())
    run.errors.append(IdempotencyConflict("uid", "5", 7, ["quantity"]))
    run.agent.step()
    assert [] == run.sent
    (note,) = run.notes
    assert "was decided before a restart: uid 5 is that of decision 7" in note
    prices.minute(1, 100)
    prices.tick()
    run.agent.step()
    assert ["BUY", "SELL"] == [one.decision for one in run.sent]


def test_a_decision_that_cannot_be_sent_waits_and_the_strategy_is_not_called_again(prices: Prices) -> None:
    strategy = Always()
    run = Run(prices, strategy)
    prices.minute(0, 100)
    prices.tick()
    run.errors.append(DatabaseUnavailable("away"))
    with pytest.raises(DatabaseUnavailable):
        run.agent.step()
    assert [] == run.sent
    run.agent.step()
    assert (1, 1) == (len(run.sent), len(strategy.seen))
    # Too late it is dropped.
    prices.minute(1, 100)
    prices.tick()
    run.errors.append(DatabaseUnavailable("away"))
    with pytest.raises(DatabaseUnavailable):
        run.agent.step()
    prices.now += 5 * MINUTE
    run.agent.step()
    assert 1 == len(run.sent)
    assert "could not be sent in time" in run.notes[-1]


def test_a_read_that_fails_changes_nothing(prices: Prices) -> None:
    strategy = Always()
    run = Run(prices, strategy)
    prices.minute(0, 100)
    prices.tick()
    prices.away = True
    for _ in range(2):
        with pytest.raises(DatabaseUnavailable):
            run.agent.step()
    prices.away = False
    run.agent.step()
    assert (1, 1) == (len(run.sent), len(strategy.seen))


def test_bars_that_ended_while_nothing_was_served_are_shown_and_not_traded(prices: Prices) -> None:
    strategy = Always()
    run = Run(prices, strategy)
    prices.minute(0, 100)
    prices.tick()
    run.agent.step()
    for number in (3, 4, 7):
        prices.minute(number, 100 + number)
    prices.tick()
    run.agent.step()
    assert [100, 100, 103, 104, 107] == [close for _, _, close, _ in strategy.seen]  # the tick has made a bar, too
    assert [START + minute * MINUTE for minute in (1, 8)] == [_time_of(one) for one in run.sent]
    assert ["3 decisions of bars that ended while nothing was served: too late, not sent"] == run.notes
    # At a start, the last bar may be of long ago.
    prices.now += 10 * MINUTE
    late = Run(prices, Always())
    late.agent.step()
    assert [] == late.sent


def _time_of(decision: Decision) -> datetime:
    assert decision.idempotency_key is not None
    return datetime.fromisoformat(decision.idempotency_key.split()[3])


def test_stored_and_recorded_bars_warm_it_up(prices: Prices) -> None:
    class Patient(Always):
        warm_up = 5

    for number in range(3):
        prices.minute(number + 10, 100 + number)
    prices.tick()
    recorded = bars_of_columns(flat_bars(range(1, 12)), 20)  # the last two overlap with what is stored
    strategy = Patient()
    run = Run(prices, strategy, recorded={BTC: recorded})
    run.agent.step()
    assert [(BTC, START + 13 * MINUTE, 102.0, 13)] == strategy.seen
    assert [] == run.notes
    cold = Run(prices, Patient())
    cold.agent.step()
    assert ([], ["BTC/USDT: 2 bars of the warm-up are missing; it is not called before"]) == (cold.sent, cold.notes)


def test_several_symbols_are_called_in_their_order_and_on_the_grid(prices: Prices) -> None:
    class Rare(Always):
        every = 2 * MINUTE

    strategy = Rare()
    run = Run(prices, strategy, ETH, BTC)
    for number in range(4):
        prices.minute(number, 100)
        prices.minute(number, 10, ETH)
        prices.tick()
        run.agent.step()
    expected = [(ETH, 2), (BTC, 2), (ETH, 4), (BTC, 4)]
    assert expected == [(symbol, int((at - START) / MINUTE)) for symbol, at, _, _ in strategy.seen]


def test_what_a_strategy_wants_becomes_a_decision_with_all_terms(prices: Prices) -> None:
    class AllTerms(Always):
        def on_bar(self, bar: Bar, view: View) -> list[Intent] | Intent | None:
            assert 10_000 == view.equity == view.cash
            limit = view.rounded(bar.price * 0.99)
            return [
                Intent.buy(order_type=OrderType.LIMIT, limit_price=limit, stop_loss_pct=Decimal("0.05")),
                Intent.cancel(), Intent.cancel("all"), Intent.cancel(17),
                Intent(Action.AMEND, target=17, quantity=Decimal(2)),
                Intent(Action.PROTECT, stop_loss_pct=Decimal("0.1")), Intent(Action.HOLD, symbol=ETH),
            ]  # fmt: skip

    prices.minute(0, 100.5)
    prices.tick()
    run = Run(prices, AllTerms())
    run.agent.step()
    buy, by_symbol, everything, one, amend, protect, hold = run.sent
    assert (Decimal("99.495"), Decimal("0.05"), "limit") == (buy.limit_price, buy.stop_loss_pct, buy.order_type)
    assert [(BTC, "symbol"), ("*", "all"), ("*", "17"), ("*", "17")] == [
        (cancel.symbol, cancel.target) for cancel in (by_symbol, everything, one, amend)
    ]
    assert (Decimal(2), BTC, ETH) == (amend.quantity, protect.symbol, hold.symbol)
    assert [str(number) for number in range(7)] == [str(sent.idempotency_key)[-1] for sent in run.sent]


class Failing(Always):
    """Raises, or returns what is no intent."""

    def __init__(self, wanted: Any) -> None:
        super().__init__()
        self.wanted = wanted

    def on_bar(self, bar: Bar, view: View) -> list[Intent] | Intent | None:
        if isinstance(self.wanted, Exception):
            raise self.wanted
        return self.wanted  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("wanted", "sentence"),
    [
        (KeyError("price"), "Failing raised KeyError: 'price' at bar 0 of BTC/USDT, 2026-01-05 00:01:00 UTC ("),
        ("buy", "'buy' is no Intent"),
        (Intent.buy(confidence=2), "confidence = 2 must be a Decimal from 0 to 1"),
        (Intent.buy(order_type=OrderType.LIMIT), "order_type limit and stop_limit need a limit_price"),
        (Intent(Action.CANCEL), "a CANCEL or AMEND needs a target"),
    ],
)
def test_a_strategy_that_fails_ends_with_the_bar_and_the_line(prices: Prices, wanted: Any, sentence: str) -> None:
    prices.minute(0, 100)
    prices.tick()
    run = Run(prices, Failing(wanted))
    with pytest.raises(StrategyFailed) as raised:
        run.agent.step()
    message = str(raised.value)
    assert sentence in message
    assert "bar 0 of BTC/USDT" in message
    assert "test_agent.py, line " in message
    assert [] == run.sent


def test_signals_and_ids_are_those_of_a_backtest(prices: Prices) -> None:
    closes = [100, 100, 100, 110, 120, 90, 80, 130, 140, 150]
    parameters = CrossoverParameters(fast=2, slow=3)
    live = Run(prices, VectorisedCrossover(parameters))
    for number, close in enumerate(closes):
        prices.minute(number, close)
        prices.tick()
        live.agent.step()
    # A tick of the next minute opens its bar, whose close is the same.
    priced = market(flat_bars(closes))
    result = backtest(BacktestRequest(lambda: VectorisedCrossover(parameters), priced, rules(), priced.origin))
    fed = [(fill[0], fill[1]) for fill in result.records.fills.tuples(["order_id", "side"])]
    assert len(fed) > 2
    assert [side for _, side in fed] == [one.decision for one in live.sent][: len(fed)]
    feed = StrategyFeed(Always(), priced, [Account.of(lambda: PortfolioState.opened(rules()), lambda _: Decimal(0))], 0)
    (wish,) = feed.advance(10**30)
    assert wish.uid == Place("Always", "default", BTC, START + MINUTE, 0).uid.bytes
