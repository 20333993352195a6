"""Rounding: quantum, direction and decimal context of each kind of amount (docs/arithmetic.md, *Quanta*)."""

from __future__ import annotations

from collections.abc import Callable
from decimal import ROUND_DOWN, ROUND_UP, Decimal, localcontext
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.trading.account.trades import Trade
from domain.trading.arithmetic import (
    MONEY_QUANTUM,
    PRICE_QUANTUM,
    QUANTITY_STEP,
    RATE_QUANTUM,
    affordable,
    divide,
    floor_to,
    money,
    multiply,
    plain,
    rate,
    round_to,
    subtract,
    total,
)
from domain.trading.bookkeeping import Result
from domain.trading.events import SizedOrder
from domain.trading.execution import slippage_draw, slippage_rate, worst_cost
from domain.trading.instruments import Instrument
from domain.trading.portfolio import PortfolioState, Position
from domain.trading.prices import BasePrice, round_price
from domain.trading.sizing import budget
from domain.trading.snapshot import take_snapshot
from domain.types import OrderId, OrderType, PriceRule, Side, Symbol
from tests.support.values.builders import BTC, NOON, costs, deal, filled, received, rules, sizing_of, uid


def test_quanta_are_a_trillionth_and_steps_a_hundred_millionth() -> None:
    bare = Instrument(Symbol("BTC/USDT"), "USDT")
    assert Decimal("0.000000000001") == MONEY_QUANTUM
    assert Decimal("0.000000000001") == RATE_QUANTUM
    assert Decimal("0.000000000001") == PRICE_QUANTUM
    assert Decimal("0.00000001") == QUANTITY_STEP
    assert (bare.tick, bare.step) == (PRICE_QUANTUM, QUANTITY_STEP)


@pytest.mark.parametrize(
    ("expected", "amount"),
    [
        ("0.000000000001", "0.0000000000005"),
        ("-0.000000000001", "-0.0000000000005"),
        ("0.000000000003", "0.0000000000025"),
        ("-0.000000000003", "-0.0000000000025"),
        ("0.000000000002", "0.0000000000024999999999999999999999"),
        ("1107.277571400000", "1107.2775714"),
        ("0.333333333333", "0.33333333333333333333"),
    ],
)
def test_money_and_rates_to_1e_12_with_a_tie_away_from_zero(expected: str, amount: str) -> None:
    assert Decimal(expected) == money(Decimal(amount))
    assert Decimal(expected) == rate(Decimal(amount))


@pytest.mark.parametrize(
    ("expected", "price", "tick"),
    [
        ("110617.14", "110617.1400089", "0.01"),
        ("100.01", "100.005", "0.01"),
        ("100.03", "100.025", "0.01"),
        ("100.02", "100.0249999", "0.01"),
        ("100.25", "100.125", "0.25"),
        ("100", "100.124999", "0.25"),
        ("15", "12.5", "5"),
        ("0.000000000003", "0.0000000000025", "0.000000000001"),
        ("0.06", "0.05", "0.03"),
    ],
)
def test_price_to_the_nearest_tick_with_a_tie_away_from_zero(expected: str, price: str, tick: str) -> None:
    assert Decimal(expected) == round_to(Decimal(price), Decimal(tick))


@pytest.mark.parametrize(
    ("expected", "quantity", "step"),
    [
        ("0.01999999", "0.019999999999", "0.00000001"),
        ("0.3", "0.3", "0.1"),
        ("0.3", "0.39999", "0.1"),
        ("6", "7.99", "2"),
        ("0", "0.09", "0.1"),
        ("0", "0", "0.1"),
    ],
)
def test_quantity_down_to_its_step(expected: str, quantity: str, step: str) -> None:
    assert Decimal(expected) == floor_to(Decimal(quantity), Decimal(step))


@pytest.mark.parametrize(
    ("expected", "spend", "price", "step"),
    [
        ("0.01538658", "1700", "110485.85", "0.00000001"),
        ("10", "100", "10", "1"),
        ("9", "99.99", "10", "1"),
        ("3.3", "10", "3", "0.1"),
        ("0", "0", "3", "0.1"),
        ("0", "-5", "3", "0.1"),
    ],
)
def test_affordable_is_the_largest_multiple_of_the_step(expected: str, spend: str, price: str, step: str) -> None:
    assert Decimal(expected) == affordable(Decimal(spend), Decimal(price), Decimal(step))


amounts = st.decimals(0, 10**9, places=12)
quanta = st.sampled_from([Decimal(q) for q in ("1e-12", "1e-8", "0.01", "0.03", "0.25", "1", "7")])


