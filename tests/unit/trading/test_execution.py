"""Slippage, commission and fills (docs/arithmetic.md)."""

from __future__ import annotations

import pickle
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from types import SimpleNamespace
from uuid import UUID, uuid5

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.trading import execution
from domain.trading.arithmetic import CONTEXT, divide
from domain.trading.events import SizedOrder
from domain.trading.execution import (
    commission,
    fill_order,
    size_factor,
    slippage_draw,
    slippage_price,
    slippage_rate,
    worst_cost,
)
from domain.trading.open_orders.matching import match_market_order
from domain.trading.orders import Costs, Fill, name_uuid, order_id, position_id
from domain.trading.prices import BasePrice, base_price
from domain.types import OrderId, OrderType, PriceRule, Side
from tests.support.values import strategies
from tests.support.values.builders import NOON, costs, filled, instrument, market_order, refused, uid

MARKET, LIMIT = OrderType.MARKET, OrderType.LIMIT
GOLDEN_RATE = Decimal("0.001188297")
GOLDEN_BASE = Decimal("110485.85")


@pytest.fixture
def golden_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    """The U that gives 0.01 BTC at 110 485.85 the golden rate: 0.001 × 1.011048585 × U = 0.001188297."""
    u = divide(GOLDEN_RATE, Decimal("0.001011048585"))
    monkeypatch.setattr(execution, "slippage_draw", lambda _: u)


@pytest.mark.parametrize(
    ("expected", "base_notional", "order_type", "u"),
    [
        ("0.001", "0", MARKET, "1"),
        ("0.00025", "0", LIMIT, "1"),
        ("0.0005", "0", MARKET, "0.5"),
        ("0.0015", "0", MARKET, "1.5"),
        ("0.00101104858", "1104.858", MARKET, "1"),
        ("0.0011", "10000", MARKET, "1"),
        ("0.000275", "10000", LIMIT, "1"),
        ("0.002", "100000", MARKET, "1"),
        ("0.004999999", "399999.9", MARKET, "1"),
        ("0.005", "400000", MARKET, "1"),
        ("0.005", "400000.01", MARKET, "1"),
        ("0.005", "1000000000", MARKET, "1"),
        ("0.0075", "1000000000", MARKET, "1.5"),
        ("0.000625", "1000000000", LIMIT, "0.5"),
    ],
)
def test_slippage_grows_with_type_size_up_to_four_times_more_and_chance(
    expected: str, base_notional: str, order_type: OrderType, u: str
) -> None:
    assert Decimal(expected) == slippage_rate(Decimal(base_notional), Decimal("0.0005"), order_type, Decimal(u))


@pytest.mark.parametrize(
    ("expected", "value", "dollar"),
    [
        ("1.5", "50000", "1"),
        ("1.5", "5000000", "100"),  # yen
        ("1.5", "0.5", "0.00001"),  # bitcoin
        ("5", "4", "0.00001"),
        ("5", "400.1", "0.001"),
        ("1.00255", "25500", "100"),
    ],
)
def test_size_counts_in_dollars_whatever_the_currency(expected: str, value: str, dollar: str) -> None:
    assert Decimal(expected) == size_factor(Decimal(value), Decimal(dollar))


