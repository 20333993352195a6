"""Splits of a symbol that several portfolios hold: all of them, or none."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from domain.trading.account.applying import AccountResult
from domain.trading.account.requests import AccountKind, AccountRefusal, AccountRequest, Ratio
from domain.trading.engine import Engine
from domain.trading.portfolio import PortfolioState
from domain.types import PortfolioName, Symbol
from tests.support.account.account_run import account_request
from tests.support.values.builders import NOON, at_given_prices, deal, instant, quote, received, rules
from tests.support.values.engine_run import engine_of, executed

NVDA = Symbol("BTC/USDT")
TEN_FOR_ONE = Ratio(Decimal(10), Decimal(1))


def holding(name: str, quantity: str = "1") -> PortfolioState:
    state = PortfolioState.opened(rules(name, costs=at_given_prices()))
    return deal(state, "BUY", quantity, "100").state


def carried_out(engine: Engine, portfolio: str | None, *, number: int = 1, hours: int = 1) -> list[str]:
    """Return what becomes of a split of ten for one: a sentence for each portfolio, or why it is refused."""
    at = instant(NOON + timedelta(hours=hours))
    request = account_request(AccountKind.SPLIT, number=number, portfolio=portfolio, symbol=NVDA, ratio=TEN_FOR_ONE)
    happened = engine.on_account_event(request, at)
    sentences = [
        one.reason if isinstance(one, AccountRefusal) else f"{one.state.name}: {one.sentence}"
        for one in happened
        if isinstance(one, AccountRefusal | AccountResult)
    ]
    assert len(happened) == len(sentences)
    return sentences


def quantities(engine: Engine, *names: str) -> list[Decimal]:
    states = [engine.state(PortfolioName(name)) for name in names]
    return [state.positions[NVDA].quantity for state in states if state is not None]


def test_all_that_hold_it_change_at_once_and_nobody_else() -> None:
    engine = engine_of(holding("a"), holding("b", "2.5"), PortfolioState.opened(rules("empty")))
    assert ["a: done: 1 BTC/USDT became 10 BTC/USDT", "b: done: 2.5 BTC/USDT became 25 BTC/USDT"] == carried_out(
        engine, None
    )
    assert [Decimal(10), Decimal(25)] == quantities(engine, "a", "b")
    empty = engine.state(PortfolioName("empty"))
    assert empty is not None
    assert 0 == empty.version


@pytest.mark.parametrize("others", [["b"], ["b", "c"]])
def test_one_of_several_is_refused(others: list[str]) -> None:
    engine = engine_of(holding("a"), *map(holding, others))
    who = "portfolio b holds" if len(others) == 1 else "portfolios b and c hold"
    reason = f"{who} BTC/USDT, too, at the same price; adjust all of them at once, with --all-portfolios"
    assert [reason] == carried_out(engine, "a")
    assert [Decimal(1)] == quantities(engine, "a")


def test_the_only_holder_is_adjusted_alone() -> None:
    engine = engine_of(holding("a"), PortfolioState.opened(rules("empty")))
    assert ["a: done: 1 BTC/USDT became 10 BTC/USDT"] == carried_out(engine, "a")
    assert ["portfolio empty holds no BTC/USDT"] == carried_out(engine, "empty", number=2)


def test_none_changes_where_one_cannot() -> None:
    engine = engine_of(holding("a"), holding("b", "0.000000000000000001"))
    request = account_request(AccountKind.SPLIT, portfolio=None, symbol=NVDA, ratio=Ratio(Decimal(1), Decimal(10)))
    (refusal,) = engine.on_account_event(request, instant())
    assert isinstance(refusal, AccountRefusal)
    assert refusal.reason.startswith("portfolio b: 0.000000000000000001 BTC/USDT would become 0 at ")
    assert [Decimal(1)] == quantities(engine, "a")


def test_nobody_holds_it() -> None:
    assert ["no portfolio holds BTC/USDT"] == carried_out(engine_of(PortfolioState.opened(rules())), None)


def test_the_last_one_that_is_not_adjusted_is_adjusted_alone() -> None:
    """As after an upgrade from a version that adjusted portfolios one by one."""
    late = holding("late")
    done = holding("done")
    split = done.positions[NVDA]._replace(split_at=NOON + timedelta(minutes=30))
    engine = engine_of(late, replace(done, positions=done.positions.updated({NVDA: split})))
    assert ["portfolio late is not adjusted to the last split of BTC/USDT yet; adjust it first"] == carried_out(
        engine, None
    )
    assert ["late: done: 1 BTC/USDT became 10 BTC/USDT"] == carried_out(engine, "late", number=2)
    assert 2 == len(carried_out(engine, None, number=3, hours=2))  # the next split is one of both again


def test_a_position_of_after_a_split_is_in_its_units_already() -> None:
    engine = engine_of(holding("a"), PortfolioState.opened(rules("b", costs=at_given_prices())))
    carried_out(engine, "a")
    later = instant(NOON + timedelta(hours=2))
    engine.on_quotes([quote(10, at=later.time)], later)
    executed(engine, received("BUY", portfolio="b", quantity=1), quote(10, at=later.time))
    assert [
        "portfolio a holds BTC/USDT, too, at the same price; adjust all of them at once, with --all-portfolios"
    ] == (carried_out(engine, "b", number=2, hours=3))
    assert 2 == len(carried_out(engine, None, number=3, hours=4))


def test_an_audit_halt_keeps_no_portfolio_in_the_old_units() -> None:
    halted = holding("b")
    engine = engine_of(holding("a"), replace(halted, rules=replace(halted.rules, halted="audit: cash differs")))
    assert 2 == len(carried_out(engine, None))


def test_a_redenomination_of_all_ends_their_orders_and_moves_them_to_the_new_symbol() -> None:
    engine = engine_of(holding("a"), holding("b"))
    request: AccountRequest = account_request(
        AccountKind.REDENOMINATION, portfolio=None, symbol=NVDA, ratio=TEN_FOR_ONE, new_symbol="NEW/USDT"
    )
    happened = engine.on_account_event(request, instant())
    states = [one.state for one in happened if isinstance(one, AccountResult)]
    assert [["NEW/USDT"], ["NEW/USDT"]] == [list(state.positions) for state in states]
    assert [None, None] == [state.positions[Symbol("NEW/USDT")].split_at for state in states]  # it has its own prices
