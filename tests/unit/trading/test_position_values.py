"""The values that is kept up to date equals the sum over all positions, to the last digit."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from domain.trading.bookkeeping import Result
from domain.trading.portfolio import Marks, PortfolioRules, PortfolioState, PositionValues
from domain.types import Symbol
from tests.support.values.builders import deal
from tests.support.values.naive_ledger import Deal
from tests.support.values.strategies import INSTRUMENTS, deals, decimals, portfolio_rules

MARKS = st.lists(st.tuples(st.sampled_from([what.symbol for what in INSTRUMENTS]), decimals("0.000001", "500000", 12)))


@given(portfolio_rules(), deals(), st.lists(MARKS, min_size=1, max_size=30), st.booleans())
def test_it_is_the_equity_after_every_fill_and_every_mark(
    rules: PortfolioRules, dealt: list[Deal], ticks: list[list[tuple[Symbol, Decimal]]], asked_each_time: bool
) -> None:
    state = PortfolioState.opened(rules)
    values, marks = PositionValues(state), Marks()
    for number, one in enumerate(dealt):
        result: Result = deal(state, "BUY" if one.buy else "SELL", one.quantity, one.price, symbol=one.symbol)
        state = result.state
        values.changed(Symbol(one.symbol))
        for symbol, mark in ticks[number % len(ticks)]:
            marks.set(symbol, mark)
        if asked_each_time or number == len(dealt) - 1:
            assert repr(state.equity(marks.table)) == repr(values.equity(state, marks))
