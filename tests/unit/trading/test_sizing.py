"""Sizing: budget, position limit, cash, minimums, SELL (docs/arithmetic.md, *Size*)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from domain.trading.decision import PendingDecision
from domain.trading.events import SizedOrder, SizingEvidence
from domain.trading.execution import worst_cost
from domain.trading.instruments import Instrument
from domain.trading.orders import Costs, Order, order_id
from domain.trading.portfolio import PortfolioState
from domain.trading.prices import BasePrice
from domain.trading.sizing import budget
from domain.types import OrderType, OutcomeStatus, PriceRule, Side, Symbol
from tests.support.values.builders import (
    BTC,
    BY_LAST,
    ETH,
    NOON,
    Number,
    costs,
    deal,
    free,
    holding,
    instrument,
    ordered,
    quote,
    received,
    refused,
    rules,
    sized,
    sizing_of,
    uid,
)

NEW = PortfolioState.opened(rules())
COARSE = instrument(step="0.01")


def worst(quantity: Decimal, price: Number, what: Instrument, fees: Costs) -> Decimal:
    """Return the worst cost under the price rule of these tests, the last trade."""
    return worst_cost(quantity, BasePrice(Decimal(price)), what.tick, fees, PriceRule.LAST)


# expiry


def test_expired_exactly_at_expires_at() -> None:
    decision = received(expires_at=NOON)
    expected = "expired: at 2026-01-05 12:00:00 UTC, before it was sized"
    refused(expected, sized(decision, NEW, now=NOON), OutcomeStatus.EXPIRED)
    refused(expected, sized(decision, NEW, now=NOON + timedelta(microseconds=1)), OutcomeStatus.EXPIRED)
    assert isinstance(sized(decision, NEW, now=NOON - timedelta(microseconds=1)), SizedOrder)


# budget


@pytest.mark.parametrize(
    ("expected", "equity", "confidence", "risk_score", "max_position_size"),
    [
        ("1700", "10000", "0.80", "0.3", "0.20"),
        ("1593.75", "10000", "0.75", "0.3", "0.20"),
        ("2000", "10000", "0.80", "0", "0.20"),
        ("1000", "10000", "0.80", "1", "0.20"),
        ("2500", "10000", "1", "0", "0.20"),
        ("1275", "10000", "0.6", "0.3", "0.20"),
        ("850", "10000", "0.80", "0.3", "0.1"),
        ("0", "10000", "0", "0.3", "0.20"),
        ("0.000000000001", "0.0000000000025", "0.80", "0", "0.20"),
        ("0.000000000003", "0.0000000000125", "0.80", "0", "0.20"),
    ],
)
def test_budget_scales_with_confidence_and_shrinks_with_risk(
    expected: str, equity: str, confidence: str, risk_score: str, max_position_size: str
) -> None:
    spend = budget(Decimal(equity), Decimal(confidence), Decimal(risk_score), Decimal(max_position_size))
    assert Decimal(expected) == spend


@pytest.mark.parametrize(
    ("expected", "decision", "default_risk"),
    [
        ("17", received(confidence="0.80"), "0.3"),
        ("15.93", received(confidence="0.75"), "0.3"),
        ("17", received(confidence="0.80", risk_score="0.3"), "0.9"),
        ("11", received(confidence="0.80"), "0.9"),
        ("20", received(confidence="0.80", risk_score="0"), "0.9"),
        ("10", received(confidence="0.80", risk_score="1"), "0.3"),
    ],
)
def test_a_buy_spends_its_budget_and_the_portfolios_risk_counts_where_it_has_none(
    expected: str, decision: PendingDecision, default_risk: str
) -> None:
    portfolio = PortfolioState.opened(rules(default_risk_score=default_risk))
    assert Decimal(expected) == ordered(decision, portfolio, of=COARSE).quantity


def test_budget_goes_down_to_the_step_at_the_base_price() -> None:
    # 1 700 / 110 485.85 = 0.015386585703…
    assert Decimal("0.01538658") == ordered(received(), NEW, "110485.85").quantity
    assert Decimal("0.0153") == ordered(received(), NEW, "110485.85", of=instrument(step="0.0001")).quantity


# caps: room


def test_the_position_limit_applies_where_the_budget_is_larger() -> None:
    portfolio = holding((15, 100))
    assert Decimal(5) == ordered(received(), portfolio, of=COARSE).quantity  # 0.2 × 10 000 − 1 500, of 1 700
    assert Decimal(20) == ordered(received(confidence=1, risk_score=0), NEW, of=COARSE).quantity  # 2 000 of 2 500


def test_the_budget_applies_where_the_position_limit_is_larger() -> None:
    assert Decimal(17) == ordered(received(), holding((2, 100)), of=COARSE).quantity


def test_equity_marks_the_decisions_own_symbol_at_its_base_price_whatever_its_mark_says() -> None:
    portfolio = holding((10, 100))
    order = sizing_of(received(confidence=1), portfolio, 150, of=COARSE, marks={BTC: Decimal(1)})
    assert Decimal(10_500) == order.sizing.equity
    assert Decimal(4) == order.order.quantity  # 0.2 × 10 500 − 1 500 = 600
    assert order.sizing.other_marks() == {}


def test_equity_takes_latest_marks_of_the_others_and_the_last_fill_where_there_is_none() -> None:
    portfolio = deal(holding((10, 100)), "BUY", 5, 100, costs=free(), symbol=ETH).state
    eth = instrument("SOL/USDT")
    marked = sizing_of(received(symbol="SOL/USDT"), portfolio, 10, of=eth, marks={BTC: Decimal(200), ETH: Decimal(50)})
    assert (Decimal(10_750), {BTC: Decimal(200), ETH: Decimal(50)}) == (
        marked.sizing.equity,
        marked.sizing.other_marks(),
    )
    assert Decimal("182.75") == marked.order.quantity  # 0.17 × 10 750 / 10
    unmarked = sizing_of(received(symbol="SOL/USDT"), portfolio, 10, of=eth, marks={BTC: Decimal(200)})
    assert (Decimal(11_000), {BTC: Decimal(200), ETH: Decimal(100)}) == (
        unmarked.sizing.equity,
        unmarked.sizing.other_marks(),
    )
    stray = sizing_of(received(symbol="SOL/USDT"), portfolio, 10, of=eth, marks={Symbol("XRP/USDT"): Decimal(9)})
    assert {BTC: Decimal(100), ETH: Decimal(100)} == stray.sizing.other_marks()


def test_a_position_above_the_limit_gets_no_more_and_is_not_sold() -> None:
    expected = "no room: BTC/USDT is worth 3000, the position limit is 2200"
    refused(expected, sized(received(), holding((20, 100)), 150))
    exact = "no room: BTC/USDT is worth 2000, the position limit is 2000"
    refused(exact, sized(received(), holding((20, 100)), 100))


# caps: cash


ALL_IN = rules(initial_capital=1000, max_position_size=1)


def test_cash_pays_for_the_worst_price_with_commission_and_not_for_one_step_more() -> None:
    # 9.97: rate 0.0015 × 1.00997, price 100.15, 998.4955 + 1; 9.98 would be 999.497 + 1
    quantity = ordered(received(confidence=1, risk_score=0), PortfolioState.opened(ALL_IN), of=COARSE).quantity
    assert Decimal("9.97") == quantity
    assert Decimal("999.4955") == worst(quantity, 100, COARSE, costs())
    assert Decimal("1000.497") == worst(quantity + COARSE.step, 100, COARSE, costs())


@pytest.mark.parametrize(("expected", "capital"), [("9.97", "999.4955"), ("9.96", "999.495499999999")])
def test_cost_may_be_all_of_the_free_cash(expected: str, capital: str) -> None:
    portfolio = replace(PortfolioState.opened(ALL_IN), cash=Decimal(capital))
    portfolio = replace(portfolio, rules=rules(max_position_size=2))
    assert Decimal(expected) == ordered(received(confidence=1, risk_score=0), portfolio, of=COARSE).quantity


@pytest.mark.parametrize(
    ("capital", "price", "step", "tick", "fees"),
    [
        ("1000", "100", "0.01", "0.01", costs()),
        ("1000", "110485.85", "0.00000001", "0.01", costs()),
        ("700000", "3", "1", "0.000000000001", costs()),
        ("123456.789", "17", "0.3", "0.25", costs("0.01", "0.02", "5")),
        ("50", "0.07", "0.1", "0.01", costs("0", "0", "20")),
    ],
)
def test_cash_limits_the_quantity_to_the_largest_multiple_of_the_step(
    capital: str, price: str, step: str, tick: str, fees: Costs
) -> None:
    portfolio = PortfolioState.opened(rules(initial_capital=capital, max_position_size=1, costs=fees))
    what = instrument(step=step, tick=tick)
    quantity = ordered(received(confidence=1, risk_score=0), portfolio, price, of=what).quantity
    assert Decimal(0) == quantity % what.step
    assert worst(quantity, price, what, fees) <= Decimal(capital)
    assert worst(quantity + what.step, price, what, fees) > Decimal(capital)


def test_cash_below_the_minimum_order_is_the_reason() -> None:
    portfolio = replace(holding((10, 100)), cash=Decimal("10.5"))
    poor = replace(portfolio, positions={ETH: portfolio.positions[BTC]._replace(symbol=ETH)})
    expected = "not enough cash: free cash 10.5 does not cover the minimum order of 10 and its costs"
    refused(expected, sized(received(), poor))


@pytest.mark.parametrize("quantity", [None, "0.2"])
@pytest.mark.parametrize(("cash", "free_cash"), [("0", "0"), ("0.000", "0"), ("-0.5", "-0.5")])
def test_nothing_is_bought_while_cash_is_not_positive(cash: str, free_cash: str, quantity: str | None) -> None:
    broke = replace(holding((10, 100)), cash=Decimal(cash))
    refused(f"not enough cash: free cash is {free_cash}", sized(received(quantity=quantity), broke))
    assert Decimal(10) == ordered(received("SELL"), broke).quantity


# caps: the quantity that a user gives


def test_a_requested_quantity_ignores_the_budget_and_is_rounded_down_to_the_step() -> None:
    order = ordered(received(quantity="19.999", confidence="0.6", risk_score=1), NEW, of=COARSE)
    assert Decimal("19.99") == order.quantity


def test_a_requested_quantity_may_reach_the_position_limit_but_is_rejected_above_it() -> None:
    assert Decimal(20) == ordered(received(quantity=20), NEW, of=COARSE).quantity
    assert Decimal(20) == ordered(received(quantity="20.009"), NEW, of=COARSE).quantity
    expected = "no room: 20.01 at 100 is worth 2001, the position limit leaves 2000"
    refused(expected, sized(received(quantity="20.01"), NEW, of=COARSE))
    more = "no room: 5.01 at 100 is worth 501, the position limit leaves 500"
    refused(more, sized(received(quantity="5.01"), holding((15, 100)), of=COARSE))


def test_a_requested_quantity_beyond_the_cash_is_rejected_with_the_numbers() -> None:
    portfolio = PortfolioState.opened(ALL_IN)
    assert Decimal("9.97") == ordered(received(quantity="9.97"), portfolio, of=COARSE).quantity
    expected = "not enough cash: 9.98 at 100 is worth 998 and may cost 1000.497, free cash is 1000"
    refused(expected, sized(received(quantity="9.98"), portfolio, of=COARSE))
    exact = replace(PortfolioState.opened(rules(max_position_size=2)), cash=Decimal("999.4955"))
    assert Decimal("9.97") == ordered(received(quantity="9.97"), exact, of=COARSE).quantity


def test_a_budget_for_more_than_an_order_can_hold_is_no_room() -> None:
    huge = PortfolioState.opened(rules(initial_capital="1e19", max_position_size=1))
    decision = received(confidence="0.8", risk_score=0)
    assert Decimal("99900099900099900099.90") == ordered(decision, huge, "0.1", of=COARSE).quantity
    expected = "no room: 999000999000999000999 BTC/USDT is more than an order can hold, which is below 1e20"
    refused(expected, sized(decision, huge, "0.01", of=COARSE))


# too small


def test_too_small_is_below_the_minimum_at_the_base_price() -> None:
    assert Decimal("0.1") == ordered(received(quantity="0.1"), NEW, of=COARSE).quantity
    refused(
        "too small: 0.09 at 100 is worth 9, the minimum is 10",
        sized(received(quantity="0.09"), NEW, of=COARSE),
    )
    refused(
        "too small: 0.99 at 10.1 is worth 9.999, the minimum is 10",
        sized(received(quantity="0.999"), NEW, "10.1", of=COARSE),
    )
    little = PortfolioState.opened(rules(initial_capital=50))
    refused("too small: 0.08 at 100 is worth 8, the minimum is 10", sized(received(), little, of=COARSE))


def test_too_small_for_the_venue_if_its_minimum_is_larger() -> None:
    strict = instrument(step="0.01", min_notional=25)
    refused("too small: 0.24 at 100 is worth 24, the minimum is 25", sized(received(quantity="0.24"), NEW, of=strict))
    assert Decimal("0.25") == ordered(received(quantity="0.25"), NEW, of=strict).quantity
    lax = instrument(step="0.01", min_notional=5)
    refused("too small: 0.09 at 100 is worth 9, the minimum is 10", sized(received(quantity="0.09"), NEW, of=lax))


def test_less_than_one_step_is_too_small_even_without_a_minimum() -> None:
    lax = PortfolioState.opened(rules(min_notional=0, initial_capital=1))
    refused("too small: the quantity is less than one step of 1 at 100", sized(received(), lax, of=instrument(step=1)))
    rich = PortfolioState.opened(rules(min_notional=0))
    refused(
        "too small: the quantity is less than one step of 1 at 100",
        sized(received(quantity="0.5"), rich, of=instrument(step=1)),
    )


def test_too_small_for_the_venues_minimum_quantity() -> None:
    venue = instrument(step="0.01", min_quantity="0.5")
    refused(
        "too small: 0.49 is below the venue's minimum quantity, 0.5", sized(received(quantity="0.499"), NEW, of=venue)
    )
    assert Decimal("0.5") == ordered(received(quantity="0.5"), NEW, of=venue).quantity
    little = PortfolioState.opened(rules(initial_capital=100))
    refused("too small: 0.17 is below the venue's minimum quantity, 0.5", sized(received(), little, of=venue))
    held = holding((10, 100))
    refused(
        "too small: 0.1 is below the venue's minimum quantity, 0.5",
        sized(received("SELL", quantity="0.1"), held, 200, of=venue),
    )
    assert Decimal("0.3") == ordered(received("SELL"), holding(("0.3", 100)), of=venue).quantity


def test_cash_below_the_venues_minimum_quantity_is_rejected_with_its_cost() -> None:
    venue = instrument(step="0.01", min_quantity="0.5")
    poor = replace(holding((95, 100), symbol=ETH), cash=Decimal(40))
    refused(
        "not enough cash: free cash 40 does not cover the minimum order of 50 and its costs",
        sized(received(), poor, of=venue),
    )


def test_a_partial_sell_may_be_too_small_but_closing_a_whole_position_never_is() -> None:
    portfolio = holding((10, 100))
    refused(
        "too small: 0.99 at 10 is worth 9.9, the minimum is 10",
        sized(received("SELL", quantity="0.99"), portfolio, 10, of=COARSE),
    )
    assert Decimal(1) == ordered(received("SELL", quantity=1), portfolio, 10, of=COARSE).quantity
    dust = holding(("0.001", 100))
    for decision in (received("SELL"), received("SELL", quantity="0.001"), received("SELL", quantity=1)):
        assert Decimal("0.001") == ordered(decision, dust, of=COARSE).quantity


# SELL


def test_sell_without_quantity_closes_the_whole_position() -> None:
    order = ordered(received("SELL"), holding(("1.23456789", 100)), of=COARSE)
    assert (Side.SELL, Decimal("1.23456789"), "") == (order.side, order.quantity, order.note)


@pytest.mark.parametrize("confidence", ["0.6", "0.8", "1"])
def test_confidence_only_filters_a_sell(confidence: str) -> None:
    assert Decimal(10) == ordered(received("SELL", confidence=confidence), holding((10, 100))).quantity
    part = received("SELL", confidence=confidence, quantity=3, risk_score=1)
    assert Decimal(3) == ordered(part, holding((10, 100))).quantity


def test_sell_of_a_part_goes_down_to_the_step() -> None:
    order = ordered(received("SELL", quantity="3.3399"), holding((10, 100)), of=COARSE)
    assert (Decimal("3.33"), "") == (order.quantity, order.note)


def test_sell_of_the_exact_position_has_no_note() -> None:
    order = ordered(received("SELL", quantity="10.000"), holding((10, 100)))
    assert (Decimal(10), "") == (order.quantity, order.note)


def test_sell_of_more_than_is_held_closes_what_is_held_and_says_so() -> None:
    order = ordered(received("SELL", quantity="10.00000001"), holding((10, 100)))
    assert Decimal(10) == order.quantity
    expected = "the whole position, the decision requested 10.00000001"
    assert expected == order.note


@pytest.mark.parametrize("quantity", [None, "1"])
def test_sell_with_nothing_held_is_rejected(quantity: str | None) -> None:
    refused("nothing held: there is no BTC/USDT to sell", sized(received("SELL", quantity=quantity), NEW))
    other = holding((1, 100), symbol=ETH)
    refused("nothing held: there is no BTC/USDT to sell", sized(received("SELL", quantity=quantity), other))


def test_sell_is_never_refused_for_cash_and_then_nothing_is_bought_until_cash_is_positive() -> None:
    portfolio = replace(holding((2, 100)), cash=Decimal(0), rules=rules(min_notional=0))
    order = ordered(received("SELL", quantity="0.1"), portfolio, 5)
    assert Decimal("0.1") == order.quantity
    sold = deal(portfolio, "SELL", order.quantity, 5)
    assert Decimal("0.5") == sold.fill.commission  # its proceeds, below the minimum of 1
    poorer = sold.state
    assert Decimal(0) == poorer.cash
    refused("not enough cash: free cash is 0", sized(received(), poorer))
    richer = deal(poorer, "SELL", 1, 90).state
    assert Decimal(89) == richer.cash
    assert Side.BUY is ordered(received(symbol=ETH), richer, of=instrument(ETH)).side


# the order


def test_a_sized_order_carries_what_is_wanted_and_what_that_rests_on() -> None:
    portfolio = replace(NEW, version=41, rules=rules(revision=7))
    base = quote("110485.85")
    expected = Order(
        order_id=order_id(uid(1), 1),
        decision_id=1,
        portfolio=portfolio.name,
        leg=1,
        seq=42,
        instrument=instrument(),
        side=Side.BUY,
        order_type=OrderType.MARKET,
        quantity=Decimal("0.01538658"),
        costs=costs(),
        execution=BY_LAST,
        created_at=NOON,
        strategy="momentum",
        note="",
        limit_price=None,
        rules_revision=7,
    )
    sized_order = sizing_of(received(strategy="momentum"), portfolio, "110485.85")
    assert expected == sized_order.order
    assert SizingEvidence(base, Decimal(10_000), {BTC: base.price}, {}, 41) == sized_order.sizing
