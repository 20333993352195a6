"""Positions, trades and unrealised results, LONG and SHORT, with the golden cases of docs/arithmetic.md."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from domain.trading import execution
from domain.trading.account.trades import Trade
from domain.trading.arithmetic import CONTEXT, divide
from domain.trading.bookkeeping import Result, apply
from domain.trading.orders import order_id, position_id
from domain.trading.portfolio import PortfolioState, Position
from domain.types import PositionSide, Symbol
from tests.support.values.builders import (
    BTC,
    ETH,
    NOON,
    at_given_prices,
    deal,
    filled,
    free,
    holding,
    instrument,
    market_order,
    rules,
    uid,
)

NEW = PortfolioState.opened(rules())
HOUR = timedelta(hours=1)


def traded(applied: Result) -> Trade:
    assert applied.trade is not None
    return applied.trade


def left(applied: Result, symbol: Symbol = BTC) -> Position:
    assert applied.position is not None
    assert applied.position == applied.state.positions[symbol]
    return applied.position


def test_a_new_portfolio_is_all_cash() -> None:
    portfolio = PortfolioState.opened(rules("agent", initial_capital="1234.5"))
    assert ("agent", Decimal("1234.5"), 0, {}) == (
        portfolio.name,
        portfolio.cash,
        portfolio.version,
        portfolio.positions,
    )
    assert Decimal("1234.5") == portfolio.equity({})


# the golden cases


def test_golden_buy_of_one_hundredth_bitcoin(monkeypatch: pytest.MonkeyPatch) -> None:
    u = divide(Decimal("0.001188297"), Decimal("0.001011048585"))
    monkeypatch.setattr(execution, "slippage_draw", lambda _: u)
    mark = Decimal("110485.85")
    applied = apply(NEW, filled(market_order("BUY", "0.01", mark)))
    assert Decimal("110617.14") == applied.fill.price
    assert Decimal("1.1061714") == applied.fill.commission
    assert Decimal("-1107.2775714") == applied.cash_delta
    assert Decimal("8892.7224286") == applied.state.cash
    position = left(applied)
    assert Decimal("1104.8585") == position.value(mark)
    assert Decimal("-1.3129") == position.unrealized(mark)
    share = divide(position.unrealized(mark), position.cost)
    assert Decimal("-0.001187") == CONTEXT.quantize(share, Decimal("1e-6"))  # −0.1187 %
    assert Decimal("9997.5809286") == applied.state.equity({BTC: mark})


def test_golden_round_trip_at_given_prices() -> None:
    bought = deal(NEW, "BUY", "0.0145", "110500.57")
    assert Decimal("1602.258265") == bought.fill.notional
    assert Decimal("1.602258265") == bought.fill.commission
    sold = deal(bought.state, "SELL", "0.0145", "110998.12", at=NOON + HOUR)
    trade = traded(sold)
    assert Decimal("7.214475") == trade.gross
    assert (Decimal("1.602258265"), Decimal("1.60947274")) == (trade.entry_commission, trade.exit_commission)
    assert Decimal("3.211731005") == trade.commission
    assert Decimal("4.002743995") == trade.net
    assert Decimal("10004.002743995") == sold.state.cash


def test_golden_average_of_two_buys_is_never_rounded() -> None:
    sold = deal(holding((1, 100), (2, 101), costs=at_given_prices()), "SELL", 3, 102)
    trade = traded(sold)
    assert (Decimal(302), Decimal(306)) == (trade.cost, trade.exit_notional)
    assert Decimal(4) == trade.gross
    assert Decimal(1) == trade.net  # less 1 + 1 + 1
    assert Decimal(10_001) == sold.state.cash


# position


def test_position_keeps_cost_and_entry_commission_and_derives_its_entry_price() -> None:
    first = deal(NEW, "BUY", 1, 1000, strategy="momentum")
    second = deal(first.state, "BUY", 2, 2002, at=NOON + HOUR, strategy="other")
    position = left(second)
    assert Decimal(3) == position.quantity
    assert Decimal(5004) == position.cost
    assert Decimal("5.004") == position.entry_commission  # 1 + 4.004
    assert Decimal(1668) == position.entry_price
    assert Decimal(2002) == position.last_price
    assert (position.side, position.symbol, position.asset_class) == (PositionSide.LONG, BTC, "crypto")
    assert (position.opened_at, position.strategy) == (NOON, "momentum")
    assert position_id(order_id(uid(1), 1)) == position.position_id
    assert position.position_id == first.position_id == second.position_id
    assert (second.trade, Decimal("-4008.004"), Decimal(2)) == (None, second.cash_delta, second.asset_delta)
    assert Decimal("4990.996") == second.state.cash
    assert 2 == second.state.version


def test_position_closing_takes_rounded_shares_that_add_up_to_the_whole() -> None:
    portfolio = holding((1, 50), (2, 25), costs=at_given_prices())  # cost 100, commission 2, quantity 3
    one = deal(portfolio, "SELL", 1, 40)
    assert (Decimal("33.333333333333"), Decimal("0.666666666667")) == (traded(one).cost, traded(one).entry_commission)
    assert (Decimal(2), Decimal("66.666666666667")) == (left(one).quantity, left(one).cost)
    assert Decimal("1.333333333333") == left(one).entry_commission
    two = deal(one.state, "SELL", 1, 40)
    assert (Decimal("33.333333333334"), Decimal("0.666666666667")) == (traded(two).cost, traded(two).entry_commission)
    three = deal(two.state, "SELL", 1, 40)
    assert (Decimal("33.333333333333"), Decimal("0.666666666666")) == (
        traded(three).cost,
        traded(three).entry_commission,
    )
    assert (traded(one).closes, traded(two).closes, traded(three).closes) == (False, False, True)
    assert (three.state.positions, three.position) == ({}, None)
    trades = [traded(applied) for applied in (one, two, three)]
    assert Decimal(100) == sum(trade.cost for trade in trades)
    assert Decimal(2) == sum(trade.entry_commission for trade in trades)
    assert Decimal(20) == sum(trade.gross for trade in trades)
    assert Decimal(15) == sum(trade.net for trade in trades)
    assert Decimal(10_015) == three.state.cash


def test_position_ends_when_it_is_flat_and_the_next_one_is_new() -> None:
    flat = deal(holding((1, 100)), "SELL", 1, 110, costs=free())
    again = deal(flat.state, "BUY", 1, 120, costs=free(), at=NOON + HOUR, strategy="second")
    assert left(again).position_id != flat.position_id
    assert position_id(order_id(uid(3), 1)) == left(again).position_id
    assert (Decimal(120), NOON + HOUR, "second") == (left(again).cost, left(again).opened_at, left(again).strategy)


def test_position_of_another_symbol_is_left_alone() -> None:
    portfolio = holding((1, 100), symbol=ETH)
    after = deal(portfolio, "BUY", 2, 50, costs=free()).state
    assert {ETH, BTC} == set(after.positions)
    assert portfolio.positions[ETH] == after.positions[ETH]
    assert {ETH} == set(deal(after, "SELL", 2, 50, costs=free()).state.positions)
    assert {ETH} == set(portfolio.positions)


# trade


def test_trade_says_what_was_closed_when_and_for_whom() -> None:
    bought = deal(NEW, "BUY", 4, 100, strategy="momentum", asset_class="equity")
    sold = deal(bought.state, "SELL", 1, 150, at=NOON + HOUR, strategy="exit")
    expected = Trade(
        position_id=bought.position_id,
        order_id=order_id(uid(2), 1),
        fill_no=1,
        portfolio=NEW.name,
        symbol=BTC,
        asset_class="equity",
        side=PositionSide.LONG,
        quantity=Decimal(1),
        cost=Decimal(100),
        exit_notional=Decimal(150),
        exit_price=Decimal(150),
        entry_commission=Decimal("0.25"),
        exit_commission=Decimal(1),
        entry_time=NOON,
        exit_time=NOON + HOUR,
        strategy="momentum",
        closes=False,
    )
    assert expected == sold.trade
    assert (Decimal(50), Decimal("1.25"), Decimal("48.75")) == (expected.gross, expected.commission, expected.net)
    assert (Decimal(149), Decimal(-1)) == (sold.cash_delta, sold.asset_delta)
    assert (Decimal(3), Decimal(300), Decimal("0.75")) == (
        left(sold).quantity,
        left(sold).cost,
        left(sold).entry_commission,
    )
    assert Decimal(150) == left(sold).last_price


def test_trade_closes_at_min_commission_in_and_out() -> None:
    sold = deal(deal(NEW, "BUY", 1, 20).state, "SELL", 1, 21)
    assert (Decimal(1), Decimal(-1)) == (traded(sold).gross, traded(sold).net)


# SHORT


def test_short_position_and_trade() -> None:
    opened = deal(NEW, "SELL", 2, 1000)
    position = left(opened)
    assert (PositionSide.SHORT, Decimal(2), Decimal(2000)) == (position.side, position.quantity, position.cost)
    assert Decimal(2) == position.entry_commission
    assert (Decimal(1998), Decimal(-2)) == (opened.cash_delta, opened.asset_delta)
    assert Decimal(11_998) == opened.state.cash
    closed = deal(opened.state, "BUY", 2, 900, at=NOON + HOUR)
    trade = traded(closed)
    assert PositionSide.SHORT is trade.side
    assert (Decimal(2000), Decimal(1800)) == (trade.cost, trade.exit_notional)
    assert Decimal(200) == trade.gross
    assert Decimal("196.2") == trade.net  # 200 − 2 − 1.8
    assert Decimal("10196.2") == closed.state.cash
    assert closed.state.positions == {}


def test_short_grows_and_closes_in_rounded_shares() -> None:
    opened = deal(deal(NEW, "SELL", 1, 50).state, "SELL", 2, 25)
    part = deal(opened.state, "BUY", 1, 40)
    assert (Decimal("33.333333333333"), Decimal("-6.666666666667")) == (traded(part).cost, traded(part).gross)
    assert (Decimal("66.666666666667"), Decimal("1.333333333333")) == (left(part).cost, left(part).entry_commission)
    rest = deal(part.state, "BUY", 2, 40)
    assert (Decimal("66.666666666667"), Decimal("-13.333333333333")) == (traded(rest).cost, traded(rest).gross)
    assert Decimal(9976) == rest.state.cash  # −20 gross, four commissions of 1
    assert traded(rest).closes


# unrealised


@pytest.mark.parametrize(
    ("value", "unrealized", "side", "mark"),
    [
        ("220", "20", "BUY", "110"),
        ("180", "-20", "BUY", "90"),
        ("-220", "-20", "SELL", "110"),
        ("-180", "20", "SELL", "90"),
    ],
)
def test_unrealised_is_value_and_cost_and_a_short_is_worth_less_than_nothing(
    value: str, unrealized: str, side: str, mark: str
) -> None:
    position = left(deal(NEW, side, 2, 100))
    assert Decimal(value) == position.value(Decimal(mark))
    assert Decimal(unrealized) == position.unrealized(Decimal(mark))


def test_unrealised_value_is_money_with_a_tie_away_from_zero() -> None:
    tie = Decimal("0.0000000000025")
    assert Decimal("0.000000000003") == left(deal(NEW, "BUY", 1, 100)).value(tie)
    assert Decimal("-0.000000000003") == left(deal(NEW, "SELL", 1, 100)).value(tie)


def test_equity_is_cash_and_values_and_the_last_fill_marks_what_has_no_mark() -> None:
    portfolio = deal(holding((2, 100)), "SELL", 3, 50, costs=free(), symbol=ETH).state
    assert Decimal(9950) == portfolio.cash
    assert Decimal(10_000) == portfolio.equity({})
    assert Decimal(10_020) == portfolio.equity({BTC: Decimal(110)})
    assert Decimal(9990) == portfolio.equity({BTC: Decimal(110), ETH: Decimal(60)})


# what must never happen


@pytest.mark.parametrize("seq", [0, 1, 3])
def test_a_fill_out_of_turn_is_a_defect(seq: int) -> None:
    portfolio = holding((1, 100))
    late = filled(market_order("BUY", 1, 100, seq=seq))
    with pytest.raises(ValueError, match=rf"^event {seq} of portfolio default \(order \S+\) after 1$"):
        apply(portfolio, late)


@pytest.mark.parametrize(("opens", "closes"), [("BUY", "SELL"), ("SELL", "BUY")])
def test_closing_more_than_is_held_is_a_defect(opens: str, closes: str) -> None:
    portfolio = deal(NEW, opens, 1, 100).state
    with pytest.raises(ValueError, match=r"^order \S+ closes 1.00000001 of 1 BTC/USDT$"):
        deal(portfolio, closes, "1.00000001", 100)


def test_applying_changes_nothing_that_was_there() -> None:
    portfolio = holding((2, 100))
    before = replace(portfolio, positions=dict(portfolio.positions))
    deal(portfolio, "SELL", 1, 110)
    deal(portfolio, "BUY", 1, 110)
    assert before == portfolio


@pytest.mark.parametrize(
    ("expected", "side", "note"),
    [
        ("bought 0.5 BTC/USDT at 100", "BUY", ""),
        ("sold 0.5 BTC/USDT at 100", "SELL", ""),
        (
            "sold 0.5 BTC/USDT at 100 (the whole position, the decision requested 2)",
            "SELL",
            "the whole position, the decision requested 2",
        ),
    ],
)
def test_the_outcome_says_what_was_done_and_at_which_price(expected: str, side: str, note: str) -> None:
    what = market_order(side, "0.50", "100.00", seq=2, costs=free())
    what = what._replace(order=replace(what.order, note=note))
    assert expected == apply(holding((1, 100)), filled(what)).sentence


def test_the_instruments_asset_class_is_the_positions() -> None:
    share = instrument("AAPL", currency=None, asset_class="equity")
    assert {"equity"} == {
        p.asset_class for p in apply(NEW, filled(market_order(instrument=share))).state.positions.values()
    }
