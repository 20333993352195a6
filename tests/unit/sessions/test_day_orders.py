"""DAY orders: they end at the close of the session in which they were sent, or of the next one."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from domain.trading.bookkeeping import Result
from domain.trading.decision import CancelTarget
from domain.trading.engine import Ended, Engine
from domain.trading.instruments import Calendars, InstrumentCatalog
from domain.trading.open_orders.terms import OrderTerms
from domain.trading.portfolio import PortfolioState
from domain.trading.sizing import SizingRules
from domain.types import TimeInForce
from tests.support.values.builders import BTC, BY_QUOTE, free, holding, instant, instrument, quote, received, rules
from tests.support.values.order_engine import described, order_terms

pytestmark = pytest.mark.clock

APPLE = "AAPL"
EVERY_SYMBOL = (APPLE, "SAP", "VOD", BTC)
SIZING = SizingRules(
    price_grace=timedelta(seconds=1), max_price_age=timedelta(seconds=30), max_decision_age=timedelta(seconds=300),
    same_currency=frozenset({"USDT"}), calendars=Calendars({"aapl": "XNYS", "SAP": "XETR", "VOD": "XLON"}),
)  # fmt: skip


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


class Trade:
    """An engine with one portfolio that trades shares; each call says its time."""

    def __init__(self, held: str | None = None) -> None:
        one = rules(execution=BY_QUOTE, costs=free(), max_position_size=1)
        state = holding((held, 100), of=one) if held is not None else PortfolioState.opened(one)
        self.engine = Engine([state], SIZING)
        instruments = [instrument(symbol) for symbol in EVERY_SYMBOL]
        assert [] == self.engine.on_instruments(InstrumentCatalog(instruments), instant())
        self._number = 0

    def price(self, moment: str, bid: str, ask: str, symbol: str = APPLE) -> list[str]:
        """Let the engine see bid and ask; return what happened."""
        seen = quote(ask, symbol, at(moment), bid=bid, ask=ask)
        return texts(self.engine.on_quotes([seen], seen.seen))

    def send(self, moment: str, text: str, symbol: str = APPLE, taken: str | None = None) -> list[str]:
        """Send a decision, which the engine takes at ``taken``, by default at once; return what happened."""
        self._number += 1
        action, quantity, terms = order_terms(text)
        now = instant(at(taken or moment))
        decision = replace(
            received(action, number=self._number, quantity=quantity, symbol=symbol),
            terms=terms, created_at=at(moment), received=now, waited=now.time - at(moment),
        )  # fmt: skip
        return texts(self.engine.on_decision(decision, now))

    def time(self, moment: str) -> list[str]:
        return texts(self.engine.on_time(instant(at(moment))))

    @property
    def ends(self) -> list[tuple[str | None, datetime | None]]:
        """Exchange and end of each open order."""
        state = self.engine.state(rules().portfolio)
        assert state is not None
        return [(one.order.calendar, one.order.expires_at) for one in state.open_orders]


def texts(happened: list[Ended]) -> list[str]:
    return [described(one) for one in happened]


KINDS = [
    "BUY 1 limit 90 DAY", "BUY 1 limit 90 DAY post_only", "BUY 1 stop 110 DAY", "BUY 1 stop 110 limit 111 DAY",
    "BUY 1 trail 20 DAY",
]  # fmt: skip


@pytest.mark.parametrize("text", KINDS)
def test_it_rests_until_the_close_of_its_session_and_sees_nothing_of_the_close(text: str) -> None:
    trade = Trade()
    trade.price("2026-11-27 15:00", "99", "101")
    trade.send("2026-11-27 15:00:00.5", text)
    assert [("XNYS", at("2026-11-27 18:00"))] == trade.ends
    assert [] == trade.time("2026-11-27 17:59:59.999999")
    # The price of the close would have filled or triggered any of them.
    (ended,) = trade.price("2026-11-27 18:00", "80", "81")
    assert "expired: expired: the session of XNYS ended at 2026-11-27 18:00:00 UTC" == ended
    assert [] == trade.ends


def test_before_the_close_it_is_filled_as_any_other() -> None:
    trade = Trade()
    trade.price("2026-11-27 15:00", "99", "101")
    trade.send("2026-11-27 15:00:01", "BUY 1 limit 90 DAY")
    assert ["BUY 1 at 90 maker"] == trade.price("2026-11-27 17:59:59", "88", "89")
    assert [] == trade.time("2026-11-27 18:00")


def test_the_exits_of_a_day_order_outlast_its_session() -> None:
    trade = Trade()
    trade.price("2026-11-27 15:00", "99", "101")
    trade.send("2026-11-27 15:00:01", "BUY 1 limit 102 stop_loss 90 DAY")
    assert [(None, None)] == trade.ends
    assert [] == trade.time("2026-11-28 12:00")
    assert [(None, None)] == trade.ends


SENT = [
    (APPLE, "2026-11-27 15:00", "XNYS", "2026-11-27 18:00"),
    (APPLE, "2026-11-27 14:00", "XNYS", "2026-11-27 18:00"),
    (APPLE, "2026-11-26 15:00", "XNYS", "2026-11-27 18:00"),
    (APPLE, "2026-11-27 18:00", "XNYS", "2026-11-30 21:00"),
    (APPLE, "2026-03-08 06:59:59", "XNYS", "2026-03-09 20:00"),
    ("SAP", "2026-10-25 00:59:59", "XETR", "2026-10-26 16:30"),
    ("SAP", "2026-12-30 12:59:59", "XETR", "2026-12-30 13:00"),
    ("VOD", "2026-03-29 01:00", "XLON", "2026-03-30 15:30"),
    ("VOD", "2026-12-24 12:29:59", "XLON", "2026-12-24 12:30"),
    ("vod", "2026-12-24 12:30", "XLON", "2026-12-29 16:30"),
]


@pytest.mark.parametrize(("symbol", "sent", "exchange", "end"), SENT)
def test_with_a_price_it_rests_at_once_in_or_outside_a_session(symbol: str, sent: str, exchange: str, end: str) -> None:
    trade = Trade()
    trade.price(sent, "99", "101", symbol.upper())
    trade.send(sent, "BUY 1 limit 90 DAY", symbol)
    assert [(exchange, at(end))] == trade.ends


@pytest.mark.parametrize("text", ["BUY 1 limit 90 DAY", "BUY 1 limit 90", "BUY 1 stop 110", "BUY 1 trail 20"])
def test_without_a_price_it_waits_outside_sessions_for_the_next_one(text: str) -> None:
    trade = Trade()
    assert [] == trade.send("2026-11-26 15:00", text)
    assert [] == trade.time("2026-11-27 14:30:30")  # 30 s after the opening, a day after it was sent
    trade.price("2026-11-27 14:30:30", "99", "101")
    assert [("XNYS", at("2026-11-27 18:00")) if "DAY" in text else (None, None)] == trade.ends


def test_after_the_opening_it_gets_no_more_time_for_a_price_than_any_other() -> None:
    trade = Trade()
    assert [] == trade.send("2026-11-26 15:00", "BUY 1 limit 90 DAY")
    assert ["rejected: no price in time: none of AAPL was seen within 30 s"] == trade.time("2026-11-27 14:30:30.001")


def test_a_market_order_and_a_symbol_without_sessions_do_not_wait() -> None:
    trade = Trade()
    trade.send("2026-11-26 15:00", "BUY 1")
    trade.send("2026-11-26 15:00", "BUY 1 limit 90", BTC)
    assert [
        "rejected: no price in time: none of AAPL was seen within 30 s",
        "rejected: no price in time: none of BTC/USDT was seen within 30 s",
    ] == trade.time("2026-11-26 15:00:31")


def test_one_that_comes_too_late_does_not_go_into_the_next_session() -> None:
    trade = Trade()
    assert [] == trade.send("2026-11-27 17:59:50", "BUY 1 limit 90 DAY")
    assert [
        "expired: expired: the session of XNYS ended at 2026-11-27 18:00:00 UTC, before it could rest"
    ] == trade.price("2026-11-27 18:00:05", "99", "101")


def test_the_age_of_one_that_was_sent_outside_sessions_while_nothing_ran_counts_from_the_opening() -> None:
    sent, order = "2026-11-26 15:00", "BUY 1 limit 90 DAY"
    in_time, late = Trade(), Trade()
    in_time.price("2026-11-27 14:35", "99", "101")
    in_time.send(sent, order, taken="2026-11-27 14:35")
    assert [("XNYS", at("2026-11-27 18:00"))] == in_time.ends
    late.price("2026-11-27 14:35:01", "99", "101")
    assert ["expired: expired: it waited since 2026-11-26 15:00:00 UTC, max_decision_age = 300 s"] == late.send(
        sent, order, taken="2026-11-27 14:35:01"
    )


def test_one_dated_ahead_counts_from_when_it_is_received() -> None:
    trade = Trade()
    trade.price("2026-11-27 15:00", "99", "101")
    trade.send("2999-01-01 00:00", "BUY 1 limit 90 DAY", taken="2026-11-27 15:00:01")
    assert [("XNYS", at("2026-11-27 18:00"))] == trade.ends


REFUSED = [
    (BTC, "2026-11-27 15:00", "BTC/USDT has no sessions; use GTC or GTD"),
    (APPLE, "2014-12-31 15:00", "the sessions of XNYS are known for 2015 to 2035 only"),
    ("VOD", "2036-01-02 12:00", "the sessions of XLON are known for 2015 to 2035 only"),
]


@pytest.mark.parametrize(("symbol", "sent", "reason"), REFUSED)
def test_without_a_known_session_it_is_rejected_at_once(symbol: str, sent: str, reason: str) -> None:
    assert [f"rejected: invalid: {reason}"] == Trade().send(sent, "BUY 1 limit 90 DAY", symbol)


def test_an_amend_with_an_end_makes_it_gtd() -> None:
    trade = Trade()
    trade.price("2026-11-27 15:00", "99", "101")
    trade.send("2026-11-27 15:00:01", "BUY 1 limit 90 DAY")
    end = at("2026-12-01 12:00")
    trade.price("2026-11-27 15:00:02", "99", "101")
    now = instant(at("2026-11-27 15:00:02"))
    amend = replace(
        received("AMEND", number=9, symbol="*", quantity=Decimal(1)), target=CancelTarget(decision_id=1), received=now,
        terms=OrderTerms(expires_at=end),
    )  # fmt: skip
    (changed, *_) = trade.engine.on_decision(amend, now)
    assert isinstance(changed, Result)
    assert (TimeInForce.GTD, None, end) == (
        changed.order.time_in_force, changed.order.calendar, changed.order.expires_at
    )  # fmt: skip
    assert [(None, end)] == trade.ends
    assert [] == trade.time("2026-11-27 18:00")
    (ended,) = trade.time("2026-12-01 12:00")
    assert "expired: expired: at 2026-12-01 12:00:00 UTC" == ended
