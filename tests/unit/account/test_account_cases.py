"""Deposits, withdrawals and changes of instruments, each with its numbers."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from domain.trading.account.applying import AccountResult, asset_deltas
from domain.trading.account.requests import AccountKind, AccountRefusal, AccountRequest, Ratio
from domain.trading.bookkeeping import Result, apply
from domain.trading.engine import Engine
from domain.trading.events import Deposited, OrderEnded, Withdrawn
from domain.trading.open_orders.terms import OrderTerms
from domain.trading.portfolio import Flows, PortfolioState
from domain.types import OrderStatus, OrderType, PortfolioName, PositionSide, Side, Symbol
from tests.support.account.account_run import account_request
from tests.support.values.builders import BTC, NOON, at_given_prices, deal, free, instant, quote, received, rules
from tests.support.values.engine_run import engine_of, executed

NVDA = BTC  # any symbol splits
DEFAULT = PortfolioName("default")
TEN_FOR_ONE = Ratio(Decimal(10), Decimal(1))


def present(engine: Engine) -> PortfolioState:
    state = engine.state(DEFAULT)
    assert state is not None
    return state


def changed(engine: Engine, request: AccountRequest) -> AccountResult:
    """Carry out a request that ends no order."""
    (answer,) = engine.on_account_event(request, instant())
    assert isinstance(answer, AccountResult), answer
    return answer


def refused(engine: Engine, request: AccountRequest) -> str:
    before = present(engine)
    (answer,) = engine.on_account_event(request, instant())
    assert isinstance(answer, AccountRefusal), answer
    assert before == present(engine)
    return answer.reason


def of_one_position(quantity: str = "1", price: str = "1208.88", *, side: str = "BUY") -> Engine:
    state = PortfolioState.opened(rules(costs=at_given_prices()))
    return engine_of(deal(state, side, quantity, price).state)


def test_a_deposit_raises_cash_and_nothing_else() -> None:
    engine = engine_of(PortfolioState.opened(rules()))
    result = changed(engine, account_request(AccountKind.DEPOSIT, amount="2500.5"))
    assert isinstance(result.event, Deposited)
    state = present(engine)
    assert (Decimal("12500.5"), 1) == (state.cash, state.version)
    assert Flows(deposits=Decimal("2500.5")) == state.flows
    assert Decimal("12500.5") == state.paid_in
    assert "done: cash is 12500.5" == result.sentence


def test_a_withdrawal_takes_free_cash_to_the_last_unit_and_no_more() -> None:
    engine = engine_of(PortfolioState.opened(rules()))
    result = changed(engine, account_request(AccountKind.WITHDRAWAL, amount="9999.5"))
    assert isinstance(result.event, Withdrawn)
    assert Decimal("0.5") == present(engine).cash
    reason = refused(engine, account_request(AccountKind.WITHDRAWAL, number=2, amount="0.500000000001"))
    assert "0.500000000001 is more than the free cash of 0.5" == reason
    changed(engine, account_request(AccountKind.WITHDRAWAL, number=3, amount="0.5"))
    state = present(engine)
    assert (Decimal(0), Decimal(10_000), 2) == (state.cash, state.flows.withdrawals, state.version)


def test_what_open_orders_hold_back_cannot_be_withdrawn() -> None:
    engine = engine_of(PortfolioState.opened(rules(costs=free(), max_position_size=1)))
    engine.on_quotes([quote(100)], instant())
    terms = OrderTerms(OrderType.LIMIT, limit_price=Decimal(90))
    engine.on_decision(replace(received("BUY", quantity=10), terms=terms), instant())
    reason = refused(engine, account_request(AccountKind.WITHDRAWAL, amount=9_200))
    reserved = "1 open BUY order of BTC/USDT reserves 900 of the cash of 10000"
    assert f"9200 is more than the free cash of 9100: {reserved}" == reason
    changed(engine, account_request(AccountKind.WITHDRAWAL, number=2, amount=9_100))
    assert Decimal(0) == present(engine).free_cash


def test_withdrawing_more_than_there_is_is_a_defect_of_the_caller() -> None:
    state = PortfolioState.opened(rules())
    with pytest.raises(ValueError, match="whose free cash is 10000"):
        apply(state, Withdrawn(1, account_request(AccountKind.WITHDRAWAL, amount=10_001), NOON))
    with pytest.raises(ValueError, match=r"event 2 of portfolio default \(request 1\) after 0"):
        apply(state, Deposited(2, account_request(AccountKind.DEPOSIT, amount=1), NOON))


def test_golden_split_of_ten_for_one() -> None:
    engine = of_one_position()
    before = present(engine).positions[NVDA]
    result = changed(engine, account_request(AccountKind.SPLIT, symbol=NVDA, ratio=TEN_FOR_ONE))
    after = present(engine).positions[NVDA]
    assert (Decimal(10), Decimal("120.888")) == (after.quantity, after.last_price)
    assert (Decimal("1208.88"), Decimal("1.20888")) == (after.cost, after.entry_commission)
    assert Decimal("120.888") == after.entry_price
    assert before.position_id == after.position_id
    assert before.unrealized(Decimal("1208.88")) == after.unrealized(Decimal("120.888"))
    assert (Decimal(9), Decimal(0)) == asset_deltas(result)
    assert "done: 1 BTC/USDT became 10 BTC/USDT" == result.sentence


def test_a_split_that_is_not_exact_rounds_the_quantity_down_and_keeps_the_cost() -> None:
    engine = of_one_position()
    changed(engine, account_request(AccountKind.SPLIT, symbol=NVDA, ratio=Ratio(Decimal(1), Decimal(3))))
    after = present(engine).positions[NVDA]
    assert Decimal("0.333333333333333333") == after.quantity
    assert Decimal("3626.64") == after.last_price
    assert Decimal("1208.88") == after.cost


def test_a_split_multiplies_open_orders_and_their_reservations_stay() -> None:
    engine = engine_of(PortfolioState.opened(rules(costs=free(), max_position_size=1)))
    engine.on_quotes([replace(quote("1208.88"), data_no=7)], instant())
    limit = OrderTerms(OrderType.LIMIT, limit_price=Decimal("1000.05"))
    engine.on_decision(replace(received("BUY", number=1, quantity=2), terms=limit), instant())
    trailing = OrderTerms(OrderType.TRAILING_STOP, trail=Decimal(50))
    executed(engine, received("BUY", number=2, quantity=1), replace(quote("1208.88"), data_no=8))
    engine.on_decision(replace(received("SELL", number=3, quantity=1), terms=trailing), instant())
    changed(engine, account_request(AccountKind.SPLIT, symbol=NVDA, ratio=TEN_FOR_ONE))
    buy, sell = present(engine).open_orders
    assert (Decimal(20), Decimal("100.005")) == (buy.order.quantity, buy.order.limit_price)
    assert Decimal("2000.1") == buy.reserved
    assert (Decimal(10), Decimal("120.888")) == (sell.order.quantity, sell.mark)
    assert sell.order.trail is not None
    assert Decimal(5) == sell.order.trail.value
    assert Decimal("115.89") == sell.stop_price
    assert 8 == sell.since


def test_after_a_split_nothing_is_sized_at_a_price_of_before() -> None:
    engine = of_one_position()
    engine.on_quotes([quote("1208.88")], instant())
    changed(engine, account_request(AccountKind.SPLIT, symbol=NVDA, ratio=TEN_FOR_ONE))
    assert [] == engine.on_decision(received("SELL"), instant())
    (sold,) = engine.on_quotes([quote("120.90", at=NOON + timedelta(seconds=2))], instant(NOON + timedelta(seconds=2)))
    assert isinstance(sold, Result)
    assert (Decimal(10), Decimal("120.90")) == (sold.fill.quantity, sold.fill.price)
    assert sold.trade is not None
    assert Decimal("0.12") == sold.trade.gross


def test_a_dividend_is_cash_for_each_unit_and_ends_the_open_orders() -> None:
    engine = of_one_position("4", "100")
    engine.on_quotes([quote(100)], instant())
    limit = OrderTerms(OrderType.LIMIT, limit_price=Decimal(110))
    engine.on_decision(replace(received("SELL", quantity=1), terms=limit), instant())
    before = present(engine)
    ended, change = engine.on_account_event(
        account_request(AccountKind.DIVIDEND, symbol=NVDA, amount="0.37"), instant()
    )
    assert isinstance(ended, Result)
    assert isinstance(ended.event, OrderEnded)
    assert OrderStatus.CANCELLED is ended.event.status
    assert "cancelled: by the dividend of 0.37 for each BTC/USDT" == ended.sentence
    assert isinstance(change, AccountResult)
    assert Decimal("1.48") == change.cash_delta
    after = present(engine)
    assert before.positions == after.positions
    assert (before.version + 2, Flows(dividends=Decimal("1.48"))) == (after.version, after.flows)


def test_a_short_pays_the_dividend() -> None:
    engine = of_one_position("4", "100", side="SELL")
    change = changed(engine, account_request(AccountKind.DIVIDEND, symbol=NVDA, amount="0.37"))
    assert Decimal("-1.48") == change.cash_delta
    assert Decimal("-1.48") == present(engine).flows.dividends
    assert "done: paid 1.48 for 4 BTC/USDT" == change.sentence


def test_a_dead_market_is_written_off_as_a_trade_without_commission() -> None:
    engine = of_one_position("4", "100")
    cash = present(engine).cash
    change = changed(engine, account_request(AccountKind.WRITE_OFF, symbol=NVDA, price=0))
    assert change.trade is not None
    assert (Decimal(-400), Decimal(-401), True) == (change.trade.gross, change.trade.net, change.trade.closes)
    assert (Decimal(0), Decimal(0)) == (change.trade.exit_price, change.trade.exit_commission)
    assert cash == present(engine).cash
    assert {} == present(engine).positions
    assert "done: 4 BTC/USDT closed, net result -401" == change.sentence


def test_a_short_is_written_off_at_a_price_that_it_pays() -> None:
    engine = of_one_position("4", "100", side="SELL")
    change = changed(engine, account_request(AccountKind.WRITE_OFF, symbol=NVDA, price="2.5"))
    assert change.trade is not None
    assert (PositionSide.SHORT, Decimal(390)) == (change.trade.side, change.trade.gross)
    assert Decimal(-10) == change.cash_delta
    assert (Decimal(4), Decimal(0)) == asset_deltas(change)


def test_a_symbol_change_keeps_the_position_under_its_new_name() -> None:
    engine = of_one_position("4", "100")
    held = present(engine).positions[NVDA]
    change = changed(engine, account_request(AccountKind.SYMBOL_CHANGE, symbol=NVDA, new_symbol="META/USD"))
    assert {"META/USD": held._replace(symbol=Symbol("META/USD"))} == present(engine).positions
    assert (Decimal(-4), Decimal(4)) == asset_deltas(change)


def test_a_redenomination_changes_units_and_name_and_ends_the_open_orders() -> None:
    engine = of_one_position("4", "100")
    ratio = Ratio(Decimal(1000), Decimal(1))
    request = account_request(AccountKind.REDENOMINATION, symbol=NVDA, ratio=ratio, new_symbol="1000BTC/USDT")
    changed(engine, request)
    (position,) = present(engine).positions.values()
    assert ("1000BTC/USDT", Decimal(4000), Decimal("0.1")) == (position.symbol, position.quantity, position.last_price)
    assert Decimal(400) == position.cost


@pytest.mark.parametrize(
    ("kind", "values", "reason"),
    [
        (AccountKind.SPLIT, {"ratio": TEN_FOR_ONE}, "portfolio default holds no ETH/USDT"),
        (AccountKind.DIVIDEND, {"amount": 1}, "portfolio default holds no ETH/USDT"),
        (AccountKind.WRITE_OFF, {"price": 0}, "portfolio default holds no ETH/USDT"),
        (AccountKind.SYMBOL_CHANGE, {"new_symbol": "X/USDT"}, "portfolio default holds no ETH/USDT"),
    ],
)
def test_what_is_not_held_is_not_adjusted(kind: AccountKind, values: dict[str, object], reason: str) -> None:
    engine = of_one_position()
    request = account_request(kind, symbol="ETH/USDT", **values)  # type: ignore[arg-type]
    assert reason == refused(engine, request)


def test_a_symbol_that_is_held_already_is_no_new_symbol() -> None:
    state = PortfolioState.opened(rules(costs=at_given_prices()))
    state = deal(deal(state, "BUY", 1, 100).state, "BUY", 1, 50, symbol="ETH/USDT").state
    request = account_request(AccountKind.SYMBOL_CHANGE, symbol=BTC, new_symbol="ETH/USDT")
    assert "portfolio default holds ETH/USDT already" == refused(engine_of(state), request)


def test_a_position_of_which_nothing_would_be_left_is_not_split() -> None:
    engine = of_one_position("0.000000000000000001", "100")
    request = account_request(AccountKind.SPLIT, symbol=NVDA, ratio=Ratio(Decimal(1), Decimal(2)))
    assert "0.000000000000000001 BTC/USDT would become 0 at 200" == refused(engine, request)


def test_a_portfolio_that_the_audit_has_halted_is_left_alone() -> None:
    state = PortfolioState.opened(replace(rules(), halted="audit: cash differs"))
    reason = refused(engine_of(state), account_request(AccountKind.DEPOSIT, amount=1))
    assert "portfolio default is halted by the audit" == reason


def test_a_ratio_rounds_prices_of_orders_so_that_none_gets_worse() -> None:
    third = Ratio(Decimal(3), Decimal(1))
    assert Decimal("33.333333333333333333") == third.price(Decimal(100), Side.BUY)
    assert Decimal("33.333333333333333334") == third.price(Decimal(100), Side.SELL)
    assert "3:1" == str(third)
