"""Plain orders in integers give the digits of the engine, and everything else is left to it."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from domain.trading.execution import DRAWS, slippage_draw
from domain.trading.orders import ExecutionRules
from domain.types import OrderId, PriceRule
from research.backtest.ids import draw, name_bytes
from research.backtest.plain.rows import numbers
from research.backtest.plain.rules import PlainRules
from research.backtest.run import RunOptions
from research.strategy import Intent
from tests.support.research.markets import MINUTE, START, bars, market, micros, wish
from tests.support.research.plain_runs import (
    FREE,
    PlainCase,
    case_of,
    drawn_case,
    plain_cases,
    require_same,
    run_plain,
)
from tests.support.values.builders import BTC, BY_QUOTE, costs, free, rules

TEN = Decimal(10)


def fills(case: PlainCase) -> list[tuple[Any, ...]]:
    """Return the fills of a case that both ways agree on."""
    names = ("side", "order_type", "liquidity", "ambiguous", "quantity", "price")
    return list(require_same(case).fills.tuples(names))


@settings(max_examples=150, deadline=None)
@given(plain_cases())
def test_integers_give_the_digits_of_the_engine(case: PlainCase) -> None:
    assume(run_plain(case) is not None)
    require_same(case)


def test_random_runs_are_mostly_plain_and_of_all_kinds() -> None:
    kinds: set[tuple[Any, ...]] = set()
    plain = 0
    for seed in range(300):
        case = drawn_case(30, 12, seed)
        if run_plain(case) is not None:
            plain += 1
            listed = require_same(case)
            kinds |= set(listed.fills.tuples(["order_type", "side", "ambiguous"]))
            kinds |= set(listed.ends.tuples(["status", "reason"])) | set(listed.trades.tuples(["closes"]))
            kinds |= {("parts",) for (number,) in listed.fills.tuples(["fill_no"]) if number > 1}
    assert plain > 150
    assert {
        ("market", "BUY", False), ("market", "SELL", False), ("stop", "SELL", False), ("stop", "SELL", True),
        ("limit", "SELL", False), ("executed", ""), ("ignored", "confidence below threshold"), ("rejected", "no room"),
        ("rejected", "nothing held"), ("rejected", "too small"), ("rejected", "not enough cash"),
        ("rejected", "invalid"), (True,), (False,), ("parts",),
    } <= kinds  # fmt: skip


@settings(max_examples=30, deadline=None)
@given(plain_cases())
def test_near_a_tie_the_decimals_decide_and_give_the_same(case: PlainCase) -> None:
    of = PlainRules.of

    def always(*arguments: Any) -> PlainRules:
        made = of(*arguments)
        return replace(made, slip_margin=2 * made.slip_unit)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PlainRules, "of", staticmethod(always))
        assume(run_plain(case) is not None)
        require_same(case)


BRACKET = Intent.buy(quantity=TEN, stop_loss_pct=Decimal("0.05"), take_profit_pct=Decimal("0.1"))
BOUGHT = ("BUY", "market", "taker", False, 10, 100)
FLAT = (100, 100, 100, 100)


def test_a_stop_is_filled_behind_a_gap() -> None:
    prices = market(bars([FLAT, FLAT, (90, 91, 89, 90)]))
    assert [BOUGHT, ("SELL", "stop", "taker", False, 10, 90)] == fills(case_of(prices, (0, BRACKET)))


def test_of_both_exits_in_one_bar_the_stop_counts() -> None:
    prices = market(bars([FLAT, FLAT, (100, 111, 94, 100)]))
    assert [BOUGHT, ("SELL", "stop", "taker", True, 10, 95)] == fills(case_of(prices, (0, BRACKET)))


def test_a_target_behind_a_gap_gets_its_limit_and_what_that_costs_is_spread() -> None:
    prices = market(bars([FLAT, FLAT, (112, 113, 111, 112)]))
    case = case_of(prices, (0, BRACKET))
    assert [BOUGHT, ("SELL", "limit", "maker", False, 10, 110)] == fills(case)
    assert [(0,), (20,)] == list(require_same(case).fills.tuples(["spread"]))


def test_the_bar_at_whose_open_it_was_bought_may_reach_an_exit() -> None:
    prices = market(bars([FLAT, (100, 101, 94, 100)]))
    assert [BOUGHT, ("SELL", "stop", "taker", False, 10, 95)] == fills(case_of(prices, (0, BRACKET)))


def test_a_bar_without_volume_reaches_nothing() -> None:
    prices = market(bars([(*FLAT, 5), (*FLAT, 5), (100, 101, 94, 100, 0)]))
    assert [BOUGHT] == fills(case_of(prices, (0, BRACKET)))


def test_exits_shrink_with_what_is_sold() -> None:
    prices = market(bars([FLAT, FLAT, FLAT, (94, 94, 94, 94)]))
    case = case_of(prices, (0, BRACKET), (1, Intent.sell(quantity=Decimal(4))))
    assert [
        BOUGHT, ("SELL", "market", "taker", False, 4, 100), ("SELL", "stop", "taker", False, 6, 94)
    ] == fills(case)  # fmt: skip


@given(st.uuids(), st.sampled_from(["1", "2", "position"]))
def test_ids_and_draws_are_those_of_the_domain(uid: UUID, name: str) -> None:
    assert uuid5(uid, name).bytes == name_bytes(uid.bytes, name.encode())
    expected = slippage_draw(OrderId(uid))
    assert abs(expected - Decimal(draw(uid.bytes)) / DRAWS) < Decimal("1e-27")


def test_a_name_may_have_any_letters() -> None:
    name = "BÄR/USDT 1767571260000000 0"
    assert uuid5(NAMESPACE_URL, name).bytes == name_bytes(NAMESPACE_URL.bytes, name.encode())


@pytest.mark.parametrize("values", [[0, 1, -1, 2**62], [10**25, -(10**25), 3, 0]])
def test_numbers_become_exact_columns(values: list[int]) -> None:
    assert [Decimal(value).scaleb(-7) for value in values] == numbers(values, 7).to_pylist()


def test_it_fills_on_touch_where_that_is_enough() -> None:
    prices = market(bars([FLAT, FLAT, (100, 110, 100, 100)]))
    touching = replace(FREE, execution=ExecutionRules(PriceRule.QUOTE, fill_on_touch=True))
    assert [BOUGHT] == fills(case_of(prices, (0, BRACKET)))
    assert "limit" == fills(case_of(prices, (0, BRACKET), of=touching))[-1][1]


def test_a_decision_between_bars_gets_the_next_price() -> None:
    prices = market(bars([FLAT, (101, 101, 101, 101)], begins=[0, 3]))
    between = wish(Intent.buy(quantity=TEN, symbol=BTC), START + 2 * MINUTE, symbol=None)
    case = PlainCase(prices, RunOptions(FREE, micros(START)), [between])
    assert [101] == [row[-1] for row in fills(case)]
    assert START + 3 * MINUTE == next(require_same(case).fills.tuples(["at"]))[0]


def test_slippage_may_take_an_entry_beyond_its_target() -> None:
    # At 4 % × 2 × 1.5 it costs more than 101.3, where its target lies; its stop follows what it cost.
    prices = market(bars([FLAT, FLAT, ("101.5", "101.5", "101.5", "101.5")]))
    of = rules(costs=replace(free(), slippage_pct=Decimal("0.04")), execution=BY_QUOTE, max_position_size=1)
    wanted = Intent.buy(quantity=TEN, stop_loss_pct=Decimal("0.01"), take_profit=Decimal("101.3"), symbol=BTC)
    options = RunOptions(of, micros(START), strategy="tests")
    case = PlainCase(prices, options, [wish(wanted, START + 1.5 * MINUTE, symbol=None)])  # at the close of bar 1
    assert ("SELL", "stop", "taker", True) == fills(case)[-1][:4]


def test_a_target_gets_a_share_of_the_volume_of_each_bar_and_the_stop_closes_the_rest() -> None:
    above = (100, 111, 100, 100, 30)  # 0.1 of 30 are 3 a bar
    prices = market(bars([(*FLAT, 5), (*FLAT, 5), above, above, (94, 94, 94, 94, 5)]))
    case = case_of(prices, (0, BRACKET), of=replace(FREE, costs=costs(slippage_pct=0)))
    assert [
        BOUGHT, ("SELL", "limit", "maker", False, 3, 110), ("SELL", "limit", "maker", False, 3, 110),
        ("SELL", "stop", "taker", False, 4, 94),
    ] == fills(case)  # fmt: skip
    # 0.1 % of 330 are less than the minimum of 1, which the second part has paid already; 0.1 % of 376 as well.
    assert [(1, 1), (1, 1), (2, 0), (1, 1)] == list(require_same(case).fills.tuples(["fill_no", "commission"]))
