"""Laws of the prices of fills under both price rules, over random decisions and quotes (docs/execution.md)."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given, settings

from domain.trading.portfolio import PortfolioRules
from domain.trading.prices import mark
from domain.trading.quotes import Quote
from domain.types import PriceRule, Side
from tests.support.values.engine_run import lived
from tests.support.values.naive_ledger import money
from tests.support.values.strategies import Wish, portfolio_rules, wishes

SOME = settings(max_examples=40)


@SOME
@given(portfolio_rules(), wishes())
def test_under_the_rule_of_the_quote_no_taker_fill_is_inside_or_beyond_the_book(
    start: PortfolioRules, wanted: list[Wish]
) -> None:
    for outcome in lived(start, wanted).applied:
        met, price = outcome.fill.quote, outcome.fill.price
        spread = met.bid is not None and met.ask is not None and met.bid <= met.ask
        if not spread or outcome.order.execution.price_rule is PriceRule.LAST:
            assert met.price == outcome.fill.base_price
            assert outcome.fill.touch_size is None
        elif outcome.order.side is Side.BUY:
            assert met.ask == outcome.fill.base_price <= price
        else:
            assert met.bid == outcome.fill.base_price >= price
        assert price > 0


@SOME
@given(portfolio_rules(), wishes())
def test_no_portfolio_uses_what_a_quote_offers_twice(start: PortfolioRules, wanted: list[Wish]) -> None:
    used: dict[tuple[Quote, Side], Fraction] = {}
    for outcome in lived(start, wanted).applied:
        fill, side = outcome.fill, outcome.order.side
        offered = fill.quote.ask_size if side is Side.BUY else fill.quote.bid_size
        if fill.touch_size is None or offered is None:
            continue
        key = fill.quote, side
        used[key] = used.get(key, Fraction(0)) + Fraction(min(fill.quantity, fill.touch_size))
        assert used[key] <= Fraction(start.execution.max_touch_share) * Fraction(offered)


@SOME
@given(portfolio_rules(), wishes())
def test_the_parts_of_a_fills_cost_add_up_to_its_distance_from_the_mark(
    start: PortfolioRules, wanted: list[Wish]
) -> None:
    for outcome in lived(start, wanted).applied:
        fill, rule = outcome.fill, outcome.order.execution.price_rule
        at_mark = money(Fraction(fill.quantity) * Fraction(mark(rule, *fill.quote.point)))
        distance = (Fraction(fill.notional) - at_mark) * (1 if outcome.order.side is Side.BUY else -1)
        parts = fill.costs
        assert distance == sum(map(Fraction, (parts.spread, parts.slippage, parts.size, parts.random)))
        assert parts.spread >= 0
        assert parts.size >= 0


@SOME
@given(portfolio_rules(), wishes())
def test_no_sell_takes_cash_down(start: PortfolioRules, wanted: list[Wish]) -> None:
    for outcome in lived(start, wanted).applied:
        if outcome.order.side is Side.SELL:
            assert outcome.fill.commission <= outcome.fill.notional
            assert outcome.cash_delta >= 0
        assert outcome.state.cash >= 0
