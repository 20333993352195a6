"""Which backtests run in integers, and that everything else, and every wrong intent, is left to the engine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from domain.trading.instruments import Instrument
from domain.types import Action, OrderType
from research.backtest import backtest as module
from research.backtest.backtest import BacktestRequest, BacktestResult, backtest
from research.backtest.pieces import Market
from research.backtest.records import Records
from research.backtest.run import RunOptions
from research.errors import StrategyError
from research.strategy import Intent, Parameters, Strategy
from research.sweeps.backtest_trial import DailyValues
from research.view import Bar, View
from tests.support.research.markets import START, bars, flat_bars, market, micros, ticks, wishes
from tests.support.research.plain_runs import (
    FREE,
    Drawn,
    PlainCase,
    case_of,
    drawn_case,
    run_plain,
)
from tests.support.values.builders import BTC, BY_QUOTE, ETH, rules

TEN = Decimal(10)
BRACKET = Intent.buy(quantity=TEN, stop_loss_pct=Decimal("0.05"), take_profit_pct=Decimal("0.1"))


LIMIT = {"order_type": OrderType.LIMIT, "limit_price": Decimal(99)}


@pytest.mark.parametrize(
    "intents",
    [
        [(0, Intent.buy(**LIMIT))],
        [(0, Intent.buy(trailing_stop_pct=Decimal("0.05")))],
        [(0, Intent.buy(expires_at=START + timedelta(days=1)))],
        [(0, Intent(Action.HOLD))],
        [(0, Intent.cancel("all"))],
        [(0, Intent.buy(symbol="btcusdt"))],
        [(0, replace(BRACKET, quantity=Decimal(1))), (1, replace(BRACKET, quantity=Decimal(1)))],
        [(0, Intent.buy(confidence=Decimal("0." + "7" * 30)))],
    ],
    ids=["limit", "trailing", "expiry", "hold", "cancel", "spelling", "two groups", "digits"],
)
def test_what_is_not_plain_is_left_to_the_engine(intents: list[tuple[int, Intent]]) -> None:
    assert run_plain(case_of(market(flat_bars([100] * 4)), *intents)) is None


def outcomes(call: Callable[[Bar, View], Any], prices: Market, of: Any = FREE) -> list[str]:
    """Return the error or the sentences of a strategy: as usual, and by the engine alone."""
    kind = type("Calling", (Strategy,), {"on_bar": lambda _, bar, view: call(bar, view)})
    results = []
    for engine_alone in (False, True):
        try:
            request = BacktestRequest(
                lambda: kind(Parameters()), prices, of, prices.origin, engine_alone=engine_alone
            )  # fmt: skip
            records = backtest(request).records
            results.append(f"{len(records.fills)} {records.sentences}")
        except StrategyError as error:
            results.append(str(error))
    return results


@pytest.mark.parametrize(
    "wrong",
    [
        {"quantity": 2}, {"confidence": 0.8}, {"quantity": Decimal("sNaN")}, {"quantity": np.array([1.0, 2.0])},
        {"strategy": 5}, {"stop_loss_pct": Decimal("0.5"), "stop_loss": Decimal(90)},
    ],
)  # fmt: skip
def test_a_wrong_intent_after_an_equal_right_one_is_refused_as_by_the_engine(wrong: dict[str, Any]) -> None:
    right = {"quantity": Decimal(2), "confidence": Decimal("0.8")}
    plain, by_engine = outcomes(
        lambda bar, _: Intent.buy(**(right if bar.index == 0 else right | wrong)), market(flat_bars([100] * 4))
    )
    assert by_engine == plain


def test_an_action_may_not_be_a_list() -> None:
    plain, by_engine = outcomes(lambda _, __: Intent(["BUY"]), market(flat_bars([100] * 4)))  # type: ignore[arg-type]
    assert by_engine == plain
    assert "action = ['BUY'] must be" in plain


def test_a_strategy_may_change_an_intent_that_it_has_returned() -> None:
    kept: list[Intent] = []

    def call(bar: Bar, _: View) -> Intent:
        kept.append(Intent.buy(quantity=Decimal(1)))
        if bar.index == 1:
            kept[0].quantity = Decimal(7)
        return kept[-1]

    plain, by_engine = outcomes(call, market(flat_bars([100] * 4)), replace(FREE, initial_capital=Decimal(102)))
    assert "1 at 100 is worth 100" in plain
    assert by_engine == plain


def test_an_account_that_outgrows_what_can_be_stored_is_left_to_the_engine() -> None:
    prices = market(flat_bars([100, 100, 200, 200]))
    of = replace(FREE, initial_capital=Decimal("9e19"))
    intents = (0, Intent.buy(quantity=Decimal("8e17"))), (1, Intent.sell())
    assert run_plain(case_of(prices, *intents, of=of)) is None


def test_more_decimals_than_a_price_has_are_left_to_the_engine() -> None:
    of = replace(FREE, default_stop_loss=Decimal("0.25" + "0" * 57 + "1"))
    assert run_plain(case_of(market(flat_bars([100] * 3)), (0, Intent.buy()), of=of)) is None


def test_columns_are_no_place_for_records_of_another_kind() -> None:
    class Watching(Records):
        def snapshot(self, *arguments: Any) -> None:
            super().snapshot(*arguments)

    class CountingTwice(DailyValues):
        pass

    assert (True, True) == (Records().takes_plain, DailyValues().takes_plain)
    assert (False, False) == (Watching().takes_plain, CountingTwice().takes_plain)


def changed_options(**changes: Any) -> RunOptions:
    return RunOptions(**{"rules": FREE, "begin": micros(START)} | changes)


@pytest.mark.parametrize(
    ("prices", "options"),
    [
        (market(flat_bars([100] * 3), flat_bars([100] * 3, ETH)), changed_options()),
        (market(ticks([(100, 99, 101, None, None)], BTC, [START])), changed_options()),
        (market(flat_bars([100] * 3)), changed_options(fill_at_close=True)),
        (market(flat_bars([100] * 3)), changed_options(rules=replace(FREE, halted="by a person"))),
        (market(flat_bars([100] * 3)), changed_options(rules=replace(FREE, currency="EUR"))),
        (Market.of([flat_bars([100])], [Instrument(BTC, "USDT", Decimal("1e-20"))]), changed_options()),
        (Market.of([flat_bars([100])], [Instrument(BTC, "USDT", step=Decimal("1e1"))]), changed_options()),
    ],
    ids=["two symbols", "bid and ask", "at the close", "halted", "currency", "fine tick", "large step"],
)
def test_markets_and_options_that_are_not_plain(prices: Market, options: RunOptions) -> None:
    assert run_plain(PlainCase(prices, options, wishes((0, Intent.buy())))) is None


class Turns(Strategy[Parameters]):
    """Buys and sells in turn; the last time with a limit, where it is asked for that."""

    made = 0
    limit_at: int | None = None

    def __init__(self, parameters: Parameters) -> None:
        super().__init__(parameters)
        type(self).made += 1

    def on_bar(self, bar: Bar, view: View) -> Intent | None:
        if bar.index == self.limit_at:
            return Intent.buy(**LIMIT)
        if view.position():
            assert view.entry_price() is not None
            return Intent.sell()
        return Intent.buy(stop_loss_pct=Decimal("0.02")) if view.equity > 1 and view.cash > 1 else None


class WithLimit(Turns):
    limit_at = 30


WAVE = [(100 + place % 7, 108, 92 + place % 9, 100 + place % 5) for place in range(60)]


def result_of(kind: type[Turns], *, engine_alone: bool = False) -> BacktestResult:
    prices = market(bars(WAVE, length=timedelta(hours=5)))
    of = replace(rules(execution=BY_QUOTE, max_position_size="0.5"), default_take_profit=Decimal("0.03"))
    subject: Callable[[], Strategy[Any]] = lambda: kind(Parameters())  # noqa: E731
    return backtest(BacktestRequest(subject, prices, of, prices.origin, engine_alone=engine_alone))


def contents(result: BacktestResult) -> list[Any]:
    records = result.records
    tables = [getattr(records, name).table().to_pylist() for name in ("fills", "trades", "ends", "values")]
    return [*tables, result.state, records.sentences, records.outcome_counts()]


def test_a_strategy_of_market_orders_runs_in_integers(monkeypatch: pytest.MonkeyPatch) -> None:
    by_engine = result_of(Turns, engine_alone=True)
    monkeypatch.setattr(module, "BacktestRun", None)
    assert contents(by_engine) == contents(result_of(Turns))
    assert len(by_engine.records.fills) > 30


def test_one_that_wants_something_else_begins_anew_by_the_engine() -> None:
    by_engine = result_of(WithLimit, engine_alone=True)
    WithLimit.made = 0
    assert contents(by_engine) == contents(result_of(WithLimit))
    assert 2 == WithLimit.made


def test_a_sweep_counts_the_same() -> None:
    counted = []
    for engine_alone in (True, False):
        records = DailyValues()
        prices = market(bars(WAVE, length=timedelta(hours=5)))
        backtest(
            BacktestRequest(
                lambda: Turns(Parameters()), prices, rules(execution=BY_QUOTE), prices.origin, engine_alone=engine_alone
            ),
            records,
        )
        days = range((prices.origin + 1) // 86_400_000_000, prices.end // 86_400_000_000)
        counted.append((records.decided, records.filled, records.closed, records.returns(Decimal(10_000), days)))
    assert counted[0] == counted[1]
    assert counted[0][1] > 20


class Looking(Strategy[Parameters]):
    """Wants something at random, and notes all that it sees of its portfolio."""

    def __init__(self, drawn: Drawn, seen: list[Any]) -> None:
        super().__init__(Parameters())
        self._drawn, self._seen = drawn, seen

    def on_bar(self, bar: Bar, view: View) -> Intent | list[Intent] | None:
        rests = [
            (one.order.order_id, one.order.leg, one.remaining, one.order.stop_price, one.order.limit_price, one.since)
            for one in view.open_orders()
        ]
        seen = (view.position(), view.entry_price(), view.cash, view.equity)
        self._seen.append((bar.index, *map(str, seen), rests))  # numbers are written with the same decimals, too
        if self._drawn.chance(3):
            return self._drawn.intent()
        return [self._drawn.intent(), self._drawn.intent()] if self._drawn.chance(6) else None


@pytest.mark.parametrize("seed", range(25))
def test_a_strategy_sees_the_same_portfolio(seed: int) -> None:
    case = drawn_case(35, 1, seed)

    def looked(*, engine_alone: bool) -> tuple[list[Any], list[Any]]:
        seen: list[Any] = []
        request = BacktestRequest(
            lambda: Looking(Drawn(seed), seen), case.market, case.options.rules, case.market.origin + 300_000_000,
            engine_alone=engine_alone,
        )  # fmt: skip
        return contents(backtest(request)), seen

    (by_engine, its_view), (plain, view) = looked(engine_alone=True), looked(engine_alone=False)
    assert by_engine == plain
    assert its_view == view[-len(its_view) :]  # it begins anew where something is not plain
