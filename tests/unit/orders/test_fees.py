"""Whose commission rates an order pays: the portfolio's own, or the venue's for makers and takers. Numbers by hand."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from domain.trading.instruments import Instrument
from domain.types import FeeRule, Liquidity
from tests.support.values.builders import BY_QUOTE, costs, instant, instrument, rules
from tests.support.values.order_engine import Trade

OWN = costs(0, "0.001", 1)


def at(maker: str | None, taker: str | None) -> Instrument:
    """Return an instrument whose venue states these rates."""
    fees = [None if rate is None else Decimal(rate) for rate in (maker, taker)]
    return replace(instrument(), maker_fee=fees[0], taker_fee=fees[1])


def trade_at(maker: str | None, taker: str | None, fees: FeeRule = FeeRule.VENUE, minimum: str = "1") -> Trade:
    of = rules(costs=replace(OWN, min_commission=Decimal(minimum)), execution=BY_QUOTE, max_position_size=1, fees=fees)
    trade = Trade(start=of, what=at(maker, taker))
    trade.see("100 99/101 9x9")
    return trade


# Rates of maker and taker, the order, a later price, and its fills with the commission.
CASES = [
    ("0.0016", "0.0026", "BUY 9", "", ["BUY 9 at 101 fee 2.3634 taker"]),
    ("0.0016", "0.0026", "BUY 9 limit 95", "94", ["BUY 9 at 95 fee 1.368 maker"]),
    ("0.0016", "0.0026", "BUY 9 stop 110", "110", ["BUY 9 at 110 fee 2.574 taker"]),
    # 9 are taken at 101: 909 × 0.0026 = 2.3634; 11 rest and make: 1111 × 0.0016 = 1.7776
    ("0.0016", "0.0026", "BUY 20 limit 101", "94",
     ["BUY 9 at 101 fee 2.3634 taker", "BUY 11 at 101 fee 1.7776 maker"]),
    # the minimum counts over all fills: 101 × 0.0026 = 0.2626, so 1 is paid; 0.2626 + 1111 × 0.0016 = 2.0402
    ("0.0016", "0.0026", "BUY 12 limit 101 touch 1", "94",
     ["BUY 1 at 101 fee 1 taker", "BUY 11 at 101 fee 1.0402 maker"]),
    # a rate that the venue does not state is the portfolio's own
    (None, "0.0026", "BUY 20 limit 95", "94", ["BUY 20 at 95 fee 1.9 maker"]),
    ("0.0016", None, "BUY 9", "", ["BUY 9 at 101 fee 1 taker"]),
    (None, None, "BUY 20", "", ["BUY 20 at 101 fee 2.02 taker"]),
    # nothing is paid out: a rebate only lowers what other fills of the order owe
    ("-0.001", "0.0026", "BUY 9 limit 95", "94", ["BUY 9 at 95 fee 1 maker"]),
]  # fmt: skip


@pytest.mark.parametrize(("maker", "taker", "order", "later", "fills"), CASES)
def test_a_fill_pays_the_rate_of_its_liquidity(
    maker: str | None, taker: str | None, order: str, later: str, fills: list[str]
) -> None:
    trade = trade_at(maker, taker)
    if " touch " in order:
        order, touch = order.split(" touch ")
        trade.see(f"100 99/101 {touch}x{touch}")
    happened = trade.send(order) + (trade.see(later) if later else [])
    assert fills == [one for one in happened if one.endswith(("maker", "taker"))]


def test_a_portfolio_with_its_own_fees_does_not_pay_those_of_the_venue() -> None:
    trade = trade_at("0.0016", "0.0026", FeeRule.OWN)
    assert ["BUY 20 at 101 fee 2.02 taker"] == trade.send("BUY 20")


def test_a_reservation_covers_the_highest_rate_that_may_come() -> None:
    trade = trade_at("0.0016", "0.0026")
    trade.send("BUY 20 limit 95")
    assert "cash 10000 reserved 1904.94 free 0 of 0" == trade.figures  # 1900 and 1900 × 0.0026
    trade.see("94")
    assert "cash 8096.96 reserved 0 free 20 of 20" == trade.figures  # 1900 and 1900 × 0.0016


def test_a_quantity_that_cash_would_pay_only_by_the_own_rate_is_refused() -> None:
    trade = trade_at("0.0016", "0.0026")
    refused = "rejected: not enough cash: 99 at 101 is worth 9999 and may cost 10024.9974, free cash is 10000"
    assert [refused] == trade.send("BUY 99")
    assert [refused] == trade.send("BUY 99 limit 101")


def test_an_order_keeps_the_rates_of_its_acceptance() -> None:
    trade = trade_at("0.0016", "0.0026")
    trade.send("BUY 20 limit 95")
    trade.engine.on_rules([replace(trade.state.rules, fees=FeeRule.OWN)], instant(trade.now))
    trade.see("100 99/101")
    trade.amend(1, "limit 96")
    assert "cash 10000 reserved 1924.992 free 0 of 0" == trade.figures  # 1920 and 1920 × 0.0026
    assert ["BUY 20 at 96 fee 3.072 maker"] == trade.see("94")
    assert ["SELL 20 at 99 fee 1.98 taker"] == trade.see("100 99/101") + trade.send("SELL 20")


def test_exits_pay_the_rates_of_their_entry() -> None:
    trade = trade_at("0.0016", "0.0026")
    trade.send("BUY 9 stop_loss 90 take_profit 110")
    assert ["[3] SELL 9 at 110 fee 1.584 maker"] == trade.see("111")[:1]


def test_rates_by_liquidity() -> None:
    of = replace(OWN, maker_fee=Decimal("0.0016"))
    assert [Decimal("0.0016"), Decimal("0.001")] == [of.rate(one) for one in (Liquidity.MAKER, Liquidity.TAKER)]
    assert Decimal("0.0016") == of.highest_rate
