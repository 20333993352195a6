"""Which decisions are left in the table because so many wait for a price, and how they end there."""

from __future__ import annotations

from datetime import timedelta

import pytest

from domain.trading.decision import Outcome, PendingDecision
from domain.trading.freshness.price_waits import NOTHING_LEFT, LeftEnd, PriceWaits, SymbolOf
from domain.trading.instruments import Calendars
from domain.types import Action, Instant, OutcomeStatus, PortfolioName
from tests.support.values.builders import NOON, uid

DEAD = SymbolOf(PortfolioName("default"), "DEAD/USDT")
GONE = SymbolOf(PortfolioName("default"), "GONE/USDT")
MAX_AGE = timedelta(seconds=30)
NO_PRICE = "no price in time: none of DEAD/USDT was seen within 30 s"


def at(seconds: float) -> Instant:
    return Instant(NOON + timedelta(seconds=seconds), seconds)


def ended(id_: int, status: str = "rejected", reason: str = NO_PRICE) -> Outcome:
    return Outcome(id_, OutcomeStatus(status), reason)


def a_decision(id_: int, of: SymbolOf, waited: float, received: float, action: Action = Action.BUY) -> PendingDecision:
    values = {"confidence": 1, "risk_score": None, "quantity": None, "strategy": None, "expires_at": None}
    return PendingDecision(
        id=id_, uid=uid(id_), symbol=of.symbol, action=action, portfolio=of.portfolio, received=at(received),
        created_at=at(received - waited).time, waited=timedelta(seconds=waited), **values,  # type: ignore[arg-type]
    )  # fmt: skip


@pytest.fixture
def waits() -> PriceWaits:
    """Three decisions may wait; two do."""
    made = PriceWaits(MAX_AGE, limit=3)
    for number in (1, 2):
        made.add(number, DEAD, at(number))
    return made


def test_below_the_limit_nothing_is_left(waits: PriceWaits) -> None:
    assert NOTHING_LEFT == waits.left(at(3))
    waits.add(2, DEAD, at(3))  # the same again: it was admitted, and waits once more
    assert (NOTHING_LEFT, 2) == (waits.left(at(3)), len(waits))


def test_at_the_limit_the_symbols_that_wait_are_left_and_no_others(waits: PriceWaits) -> None:
    waits.add(3, GONE, at(3))
    assert {DEAD, GONE} == waits.left(at(3)).symbols
    waits.discard(3, at(4), ended(3, "cancelled", "by hand"))
    assert frozenset() == waits.left(at(4)).symbols


def test_a_read_passes_over_them_twice_a_second(waits: PriceWaits) -> None:
    waits.add(3, GONE, at(3))
    assert [True, False, False, True] == [waits.left(at(seconds)).passes for seconds in (3, 3.2, 3.4, 3.5)]


def test_the_time_in_which_one_was_left_counts(waits: PriceWaits) -> None:
    assert None is waits.with_wait(a_decision(4, DEAD, waited=60, received=3)).left_since
    waits.add(3, GONE, at(3))
    waits.left(at(3))
    assert at(1) == waits.with_wait(a_decision(4, DEAD, waited=60, received=20)).left_since  # since when none has come
    assert at(15) == waits.with_wait(a_decision(5, DEAD, waited=5, received=20)).left_since
    assert None is waits.with_wait(a_decision(6, DEAD, waited=-5, received=20)).left_since
    assert None is waits.with_wait(a_decision(7, DEAD, waited=60, received=20, action=Action.AMEND)).left_since
    other = SymbolOf(PortfolioName("second"), DEAD.symbol)
    assert None is waits.with_wait(a_decision(8, other, waited=60, received=20)).left_since


def test_those_in_the_table_end_as_the_first_one_that_was_refused(waits: PriceWaits) -> None:
    waits.add(3, GONE, at(3))
    waits.left(at(3))
    assert [] == waits.overdue(at(34))  # nothing was refused yet
    waits.discard(1, at(31), ended(1))
    (end,) = waits.overdue(at(31))
    assert LeftEnd(DEAD, OutcomeStatus.REJECTED, NO_PRICE, older_than=MAX_AGE) == end


def test_only_market_orders_end_where_a_symbol_has_sessions() -> None:
    waits = PriceWaits(MAX_AGE, Calendars({"DEAD/USDT": "XETR"}), limit=1)
    waits.add(1, DEAD, at(0))
    waits.left(at(0))
    waits.discard(1, at(30), ended(1))
    (end,) = waits.overdue(at(30))
    assert end.market_only


def test_a_symbol_stays_left_until_all_that_are_overdue_have_ended(waits: PriceWaits) -> None:
    waits.add(3, DEAD, at(3))
    waits.left(at(3))
    for number in (1, 2, 3):
        waits.discard(number, at(33), ended(number))
    ends = waits.overdue(at(33))
    waits.ended(ends, more=True)
    assert ({DEAD}, ends) == (waits.left(at(33.1)).symbols, waits.overdue(at(33.1)))
    waits.ended(ends, more=False)
    assert (NOTHING_LEFT, []) == (waits.left(at(33.2)), waits.overdue(at(33.2)))
    assert ends == waits.overdue(at(34))  # others may be overdue by now
    assert NOTHING_LEFT == waits.left(at(64))
    assert ([], False) == (waits.overdue(at(64)), waits.active)  # and after 30 s nothing can be left


@pytest.mark.parametrize(
    ("status", "reason"), [("executed", "filled"), ("open", "limit order"), ("rejected", "no room: it is full")]
)
def test_a_decision_that_is_sized_shows_that_there_is_a_price(waits: PriceWaits, status: str, reason: str) -> None:
    waits.add(3, DEAD, at(3))
    waits.left(at(3))
    waits.discard(1, at(31), ended(1))
    waits.discard(2, at(32), ended(2, status, reason))
    assert [] == waits.overdue(at(40))
    assert None is waits.with_wait(a_decision(4, DEAD, waited=60, received=40)).left_since


def test_nothing_ends_in_the_table_where_none_was_left(waits: PriceWaits) -> None:
    waits.discard(1, at(31), ended(1))
    assert [] == waits.overdue(at(31))


def test_one_that_expires_or_is_cancelled_shows_nothing(waits: PriceWaits) -> None:
    waits.add(3, DEAD, at(3))
    waits.left(at(3))
    waits.discard(1, at(31), ended(1))
    waits.discard(2, at(32), ended(2, "expired", "expired: at noon"))
    waits.discard(3, at(32), ended(3, "cancelled", "cancelled: by hand"))
    assert 1 == len(waits.overdue(at(40)))


def test_where_the_statement_is_refused_they_end_one_by_one(waits: PriceWaits) -> None:
    waits.add(3, DEAD, at(3))
    waits.left(at(3))
    waits.discard(1, at(33), ended(1))
    waits.ended(waits.overdue(at(33)), more=True)
    waits.refuse_one_by_one()
    assert (NOTHING_LEFT, []) == (waits.left(at(34)), waits.overdue(at(34)))


def test_a_new_generation_begins_afresh(waits: PriceWaits) -> None:
    waits.add(3, DEAD, at(3))
    waits.clear()
    assert (NOTHING_LEFT, 0, False) == (waits.left(at(4)), len(waits), waits.active)
    waits.discard(3, at(5), ended(3))  # of the generation before
    assert 0 == len(waits)
