"""Strategies: what they see, when they are called, how they are loaded, and what becomes of nonsense."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from domain.types import Action, OrderType, Side
from research.backtest.backtest import BacktestRequest, BacktestResult, backtest, find_look_ahead
from research.backtest.pieces import Market
from research.columns.bar_columns import BarColumns
from research.errors import StrategyError
from research.examples.buy_and_hold import BuyAndHold
from research.examples.crossover import MovingAverageCrossover, VectorisedCrossover
from research.examples.mean_reversion import MeanReversion
from research.loading import is_strategy, load_strategy, new_strategy
from research.strategy import Intent, Parameters, Signals, Strategy, Wanted
from research.view import Bar, View
from tests.support.research.markets import MINUTE, START, bars, flat_bars, market, micros
from tests.support.values.builders import BTC, BY_QUOTE, ETH, free, rules

FREE = rules(costs=free(), execution=BY_QUOTE, max_position_size=1, min_notional=1)


def result_of(kind: type[Strategy[Any]], prices: Market, begin: int | None = None, **values: Any) -> BacktestResult:
    subject: Callable[[], Strategy[Any]] = lambda: new_strategy(kind, values)  # noqa: E731
    return backtest(BacktestRequest(subject, prices, FREE, prices.origin if begin is None else begin))


def calling(call: Callable[[Bar, View], Wanted], **attributes: Any) -> type[Strategy[Any]]:
    """Return the class of a strategy that calls a function at each bar."""
    return type("Calling", (Strategy,), {"on_bar": lambda _, bar, view: call(bar, view), **attributes})


def fills(result: BacktestResult) -> list[tuple[str, Decimal, Decimal]]:
    names = ("side", "quantity", "price")
    return [tuple(row) for row in result.records.fills.tuples(names)]  # type: ignore[misc]


def test_a_strategy_sees_its_bar_and_those_before_it() -> None:
    seen: list[Any] = []

    def look(bar: Bar, view: View) -> None:
        seen.append((bar.index, bar.symbol, bar.close, bar.price, view.closes(2).tolist(), view.highs(9).tolist()))

    result_of(calling(look), market(bars([(1, 3, 1, 2), (2, 5, 1, 4), (4, 9, 3, 8)])))
    assert [
        (0, BTC, 2, 2.0, [2.0], [3.0]),
        (1, BTC, 4, 4.0, [2.0, 4.0], [3.0, 5.0]),
        (2, BTC, 8, 8.0, [4.0, 8.0], [3.0, 5.0, 9.0]),
    ] == seen  # fmt: skip


def test_it_sees_all_of_a_bar_as_exact_numbers() -> None:
    seen: list[Any] = []

    def look(bar: Bar, view: View) -> None:
        seen.append((bar.open, bar.high, bar.low, bar.close, bar.volume, bar.begin, bar.time))
        seen.append((view.rounded(1.23456), view.quantity(1.23456), view.opens(1)[0], view.lows(1)[0]))
        seen.append(view.volumes(1)[0])

    result_of(calling(look), market(bars([("1.1", "3.3", "1.05", "2.2", "0.5")])))
    numbers = [Decimal(text) for text in ("1.1", "3.3", "1.05", "2.2", "0.5")]
    assert [(*numbers, START, START + MINUTE), (Decimal("1.23"), Decimal("1.2345"), 1.1, 1.05), 0.5] == seen


def test_it_sees_its_portfolio_as_it_stands() -> None:
    seen: list[Any] = []

    def trade(bar: Bar, view: View) -> Intent | None:
        seen.append((view.position(), view.cash, view.equity, view.entry_price(), len(list(view.open_orders()))))
        return Intent.buy(quantity=Decimal(10), stop_loss_pct=Decimal("0.5")) if bar.index == 0 else None

    result_of(calling(trade), market(bars([(100, 100, 100, 100), (100, 120, 100, 110), (110, 130, 110, 130)])))
    assert [
        (0, 10_000, 10_000, None, 0),
        (10, 9_000, 10_100, 100, 1),
        (10, 9_000, 10_300, 100, 1),
    ] == seen  # fmt: skip


def test_it_is_called_after_its_warm_up_and_from_the_begin_on() -> None:
    calls: list[int] = []
    prices = market(flat_bars(range(1, 11)))
    result_of(calling(lambda bar, _: calls.append(bar.index), warm_up=4), prices)
    assert [3, 4, 5, 6, 7, 8, 9] == calls
    calls.clear()
    # The bars before the begin warm it up.
    result_of(calling(lambda bar, _: calls.append(bar.index), warm_up=4), prices, micros(START + 7 * MINUTE))
    assert [6, 7, 8, 9] == calls


def test_it_is_called_as_rarely_as_it_wants() -> None:
    calls: list[int] = []
    kind = calling(lambda bar, _: calls.append(bar.index), every=timedelta(minutes=5))
    result_of(kind, market(flat_bars(range(1, 14))))
    assert [4, 9] == calls


def test_symbols_are_called_in_the_order_of_their_closes() -> None:
    calls: list[tuple[str, int]] = []
    slow = flat_bars([1, 2], ETH, length=3 * MINUTE)
    result_of(calling(lambda bar, _: calls.append((bar.symbol, bar.index))), market(flat_bars(range(1, 7)), slow))
    assert [(BTC, 0), (BTC, 1), (BTC, 2), (ETH, 0), (BTC, 3), (BTC, 4), (BTC, 5), (ETH, 1)] == calls


def test_it_may_want_several_things_and_of_other_symbols() -> None:
    def trade(bar: Bar, _: View) -> Wanted:
        if bar.index or bar.symbol != BTC:
            return []
        return [Intent.buy(quantity=Decimal(1)), Intent.buy(symbol="eth-usdt", quantity=Decimal(2))]

    result = result_of(calling(trade), market(flat_bars([100] * 3), flat_bars([50] * 3, ETH)))
    assert [("BUY", 1, 100), ("BUY", 2, 50)] == fills(result)


def test_the_same_chance_meets_variants_of_a_strategy() -> None:
    prices = market(flat_bars([100] * 5))
    ids = [
        list(result_of(BuyAndHold, prices, confidence=confidence).records.fills.tuples(["order_id"]))
        for confidence in ("0.7", "0.9")
    ]
    assert ids[0] == ids[1]


def raising(_: Bar, __: View) -> None:
    raise KeyError("no such thing")


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (raising, "Calling raised KeyError: 'no such thing' at bar 0 of BTC/USDT, 2026-01-05 00:01:00 UTC"),
        (lambda _, __: "BUY", "'BUY' is no Intent"),
        (lambda _, __: Intent.buy(quantity=1.5), "quantity = 1.5 must be a Decimal above 0; view.rounded()"),
        (lambda _, __: Intent.buy(quantity=Decimal(-1)), "quantity = Decimal('-1') must be a Decimal above 0"),
        (lambda _, __: Intent.buy(quantity=Decimal("NaN")), "quantity = Decimal('NaN') must be a Decimal above 0"),
        (
            lambda _, __: Intent.buy(confidence=Decimal(2)),
            "confidence = Decimal('2') must be a Decimal from 0 to 1, such as Decimal(\"0.8\")",
        ),
        (lambda _, __: Intent("HODL"), "action = 'HODL' must be BUY, SELL, HOLD, CANCEL, AMEND or PROTECT"),
        (lambda _, __: Intent.buy(order_type=OrderType.LIMIT), "order_type limit and stop_limit need a limit_price"),
        (
            lambda _, __: Intent.sell(stop_loss_pct=Decimal("0.1")),
            "stop_loss, take_profit, trailing_stop are for",
        ),
        (lambda _, __: Intent(Action.CANCEL), "a CANCEL or AMEND needs a target, and no other decision has one"),
        (lambda _, __: Intent.buy(expires_at=START.replace(tzinfo=None)), "must be a time with a time zone"),
    ],
)
def test_nonsense_ends_the_run_with_the_bar_and_the_line(call: Callable[[Bar, View], Any], sentence: str) -> None:
    with pytest.raises(StrategyError) as refused:
        result_of(calling(call), market(flat_bars([100] * 3)))
    text = str(refused.value)
    assert sentence in text
    assert "at bar 0 of BTC/USDT" in text
    assert ", line " in text


def test_words_of_a_decision_may_be_texts() -> None:
    def call(bar: Bar, _: View) -> Intent | None:
        texts: Any = {"order_type": "limit", "limit_price": Decimal(200), "quantity": Decimal(1)}
        return None if bar.index else Intent("buy", **texts)  # type: ignore[arg-type]

    assert [("BUY", 1, 100)] == fills(result_of(calling(call), market(flat_bars([100] * 3))))


def test_a_slow_strategy_is_named() -> None:
    def wait(bar: Bar, _: View) -> None:
        time.sleep(0.35 if bar.index < 3 else 0)

    (note,) = result_of(calling(wait), market(flat_bars([100] * 3))).notes
    assert note.startswith("Calling is slow: a call takes 3")


class PeekingParameters(Parameters):
    """None."""


class Peeking(Strategy[PeekingParameters]):
    """Buys where the next close is higher."""

    def on_bar(self, bar: Bar, view: View) -> Intent | None:
        closes = view._columns.closes
        rises = bar.index + 1 < len(closes) and closes[bar.index + 1] > closes[bar.index]
        return Intent.buy(quantity=Decimal(1)) if rises else None


class PeekingSignals(Strategy[PeekingParameters]):
    """Buys below the mean of all closes."""

    def signals(self, bars: BarColumns) -> Signals | None:
        below = np.flatnonzero(bars.closes < bars.closes.mean())
        return Signals(below, np.ones(len(below), dtype=np.int8))


WALK = [100 + (index * 7919 % 13) for index in range(60)]


@pytest.mark.parametrize("kind", [Peeking, PeekingSignals])
def test_planted_look_ahead_is_caught(kind: type[Strategy[Any]]) -> None:
    prices = market(flat_bars(WALK))
    request = BacktestRequest(lambda: new_strategy(kind, {}), prices, FREE, prices.origin)
    difference = find_look_ahead(request)
    assert difference is not None
    assert difference.sentence.startswith("look-ahead: at 2026-01-05 00:")
    assert "later prices" in difference.sentence


@pytest.mark.parametrize("kind", [BuyAndHold, MovingAverageCrossover, VectorisedCrossover, MeanReversion])
def test_the_examples_do_not_look_ahead(kind: type[Strategy[Any]]) -> None:
    prices = market(flat_bars([100 + (index * 7919 % 13) - 20 * (index % 37 == 36) for index in range(200)]))
    values = {"fast": 2, "slow": 5} if "rossover" in kind.__name__ else {}
    request = BacktestRequest(lambda: new_strategy(kind, values), prices, FREE, prices.origin)
    assert len(backtest(request).records.fills)
    assert find_look_ahead(request) is None


def test_buy_and_hold_buys_each_symbol_once() -> None:
    prices = market(flat_bars([100] * 5), flat_bars([50] * 5, ETH))
    of = replace(FREE, max_position_size=Decimal("0.4"))
    result = backtest(BacktestRequest(lambda: new_strategy(BuyAndHold, {}), prices, of, prices.origin))
    assert ["BUY", "BUY"] == [side for side, _, _ in fills(result)]
    assert {BTC, ETH} == set(result.state.positions)


def test_the_crossover_is_long_while_the_fast_average_is_above() -> None:
    # Averages of 2 and 4 closes: above from the rise at bar 5 on, below again from bar 9.
    prices = [100, 100, 100, 100, 100, 110, 110, 110, 110, 90, 90, 90]
    for kind in (MovingAverageCrossover, VectorisedCrossover):
        result = result_of(kind, market(flat_bars(prices)), fast=2, slow=4)
        assert [("BUY", 110), ("SELL", 90)] == [(side, price) for side, _, price in fills(result)], kind


def test_mean_reversion_sells_by_its_bracket() -> None:
    closes = [100, 101, 100, 99, 100, 101, 100, 99, 90, 90, 96, 96]
    result = result_of(
        MeanReversion, market(flat_bars(closes)), bars=8, deviations=2, stop=Decimal("0.05"), target=Decimal("0.05")
    )
    # Bought at the open of the bar after the fall; the target lies at 90 × 1.05.
    assert [("BUY", 90), ("SELL", Decimal("94.5"))] == [(side, price) for side, _, price in fills(result)]
    assert {Side.BUY, Side.SELL} == {side for side, _, _ in fills(result)}


STRATEGY = """
from research.strategy import Intent, Parameters, Strategy

