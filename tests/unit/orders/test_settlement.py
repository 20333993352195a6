"""What the market did to open orders while no process ran: order of things, times, bars, what cannot be span."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from domain.trading.open_orders.settlement import (
    Settlement,
    frozen_sources,
    merged,
    settled_spans,
    symbols_to_settle,
)
from domain.trading.portfolio import Progress
from domain.trading.quotes import History, Quote
from domain.types import Symbol
from tests.support.settlement.settled import FIRST_NO, as_text, history, seconds, settled, stopped_at
from tests.support.values.builders import BTC, ETH, NOON
from tests.support.values.order_engine import Trade, described


def bracket() -> Trade:
    """Return a position of 1, bought at 100 in the first second, with a stop at 95 and a target at 110."""
    trade = Trade()
    trade.see("100 100/100")
    trade.send("BUY 1 stop_loss 95 take_profit 110")
    return trade


CASES: dict[str, tuple[list[tuple[float, str]], list[str]]] = {
    "the market goes through the stop and back": (
        [(60, "print 99"), (120, "print 94"), (180, "print 120")],
        ["120: [2] triggered: SELL 1 BTC/USDT, stop 95", "120: [2] SELL 1 at 94 taker"],
    ),
    "it touches the target, which is not enough, and then the stop": (
        [(60, "print 110"), (120, "print 95")],
        ["120: [2] triggered: SELL 1 BTC/USDT, stop 95", "120: [2] SELL 1 at 95 taker"],
    ),
    "it goes through the target": ([(60, "print 110.5"), (120, "print 80")], ["60: [3] SELL 1 at 110 maker"]),
    "both exits in one bar: the stop, marked": (
        [(120, "bar 100 112 94 111 x1000")],
        ["120: [2] triggered: SELL 1 BTC/USDT, stop 95", "120: [2] SELL 1 at 95 taker ambiguous"],
    ),
    "a bar that opens behind a gap": (
        [(120, "bar 90 92 88 91 x1000")],
        ["120: [2] triggered: SELL 1 BTC/USDT, stop 95", "120: [2] SELL 1 at 90 taker"],
    ),
    "a tenth of a bar's volume": (
        [(120, "bar 100 111 99 100 x4"), (180, "bar 100 111 99 100 x100")],
        ["120: [3] SELL 0.4 at 110 maker", "180: [3] SELL 0.6 at 110 maker"],
    ),
    "a bar of which a part was seen triggers a stop at the worse side": (
        [(30, "bar 100 100 94 100 x1000")],
        ["30: [2] triggered: SELL 1 BTC/USDT, stop 95", "30: [2] SELL 1 at 95 taker ambiguous"],
    ),
    "and fills no limit": ([(30, "bar 100 120 96 100 x1000")], []),
    "nothing of what was seen before counts again": ([(1, "print 80"), (2, "print 80")], []),
    "nothing happened": ([], []),
}


@pytest.mark.parametrize("case", CASES)
def test_a_bracket_over_a_downtime(case: str) -> None:
    pieces, expected = CASES[case]
    state = stopped_at(bracket().state, 2)
    assert expected == as_text(settled(state, {BTC: history(pieces)}))


def test_everything_of_a_moment_is_one_unit_and_the_numbers_rise() -> None:
    state = stopped_at(bracket().state, 2)
    moments = settled(state, {BTC: history([(60, "print 110.5 x0.3"), (60, "print 110.5 x0.2"), (61, "print 111")])})
    assert [["0.3", "0.2"], ["0.5"]] == [
        [f"{result.fill.quantity.normalize()}" for result in m.results] for m in moments
    ]
    numbers = [result.fill.quote.data_no for moment in moments for result in moment.results]
    assert [FIRST_NO, FIRST_NO + 1, FIRST_NO + 2] == numbers
    assert all(result.fill.quote.recovered for moment in moments for result in moment.results)
    assert [60, 61] == [seconds(moment.seen_to) for moment in moments if moment.seen_to is not None]


def test_symbols_are_merged_by_time_and_then_by_symbol() -> None:
    trade = Trade()
    trade.see("100")
    trade.see("10", symbol=ETH)
    trade.send("BUY 1 limit 90")
    trade.send("BUY 2 limit 9", symbol=ETH)
    bars = history([(120, "bar 100 100 80 90 x10")])
    prints = history([(70, "print 9.5"), (120, "print 8.9"), (121, "print 9.5")], ETH)
    state = stopped_at(trade.state, 2)
    data = merged(state, {ETH: prints, BTC: bars}, NOON.replace(hour=13))
    assert [(70, ETH), (120, BTC), (120, ETH), (121, ETH)] == [(seconds(one.market_time), one.symbol) for one in data]
    assert ["120: BUY 1 at 90 maker", "120: BUY 2 at 9 maker"] == as_text(settled(state, {ETH: prints, BTC: bars}))


def test_orders_expire_at_their_own_times_and_see_nothing_of_them() -> None:
    trade = Trade()
    trade.see("100")
    trade.send("BUY 1 limit 90 GTD 100")
    trade.send("BUY 1 limit 91 GTD 50")
    state = stopped_at(trade.state, 1)
    expected = ["50: expired: expired: at 2026-01-05 12:00:50 UTC", "100: expired: expired: at 2026-01-05 12:01:40 UTC"]
    assert expected == as_text(settled(state, {BTC: history([(60, "print 95"), (100, "print 80")])}))
    assert expected == as_text(settled(state, {}))  # also where nobody knows what the market did
    assert expected[:1] == as_text(settled(state, {}, until=99))
    assert ["60: BUY 1 at 90 maker"] == as_text(settled(state, {BTC: history([(60, "print 80")])}))[1:]


def test_an_order_sees_nothing_that_is_older_than_itself() -> None:
    trade = Trade()
    trade.see("100")
    trade.send("BUY 1 limit 90")
    trade.wait(98)
    trade.see("100")
    trade.send("BUY 1 limit 91")
    state = stopped_at(trade.state, 1)
    assert ["50: BUY 1 at 90 maker"] == as_text(settled(state, {BTC: history([(50, "print 80"), (100, "print 80")])}))
    assert ["101: BUY 1 at 91 maker"] == as_text(settled(state, {BTC: history([(50, "print 80"), (101, "print 80")])}))[
        1:
    ]


def test_data_of_another_source_fill_nothing() -> None:
    trade = bracket()
    state = stopped_at(trade.state, 2)
    data = tuple(replace(one, source="other") for one in history([(60, "print 80")]).data)
    assert [] == as_text(settled(state, {BTC: History(data)}))
    assert {BTC: NOON.replace(second=2)} == symbols_to_settle(state, "test")
    assert {} == symbols_to_settle(state, "other")
    assert (set(), {"test"}) == (frozen_sources(state, "test"), frozen_sources(state, "other"))
    (quote,) = history([(60, "print 80")]).data
    assert isinstance(quote, Quote)
    other = replace(quote, recovered=False, source="other")
    assert [] == trade.engine.on_quotes([other], other.seen)  # nor live


def test_what_is_recorded_of_a_settlement() -> None:
    state = stopped_at(bracket().state, 2)
    until = NOON.replace(hour=13)
    (span,) = settled_spans(state, {BTC: history([(60, "print 99"), (120, "bar 1 1 1 1")])}, until, "test")
    assert (BTC, 2, 3600, 1, 1, None) == (
        span.symbol, seconds(span.since), seconds(span.until), span.trades, span.bars, span.gap,
    )  # fmt: skip
    (unknown,) = settled_spans(state, {BTC: History(unknown="it has no past")}, until, "test")
    assert "it has no past" == unknown.gap
    (late,) = settled_spans(state, {}, until, "test")
    assert "the price source did not answer in time" == late.gap


@pytest.mark.parametrize("kill_after", [1, 2, 3, 4])
def test_a_kill_in_the_middle_changes_nothing(kill_after: int) -> None:
    trade = Trade()
    trade.see("100")
    trade.send("BUY 3 limit 99 stop_loss_pct 0.05 take_profit_pct 0.1")
    trade.send("BUY 1 limit 80 GTD 400")
    state = stopped_at(trade.state, 1)
    pieces = [(100, "print 98.5 x1"), (200, "print 98 x1"), (300, "print 109 x0.5"), (500, "print 98.9 x5"),
              (600, "print 94 x1"), (700, "print 90")]  # fmt: skip
    at_once = settled(state, {BTC: history(pieces)})
    assert [100, 200, 300, 400, 600] == [seconds(moment.results[0].event.at) for moment in at_once]
    first = Settlement(state, {BTC: history(pieces)}, NOON.replace(hour=14), FIRST_NO)
    taken = [moment for moment, _ in zip(first.moments(), range(kill_after), strict=False)]
    seen_to = taken[-1].seen_to
    assert seen_to is not None
    stored = stopped_at(taken[-1].results[-1].state, seconds(seen_to))
    rest = settled(stored, {BTC: history(pieces)}, first_no=2 * FIRST_NO)
    assert as_text(at_once) == as_text(taken) + as_text(rest)


def test_descriptions_are_those_of_live_events() -> None:
    trade = bracket()
    (moment,) = settled(stopped_at(trade.state, 2), {BTC: history([(3, "print 94")])})
    assert trade.see("print 94") == [described(result) for result in moment.results]


def test_a_moment_of_a_symbol_that_was_behind_does_not_move_the_others_back() -> None:
    trade = Trade()
    trade.see("100")
    trade.see("10", symbol=ETH)
    trade.send("BUY 1 limit 90")
    trade.send("BUY 30 limit 9 GTD 7", symbol=ETH)
    progress = Progress(NOON + timedelta(seconds=20), behind={Symbol(ETH): NOON + timedelta(seconds=4)})
    state = replace(trade.state, progress=progress)
    histories = {
        BTC: history([(10, "print 80"), (21, "print 80")]),
        ETH: history([(6, "print 8 x1"), (8, "print 8")], ETH),
    }
    moments = settled(state, histories)
    assert [
        "6: BUY 1 at 9 maker",
        "7: expired: bought 1 ETH/USDT at 9; 1 of 30 filled, the rest expired at 2026-01-05 12:00:07 UTC",
        "21: BUY 1 at 90 maker",
    ] == as_text(moments)
    after = [progress.moved_to(moment.seen_to) for moment in moments if moment.seen_to is not None]
    assert [(20, {ETH: 6}), (20, {ETH: 6}), (21, {})] == [
        (seconds(one.data_at), {symbol: seconds(at) for symbol, at in one.behind.items()})
        for one in after
        if one.data_at
    ]
    expired = settled(state, {BTC: histories[BTC], ETH: History()})[0]
    assert expired.seen_to == NOON + timedelta(seconds=4)  # not of second 20: nothing of ETH/USDT is known after 4


AMENDED_LATER = [
    ("BUY 1 limit 90", "limit 95", "print 94", "BUY 1 at 95 maker"),
    ("BUY 1 limit 90", "quantity 0.5", "print 89", "BUY 0.5 at 90 maker"),
    ("SELL 1 stop 80", "stop 95", "print 94", "SELL 1 at 94 taker"),
    ("SELL 1 trail 20", "trail 5", "print 94", "SELL 1 at 94 taker"),
]


@pytest.mark.parametrize(("order", "new", "piece", "expected"), AMENDED_LATER)
def test_an_amended_order_sees_fetched_data_only_after_its_amend(
    order: str, new: str, piece: str, expected: str
) -> None:
    trade = Trade(held="1")
    trade.see("100")
    trade.send(order)
    trade.wait(10)
    trade.see("100")
    trade.amend(1, new)  # at second 12; what was stored last is of second 2
    state = stopped_at(trade.state, 2)
    assert {BTC: NOON + timedelta(seconds=12)} == symbols_to_settle(state, "test")
    assert [] == as_text(settled(state, {BTC: history([(5, piece), (12, piece)])}))
    assert f"13: {expected}" == as_text(settled(state, {BTC: history([(5, piece), (13, piece)])}))[-1]
    before = history([(60, f"bar 100 100 {piece.split()[1]} 100 x100")])  # it began at second 0
    assert ["limit" not in order] == [bool(settled(state, {BTC: before}))]


def test_an_exit_that_an_amend_of_its_entry_made_larger_sees_fetched_data_only_after_that() -> None:
    trade = Trade()
    trade.see("100 99/101 9x1")
    trade.send("BUY 3 limit 101 stop_loss 95")
    trade.wait(10)
    trade.see("100 99/102 9x2")
    trade.amend(1, "limit 102")
    assert ["stop 3"] == trade.rests()
    state = stopped_at(trade.state, 2)
    assert [] == as_text(settled(state, {BTC: history([(5, "print 94"), (12, "print 94")])}))
    assert "13: [2] SELL 3 at 94 taker" == as_text(settled(state, {BTC: history([(13, "print 94")])}))[-1]


def test_a_trailing_stop_that_keeps_its_trail_sees_data_of_before_its_amend() -> None:
    trade = Trade(held="2")
    trade.see("100")
    trade.send("SELL 2 trail 5")
    trade.wait(10)
    trade.see("100")
    trade.amend(1, "quantity 1")
    state = stopped_at(trade.state, 2)
    assert "5: SELL 1 at 94 taker" == as_text(settled(state, {BTC: history([(5, "print 94")])}))[-1]
