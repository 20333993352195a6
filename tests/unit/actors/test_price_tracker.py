from __future__ import annotations

from decimal import Decimal

import pytest

from actors.messages import (
    InstrumentsLoaded,
    Prices,
    QuotesSeen,
    SendPrices,
    SourceEnded,
    StoredPrices,
    Subscribe,
    Watch,
)
from actors.price_tracker import SUBSCRIPTION_LIFETIME
from domain.trading.instruments import Calendars
from domain.trading.quotes import PricePoint, Quote
from domain.types import Instant
from tests.support.actors.tracked_prices import BTC, ETH, SOL, Tracked, tracked

__all__ = ["tracked"]  # a fixture

pytestmark = pytest.mark.logged("actors", alarms=False)

DOUBTED = "over 3 times away from the last price; set aside until confirmed"
SO = "decisions that need a price wait, then are rejected"


def test_symbols_with_positions_are_watched_from_the_start_even_without_a_stored_price(tracked: Tracked) -> None:
    tracked.records.held = {BTC: PricePoint(Decimal(100)), ETH: None}
    tracked.tracker.started()
    assert {BTC, ETH} == tracked.source.wanted


def test_symbols_with_positions_are_watched_once_the_database_answers(tracked: Tracked) -> None:
    tracked.records.held = {BTC: PricePoint(Decimal(100))}
    tracked.records.away = True
    tracked.tracker.started()
    assert set() == tracked.source.wanted
    tracked.records.away = False
    tracked.after(1)
    assert {BTC} == tracked.source.wanted


def test_a_request_for_prices_waits_for_the_stored_ones_but_not_for_an_unavailable_database(tracked: Tracked) -> None:
    answers: list[Prices] = []
    tracked.records.held = {BTC: PricePoint(Decimal(100))}
    tracked.tracker.handle(SendPrices(answers.append))
    assert answers == []
    tracked.tracker.handle(StoredPrices(None))  # they cannot be read now
    assert [{}] == [answer.points for answer in answers]
    tracked.tracker.started()
    tracked.tracker.handle(SendPrices(answers.append))
    assert {BTC: PricePoint(Decimal(100))} == answers[1].points


def test_a_request_for_prices_waits_at_most_a_tick_for_a_database_that_does_not_answer(tracked: Tracked) -> None:
    answers: list[Prices] = []
    tracked.records.read = lambda reply_to: None  # type: ignore[method-assign]
    tracked.tracker.started()
    tracked.quote(BTC="100")
    tracked.tracker.handle(SendPrices(answers.append))
    tracked.after(1)
    assert [] == answers  # it may have asked just before the tick
    tracked.after(1)
    assert [{BTC: PricePoint(Decimal(100))}] == [answer.points for answer in answers]
    tracked.tracker.handle(SendPrices(answers.append))
    tracked.after(1)
    assert 1 == len(answers)


def test_a_symbol_without_position_is_unsubscribed_after_a_while(tracked: Tracked) -> None:
    tracked.tracker.started()
    for symbol in (BTC, ETH):
        tracked.tracker.handle(Subscribe(symbol))
    tracked.records.held = {ETH: None}
    tracked.after(SUBSCRIPTION_LIFETIME.total_seconds())
    assert {BTC, ETH} == tracked.source.wanted
    tracked.after(1)
    assert {ETH} == tracked.source.wanted


def test_order_books_are_followed_of_symbols_with_decisions_and_with_open_orders(tracked: Tracked) -> None:
    tracked.records.held = {SOL: None}
    tracked.tracker.started()
    tracked.tracker.handle(Subscribe(BTC))
    assert {BTC} == tracked.source.watched_books
    tracked.tracker.handle(Watch({ETH: 0}, frozenset({ETH})))
    assert {BTC, ETH} == tracked.source.watched_books
    tracked.after(SUBSCRIPTION_LIFETIME.total_seconds() + 1)
    assert {ETH} == tracked.source.watched_books


def test_a_second_subscription_keeps_a_symbol(tracked: Tracked) -> None:
    tracked.tracker.started()
    tracked.tracker.handle(Subscribe(BTC))
    tracked.clock.pass_by(SUBSCRIPTION_LIFETIME.total_seconds())
    tracked.tracker.handle(Subscribe(BTC))
    tracked.after(1)
    assert {BTC} == tracked.source.wanted


def test_an_absurd_price_is_held_back_and_logged_once(tracked: Tracked, log_lines: list[str]) -> None:
    tracked.quote(BTC="100", ETH="10")
    absurd = Quote(BTC, Decimal("1e8"), tracked.clock.now(), Instant.of(tracked.clock), "kraken", real=True)
    for _ in range(3):
        tracked.tracker.handle(QuotesSeen({BTC: absurd}))
    tracked.quote(BTC="101")
    assert ["BTC/USDT 100", "ETH/USDT 10", "BTC/USDT 101"] == tracked.passed_on()
    assert [
        f"WARNING price source kraken sent 100000000 for BTC/USDT: {DOUBTED}",
    ] == log_lines
    assert 3 == tracked.tracker.describe()["set_aside"]


def test_an_invalid_price_is_dropped_and_logged_once_until_a_valid_one(tracked: Tracked, log_lines: list[str]) -> None:
    for price in ("0", "-1", "NaN", "100", "0"):
        tracked.quote(BTC=price)
    assert ["BTC/USDT 100"] == tracked.passed_on()
    assert ["WARNING price source kraken sent 0 for BTC/USDT: dropped"] * 2 == log_lines


