"""The price, the cost and the commission of a market order under the price rule `quote` (docs/execution.md).

All numbers are written out. They were computed with exact fractions, by none of the functions under test.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from domain.trading import execution
from domain.trading.execution import fill_order
from domain.trading.open_orders.matching import match_market_order
from domain.trading.orders import ExecutionRules, Fill
from domain.trading.prices import BasePrice, base_price, mark
from domain.types import PriceRule, Side
from tests.support.values.builders import BY_QUOTE, NOON, costs, filled, instrument, market_order, quote, refused

BOOKS = [
    # side bid ask bid_size ask_size quantity max_touch_share taken;
    # base price, touch size, slippage rate, price, notional, commission; spread, slippage, size and random part
    # The last trade is 100, the tick 0.01, slippage 0.0005, commission 0.001 and at least 1, U 1.25.
    # What is known of the spread, without sizes
    "BUY 99.90 100.10 - - 2 1 0 | 100.1 - 0.0012525025 100.23 200.46 1 | 0.2 0.2094489995 0.0004008004 0.0501502001",
    "SELL 99.90 100.10 - - 2 1 0 | 99.9 - 0.0012524975 99.77 199.54 1 | 0.2 0.2095509995 0.0003992004 0.0500498001",
    "BUY 100.00 100.00 - - 2 1 0 | 100 - 0.0012525 100.13 200.26 1 | 0 0.2095 0.0004 0.0501",
    "SELL 100.00 100.00 - - 2 1 0 | 100 - 0.0012525 99.87 199.74 1 | 0 0.2095 0.0004 0.0501",
    "BUY 98 100.00 - - 2 1 0 | 100 - 0.0012525 100.13 200.26 1 | 0 0.2095 0.0004 0.0501",
    "SELL 98 100.00 - - 2 1 0 | 98 - 0.00125245 97.87 195.74 1 | 4 0.2105198 0.00038416 0.04909604",
    "BUY 100.20 100.30 - - 2 1 0 | 100.3 - 0.0012525075 100.43 200.86 1 | 0.2 0.2093469955 0.0004024036 0.0502506009",
    "SELL 100.20 100.30 - - 2 1 0 | 100.2 - 0.001252505 100.07 200.14 1 | 0 0.209397998 0.0004016016 0.0502004004",
    "BUY 99.70 99.80 - - 2 1 0 | 99.8 - 0.001252495 99.93 199.86 1 | 0 0.209601998 0.0003984016 0.0499996004",
    "SELL 99.70 99.80 - - 2 1 0 | 99.7 - 0.0012524925 99.57 199.14 1 | 0.2 0.2096529955 0.0003976036 0.0499494009",
    "BUY 100.10 99.90 - - 2 1 0 | 100 - 0.0012525 100.13 200.26 1 | 0 0.2095 0.0004 0.0501",
    "SELL 100.10 99.90 - - 2 1 0 | 100 - 0.0012525 99.87 199.74 1 | 0 0.2095 0.0004 0.0501",
    "BUY 99.90 - - - 2 1 0 | 100 - 0.0012525 100.13 200.26 1 | 0 0.2095 0.0004 0.0501",
    "SELL 99.90 - - - 2 1 0 | 100 - 0.0012525 99.87 199.74 1 | 0 0.2095 0.0004 0.0501",
    "BUY - 100.10 - - 2 1 0 | 100 - 0.0012525 100.13 200.26 1 | 0 0.2095 0.0004 0.0501",
    "SELL - 100.10 - - 2 1 0 | 100 - 0.0012525 99.87 199.74 1 | 0 0.2095 0.0004 0.0501",
    "BUY - - - - 2 1 0 | 100 - 0.0012525 100.13 200.26 1 | 0 0.2095 0.0004 0.0501",
    "SELL - - - - 2 1 0 | 100 - 0.0012525 99.87 199.74 1 | 0 0.2095 0.0004 0.0501",
    "BUY 80 120 - - 2 1 0 | 120 - 0.001253 120.16 240.32 1 | 40 0.25928 0.000576 0.060144",
    "SELL 80 120 - - 2 1 0 | 80 - 0.001252 79.89 159.78 1 | 40 0.17968 0.000256 0.040064",
    # Sizes with a spread that is not known: they do not count
    "BUY 100.10 99.90 50 50 500 1 0 | 100 - 0.001875 100.19 50095 50.095 | 0 51.25 25 18.75",
    "SELL 100.10 99.90 50 50 500 1 0 | 100 - 0.001875 99.81 49905 49.905 | 0 51.25 25 18.75",
    "BUY 99.90 - 50 - 500 1 0 | 100 - 0.001875 100.19 50095 50.095 | 0 51.25 25 18.75",
    "SELL 99.90 - 50 - 500 1 0 | 100 - 0.001875 99.81 49905 49.905 | 0 51.25 25 18.75",
    "BUY - 100.10 - 50 500 1 0 | 100 - 0.001875 100.19 50095 50.095 | 0 51.25 25 18.75",
    "SELL - 100.10 - 50 500 1 0 | 100 - 0.001875 99.81 49905 49.905 | 0 51.25 25 18.75",
    # The size at the touch: enough, exactly enough, a little less, thin, none, the other side alone
    "BUY 99.90 100.10 1000 1000 500 1 0 | 100.1 1000 0.00125 100.23 50115 50.115 | 50 52.4875 0 12.5125",
    "SELL 99.90 100.10 1000 1000 500 1 0 | 99.9 1000 0.00125 99.77 49885 49.885 | 50 52.5125 0 12.4875",
    "BUY 99.90 100.10 500 500 500 1 0 | 100.1 500 0.00125 100.23 50115 50.115 | 50 52.4875 0 12.5125",
    "SELL 99.90 100.10 500 500 500 1 0 | 99.9 500 0.00125 99.77 49885 49.885 | 50 52.5125 0 12.4875",
    (
        "BUY 99.90 100.10 490 490 500 1 0 | "
        "100.1 490 0.0012625125 100.23 50115 50.115 | 50 51.861249375 0.5010005 12.637750125"
    ),
    (
        "SELL 99.90 100.10 490 490 500 1 0 | "
        "99.9 490 0.0012624875 99.77 49885 49.885 | 50 51.888749375 0.4990005 12.612250125"
    ),
    (
        "BUY 99.90 100.10 200 200 500 1 0 | "
        "100.1 200 0.001625375 100.27 50135 50.135 | 50 53.69998125 15.030015 16.27000375"
    ),
    (
        "SELL 99.90 100.10 200 200 500 1 0 | "
        "99.9 200 0.001624625 99.73 49865 49.865 | 50 53.79998125 14.970015 16.23000375"
    ),
    "BUY 99.90 100.10 0 0 500 1 0 | 100.1 0 0.001875625 100.29 50145 50.145 | 50 51.17496875 25.050025 18.77500625",
    "SELL 99.90 100.10 0 0 500 1 0 | 99.9 0 0.001874375 99.71 49855 49.855 | 50 51.32496875 24.950025 18.72500625",
    "BUY 99.90 100.10 1000 - 500 1 0 | 100.1 - 0.001875625 100.29 50145 50.145 | 50 51.17496875 25.050025 18.77500625",
    "SELL 99.90 100.10 - 1000 500 1 0 | 99.9 - 0.001874375 99.71 49855 49.855 | 50 51.32496875 24.950025 18.72500625",
    "BUY 99.90 100.10 1000 100 500 1 0 | 100.1 100 0.0017505 100.28 50140 50.14 | 50 52.437475 20.04002 17.522505",
    "SELL 99.90 100.10 100 1000 500 1 0 | 99.9 100 0.0017495 99.72 49860 49.86 | 50 52.562475 19.96002 17.477505",
    "BUY 99.90 100.10 - - 500 1 0 | 100.1 - 0.001875625 100.29 50145 50.145 | 50 51.17496875 25.050025 18.77500625",
    "SELL 99.90 100.10 - - 500 1 0 | 99.9 - 0.001874375 99.71 49855 49.855 | 50 51.32496875 24.950025 18.72500625",
    # A share of the touch below 1, and what earlier orders took
    "BUY 99.90 100.10 1000 1000 500 0.5 0 | 100.1 500 0.00125 100.23 50115 50.115 | 50 52.4875 0 12.5125",
    "SELL 99.90 100.10 1000 1000 500 0.5 0 | 99.9 500 0.00125 99.77 49885 49.885 | 50 52.5125 0 12.4875",
    (
        "BUY 99.90 100.10 1000 1000 500 0.4 0 | "
        "100.1 400 0.001375125 100.24 50120 50.12 | 50 51.22499375 5.010005 13.76500125"
    ),
    (
        "SELL 99.90 100.10 1000 1000 500 0.4 0 | "
        "99.9 400 0.001374875 99.76 49880 49.88 | 50 51.27499375 4.990005 13.73500125"
    ),
    "BUY 99.90 100.10 1000 1000 500 0.1 0 | 100.1 100 0.0017505 100.28 50140 50.14 | 50 52.437475 20.04002 17.522505",
    "SELL 99.90 100.10 1000 1000 500 0.1 0 | 99.9 100 0.0017495 99.72 49860 49.86 | 50 52.562475 19.96002 17.477505",
    "BUY 99.90 100.10 1000 1000 500 1 400 | 100.1 600 0.00125 100.23 50115 50.115 | 50 52.4875 0 12.5125",
    "SELL 99.90 100.10 1000 1000 500 1 400 | 99.9 600 0.00125 99.77 49885 49.885 | 50 52.5125 0 12.4875",
    (
        "BUY 99.90 100.10 1000 1000 500 1 700 | "
        "100.1 300 0.00150025 100.26 50130 50.13 | 50 54.9624875 10.02001 15.0175025"
    ),
    "SELL 99.90 100.10 1000 1000 500 1 700 | 99.9 300 0.00149975 99.75 49875 49.875 | 50 50.0374875 9.98001 14.9825025",
    (
        "BUY 99.90 100.10 1000 1000 500 1 1000 | "
        "100.1 0 0.001875625 100.29 50145 50.145 | 50 51.17496875 25.050025 18.77500625"
    ),
    (
        "SELL 99.90 100.10 1000 1000 500 1 1000 | "
        "99.9 0 0.001874375 99.71 49855 49.855 | 50 51.32496875 24.950025 18.72500625"
    ),
    (
        "BUY 99.90 100.10 1000 1000 500 1 1200 | "
        "100.1 0 0.001875625 100.29 50145 50.145 | 50 51.17496875 25.050025 18.77500625"
    ),
    (
        "SELL 99.90 100.10 1000 1000 500 1 1200 | "
        "99.9 0 0.001874375 99.71 49855 49.855 | 50 51.32496875 24.950025 18.72500625"
    ),
    (
        "BUY 99.90 100.10 1000 1000 500 0.5 300 | "
        "100.1 200 0.001625375 100.27 50135 50.135 | 50 53.69998125 15.030015 16.27000375"
    ),
    (
        "SELL 99.90 100.10 1000 1000 500 0.5 300 | "
        "99.9 200 0.001624625 99.73 49865 49.865 | 50 53.79998125 14.970015 16.23000375"
    ),
    # The surcharge ends at four times
    "BUY 99.90 100.10 0 0 4000 1 0 | 100.1 0 0.00625 100.73 402920 402.92 | 400 417.9 1601.6 500.5",
    "SELL 99.90 100.10 0 0 4000 1 0 | 99.9 0 0.006245 99.27 397080 397.08 | 400 424.098 1596.8016 499.1004",
    "BUY 99.90 100.10 0 0 50000 1 0 | 100.1 0 0.00625 100.73 5036500 5036.5 | 5000 5223.75 20020 6256.25",
    "SELL 99.90 100.10 0 0 50000 1 0 | 99.9 0 0.00625 99.27 4963500 4963.5 | 5000 5276.25 19980 6243.75",
    "BUY 99.90 100.10 - 1000 5000 1 0 | 100.1 1000 0.00625 100.73 503650 503.65 | 500 522.375 2002 625.625",
    "SELL 99.90 100.10 1000 - 5000 1 0 | 99.9 1000 0.006245 99.27 496350 496.35 | 500 530.1225 1996.002 623.8755",
]
TICKS = [
    # side last bid ask quantity tick slippage_pct U; then the same as above
    (
        "BUY 0.00000005 0.00000005 0.00000006 100000000 0.00000001 0.0005 1.25 | "
        "0.00000006 - 0.001250075 0.00000007 7 1 | 1 0.99849955 0.00000036 0.00150009"
    ),
    (
        "BUY 0.00000005 0.00000005 0.00000006 100000000 0.00000001 0.0000001 0.5 | "
        "0.00000006 - 0.000000100006 0.00000007 7 1 | 1 1.000000599964 0.000000000072 -0.000000600036"
    ),
    "BUY 0.00000005 0.00000005 0.00000006 100000000 0.00000001 0 1.25 | 0.00000006 - 0 0.00000006 6 1 | 1 0 0 0",
    (
        "SELL 0.00000005 0.00000005 0.00000006 100000000 0.00000001 0.0005 1.25 | "
        "0.00000005 - 0.0012500625 0.00000004 4 1 | 0 0.9987496875 0.00000025 0.0012500625"
    ),
    (
        "SELL 0.00000005 0.00000005 0.00000006 100000000 0.00000001 0.0000001 0.5 | "
        "0.00000005 - 0.000000100005 0.00000004 4 1 | 0 1.000000499975 0.00000000005 -0.000000500025"
    ),
    "SELL 0.00000005 0.00000005 0.00000006 100000000 0.00000001 0 1.25 | 0.00000005 - 0 0.00000005 5 1 | 0 0 0 0",
    (
        "BUY 0.00000005 0.00000001 0.00000001 100000000 0.00000001 0.0005 1.25 | "
        "0.00000001 - 0.0012500125 0.00000002 2 1 | 0 0.9997499875 0.00000001 0.0002500025"
    ),
    (
        "SELL 0.00000005 0.00000001 0.00000001 100000000 0.00000001 0.0005 1.25 | "
        "0.00000001 - 0.0012500125 0.00000001 1 1 | 0 -0.0002500125 0.00000001 0.0002500025"
    ),
    (
        "BUY 100.1 100 100.25 2 0.25 0.0005 1.25 | "
        "100.25 - 0.00125250625 100.5 201 1 | 0.3 0.449372496875 0.0004020025 0.050225500625"
    ),
    "BUY 100.1 100 100.25 2 0.25 0 0.5 | 100.25 - 0 100.25 200.5 1 | 0.3 0 0 0",
    "SELL 100.1 100 100.25 2 0.25 0.0005 1.25 | 100 - 0.0012525 99.75 199.5 1 | 0.2 0.4495 0.0004 0.0501",
    "SELL 100.1 100 100.25 2 0.25 0 0.5 | 100 - 0 100 200 1 | 0.2 0 0 0",
    "BUY 100.1 100.1 100.15 2 0.25 0 1.25 | 100.15 - 0 100.25 200.5 1 | 0.1 0.2 0 0",
    "SELL 100.1 100.1 100.15 2 0.25 0 1.25 | 100.1 - 0 100 200 1 | 0 0.2 0 0",
    "BUY 3.5 3 4 2 1 0.0005 1.5 | 4 - 0.00150012 5 10 1 | 1 1.99599904 0.00000064 0.00400032",
    "BUY 1 1 1 2 1 0.3 1.25 | 1 - 0.750015 2 4 1 | 0 1.69997 0.000024 0.300006",
    "SELL 3.5 3 4 2 1 0.0005 1.5 | 3 - 0.00150009 2 4 1 | 1 1.99699946 0.00000036 0.00300018",
    "SELL 1 1 1 2 1 0.3 1.25 | 1 - 0.750015 1 2 1 | 0 -0.30003 0.000024 0.300006",
    "BUY 100 - - 2 0.000000000001 0.0005 1.25 | 100 - 0.0012525 100.12525 200.2505 1 | 0 0.2 0.0004 0.0501",
    "SELL 100 - - 2 0.000000000001 0.0005 1.25 | 100 - 0.0012525 99.87475 199.7495 1 | 0 0.2 0.0004 0.0501",
    "BUY 100 - - 2 0.01 0.00001 0.5 | 100 - 0.00001002 100.01 200.02 1 | 0 0.021996 0.000008 -0.002004",
    "SELL 100 - - 2 0.01 0.00001 0.5 | 100 - 0.00001002 99.99 199.98 1 | 0 0.021996 0.000008 -0.002004",
]
COMMISSIONS = [
    # side quantity commission_pct min_commission; bid 99.99, ask 100.01, more offered than wanted, U 1
    "BUY 20 0.001 1 | 100.01 9999999 0.001 100.12 2002.4 2.0024 | 0.2 2.2 0 0",
    "SELL 20 0.001 1 | 99.99 9999999 0.001 99.89 1997.8 1.9978 | 0.2 2 0 0",
    "BUY 0.5 0.001 1 | 100.01 9999999 0.001 100.12 50.06 1 | 0.005 0.055 0 0",
    "SELL 0.5 0.001 1 | 99.99 9999999 0.001 99.89 49.945 1 | 0.005 0.05 0 0",
    "BUY 10 0.001 0 | 100.01 9999999 0.001 100.12 1001.2 1.0012 | 0.1 1.1 0 0",
    "SELL 10 0.001 0 | 99.99 9999999 0.001 99.89 998.9 0.9989 | 0.1 1 0 0",
    "BUY 10 0 1 | 100.01 9999999 0.001 100.12 1001.2 1 | 0.1 1.1 0 0",
    "SELL 10 0 1 | 99.99 9999999 0.001 99.89 998.9 1 | 0.1 1 0 0",
    "BUY 0.005 0.001 1 | 100.01 9999999 0.001 100.12 0.5006 1 | 0.00005 0.00055 0 0",
    "SELL 0.005 0.001 1 | 99.99 9999999 0.001 99.89 0.49945 0.49945 | 0.00005 0.0005 0 0",
    "BUY 0.01 0.001 1 | 100.01 9999999 0.001 100.12 1.0012 1 | 0.0001 0.0011 0 0",
    "SELL 0.01 0.001 1 | 99.99 9999999 0.001 99.89 0.9989 0.9989 | 0.0001 0.001 0 0",
    "BUY 10 0 0 | 100.01 9999999 0.001 100.12 1001.2 0 | 0.1 1.1 0 0",
    "SELL 10 0 0 | 99.99 9999999 0.001 99.89 998.9 0 | 0.1 1 0 0",
    "BUY 3 0.001 500 | 100.01 9999999 0.001 100.12 300.36 500 | 0.03 0.33 0 0",
    "SELL 3 0.001 500 | 99.99 9999999 0.001 99.89 299.67 299.67 | 0.03 0.3 0 0",
    "BUY 10 1.5 1 | 100.01 9999999 0.001 100.12 1001.2 1501.8 | 0.1 1.1 0 0",
    "SELL 10 1.5 1 | 99.99 9999999 0.001 99.89 998.9 998.9 | 0.1 1 0 0",
]


def number(text: str) -> Decimal | None:
    return None if text == "-" else Decimal(text)


def assert_filled(fill: Fill, expected: str, parts: str) -> None:
    """Assert the numbers of a fill and of the parts of its cost, and that the parts are all of it."""
    numbers = [fill.base_price, fill.touch_size, fill.slippage_rate, fill.price, fill.notional, fill.commission]
    assert [number(text) for text in expected.split()] == numbers
    cost = fill.costs
    assert [number(text) for text in parts.split()] == [cost.spread, cost.slippage, cost.size, cost.random]


@pytest.mark.parametrize("case", BOOKS)
def test_a_taker_meets_the_other_side_of_the_book(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execution, "slippage_draw", lambda _: Decimal("1.25"))
    inputs, *numbers = case.split("|")
    side, bid, ask, bid_size, ask_size, quantity, share, taken = inputs.split()
    met = quote(100, bid=number(bid), ask=number(ask), bid_size=number(bid_size), ask_size=number(ask_size))
    rules = ExecutionRules(PriceRule.QUOTE, Decimal(share))
    fill = fill_order(market_order(side, quantity, execution=rules).order, met, NOON, Decimal(taken))
    assert isinstance(fill, Fill)
    assert_filled(fill, *numbers)
    assert met is fill.quote


@pytest.mark.parametrize("case", TICKS)
def test_a_price_is_rounded_to_the_tick_against_the_order(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    inputs, *numbers = case.split("|")
    side, last, bid, ask, quantity, tick, pct, u = inputs.split()
    monkeypatch.setattr(execution, "slippage_draw", lambda _: Decimal(u))
    order = market_order(side, quantity, costs=costs(pct), instrument=instrument(tick=tick), execution=BY_QUOTE).order
    fill = fill_order(order, quote(last, bid=number(bid), ask=number(ask)), NOON)
    assert isinstance(fill, Fill)
    assert_filled(fill, *numbers)


@pytest.mark.parametrize("case", COMMISSIONS)
def test_a_commission_is_at_least_the_minimum_and_of_a_sell_at_most_its_proceeds(
    case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(execution, "slippage_draw", lambda _: Decimal(1))
    inputs, *numbers = case.split("|")
    side, quantity, commission_pct, minimum = inputs.split()
    fees = costs(commission_pct=commission_pct, min_commission=minimum)
    met = quote(100, bid="99.99", ask="100.01", bid_size=9999999, ask_size=9999999)
    fill = fill_order(market_order(side, quantity, costs=fees, execution=BY_QUOTE).order, met, NOON)
    assert isinstance(fill, Fill)
    assert_filled(fill, *numbers)


def test_at_least_eighty_cases_are_written_out() -> None:
    cases = [*BOOKS, *TICKS, *COMMISSIONS]
    assert len(cases) == len(set(cases)) >= 80


@pytest.mark.parametrize("number", range(1, 51))
def test_slippage_never_rounds_away_at_five_ticks(number: int) -> None:
    met = quote("0.00000005", bid="0.00000005", ask="0.00000005")
    for expected, side in (("0.00000006", "BUY"), ("0.00000004", "SELL")):
        what = instrument(tick="0.00000001")
        order = market_order(side, 1_000_000_000, seq=number, instrument=what, execution=BY_QUOTE).order
        fill = fill_order(order, met, NOON)
        assert isinstance(fill, Fill)
        assert Decimal(expected) == fill.price
        by_last = fill_order(replace(order, execution=ExecutionRules(PriceRule.LAST)), met, NOON)
        assert isinstance(by_last, Fill)
        assert Decimal("0.00000005") == by_last.price


def test_a_market_buy_of_more_than_is_offered_fills_whole_and_pays_a_surcharge_for_the_rest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(execution, "slippage_draw", lambda _: Decimal(1))
    order = market_order("BUY", 5, execution=BY_QUOTE).order
    fill = fill_order(order, quote(20_000, bid=19_990, ask=20_000, bid_size=9, ask_size=2), NOON)
    assert isinstance(fill, Fill)
    assert (Decimal(5), Decimal(2)) == (fill.quantity, fill.touch_size)
    assert Decimal("0.0016") == fill.slippage_rate  # 0.001 × (1 + 3 × 20 000 / 100 000)
    assert Decimal(20_032) == fill.price
    assert Decimal(60) == fill.costs.size  # 5 × 20 000 × 0.001 × 0.6
    assert Decimal(100) == fill.costs.slippage  # 5 × 20 000 × 0.001


def test_a_sell_at_a_bid_of_one_tick_fills_at_one_tick() -> None:
    one_tick = quote("0.02", bid="0.01", ask="0.03")
    fill = fill_order(market_order("SELL", 1000, execution=BY_QUOTE).order, one_tick, NOON)
    assert isinstance(fill, Fill)
    assert (Decimal("0.01"), Decimal(10), Decimal(1)) == (fill.price, fill.notional, fill.commission)


def test_a_sell_at_a_price_below_one_tick_gets_no_fill() -> None:
    sized = market_order("SELL", 1000, "0.004", execution=BY_QUOTE)
    refused("no fill at that price: slippage takes the price 0.004 to 0", match_market_order(sized, NOON))


@pytest.mark.parametrize(
    ("expected", "price", "bid", "ask"),
    [
        ("100", "100", "99", "101"),
        ("99", "98", "99", "101"),
        ("101", "102", "99", "101"),
        ("99", "99", "99", "101"),
        ("101", "101", "99", "101"),
        ("100", "50", "100", "100"),
        ("100", "500", "100", "100"),
        ("0.90", "0.50", "0.90", "0.92"),
        ("0.91", "0.91", "0.90", "0.92"),
        ("98", "98", "101", "99"),
        ("98", "98", "99", "-"),
        ("102", "102", "-", "101"),
        ("98", "98", "-", "-"),
        ("0.00000005", "0.00000004", "0.00000005", "0.00000006"),
    ],
)
def test_the_mark_is_the_last_trade_within_the_book(expected: str, price: str, bid: str, ask: str) -> None:
    assert Decimal(expected) == mark(PriceRule.QUOTE, Decimal(price), number(bid), number(ask))
    assert Decimal(price) == mark(PriceRule.LAST, Decimal(price), number(bid), number(ask))


def test_by_the_last_trade_the_book_has_no_effect(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execution, "slippage_draw", lambda _: Decimal(1))
    sized = market_order("BUY", 2)
    plain = filled(sized).fill
    met = replace(sized.sizing.quote, bid=Decimal(80), ask=Decimal(120), ask_size=Decimal(1))
    fill = fill_order(sized.order, met, NOON)
    assert isinstance(fill, Fill)
    assert fill._replace(quote=plain.quote) == plain
    assert (Decimal("100.1"), None, Decimal(0)) == (fill.price, fill.touch_size, fill.costs.spread)


@pytest.mark.parametrize(
    ("expected", "side", "price", "bid", "ask"),
    [
        ("98", "SELL", 98, 99, 101),  # the trade is below the bid that was known
        ("99", "SELL", 100, 99, 101),
        ("101", "BUY", 100, 99, 101),
        ("102", "BUY", 102, 99, 101),
        ("98", "SELL", 98, None, 101),
        ("98", "SELL", 98, 101, 99),
    ],
)
def test_a_taker_meets_the_worse_of_a_trade_and_the_book_that_was_known_with_it(
    expected: str, side: str, price: int, bid: int | None, ask: int | None
) -> None:
    met = replace(quote(price, bid=bid, ask=ask, bid_size=5, ask_size=5), is_trade=True)
    assert BasePrice(Decimal(expected), None) == base_price(met, Side(side), BY_QUOTE)
