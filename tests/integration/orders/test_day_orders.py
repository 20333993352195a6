"""DAY orders in the books, over a kill after each commit, and what the constraints of the table refuse."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from domain.trading.instruments import Calendars
from domain.types import OutcomeStatus
from tests.integration.orders.test_open_orders import SIZING, Ended, Market, opened
from tests.integration.persistence.test_stores import InMemory, Stores, real, stores
from tests.support.values.builders import NOON

__all__ = ["real", "stores"]  # fixtures
pytestmark = pytest.mark.clock

CLOSE = datetime(2026, 1, 5, 16, 30, tzinfo=UTC)
"""Of London, on the Monday of `NOON`, which is in its session."""
SECONDS_TO_CLOSE = 16_200
IN_LONDON = replace(SIZING, calendars=Calendars({"BTC/USDT": "XLON"}))
DAY = {"order_type": "limit", "limit_price": "90", "time_in_force": "DAY"}


class MarketInLondon(Market):
    """A market whose symbol has London's sessions."""

    def __init__(self, stores: Any) -> None:
        super().__init__(stores, IN_LONDON)

    def _take(self) -> list[Ended]:
        if isinstance(self.stores, InMemory):  # which has no clock of its own
            for row in self.stores.decisions.rows.values():
                row.created_at = row.received_at = max(row.created_at, NOON)
        return super()._take()


@pytest.fixture(params=["one process", "a kill after each commit"])
def market(request: pytest.FixtureRequest, stores: Any) -> Market:
    return opened(MarketInLondon, request, stores)


def test_it_rests_until_the_close_and_expires_there(market: Market) -> None:
    market.price("100", "99.9", "100.1")
    entry = market.send("BUY", "1", **DAY, stop_loss="80")
    stop = market.send("BUY", "1", order_type="stop", stop_price="110", time_in_force="DAY")
    assert [("XLON", CLOSE)] * 2 == [(one.order.calendar, one.order.expires_at) for one in market.state.open_orders]
    if isinstance(market.stores, Stores):
        orders = market.stores.ledger_reader.rows(
            "SELECT time_in_force, calendar, order_expires_at FROM paper_orders ORDER BY seq"
        )
        assert [("DAY", "XLON", CLOSE)] * 2 == [tuple(row.values()) for row in orders]
    market.time(SECONDS_TO_CLOSE - market.seconds - 1)
    assert 2 == len(tuple(market.state.open_orders))
    market.price("85", "84.9", "85.1")  # of the close
    assert [] == list(market.state.open_orders)
    reason = "expired: the session of XLON ended at 2026-01-05 16:30:00 UTC"
    for ended in (entry, stop):
        assert (OutcomeStatus.EXPIRED, reason) == (market.outcome(ended).status, market.outcome(ended).reason)


def test_its_exits_go_on_after_the_close(market: Market) -> None:
    market.price("100", "99.9", "100.1")
    market.send("BUY", "1", **{**DAY, "limit_price": "101"}, stop_loss="80", take_profit="120")
    market.time(SECONDS_TO_CLOSE)
    assert [(2, None), (3, None)] == [(one.order.leg, one.order.calendar) for one in market.state.open_orders]
    market.price("121", "120.5", "121.5")
    assert [] == list(market.state.open_orders)


def test_a_symbol_without_sessions_is_rejected_and_an_amended_order_has_no_session(market: Market) -> None:
    market.price("100", "99.9", "100.1")
    day = market.send("BUY", "1", **DAY)
    amend = market.send("AMEND", target=str(day), order_expires_at="2026-01-05T16:45:00Z")
    reason = "amended: expires 2026-01-05 16:30:00 UTC -> 2026-01-05 16:45:00 UTC"
    assert (OutcomeStatus.EXECUTED, reason) == (market.outcome(amend).status, market.outcome(amend).reason)
    assert [None] == [one.order.calendar for one in market.state.open_orders]
    market._sizing = SIZING
    market.restart()
    market.price("100", "99.9", "100.1")
    refused = market.send("BUY", "1", **DAY)
    assert "invalid: BTC/USDT has no sessions; use GTC or GTD" == market.outcome(refused).reason
    assert OutcomeStatus.REJECTED is market.outcome(refused).status


@pytest.mark.parametrize(
    "change", ["calendar = NULL", "time_in_force = 'GTC'", "order_expires_at = NULL", "time_in_force = NULL"]
)
def test_exactly_an_order_with_a_session_has_a_calendar_and_an_end(real: Stores, change: str) -> None:
    market = MarketInLondon(real)
    market.price("100", "99.9", "100.1")
    market.send("BUY", "1", **DAY)
    with psycopg.connect(real.url) as connection:
        connection.execute("SET LOCAL paper.writer = 'PositionKeeper'")
        with pytest.raises(psycopg.errors.CheckViolation) as refused:
            connection.execute(f"UPDATE paper_orders SET {change}")
    assert "exactly a DAY order has a calendar, and it expires" == refused.value.diag.constraint_name
