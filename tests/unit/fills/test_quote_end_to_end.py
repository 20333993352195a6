"""The price rule `quote` through the engine: named cases, sizing, what a quote offers, and both golden cases."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from domain.trading import execution
from domain.trading.arithmetic import divide
from domain.trading.bookkeeping import Result
from domain.trading.decision import Refusal
from domain.trading.engine import Engine
from domain.trading.orders import ExecutionRules
from domain.trading.portfolio import PortfolioState
from domain.trading.prices import mark
from domain.trading.quotes import Quote
from domain.types import PriceRule
from tests.support.values.builders import (
    BTC,
    BY_LAST,
    BY_QUOTE,
    NOON,
    Number,
    costs,
    free,
    holding,
    instant,
    instrument,
    quote,
    received,
    rules,
)
from tests.support.values.engine_run import engine_of, executed

WHOLE = instrument(step=1)
LOTS = instrument(step="0.01")
LATER = NOON + timedelta(milliseconds=500)


@pytest.fixture(autouse=True)
def draw(monkeypatch: pytest.MonkeyPatch) -> None:
    """The random factor is 1 where a test sets no other."""
    monkeypatch.setattr(execution, "slippage_draw", lambda _: Decimal(1))


def refusal(engine: Engine, met: Quote, quantity: Number) -> str:
    """Return the sentence by which a BUY of this quantity is refused."""
    assert [] == engine.on_quotes([met], met.seen)
    (result,) = engine.on_decision(replace(received(quantity=quantity), received=met.seen), met.seen)
    assert isinstance(result, Refusal), result
    return result.sentence


# prices outside the book


def test_a_last_trade_outside_the_book_makes_no_money() -> None:
    portfolio = PortfolioState.opened(rules(max_position_size=1, execution=BY_QUOTE))
    engine = engine_of(portfolio, what=WHOLE)
    buy = received(confidence=1, risk_score=0)
    bought = executed(engine, buy, quote("0.50", bid="0.90", ask="0.92"))
    # The worst price is 0.93: 10 741 × 0.93 = 9 989.13, and 9.98913 in commission; 10 742 would cost 10 000.05006.
    assert (Decimal(10_741), Decimal("0.93")) == (bought.fill.quantity, bought.fill.price)
    assert Decimal("0.88087") == bought.state.cash
    sold = executed(engine, received("SELL", number=2), quote("0.91", at=LATER, bid="0.90", ask="0.92"))
    assert Decimal("0.89") == sold.fill.price  # 0.90 × (1 − 0.001 × 1.096669), down to the tick
    assert Decimal("9550.81138") == sold.state.cash  # 0.88087 + 9 559.49 − 9.55949


def test_by_the_last_trade_the_same_prints_make_money_out_of_nothing() -> None:
    portfolio = PortfolioState.opened(rules(max_position_size=1, costs=costs(0), execution=BY_LAST))
    engine = engine_of(portfolio, what=WHOLE)
    buy = received(confidence=1, risk_score=0)
    bought = executed(engine, buy, quote("0.50", bid="0.90", ask="0.92"))
    assert Decimal("0.50") == bought.fill.price
    sold = executed(engine, received("SELL", number=2), quote("0.91", at=LATER, bid="0.90", ask="0.92"))
    assert sold.state.cash > 18_000


def test_a_round_trip_over_a_wide_spread_costs_a_third() -> None:
    portfolio = PortfolioState.opened(rules(max_position_size=1, costs=free(), execution=BY_QUOTE))
    engine = engine_of(portfolio, what=WHOLE)
    wide = quote(1, bid="0.80", ask="1.20")
    bought = executed(engine, received(quantity=5000), wide)
    assert (Decimal(6000), Decimal(1000)) == (bought.fill.notional, bought.fill.costs.spread)
    assert Decimal(9000) == bought.state.equity({BTC: mark(PriceRule.QUOTE, *wide.point)})
    sold = executed(engine, received("SELL", number=2), wide)
    assert (Decimal(4000), Decimal(8000)) == (sold.fill.notional, sold.state.cash)
    assert Decimal("0.3333") == round((bought.fill.notional - sold.fill.notional) / bought.fill.notional, 4)


# golden cases


@pytest.mark.parametrize(
    ("execution_rules", "price", "commission", "cash", "unrealized", "equity"),
    [
        (BY_QUOTE, "110617.15", "1.1061715", "8892.7223285", "-1.3130", "9997.5808285"),
        (BY_LAST, "110617.14", "1.1061714", "8892.7224286", "-1.3129", "9997.5809286"),
    ],
)
def test_golden_buy_of_one_hundredth_bitcoin(
    execution_rules: ExecutionRules,
    price: str,
    commission: str,
    cash: str,
    unrealized: str,
    equity: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    u = divide(Decimal("0.001188297"), Decimal("0.001011048585"))
    monkeypatch.setattr(execution, "slippage_draw", lambda _: u)
    base = "110485.85"
    met = quote(base, bid=base, ask=base)
    engine = engine_of(PortfolioState.opened(rules(execution=execution_rules)))
    result = executed(engine, received(quantity="0.01"), met)
    at = mark(execution_rules.price_rule, *met.point)
    assert Decimal("0.001188297") == result.fill.slippage_rate
    assert (Decimal(price), Decimal(commission)) == (result.fill.price, result.fill.commission)
    assert Decimal(cash) == result.state.cash
    assert result.position is not None
    assert Decimal(unrealized) == result.position.unrealized(at)
    assert Decimal(equity) == result.state.equity({BTC: at})
    (nothing,) = engine.on_decision(received(number=2, quantity=1), instant())
    assert nothing.sentence.startswith("no room: 1 at 110485.85 is worth 110485.85, the position limit leaves 894.65")


# what a quote offers


def test_what_an_order_took_from_a_quote_is_gone_for_the_same_portfolio_side_and_quote_alone() -> None:
    mine, other = rules(execution=BY_QUOTE, max_position_size=1), rules("other", execution=BY_QUOTE)
    engine = engine_of(PortfolioState.opened(mine), PortfolioState.opened(other), what=WHOLE)
    met = quote(10, bid=10, ask=10, bid_size=4, ask_size=5)

    def touch(number: int, action: str, quantity: int, seen: Quote = met, portfolio: str = "default") -> Decimal | None:
        decision = received(action, number=number, quantity=quantity, portfolio=portfolio)
        return executed(engine, decision, seen).fill.touch_size

    assert Decimal(5) == touch(1, "BUY", 3)
    assert Decimal(2) == touch(2, "BUY", 3)
    assert Decimal(0) == touch(3, "BUY", 30)
    assert Decimal(0) == touch(4, "BUY", 3)
    assert Decimal(5) == touch(5, "BUY", 3, portfolio="other")
    assert Decimal(4) == touch(6, "SELL", 1)
    assert Decimal(3) == touch(7, "SELL", 1)
    assert Decimal(2) == touch(8, "BUY", 2, portfolio="other")
    newer = replace(met, seen=instant(LATER), ask_size=Decimal(7))
    assert Decimal(7) == touch(9, "BUY", 3, newer)
    assert Decimal(4) == touch(10, "BUY", 3, newer)
    assert Decimal(4) == touch(11, "SELL", 1, newer)


def test_a_share_of_the_touch_counts_for_all_orders_together() -> None:
    half = ExecutionRules(PriceRule.QUOTE, Decimal("0.5"))
    engine = engine_of(PortfolioState.opened(rules(execution=half, max_position_size=1)), what=WHOLE)
    met = quote(10, bid=10, ask=10, ask_size=10)
    touched = [executed(engine, received(number=n, quantity=3), met).fill.touch_size for n in (1, 2, 3)]
    assert [Decimal(5), Decimal(2), Decimal(0)] == touched


def test_a_change_of_the_rules_forgets_nothing_that_was_taken() -> None:
    row = rules(execution=BY_QUOTE, max_position_size=1)
    engine = engine_of(PortfolioState.opened(row), what=WHOLE)
    met = quote(10, bid=10, ask=10, ask_size=5)
    assert Decimal(5) == executed(engine, received(quantity=3), met).fill.touch_size
    assert [] == engine.on_rules([replace(row, revision=2)], instant())
    assert Decimal(2) == executed(engine, received(number=2, quantity=3), met).fill.touch_size


def test_a_raised_share_offers_what_was_not_taken() -> None:
    row = rules(execution=ExecutionRules(PriceRule.QUOTE, Decimal("0.5")), max_position_size=1)
    engine = engine_of(PortfolioState.opened(row), what=WHOLE)
    met = quote(10, bid=10, ask=10, ask_size=10)
    assert Decimal(5) == executed(engine, received(quantity=8), met).fill.touch_size  # 5 at the touch, 3 beyond it
    assert [] == engine.on_rules([replace(row, execution=BY_QUOTE, revision=2)], instant())
    assert Decimal(5) == executed(engine, received(number=2, quantity=8), met).fill.touch_size


# sizing


def test_the_budget_buys_at_the_ask() -> None:
    engine = engine_of(PortfolioState.opened(rules(execution=BY_QUOTE)), what=LOTS)
    bought = executed(engine, received(), quote(100, bid=90, ask=110))
    assert Decimal("15.45") == bought.fill.quantity  # 1 700 / 110 = 15.4545…


def test_room_and_equity_count_at_the_mark() -> None:
    held = holding((15, 100), of=rules(execution=BY_QUOTE))
    bought = executed(engine_of(held, what=LOTS), received(), quote(100, bid=109, ask=111))
    assert Decimal(10_135) == bought.event.sizing.equity  # 8 500 + 15 × 109
    assert Decimal("3.53") == bought.fill.quantity  # (0.2 × 10 135 − 15 × 109) / 111 = 392 / 111
    by_last = executed(
        engine_of(holding((15, 100), of=rules(execution=BY_LAST)), what=LOTS),
        received(),
        quote(100, bid=109, ask=111),
    )
    assert (Decimal(10_000), Decimal(5)) == (by_last.event.sizing.equity, by_last.fill.quantity)


def test_a_changed_price_rule_changes_the_marks_of_the_next_sizing() -> None:
    row = rules(execution=BY_LAST)
    engine = engine_of(holding((15, 100), of=row), what=LOTS)
    met = quote(100, bid=109, ask=111)
    expected = "no room: 6 at 100 is worth 600, the position limit leaves 500"  # 0.2 × 10 000 − 15 × 100
    assert expected == refusal(engine, met, 6)
    assert [] == engine.on_rules([replace(row, execution=BY_QUOTE, revision=2)], instant())
    (second,) = engine.on_decision(received(number=2, quantity="0.1"), met.seen)  # no price is newer
    assert isinstance(second, Result)
    assert Decimal(10_135) == second.event.sizing.equity  # 8 500 + 15 × 109
    assert [] == engine.on_rules([replace(row, revision=3)], instant())
    (third,) = engine.on_decision(received(number=3, quantity="0.1"), met.seen)
    assert isinstance(third, Result)
    assert Decimal("9997.888") == third.event.sizing.equity  # 8 500 − 0.1 × 111.12 − 1, and 15.1 × 100


def test_the_minimum_counts_at_the_base_price() -> None:
    engine = engine_of(PortfolioState.opened(rules(execution=BY_QUOTE)), what=LOTS)
    low = quote(200, bid="99.98", ask="99.99")
    assert "too small: 0.1 at 99.99 is worth 9.999, the minimum is 10" == refusal(engine, low, "0.1")
    enough = quote(1, at=LATER, bid="99.99", ask=100)
    assert Decimal("0.1") == executed(engine, received(number=2, quantity="0.1"), enough).fill.quantity


@pytest.mark.parametrize(
    ("expected", "ask_size"),
    [
        ("9915", None),  # a surcharge for all: at worst 100.75
        ("9915", "0"),
        ("9915", "5000"),  # for more than 4 000 pieces: the same
        ("9960", "9000"),  # for 960: 0.001 × 1.96 × 1.5, at worst 100.30
        ("9975", "20000"),  # for none: at worst 100.15
    ],
)
def test_cash_pays_for_the_worst_price_at_the_touch_and_not_for_one_piece_more(
    expected: str, ask_size: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(execution, "slippage_draw", lambda _: Decimal("1.499999999999"))
    row = rules(initial_capital=1_000_000, max_position_size=1, execution=BY_QUOTE)
    engine = engine_of(PortfolioState.opened(row), what=WHOLE)
    met = quote(100, bid=100, ask=100, ask_size=ask_size)
    bought = executed(engine, received(confidence=1, risk_score=0), met)
    assert Decimal(expected) == bought.fill.quantity
    assert 0 <= bought.state.cash < 101


def test_a_quantity_beyond_the_cash_is_refused_with_the_cost_at_the_ask() -> None:
    row = rules(initial_capital=1000, max_position_size=1, execution=BY_QUOTE)
    engine = engine_of(PortfolioState.opened(row), what=LOTS)
    met = quote(100, bid=99, ask=100, ask_size=50)
    expected = "not enough cash: 9.98 at 100 is worth 998 and may cost 1000.497, free cash is 1000"
    assert expected == refusal(engine, met, "9.98")