@pytest.mark.parametrize(("expected", "dollar"), [("0.001875", "1"), ("0.00125625", "100"), ("0.00625", "0.00001")])
def test_an_order_and_its_worst_cost_slip_in_the_currency_of_the_portfolio(
    expected: str, dollar: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(execution, "slippage_draw", lambda _: Decimal("1.25"))
    of_currency = replace(costs(commission_pct=0, min_commission=0), dollar=Decimal(dollar))
    fill = filled(market_order("BUY", 500, 100, costs=of_currency)).fill
    assert Decimal(expected) == fill.slippage_rate  # 0.001 × (1 + 50 000 / dollar / 100 000, at most 5) × 1.25
    worst = worst_cost(Decimal(500), BasePrice(Decimal(100)), Decimal("0.000001"), of_currency, PriceRule.QUOTE)
    assert 50_000 * (1 + Decimal(expected) * Decimal("1.2")) == worst  # U is 1.5


def test_slippage_rate_is_rounded_once_to_1e_12_with_a_tie_away_from_zero() -> None:
    tie = slippage_rate(Decimal(0), Decimal("0.0005"), MARKET, Decimal("1.0000000005"))
    assert Decimal("0.001000000001") == tie
    assert Decimal("0.001") == slippage_rate(Decimal(0), Decimal("0.0005"), MARKET, Decimal("1.0000000004999"))


def test_chance_is_one_half_and_the_first_eight_bytes_of_the_ids_hash() -> None:
    # printf '%s' 5f0c6a1e-8f4b-5d0a-9d7e-0a4c1b2d3e4f | sha256sum: eb8e73be4f959b8a…, a fraction of 2⁶⁴
    u = slippage_draw(OrderId(UUID("5f0c6a1e-8f4b-5d0a-9d7e-0a4c1b2d3e4f")))
    assert Decimal("1.42014239689122805847341229901203973895") == CONTEXT.quantize(u, Decimal("1e-38"))
    assert u == slippage_draw(OrderId(UUID("5F0C6A1E-8F4B-5D0A-9D7E-0A4C1B2D3E4F")))


@pytest.mark.parametrize(
    ("expected", "digest"),
    [
        ("0.5", bytes(32)),
        ("1", b"\x80" + bytes(31)),
        ("0.5", bytes(8) + b"\xff" * 24),
        ("1.499999999999999999945789891375724778", b"\xff" * 32),
    ],
)
def test_chance_is_from_one_half_to_less_than_one_and_a_half(
    expected: str, digest: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = SimpleNamespace(sha256=lambda _: SimpleNamespace(digest=lambda: digest))
    monkeypatch.setattr(execution, "hashlib", fake)
    u = slippage_draw(OrderId(uid(1)))
    assert Decimal(expected) == CONTEXT.quantize(u, Decimal("1e-36"))
    assert Decimal("0.5") <= u < Decimal("1.5")


@given(st.uuids())
def test_chance_of_any_order_is_in_its_bounds_and_always_the_same(some: UUID) -> None:
    assert Decimal("0.5") <= slippage_draw(OrderId(some)) < Decimal("1.5")
    assert slippage_draw(OrderId(some)) == slippage_draw(OrderId(UUID(str(some))))


@pytest.mark.parametrize(
    ("expected", "side", "base", "slip", "tick"),
    [
        ("110617.14", Side.BUY, "110485.85", "0.001188297", "0.01"),
        ("110354.56", Side.SELL, "110485.85", "0.001188297", "0.01"),
        ("100.13", Side.BUY, "100", "0.00125", "0.01"),
        ("99.88", Side.SELL, "100", "0.00125", "0.01"),
        ("100.125", Side.BUY, "100", "0.00125", "0.000000000001"),
        ("100.25", Side.BUY, "100", "0.00125", "0.25"),
        ("100", Side.SELL, "100", "0.00124", "0.25"),
    ],
)
def test_slippage_takes_a_buy_up_and_a_sell_down_to_the_tick(
    expected: str, side: Side, base: str, slip: str, tick: str
) -> None:
    assert Decimal(expected) == slippage_price(side, Decimal(base), Decimal(slip), Decimal(tick), PriceRule.LAST)


@pytest.mark.parametrize(
    ("expected", "side", "limit"),
    [
        ("100.05", "BUY", "100.05"),
        ("99", "BUY", "99"),
        ("100.2", "BUY", "100.5"),
        ("99.95", "SELL", "99.95"),
        ("101", "SELL", "101"),
        ("99.8", "SELL", "99.5"),
    ],
)
def test_a_limit_order_is_never_worse_than_its_limit(
    expected: str, side: str, limit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(execution, "slippage_draw", lambda _: Decimal(1))
    steep = costs(slippage_pct="0.004")
    fill = filled(market_order(side, "0.001", costs=steep, order_type=LIMIT, limit_price=limit)).fill
    assert Decimal(expected) == fill.price


def test_an_order_slips_by_the_notional_at_its_base_price(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execution, "slippage_draw", lambda _: Decimal("1.25"))
    fill = filled(market_order("BUY", 500, 100)).fill
    assert Decimal("0.001875") == fill.slippage_rate  # 0.0005 × 2 × (1 + 50 000 / 100 000) × 1.25
    assert Decimal("100.19") == fill.price
    limited = filled(market_order("BUY", 500, 100, order_type=LIMIT, limit_price=200)).fill
    assert Decimal("0.00046875") == limited.slippage_rate
    assert Decimal("100.05") == limited.price


@pytest.mark.parametrize(
    ("expected", "notional", "costs"),
    [
        ("1.1061714", "1106.1714", costs()),
        ("1.602258265", "1602.258265", costs()),
        ("1", "999.99", costs()),
        ("1", "1000", costs()),
        ("1.00001", "1000.01", costs()),
        ("1", "0", costs()),
        ("2.5", "1106.1714", costs(min_commission="2.5")),
        ("0", "1106.1714", costs(commission_pct=0, min_commission=0)),
        ("0.000000000001", "0.0000000005", costs(min_commission=0)),
        ("0.000000000003", "0.0000000025", costs(min_commission=0)),
    ],
)
def test_commission_is_a_fraction_of_the_notional_but_the_minimum_at_least(
    expected: str, notional: str, costs: Costs
) -> None:
    assert Decimal(expected) == commission(Side.BUY, Decimal(notional), costs)


def test_worst_cost_is_the_most_expensive_fill_that_the_slippage_rule_allows() -> None:
    # rate 0.001 × 1.011048585 × 1.5 = 0.0015165728775, to 1e-12 0.001516572878; price 110 653.41
    assert Decimal("1107.6406341") == worst_cost(
        Decimal("0.01"), BasePrice(GOLDEN_BASE), Decimal("0.01"), costs(), PriceRule.LAST
    )
    # the minimum counts: 0.001 × 1.001 × 1.5 = 0.0015015; 100.15 + 1
    assert Decimal("101.15") == worst_cost(
        Decimal(1), BasePrice(Decimal(100)), Decimal("0.01"), costs(), PriceRule.LAST
    )


@given(strategies.orders())
def test_no_market_buy_costs_more_than_the_worst(sized: SizedOrder) -> None:
    bought, met, taken = replace(sized.order, side=Side.BUY), sized.sizing.quote, sized.sizing.taken
    fill = fill_order(bought, met, NOON, taken)
    assert isinstance(fill, Fill)
    base = base_price(met, Side.BUY, bought.execution, taken)
    worst = worst_cost(bought.quantity, base, bought.instrument.tick, bought.costs, bought.execution.price_rule)
    assert fill.notional + fill.commission <= worst


@pytest.mark.usefixtures("golden_rate")
def test_golden_buy_of_one_hundredth_bitcoin() -> None:
    later = NOON + timedelta(seconds=1)
    what = market_order("BUY", "0.01", GOLDEN_BASE)
    event = filled(what, later)
    fill = event.fill
    assert Decimal("0.001188297") == fill.slippage_rate
    assert Decimal("110617.14") == fill.price
    assert Decimal("1106.1714") == fill.notional
    assert Decimal("1.1061714") == fill.commission
    assert Decimal("1107.2775714") == fill.notional + fill.commission
    assert Decimal("1.3129") == fill.slippage  # 0.01 × 131.29
    assert what.sizing.quote is fill.quote
    assert (1, what.order, what.sizing) == (event.version, event.order, event.sizing)
    assert (1, Decimal("0.01"), later) == (fill.fill_no, fill.quantity, fill.filled_at)


@pytest.mark.usefixtures("golden_rate")
def test_slippage_is_money_and_a_cost_is_positive_for_a_sell_too() -> None:
    fill = filled(market_order("SELL", "0.01", GOLDEN_BASE)).fill
    assert Decimal("110354.56") == fill.price
    assert Decimal("1.3129") == fill.slippage
    assert Decimal("1.1035456") == fill.commission


def test_slippage_uses_the_price_rounded_to_the_tick_not_the_drawn_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execution, "slippage_draw", lambda _: Decimal(1))
    fill = filled(market_order("BUY", 3, 100, instrument=instrument(tick="0.25"))).fill  # 100.1003 goes back to 100
    assert (Decimal(100), Decimal(0)) == (fill.price, fill.slippage)


def test_a_price_of_zero_gives_no_fill() -> None:
    coarse = instrument(tick=1)
    for side in ("SELL", "BUY"):
        worthless = market_order(side, 100, "0.4", instrument=coarse)
        refused("no fill at that price: slippage takes the price 0.4 to 0", match_market_order(worthless, NOON))
    assert Decimal(1) == filled(market_order("SELL", 100, "0.6", instrument=coarse)).fill.price


def test_the_reason_for_no_fill_has_no_exponents() -> None:
    shiny = instrument(tick="0.01")
    refusal = match_market_order(market_order("SELL", 100, "0.0000004", instrument=shiny), NOON)
    refused("no fill at that price: slippage takes the price 0.0000004 to 0", refusal)


def test_ids_are_named_after_the_decision_and_its_leg() -> None:
    decision = UUID("12345678-1234-5678-1234-567812345678")
    # python -c "import uuid; print(uuid.uuid5(uuid.UUID('12345678-1234-5678-1234-567812345678'), '1'))"
    expected = UUID("e076edda-bf70-5105-a9a9-118d7eecd0c4")
    assert expected == order_id(decision, 1)
    assert order_id(decision, 1) != order_id(decision, 2)
    assert position_id(order_id(decision, 1)) == position_id(order_id(decision, 1))
    assert position_id(order_id(decision, 1)) not in {order_id(decision, 1), position_id(order_id(decision, 2))}


@given(st.uuids(), st.text())
def test_a_uuid_of_a_name_is_that_of_the_library(namespace: UUID, name: str) -> None:
    expected, made = uuid5(namespace, name), name_uuid(namespace, name)
    assert expected == made
    assert (hash(expected), str(expected), repr(expected)) == (hash(made), str(made), repr(made))
    assert (expected.version, expected.variant, expected.is_safe) == (made.version, made.variant, made.is_safe)
    assert made == pickle.loads(pickle.dumps(made))
