"""Trailing stops, with the numbers by hand (docs/execution.md)."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from domain.trading.open_orders.open_order import TrailingMark
from domain.trading.open_orders.sequencer import Sequencer
from tests.support.values.builders import BY_LAST, costs, instant, instrument
from tests.support.values.order_engine import Trade, market_data


def test_the_stop_follows_the_highest_mark_and_never_goes_back() -> None:
    trade = Trade(held="10")
    trade.see("100")
    assert ["open: SELL 10 BTC/USDT, trailing stop 95, trail 5"] == trade.send("SELL trail 5")
    seen = []
    for price in ("103", "101", "107.5", "104", "103"):
        assert [] == trade.see(price)
        seen += trade.stops()
    assert ["103 98", "103 98", "107.5 102.5", "107.5 102.5", "107.5 102.5"] == seen
    assert [
        "triggered: SELL 10 BTC/USDT, trailing stop 102.5, trail 5",
        "SELL 10 at 102.5 taker",
    ] == trade.see("102.5")
    assert ["1 executed: sold 10 BTC/USDT at 102.5"] == trade.outcomes()
    assert "cash 10025 reserved 0 free 0 of 0" == trade.figures


def test_a_fraction_is_one_of_the_mark_and_the_stop_is_rounded_to_the_nearest_tick() -> None:
    trade = Trade(held="10")
    trade.see("100")
    assert ["open: SELL 10 BTC/USDT, trailing stop 97, trail 3 %"] == trade.send("SELL trail_pct 0.03")
    assert [] == trade.see("100.55")
    assert ["100.55 97.53"] == trade.stops()  # 97.5335
    assert [] == trade.see("100.56")
    assert ["100.56 97.54"] == trade.stops()  # 97.5432
    assert [] == trade.see("97.55")
    assert "SELL 10 at 97.54 taker" == trade.see("97.54")[-1]


def test_a_buy_follows_the_lowest_mark_and_holds_back_the_cost_at_its_first_stop() -> None:
    trade = Trade(costs=costs(slippage_pct=0))
    trade.see("100")
    assert ["open: BUY 10 BTC/USDT, trailing stop 104, trail 4"] == trade.send("BUY 10 trail 4")
    assert "cash 10000 reserved 1041.04 free 0 of 0" == trade.figures  # 1040 and 0.1 %
    assert [] == trade.see("103.99", "90", "93.9")
    assert ["90 94"] == trade.stops()
    assert "cash 10000 reserved 1041.04 free 0 of 0" == trade.figures
    assert [
        "triggered: BUY 10 BTC/USDT, trailing stop 94, trail 4",
        "BUY 10 at 94.5 fee 1 taker",
    ] == trade.see("94.5")
    assert "cash 9054 reserved 0 free 10 of 10" == trade.figures


def test_through_a_gap_it_gets_the_price_behind_the_gap() -> None:
    trade = Trade(held="10")
    trade.see("100 99/101")
    trade.send("SELL 4 trail 5")
    assert [] == trade.see("120 119/121")
    assert ["120 115"] == trade.stops()
    # The mark is 82, the bid 80.
    assert ["triggered: SELL 4 BTC/USDT, trailing stop 115, trail 5", "SELL 4 at 80 taker"] == trade.see("82 80/84")


def test_a_buy_behind_a_gap_is_reduced_to_what_its_reservation_and_the_free_cash_pay() -> None:
    trade = Trade()
    trade.see("100")
    trade.send("BUY 95 trail 5")
    assert "cash 10000 reserved 9975 free 0 of 0" == trade.figures
    assert "BUY 83.33333333 at 120 taker" == trade.see("120")[-1]


def test_in_a_bar_the_trigger_is_tested_before_the_mark_moves() -> None:
    trade = Trade(held="10")
    trade.see("100")
    trade.send("SELL 4 trail 5")
    # 110 would take the stop to 105, and the low is 97: whether before or after 110 is not known.
    assert [] == trade.see("bar 100 110 97 108 x500")
    assert ["110 105"] == trade.stops()
    # The next bar opens at 106; 104 is reached, and the mark does not move.
    assert "SELL 4 at 105 taker" == trade.see("bar 106 109 104 108 x500")[-1]


def test_a_bar_that_reaches_the_old_stop_and_a_new_high_is_ambiguous() -> None:
    trade = Trade(held="10")
    trade.see("100")
    trade.send("SELL 4 trail 5")
    trade.send("SELL 1 trail 50")
    # With 110 first it would have been sold at 105.
    assert "SELL 4 at 95 taker ambiguous" == trade.see("bar 100 110 94 108 x500")[-1]
    assert ["110 60"] == trade.stops()  # the other one followed


def test_a_bar_that_opens_beyond_the_stop_is_not_ambiguous() -> None:
    trade = Trade(held="10")
    trade.see("100")
    trade.send("SELL 4 trail 5")
    assert "SELL 4 at 93 taker" == trade.see("bar 93 110 90 108 x500")[-1]


def test_under_quote_the_mark_is_clamped_and_under_last_it_is_the_last_trade() -> None:
    trade = Trade(held="10")
    trade.see("100 99/101")
    trade.send("SELL 4 trail 5")
    assert [] == trade.see("150 100/101")  # a print outside of the book
    assert ["101 96"] == trade.stops()
    trade = Trade(held="10", execution=BY_LAST)
    trade.see("100 99/101")
    trade.send("SELL 4 trail 5")
    assert [] == trade.see("150 100/101")
    assert ["150 145"] == trade.stops()


def test_the_trailing_stop_of_an_entry_begins_at_the_mark_of_its_fill_and_goes_on_while_it_grows() -> None:
    trade = Trade()
    trade.see("100 99/101 9x2")
    assert [
        "open: BUY 5 BTC/USDT, limit 102",
        "BUY 2 at 101 taker",
        "[2] open: SELL 2 BTC/USDT, trailing stop 90, trail 10 %",
        "[3] open: SELL 2 BTC/USDT, limit 150",
    ] == trade.send("BUY 5 limit 102 trailing_stop_pct 0.1 take_profit 150")
    assert [] == trade.see("120 119/121")
    assert ["120 108"] == trade.stops()
    grown = trade.see("101 100.5/101.5")
    assert ["[2] triggered: SELL 2 BTC/USDT, trailing stop 108, trail 10 %", "[2] SELL 2 at 100.5 taker"] == grown[:2]
    trade = Trade()
    trade.see("100 99/101 9x2")
    trade.send("BUY 5 limit 102 trailing_stop 20")
    assert [] == trade.see("110 109/111")
    # The ask of 101 fills the rest; its mark of 100 is no new extreme.
    assert [
        "BUY 3 at 102 maker",
        "[2] changed: SELL 5 BTC/USDT, trailing stop 80, trail 20: its entry was filled further",
    ] == trade.see("100 99/101")
    assert ["110 90"] == trade.stops()
    assert "[2] SELL 5 at 89 taker" == trade.see("90 89/91")[-1]


def test_a_target_of_the_same_entry_that_is_reached_too_is_ambiguous() -> None:
    trade = Trade()
    trade.see("100")
    trade.send("BUY 2 trailing_stop 10 take_profit 110")
    assert "[2] SELL 2 at 90 taker ambiguous" == trade.see("bar 100 111 89 100 x500")[-1]
    assert [] == trade.rests()


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("SELL 1 trail 100", "invalid: trail 100 leaves no stop above 0 at 100"),
        ("SELL 1 trail 0.004", "invalid: trail 0.004 at 100 is less than one tick of 0.01"),
        ("BUY 1 trail_pct 0.00001", "invalid: trail_pct 0.00001 at 100 is less than one tick of 0.01"),
        ("BUY 1 trailing_stop 101", "invalid: trailing_stop 101 leaves no stop above 0 at 101"),
        ("BUY 1 limit 50 trailing_stop 50", "invalid: trailing_stop 50 leaves no stop above 0 at 50"),
        ("BUY 1 trailing_stop 0.001", "invalid: trailing_stop 0.001 at 101 is less than one tick of 0.01"),
    ],
)
def test_a_distance_that_gives_no_stop_is_invalid(order: str, expected: str) -> None:
    trade = Trade(held=None if order.startswith("BUY") else "10")
    trade.see("100 99/101")
    assert [f"rejected: {expected}"] == trade.send(order)


def test_a_trailing_sell_with_nothing_held_is_rejected_and_one_that_is_held_reserves_its_quantity() -> None:
    trade = Trade()
    trade.see("100")
    assert ["rejected: nothing held: there is no BTC/USDT to sell"] == trade.send("SELL 1 trail 5")
    trade = Trade(held="10")
    trade.see("100")
    trade.send("SELL 4 trail 5")
    assert "cash 9000 reserved 0 free 6 of 10" == trade.figures
    assert ["cancelled: cancelled: by decision 2"] == trade.cancel(1)
    assert "cash 9000 reserved 0 free 10 of 10" == trade.figures


def test_it_expires_and_its_mark_moves_while_the_portfolio_is_halted() -> None:
    trade = Trade(held="10")
    trade.see("100")
    trade.send("SELL 4 trail 5 GTD 60")
    trade.halt("by hand")
    assert [] == trade.see("120", "100")  # a halt lets no entry be filled
    assert ["120 115"] == trade.stops()
    trade.halt(None)
    assert "SELL 4 at 114 taker" == trade.see("114")[-1]
    trade.send("SELL 4 trail 5 GTD 60")
    assert ["expired: expired: at 2026-01-05 12:01:00 UTC"] == trade.wait(60)


# restarts


def begun(trade: Trade, marks: tuple[TrailingMark, ...] = ()) -> Sequencer:
    """Return a Sequencer that begins with the state of a trade, and with these stored marks."""
    state = trade.state
    stored = {mark.order_id: mark for mark in marks}
    orders = state.open_orders
    for one in orders:
        mark = stored.get(one.order.order_id)
        first = Decimal(100) if mark is None else mark.mark
        orders = orders.updated(replace(one, mark=first, mark_no=0 if mark is None else mark.data_no))
    sequencer = Sequencer()
    sequencer.begin([replace(state, open_orders=orders)])
    return sequencer


def seen_again(sequencer: Sequencer, trade: Trade, *texts: str, first: int = 1) -> list[int]:
    """Show numbered data to a Sequencer; return the numbers of those that made events."""
    numbers = range(first, first + len(texts))
    data = [replace(market_data(text, trade.now), data_no=no) for no, text in zip(numbers, texts, strict=True)]
    return [one.data_no for one in data if sequencer.on_data(one, instant(trade.now))]


def test_a_restart_in_the_middle_takes_up_the_stored_mark() -> None:
    trade = Trade(held="10")
    trade.see("100")
    trade.send("SELL 4 trail 5")
    trade.see("110", "107")
    (mark,) = trade.engine._sequencer.take_moved_marks()
    assert (Decimal(110), 2) == (mark.mark, mark.data_no)
    assert () == trade.engine._sequencer.take_moved_marks()
    sequencer = begun(trade, (mark,))
    # What is kept is seen again: 100 and 104 came before the mark of 110, whose stop they do not trigger.
    assert [] == seen_again(sequencer, trade, "100", "104", "107")
    assert [4] == seen_again(sequencer, trade, "105", first=4)


def test_without_a_stored_mark_the_kept_data_give_the_same_one() -> None:
    trade = Trade(held="10")
    trade.see("100")
    trade.send("SELL 4 trail 5")
    sequencer = begun(trade)
    assert [] == seen_again(sequencer, trade, "100", "110", "107")
    (moved,) = sequencer.take_moved_marks()
    assert (Decimal(110), 2) == (moved.mark, moved.data_no)
    assert [4] == seen_again(sequencer, trade, "105", first=4)


def test_a_commit_that_fails_is_made_again_from_the_kept_data() -> None:
    trade = Trade(held="10")
    trade.see("100")
    trade.send("SELL 4 trail 5")
    before = trade.state
    assert "SELL 4 at 105 taker" == trade.see("110", "105", "120")[1]
    sequencer = Sequencer()
    sequencer.begin([before])
    assert [3] == seen_again(sequencer, trade, "110", "105", "120", first=2)
    assert trade.state == sequencer.state(trade.state.name)


def test_data_that_filled_another_order_move_the_mark_and_trigger_nothing() -> None:
    trade = Trade(held="10")
    trade.see("100")
    trade.send("SELL 4 trail 5")
    trade.send("SELL 1 limit 108")
    trade.see("112", "109")
    state = trade.state
    assert 2 == state.open_orders.matched(instrument().symbol)
    sequencer = begun(trade)  # no mark was stored
    assert [] == seen_again(sequencer, trade, "100", "112", "109")
    assert [4] == seen_again(sequencer, trade, "107", first=4)
