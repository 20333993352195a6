"""The smallest commission in a portfolio's own currency: what a round trip costs."""

from __future__ import annotations

from decimal import Decimal

import pytest

from domain.currencies import smallest_amounts
from domain.trading.portfolio import PortfolioState
from tests.support.values.builders import costs, deal, rules


@pytest.mark.parametrize(
    ("min_commission", "cash"),
    [
        (Decimal(1), "8"),  # two bitcoins for two orders, as before
        (smallest_amounts("BTC").min_commission, "9.996"),  # 0.1 % of two orders that are worth 2 bitcoins
    ],
)
def test_a_round_trip_of_two_bitcoins_in_a_portfolio_of_ten(min_commission: Decimal, cash: str) -> None:
    state = PortfolioState.opened(rules(currency="BTC", initial_capital=10))
    own = costs(slippage_pct=0, min_commission=min_commission)
    for side in ("BUY", "SELL"):
        state = deal(state, side, 40, "0.05", costs=own, symbol="ETH/BTC").state
    assert Decimal(cash) == state.cash


def test_a_small_order_pays_the_smallest_commission_of_the_currency() -> None:
    state = PortfolioState.opened(rules(currency="BTC", initial_capital=10))
    own = costs(slippage_pct=0, min_commission=smallest_amounts("BTC").min_commission)
    assert Decimal("9.99899") == deal(state, "BUY", "0.02", "0.05", costs=own, symbol="ETH/BTC").state.cash