def test_a_silent_symbol_is_reported_once_and_its_return_too(tracked: Tracked, log_lines: list[str]) -> None:
    tracked.tracker.started()
    tracked.tracker.handle(Subscribe(BTC))
    tracked.tracker.handle(Subscribe(ETH))
    for _ in range(4):
        tracked.quote(ETH="10")
        tracked.after(20)
    tracked.quote(BTC="100")
    assert [
        "WARNING price source kraken has sent no price of BTC/USDT since 12:00:00 UTC; " + SO,
        "INFO price source kraken sends prices of BTC/USDT again",
    ] == log_lines
    assert tracked.sent_alarms() == log_lines


def test_the_alarm_about_a_silent_symbol_is_over_when_its_price_is_not_needed_any_more(
    tracked: Tracked, log_lines: list[str]
) -> None:
    tracked.tracker.started()
    tracked.tracker.handle(Subscribe(BTC))
    for seconds in (31, SUBSCRIPTION_LIFETIME.total_seconds(), 1):
        tracked.after(seconds)
    assert [
        "WARNING price source kraken has sent no price of BTC/USDT since 12:00:00 UTC; " + SO,
        "INFO no price of BTC/USDT is needed any more",
    ] == log_lines
    assert tracked.sent_alarms() == log_lines


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_wall_clock_that_is_set_makes_no_symbol_silent_and_hides_none(tracked: Tracked, hours: int) -> None:
    tracked.tracker.started()
    tracked.tracker.handle(Subscribe(BTC))
    tracked.quote(BTC="100")
    tracked.clock.set_by(3600 * hours)
    tracked.after(30)
    assert [] == tracked.sent_alarms()
    tracked.after(0.001)
    assert [
        "WARNING price source kraken has sent no price of BTC/USDT since 12:00:00 UTC; " + SO
    ] == tracked.sent_alarms()


def test_a_symbol_with_sessions_is_silent_in_these_only() -> None:
    tracked = Tracked(calendars=Calendars({"btc-usdt": "XNYS"}))
    tracked.records.held = {BTC: None}
    tracked.tracker.started()
    alarms = []
    for seconds in (0, 600, 8_400, 29, 2, 23_369, 1, 3_600, 60_000):  # from 12:00; the session is 14:30 to 21:00
        tracked.after(seconds)
        alarms.append((f"{tracked.clock.now():%H:%M:%S}", len(tracked.sent_alarms())))
        if len(alarms) == 6:
            tracked.quote(BTC="100")
    assert [
        ("12:00:00", 0), ("12:10:00", 0), ("14:30:00", 0), ("14:30:29", 0), ("14:30:31", 1), ("21:00:00", 1),
        ("21:00:01", 2), ("22:00:01", 2), ("14:40:01", 3),
    ] == alarms  # fmt: skip
    assert [
        "WARNING price source kraken has sent no price of BTC/USDT since 12:00:00 UTC; " + SO,
        "INFO price source kraken sends prices of BTC/USDT again",
        "WARNING price source kraken has sent no price of BTC/USDT since 21:00:00 UTC; " + SO,
    ] == tracked.sent_alarms()


def test_a_silent_source_is_one_line_not_one_for_each_symbol(tracked: Tracked, log_lines: list[str]) -> None:
    tracked.records.held = {SOL: None}
    tracked.tracker.started()
    tracked.tracker.handle(Subscribe(BTC))
    tracked.quote(BTC="100", SOL="1")
    for _ in range(5):
        tracked.after(31)
    tracked.quote(SOL="1")
    assert [
        "WARNING price source kraken has been silent since 12:00:00 UTC; " + SO,
        "INFO price source kraken sends prices again",
    ] == log_lines
    assert tracked.sent_alarms() == log_lines


def test_a_source_that_does_not_load_its_instruments_is_reported_once_and_its_recovery_too(
    tracked: Tracked, log_lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog = tracked.source.catalog
    monkeypatch.setattr(tracked.source, "catalog", None)  # as at the first start, with the exchange away
    tracked.tracker.started()
    for _ in range(3):
        tracked.after(20)
    tracked.tracker.handle(InstrumentsLoaded(catalog))
    assert [
        "WARNING price source kraken has not loaded its instruments since 12:00:00 UTC; " + SO,
        "INFO price source kraken has loaded its instruments",
    ] == log_lines
    assert tracked.sent_alarms() == log_lines


def test_a_source_that_has_ended_is_not_reported_as_silent(tracked: Tracked, log_lines: list[str]) -> None:
    tracked.tracker.started()
    tracked.quote(BTC="100")
    tracked.tracker.handle(Subscribe(BTC))
    tracked.tracker.handle(SourceEnded("that was all"))
    tracked.after(31)
    assert ["WARNING price source kraken: that was all"] == log_lines
    assert tracked.sent_alarms() == log_lines


def test_the_description_has_the_notes_of_the_source_and_what_it_retries(tracked: Tracked) -> None:
    tracked.source.troubles = ["Cannot get prices from kraken (RequestTimeout); retrying"]
    tracked.source.notes = ["bars are 1h long"]
    described = tracked.tracker.describe()
    assert (described["troubles"], described["notes"]) == (tracked.source.troubles, tracked.source.notes)