@given(amounts, quanta)
def test_rounding_agrees_with_fractions(amount: Decimal, quantum: Decimal) -> None:
    steps, rest = divmod(Fraction(amount), Fraction(quantum))
    assert steps * Fraction(quantum) == Fraction(floor_to(amount, quantum))
    nearest = steps + (1 if 2 * rest >= Fraction(quantum) else 0)
    assert nearest * Fraction(quantum) == Fraction(round_to(amount, quantum))


@given(amounts, st.decimals(Decimal("1e-12"), 10**6, places=12), quanta)
def test_one_step_more_is_not_affordable(spend: Decimal, price: Decimal, step: Decimal) -> None:
    quantity = affordable(spend, price, step)
    assert Fraction(quantity) * Fraction(price) <= Fraction(spend)
    assert (Fraction(quantity) + Fraction(step)) * Fraction(price) > Fraction(spend)


def test_sixty_digits_are_exact_and_more_are_rounded() -> None:
    thirty = Decimal("9" * 30)
    assert Decimal(int("9" * 30) ** 2) == multiply(thirty, thirty)
    assert Decimal("0." + "6" * 59 + "7") == divide(Decimal(2), Decimal(3))
    assert Decimal("-0." + "6" * 59 + "7") == divide(Decimal(-2), Decimal(3))
    assert Decimal("1e-18") == subtract(
        Decimal("12345678901234567890.000000000000000001"), Decimal(12345678901234567890)
    )
    assert Decimal("0.3") == total([Decimal("0.1")] * 3)


def sized_order() -> SizedOrder:
    return sizing_of(received(confidence="0.75"), PortfolioState.opened(rules()), "110485.85")


def bought() -> Result:
    return deal(PortfolioState.opened(rules()), "BUY", "0.01442492", "110485.85", costs=costs())


def sold() -> Result:
    return deal(bought().state, "SELL", "0.0033333", "110998.12", costs=costs())


def trade() -> Trade:
    made = sold().trade
    assert made is not None
    return made


def rest() -> Position:
    return sold().state.positions[BTC]


COMPUTED: dict[str, Callable[[], object]] = {
    "money": lambda: money(Decimal("1.23456789012345678")),
    "sums": lambda: total([Decimal("1234.5678"), Decimal("0.00009")]),
    "chance": lambda: slippage_draw(OrderId(uid(7))),
    "rate": lambda: slippage_rate(Decimal("12345.678"), Decimal("0.0005"), OrderType.MARKET, Decimal("1.1234567")),
    "worst cost": lambda: worst_cost(
        Decimal("1.2345678"),
        BasePrice(Decimal("123.45"), Decimal("0.1234567")),
        Decimal("0.01"),
        costs(),
        PriceRule.QUOTE,
    ),
    "budget": lambda: budget(Decimal("12345.678901"), Decimal("0.7777"), Decimal("0.3333"), Decimal("0.2222")),
    "rounded up": lambda: round_price(Decimal("123.4567"), Side.BUY, Decimal("0.01"), PriceRule.QUOTE),
    "rounded down": lambda: round_price(Decimal("123.4567"), Side.SELL, Decimal("0.01"), PriceRule.QUOTE),
    "cost parts": lambda: filled(sized_order()).fill.costs,
    "order": sized_order,
    "fill price": lambda: filled(sized_order()).fill.price,
    "notional": lambda: filled(sized_order()).fill.notional,
    "commission": lambda: filled(sized_order()).fill.commission,
    "slippage": lambda: filled(sized_order()).fill.slippage,
    "bought": lambda: bought().state,
    "sold": lambda: sold().state,
    "deltas": lambda: (bought().cash_delta, sold().cash_delta, bought().asset_delta, sold().asset_delta),
    "trade": lambda: (trade(), trade().gross, trade().commission, trade().net),
    "position": lambda: (
        rest().entry_price,
        rest().value(Decimal("111222.33")),
        rest().unrealized(Decimal("111222.33")),
    ),
    "equity": lambda: sold().state.equity({BTC: Decimal("111222.33")}),
    "snapshot": lambda: take_snapshot(sold().state, {BTC: Decimal("111222.33")}, Decimal("10001.234567"), NOON),
}


@pytest.mark.parametrize("what", COMPUTED)
@pytest.mark.parametrize("rounding", [ROUND_DOWN, ROUND_UP])
def test_the_decimal_context_of_the_thread_has_no_effect(what: str, rounding: str) -> None:
    expected = COMPUTED[what]()
    with localcontext(prec=3, rounding=rounding):
        assert expected == COMPUTED[what]()


@pytest.mark.parametrize(
    ("expected", "number"),
    [
        ("8892.7224286", "8892.722428600000"),
        ("1000", "1E+3"),
        ("100", "100"),
        ("0.00000001", "1E-8"),
        ("0", "0E-12"),
        ("-1.5", "-1.50"),
    ],
)
def test_plain_writes_without_exponent_or_trailing_zeros(expected: str, number: str) -> None:
    assert expected == plain(Decimal(number))
