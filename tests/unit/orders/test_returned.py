"""Orders that meet another state of their portfolio than the one they were sized from: they are sized again."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from domain.trading.bookkeeping import Result
from domain.trading.decision import CancelTarget, PendingDecision, Refusal
from domain.trading.decision_queue import DecisionQueue
from domain.trading.decision_steps import MAX_RETURNS, SizedRefusal, Step
from domain.trading.events import SizedOrder
from domain.trading.instruments import InstrumentCatalog
from domain.trading.open_orders.amending import SizedAmend
from domain.trading.open_orders.cancelling import CancelOrders
from domain.trading.open_orders.sequencer import Returned, Sequenced, Sequencer
from domain.trading.open_orders.terms import OrderTerms
from domain.trading.portfolio import PortfolioState
from domain.trading.quotes import Quote
from domain.types import OrderId, OrderType, TimeInForce
from tests.support.values.builders import (
    BTC,
    BY_QUOTE,
    ETH,
    NOON,
    free,
    instant,
    instrument,
    quote,
    received,
    rules,
    uid,
)
from tests.support.values.order_engine import SIZING

DEFAULT = rules(costs=free(), execution=BY_QUOTE, max_position_size=1)
NOW = instant()


class Parts:
    """A queue and a sequencer whose messages a test carries itself."""

    def __init__(self) -> None:
        state = PortfolioState.opened(DEFAULT)
        self.queue, self.sequencer = DecisionQueue(SIZING), Sequencer()
        self.queue.begin([state])
        self.sequencer.begin([state])
        self.queue.on_instruments(InstrumentCatalog([instrument(BTC), instrument(ETH)]), NOW)
        self.queue.on_quotes([quote(100), quote(10, ETH)], NOW)

    def rest(self, quantity: int, limit: int) -> None:
        """Let decision 1 rest with a limit, in both parts."""
        terms = OrderTerms(OrderType.LIMIT, limit_price=Decimal(limit))
        (sized,) = self.queue.on_decision(replace(received(quantity=quantity), terms=terms), NOW)
        assert isinstance(sized, SizedOrder)
        results = self.sequencer.on_order(sized, NOW)
        assert isinstance(results, tuple)
        assert [] == self.answer(results)

    def answer(self, results: tuple[Result, ...], *, answered: bool = True) -> list[Step]:
        return self.queue.on_results(DEFAULT.portfolio, results, NOW, answered=answered)

    def match(self, price: int) -> tuple[Result, ...]:
        """Let the sequencer see a print; the queue does not know of it yet."""
        data: Quote = replace(quote(price), is_trade=True, data_no=7)
        (results,) = self.sequencer.on_data(data, NOW)
        return results

    def decide(self, decision: PendingDecision) -> Step:
        (step,) = self.queue.on_decision(decision, NOW)
        return step


def _results(sequenced: Sequenced) -> tuple[Result, ...]:
    assert isinstance(sequenced, tuple)
    return sequenced


def test_a_fill_that_comes_between_two_orders_lets_the_second_be_sized_again_with_the_new_cash() -> None:
    parts = Parts()
    parts.rest(50, 95)
    sized = parts.decide(received(number=2, symbol=ETH))
    assert isinstance(sized, SizedOrder)
    assert (1, Decimal(525)) == (sized.sizing.version, sized.order.quantity)  # of 5250 that are free
    filled = parts.match(90)
    assert Returned(DEFAULT.portfolio) == parts.sequencer.on_order(sized, NOW)
    assert [] == parts.answer(filled, answered=False)  # it is still in flight
    (again,) = parts.queue.on_returned(DEFAULT.portfolio, NOW)
    assert isinstance(again, SizedOrder)
    assert (2, Decimal(525)) == (again.sizing.version, again.order.quantity)
    assert Decimal(10_250) == again.sizing.equity  # 5250 and 50 at 100, the mark that the queue knows
    results = parts.sequencer.on_order(again, NOW)
    assert isinstance(results, tuple)
    assert [3] == [result.state.version for result in results]


def test_a_refusal_for_too_little_cash_holds_only_for_the_state_that_it_rests_on() -> None:
    parts = Parts()
    parts.rest(90, 95)
    refusal = parts.decide(received(number=2, symbol=ETH, quantity=200))
    assert isinstance(refusal, SizedRefusal)
    assert "not enough cash: 200 at 10 is worth 2000 and may cost 2000, free cash is 1450" == refusal.refusal.sentence
    cancelled = parts.sequencer.on_cancel(CancelOrders(3, DEFAULT.portfolio), NOW)
    assert isinstance(cancelled, tuple)
    assert Returned(DEFAULT.portfolio) == parts.sequencer.on_refusal(refusal.refusal, refusal.version)
    parts.answer(cancelled, answered=False)
    (again,) = parts.queue.on_returned(DEFAULT.portfolio, NOW)
    assert isinstance(again, SizedOrder)


def test_what_comes_back_again_and_again_although_nothing_has_changed_is_an_error() -> None:
    parts = Parts()
    parts.sequencer.begin([PortfolioState.opened(DEFAULT)], held=[DEFAULT.portfolio])
    sized = parts.decide(received(quantity=1))
    for _ in range(MAX_RETURNS - 1):
        assert isinstance(sized, SizedOrder)
        assert Returned(DEFAULT.portfolio) == parts.sequencer.on_order(sized, NOW)
        (sized,) = parts.queue.on_returned(DEFAULT.portfolio, NOW)
    with pytest.raises(RuntimeError, match="decision 1 came back 10 times at version 0 of its portfolio"):
        parts.queue.on_returned(DEFAULT.portfolio, NOW)


def test_what_came_back_stays_in_front_of_later_decisions() -> None:
    parts = Parts()
    parts.rest(50, 95)
    parts.decide(received(number=2, symbol=ETH, quantity=1))
    assert [] == parts.queue.on_decision(received(number=3, symbol=ETH, quantity=1), NOW)
    parts.answer(parts.match(90), answered=False)
    (again,) = parts.queue.on_returned(DEFAULT.portfolio, NOW)
    assert isinstance(again, SizedOrder)
    assert 2 == again.decision_id


def test_a_cancel_of_the_decision_in_flight_waits_for_its_answer() -> None:
    parts = Parts()
    terms = OrderTerms(OrderType.LIMIT, limit_price=Decimal(95))
    (sized,) = parts.queue.on_decision(replace(received(quantity=1), terms=terms), NOW)
    cancel = replace(received("CANCEL", number=2), target=CancelTarget(decision_id=1))
    assert [] == parts.queue.on_decision(cancel, NOW)
    assert isinstance(sized, SizedOrder)
    results = parts.sequencer.on_order(sized, NOW)
    assert isinstance(results, tuple)
    assert [CancelOrders(2, DEFAULT.portfolio, 1)] == parts.answer(results)


def test_a_cancel_of_a_decision_that_comes_back_ends_it_before_it_is_sized_again() -> None:
    parts = Parts()
    parts.rest(50, 95)
    parts.decide(received(number=2, symbol=ETH, quantity=1))
    cancel = replace(received("CANCEL", number=3), target=CancelTarget(symbol="ETH/USDT"))
    assert [] == parts.queue.on_decision(cancel, NOW)
    later = received(number=4, symbol=ETH, quantity=1)
    assert [] == parts.queue.on_decision(later, NOW)  # it came after the CANCEL
    parts.answer(parts.match(90), answered=False)
    request, sized = parts.queue.on_returned(DEFAULT.portfolio, NOW)
    assert request == CancelOrders(3, DEFAULT.portfolio, symbol=ETH, before_sizing=(2,))
    assert isinstance(sized, SizedOrder)
    assert 4 == sized.decision_id
    assert isinstance(request, CancelOrders)
    refusal = parts.sequencer.on_cancel(request, NOW)
    assert isinstance(refusal, Refusal)
    assert [
        (2, "cancelled: by decision 3, before it was sized"), (3, "cancelled: decision 2, before it was sized")
    ] == [(one.decision_id, one.sentence) for one in refusal.together]  # fmt: skip


def test_a_fill_that_comes_before_an_amend_lets_it_be_sized_again() -> None:
    parts = Parts()
    parts.rest(50, 95)
    amend = replace(received("AMEND", number=2, quantity=40), target=CancelTarget(decision_id=1))
    sized = parts.decide(amend)
    assert isinstance(sized, SizedAmend)
    assert (1, "quantity 50 -> 40", 1) == (sized.version, sized.changes, sized.order.seq)
    later = received(number=3, symbol=ETH, quantity=1)
    assert [] == parts.queue.on_decision(later, NOW)  # one decision of a portfolio is in flight at a time
    filled = parts.match(90)
    assert Returned(DEFAULT.portfolio) == parts.sequencer.on_amend(sized, NOW)
    assert [] == parts.answer(filled, answered=False)
    (refusal,) = parts.queue.on_returned(DEFAULT.portfolio, NOW)
    assert isinstance(refusal, SizedRefusal)
    assert "nothing to amend: no order of decision 1 is open" == refusal.refusal.sentence
    assert refusal.refusal == parts.sequencer.on_refusal(refusal.refusal, refusal.version)
    (next_one,) = parts.answer(())
    assert isinstance(next_one, SizedOrder)
    assert 3 == next_one.decision_id


def test_an_amend_that_arrives_after_the_expiry_of_its_order_neither_prolongs_nor_fills_it() -> None:
    parts = Parts()
    expires_at = NOON + timedelta(seconds=3)
    terms = OrderTerms(OrderType.LIMIT, limit_price=Decimal(95), time_in_force=TimeInForce.GTD, expires_at=expires_at)
    first = parts.decide(replace(received(quantity=1), terms=terms))
    assert isinstance(first, SizedOrder)
    assert [] == parts.answer(_results(parts.sequencer.on_order(first, NOW)))
    values = OrderTerms(limit_price=Decimal(101), expires_at=NOON + timedelta(seconds=60))
    sized = parts.decide(replace(received("AMEND", number=2), target=CancelTarget(decision_id=1), terms=values))
    assert isinstance(sized, SizedAmend)
    (result,) = _results(parts.sequencer.on_amend(sized, instant(expires_at)))
    assert [
        (1, "expired", "expired: at 2026-01-05 12:00:03 UTC"),
        (2, "rejected", "nothing to amend: the order expired at 2026-01-05 12:00:03 UTC"),
    ] == [(end.decision_id, end.status, end.reason) for end in result.ends]


def test_an_amend_leaves_an_order_alone_that_can_be_neither_filled_nor_ended() -> None:
    parts = Parts()
    parts.rest(50, 95)
    sized = parts.decide(replace(received("AMEND", number=2, quantity=40), target=CancelTarget(decision_id=1)))
    assert isinstance(sized, SizedAmend)
    state = parts.sequencer.state(DEFAULT.portfolio)
    assert state is not None
    parts.sequencer.begin([state], frozen=frozenset({1}))
    refusal = parts.sequencer.on_amend(sized, NOW)
    assert isinstance(refusal, Refusal)
    sentence = f"nothing to amend: order {sized.order.order_id} is left alone after an internal error"
    assert (2, sentence) == (refusal.decision_id, refusal.sentence)


def test_a_cancel_says_which_orders_it_leaves_alone() -> None:
    parts = Parts()
    parts.rest(1, 95)
    state = parts.sequencer.state(DEFAULT.portfolio)
    assert state is not None
    (stuck,) = state.open_orders
    alone = f"order {stuck.order.order_id} is left alone after an internal error"
    parts.sequencer.begin([state], frozen=frozenset({1}))
    cancel = CancelOrders(2, DEFAULT.portfolio)
    refusal = parts.sequencer.on_cancel(cancel, NOW)
    assert isinstance(refusal, Refusal)
    assert ("rejected", f"nothing to cancel: {alone}") == (refusal.status, refusal.sentence)
    refusal = parts.sequencer.on_cancel(replace(cancel, before_sizing=(3,)), NOW)
    assert isinstance(refusal, Refusal)
    assert f"cancelled: decision 3, before it was sized; {alone}" == refusal.sentence
    other = replace(stuck, order=replace(stuck.order, order_id=OrderId(uid(9)), decision_id=4, price_source="other"))
    state = replace(state, open_orders=state.open_orders.updated(other))
    parts.sequencer.begin([state], frozen=frozenset({1}))
    (result,) = _results(parts.sequencer.on_cancel(cancel, NOW))  # that of another price source is cancelled
    assert [
        (4, "cancelled: by decision 2"),
        (2, f"cancelled: 1 order of portfolio default; {alone}"),
    ] == [(end.decision_id, end.reason) for end in result.ends]


def test_an_amend_of_the_decision_in_flight_has_its_turn_after_it() -> None:
    parts = Parts()
    terms = OrderTerms(OrderType.LIMIT, limit_price=Decimal(95))
    (sized,) = parts.queue.on_decision(replace(received(quantity=1), terms=terms), NOW)
    amend = replace(received("AMEND", number=2, quantity=2), target=CancelTarget(decision_id=1))
    assert [] == parts.queue.on_decision(amend, NOW)
    assert isinstance(sized, SizedOrder)
    results = parts.sequencer.on_order(sized, NOW)
    assert isinstance(results, tuple)
    (amended,) = parts.answer(results)
    assert isinstance(amended, SizedAmend)
    results = parts.sequencer.on_amend(amended, NOW)
    assert isinstance(results, tuple)
    assert [(2, Decimal(190))] == [(one.state.version, one.state.open_orders.reserved) for one in results]
    assert [(2, "amended: quantity 1 -> 2")] == [(end.decision_id, end.reason) for one in results for end in one.ends]


def test_a_cancel_ends_an_amend_that_waits_for_its_turn() -> None:
    parts = Parts()
    parts.rest(50, 95)
    parts.decide(received(number=2, symbol=ETH, quantity=1))
    amend = replace(received("AMEND", number=3, quantity=40), target=CancelTarget(decision_id=1))
    assert [] == parts.queue.on_decision(amend, NOW)
    cancel = replace(received("CANCEL", number=4), target=CancelTarget(symbol="BTC/USDT"))
    (request,) = parts.queue.on_decision(cancel, NOW)
    assert CancelOrders(4, DEFAULT.portfolio, symbol=BTC, before_sizing=(3,)) == request
    assert isinstance(request, CancelOrders)
    (result,) = _results(parts.sequencer.on_cancel(request, NOW))
    # In one event, so in one transaction: after a crash either all of them have ended or none.
    assert [
        (1, "cancelled: by decision 4"),
        (3, "cancelled: by decision 4, before it was sized"),
        (4, "cancelled: 2 orders of BTC/USDT"),
    ] == [(end.decision_id, end.reason) for end in result.ends]


def test_a_portfolio_that_is_made_anew_while_the_one_before_was_held_takes_orders() -> None:
    parts = Parts()
    parts.sequencer.begin([PortfolioState.opened(DEFAULT)], held=[DEFAULT.portfolio])
    sized = parts.decide(received(quantity=1))
    assert isinstance(sized, SizedOrder)
    assert Returned(DEFAULT.portfolio) == parts.sequencer.on_order(sized, NOW)
    parts.sequencer.on_rules([])
    parts.sequencer.on_rules([DEFAULT])
    assert isinstance(parts.sequencer.on_order(sized, NOW), tuple)


def test_a_cancel_that_waits_ends_with_its_portfolio() -> None:
    parts = Parts()
    parts.decide(received(quantity=1))
    assert [] == parts.queue.on_decision(received(number=2, quantity=1), NOW)
    assert [] == parts.queue.on_decision(replace(received("CANCEL", number=3), target=CancelTarget()), NOW)
    refusals = [one for one in parts.queue.on_rules([]) if isinstance(one, Refusal)]
    sentence = "unknown portfolio: portfolio 'default' was removed"
    assert [(2, sentence), (3, sentence)] == [(one.decision_id, one.sentence) for one in refusals]


def test_an_amend_waits_until_its_portfolio_is_settled() -> None:
    parts = Parts()
    parts.rest(50, 95)
    amend = replace(
        received("AMEND", number=2), target=CancelTarget(decision_id=1), terms=OrderTerms(limit_price=Decimal(96))
    )
    sized = parts.decide(amend)
    assert isinstance(sized, SizedAmend)
    parts.sequencer.hold([DEFAULT.portfolio])
    assert Returned(DEFAULT.portfolio) == parts.sequencer.on_amend(sized, NOW)
    state = parts.sequencer.state(DEFAULT.portfolio)
    assert state is not None
    parts.sequencer.release(state)
    (result,) = _results(parts.sequencer.on_amend(sized, NOW))
    assert Decimal(96) == result.order.limit_price