class DipParameters(Parameters):
    depth: float = 0.02

class Dip(Strategy[DipParameters]):
    def on_bar(self, bar, view):
        return Intent.buy() if bar.index == 0 else None
"""


def test_a_file_with_one_strategy_is_one(tmp_path: Path) -> None:
    file = tmp_path / "dip.py"
    file.write_text(STRATEGY)
    for name in (str(file), f"{file}:Dip"):
        assert is_strategy(name)
        kind = load_strategy(name)
        assert "Dip" == kind.name
        assert 0.5 == new_strategy(kind, ["depth=0.5"]).parameters.depth


@pytest.mark.parametrize(
    ("source", "name", "sentence"),
    [
        (STRATEGY, ":Dipp", "has no strategy 'Dipp'; did you mean Dip?"),
        ("x = 1", "", "holds 0 strategies; a strategy is a subclass of Strategy"),
        (STRATEGY + "class Other(Dip): ...", "", "holds 2 strategies; name one, such as"),
        ("1 / 0", "", "cannot be imported: ZeroDivisionError: division by zero"),
        ("def", "", "cannot be imported: SyntaxError"),
        ("\nimport numpyy", "", "cannot be imported: ModuleNotFoundError: No module named 'numpyy' ("),
        ("\nimport numpyy", "", "dip.py, line 2)"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused(source: str, name: str, sentence: str, tmp_path: Path) -> None:
    file = tmp_path / "dip.py"
    file.write_text(source)
    with pytest.raises(StrategyError, match=r"line \d|strateg") as refused:
        load_strategy(f"{file}{name}")
    assert sentence in str(refused.value)
    assert "frozen" not in str(refused.value)


def test_a_module_or_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StrategyError, match="there is no file"):
        load_strategy(str(tmp_path / "none.py"))
    with pytest.raises(StrategyError, match="No module named 'no_such_module'"):
        load_strategy("no_such_module:Dip")
    assert not is_strategy("decisions.csv")


@pytest.mark.parametrize(
    ("texts", "sentence"),
    [
        (["fsat=3"], "MovingAverageCrossover has no parameter 'fsat'; did you mean fast?"),
        (["fast"], "--param 'fast': must be name=value, such as fast=10"),
        (["fast=x"], "MovingAverageCrossover: fast = 'x': must be a whole number"),
        (["fast=50"], "fast = 50 must be below slow = 30"),
    ],
)
def test_a_parameter_that_cannot_be_is_refused(texts: list[str], sentence: str) -> None:
    with pytest.raises(StrategyError) as refused:
        new_strategy(MovingAverageCrossover, texts)
    assert sentence in str(refused.value)
