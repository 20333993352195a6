"""Backtests computed by hand."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from domain.trading.instruments import Instrument
from domain.trading.orders import Costs
from domain.types import Action, OrderType, TimeInForce
from research.backtest.pieces import Market
from research.backtest.run import RunOptions
from research.strategy import Intent
from tests.support.research.markets import MINUTE, START, bars, flat_bars, market, micros, wish, wishes
from tests.support.research.straightforward import Listing, run_listed
from tests.support.values.builders import BTC, BY_QUOTE, ETH, at_given_prices, free, rules
from tests.support.values.order_engine import described

FREE = rules(costs=free(), execution=BY_QUOTE, max_position_size=1, min_notional=1)
"""No costs, and all capital for one symbol."""
ONE = Decimal(1)


def options(**changes: object) -> RunOptions:
    return RunOptions(**{"rules": FREE, "begin": micros(START)} | changes)  # type: ignore[arg-type]


def happened(prices: Market, of: RunOptions, *intents: tuple[int, Intent]) -> list[str]:
    """Return what happens where these intents are made at the closes of bars."""
    _, records = run_listed(prices, of, wishes(*intents))
    return [f"{_minute(records, index)} {described(one)}" for index, one in enumerate(records.happened)]


def _minute(records: Listing, index: int) -> str:
    one = records.happened[index]
    at = getattr(getattr(one, "event", None), "at", None)
    return "-" if at is None else f"{(at - START) / MINUTE:g}"


def test_a_decision_at_a_close_is_executed_at_the_next_open() -> None:
    prices = market(bars([(100, 103, 99, 102), (101, 105, 100, 104), (106, 107, 105, 106)]))
    expected = ["1 BUY 1 at 101 taker", "2 SELL 1 at 106 taker"]
    assert expected == happened(prices, options(), (0, Intent.buy(quantity=ONE)), (1, Intent.sell()))


def test_or_at_its_own_close() -> None:
    prices = market(bars([(100, 103, 99, 102), (101, 105, 100, 104), (106, 107, 105, 106)]))
    expected = ["1 BUY 1 at 102 taker", "2 SELL 1 at 104 taker"]
    of = options(fill_at_close=True)
    assert expected == happened(prices, of, (0, Intent.buy(quantity=ONE)), (1, Intent.sell()))


def test_a_decision_at_the_last_close_finds_no_price() -> None:
    prices = market(flat_bars([100, 100]))
    state, records = run_listed(prices, options(), wishes((1, Intent.buy(quantity=ONE))))
    assert [] == records.happened
    assert {("pending", None, False): 1} == records.outcome_counts()
    assert Decimal(10_000) == state.cash


def test_a_decision_within_a_bar_gets_the_next_price_that_is_known() -> None:
    prices = market(bars([(100, 103, 99, 102), (101, 105, 100, 104)]))
    at = START + MINUTE / 2
    _, records = run_listed(prices, options(), [wish(Intent.buy(quantity=ONE), at)])
    assert ["BUY 1 at 102 taker"] == list(map(described, records.happened))


def test_the_golden_case_of_the_price_rule_quote() -> None:
    # ORDERS: 0.01 BTC at 110 485.85; rate 0.001188297 = base rate × 2 × size factor × U, here by the order's own draw.
    of = rules(costs=Costs(Decimal("0.0005"), Decimal("0.001"), Decimal(1)), execution=BY_QUOTE, max_position_size=1)
    prices = market(flat_bars(["110485.85"] * 3))
    state, records = run_listed(prices, options(rules=of), wishes((0, Intent.buy(quantity=Decimal("0.01")))))
    fill = records.happened[0].fill  # type: ignore[union-attr]
    by_hand = Decimal("110485.85") * (1 + fill.slippage_rate)
    rounded_up = (by_hand * 100).to_integral_value("ROUND_CEILING") / 100
    assert rounded_up == fill.price
    assert max(fill.price * Decimal("0.01") * Decimal("0.001"), ONE) == fill.commission
    assert 10_000 - fill.price * Decimal("0.01") - fill.commission == state.cash


def test_a_bracket_sells_at_its_stop() -> None:
    # Bought at 100: the stop lies at 95, the target at 110. Bar 3 falls from 99 to 94.
    prices = market(bars([(100, 100, 100, 100), (100, 101, 99, 100), (100, 102, 98, 99), (99, 99, 94, 96)]))
    bought = Intent.buy(quantity=Decimal(2), stop_loss_pct=Decimal("0.05"), take_profit_pct=Decimal("0.1"))
    assert [
        "1 BUY 2 at 100 taker",
        "1 [2] open: SELL 2 BTC/USDT, stop 95",
        "1 [3] open: SELL 2 BTC/USDT, limit 110",
        "4 [2] triggered: SELL 2 BTC/USDT, stop 95",
        "4 [2] SELL 2 at 95 taker",
    ] == happened(prices, options(), (0, bought))  # fmt: skip


def test_a_bar_that_touches_the_stop_triggers_it() -> None:
    prices = market(bars([(100, 100, 100, 100), (100, 101, 99, 100), (99, 99, "95.01", 96), (99, 99, 95, 96)]))
    bought = Intent.buy(quantity=Decimal(2), stop_loss_pct=Decimal("0.05"))
    assert "4 [2] SELL 2 at 95 taker" == happened(prices, options(), (0, bought))[-1]


def test_a_gap_through_the_stop_sells_behind_the_gap() -> None:
    prices = market(bars([(100, 100, 100, 100), (100, 101, 99, 100), (90, 92, 88, 91)]))
    bought = Intent.buy(quantity=Decimal(2), stop_loss_pct=Decimal("0.05"))
    # The open of bar 2 is known when it begins: at minute 2.
    assert "2 [2] SELL 2 at 90 taker" == happened(prices, options(), (0, bought))[-1]


def test_of_both_exits_in_one_bar_the_stop_counts() -> None:
    prices = market(bars([(100, 100, 100, 100), (100, 101, 99, 100), (100, 112, 94, 100)]))
    bought = Intent.buy(quantity=Decimal(2), stop_loss_pct=Decimal("0.05"), take_profit_pct=Decimal("0.1"))
    assert "3 [2] SELL 2 at 95 taker ambiguous" == happened(prices, options(), (0, bought))[-1]


def test_an_open_beyond_the_target_comes_before_the_rest_of_its_bar() -> None:
    prices = market(bars([(100, 100, 100, 100), (100, 101, 99, 100), (112, 113, 94, 100)]))
    bought = Intent.buy(quantity=Decimal(2), stop_loss_pct=Decimal("0.05"), take_profit_pct=Decimal("0.1"))
    assert "2 [3] SELL 2 at 110 maker" == happened(prices, options(), (0, bought))[-1]


def test_a_limit_order_gets_a_share_of_the_volume_of_each_bar() -> None:
    # 0.1 of 30 are 3 a bar.
    rows = [(100, 100, 100, 100, 30), *[(100, 101, 97, 100, 30)] * 3]
    limit = Intent.buy(quantity=Decimal(7), order_type=OrderType.LIMIT, limit_price=Decimal(98))
    assert [
        "1 open: BUY 7 BTC/USDT, limit 98",
        "2 BUY 3 at 98 maker",
        "3 BUY 3 at 98 maker",
        "4 BUY 1 at 98 maker",
    ] == happened(market(bars(rows)), options(), (0, limit))  # fmt: skip


def test_an_order_that_has_expired_sees_no_bar_that_ends_later() -> None:
    until = START + MINUTE * 2.5
    limit = Intent.buy(
        quantity=ONE, order_type=OrderType.LIMIT, limit_price=Decimal(98), time_in_force=TimeInForce.GTD,
        order_expires_at=until,
    )  # fmt: skip
    prices = market(bars([(100, 100, 100, 100), (100, 101, 99, 100), (100, 101, 90, 100)]))
    assert "2.5 expired: expired: at 2026-01-05 00:02:30 UTC" == happened(prices, options(), (0, limit))[-1]


def test_a_cancel_ends_what_still_waits_for_its_price() -> None:
    prices = market(flat_bars([100] * 4))
    _, records = run_listed(
        prices, options(), wishes((0, Intent.buy(quantity=ONE)), (0, Intent(Action.CANCEL, target="all")))
    )
    counts = {status: number for (status, _, _), number in records.outcome_counts().items()}
    assert {"cancelled": 1} == counts
    assert 0 == len(records.fills)


def test_equity_counts_the_newest_price_of_each_symbol() -> None:
    # 50 ETH bought at 100 are worth 120 each when the second decision is sized: equity is 11 000.
    eth = flat_bars([100, 100, 120, 120, 120], ETH)
    prices = market(flat_bars([100] * 5), eth)
    of = rules(costs=free(), execution=BY_QUOTE, max_position_size="0.5", min_notional=1, default_risk_score=0)
    second = Intent.buy(confidence=Decimal("0.8"))
    _, records = run_listed(
        prices, options(rules=of), [wish(Intent.buy(), START + MINUTE, 0, 1), wish(second, START + 3 * MINUTE, 1, 0)]
    )
    first, other = records.happened
    assert Decimal(50) == first.fill.quantity  # type: ignore[union-attr]
    assert Decimal(11_000) == other.event.sizing.equity  # type: ignore[union-attr]
    assert Decimal(50) == other.fill.quantity  # type: ignore[union-attr] - 5 000 of cash are left


def test_values_are_those_of_midnight_and_of_the_end() -> None:
    hours = flat_bars([100, 100, 110, 120, 130], length=timedelta(hours=12))
    _, records = run_listed(market(hours), options(), [wish(Intent.buy(quantity=ONE), START + timedelta(hours=12))])
    values = [(f"{one.time:%d %H}", one.total_value, one.positions_value) for one in records.valuations()]
    assert [
        ("06 00", Decimal(10_000), Decimal(100)),
        ("07 00", Decimal(10_020), Decimal(120)),
        ("07 12", Decimal(10_030), Decimal(130)),
    ] == values


def test_costs_are_those_of_the_live_system() -> None:
    prices = market(flat_bars([100, 100, 110, 110]))
    of = rules(costs=at_given_prices(), execution=BY_QUOTE, max_position_size=1, min_notional=1)
    state, records = run_listed(
        prices, options(rules=of), wishes((0, Intent.buy(quantity=Decimal(20))), (1, Intent.sell()))
    )
    # 2 000 and 2 200 at 0.1 %: 2 and 2.2.
    (trade,) = records.closings()
    assert (Decimal(200), Decimal("195.8")) == (trade.gross, trade.net)
    assert Decimal("10195.8") == state.cash


def test_a_symbol_without_prices_is_refused_as_live() -> None:
    prices = market(flat_bars([100] * 3))
    _, records = run_listed(prices, options(), wishes((0, Intent.buy(symbol="XRP/USDT"))))
    (sentence,) = map(described, records.happened)
    assert sentence.startswith("rejected: unknown symbol: 'XRP/USDT' is not traded here")


def test_an_instrument_keeps_its_step() -> None:
    one = flat_bars([100] * 3)
    prices = Market.of([one], [Instrument(BTC, "USDT", Decimal("0.01"), Decimal(1))])
    assert ["1 BUY 20 at 100 taker"] == happened(
        prices, options(rules=rules(costs=free(), execution=BY_QUOTE, default_risk_score=0)), (0, Intent.buy())
    )
