"""The queue of decisions where an engine cannot show it: while an order is at the market, and between generations."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from domain.trading import decision_queue
from domain.trading.bookkeeping import Result, apply
from domain.trading.decision import PendingDecision, Refusal
from domain.trading.decision_queue import DecisionQueue
from domain.trading.decision_steps import AwaitsPortfolio, AwaitsPrice, Step
from domain.trading.events import SizedOrder
from domain.trading.instruments import InstrumentCatalog
from domain.trading.portfolio import PortfolioState
from domain.trading.quotes import PricePoint
from domain.trading.sizing import SizingRules
from domain.types import Instant
from tests.support.values.builders import (
    BTC,
    ETH,
    NOON,
    filled,
    free,
    holding,
    instant,
    instrument,
    quote,
    received,
    rules,
)

RULES = SizingRules(timedelta(seconds=1), timedelta(seconds=30), timedelta(seconds=300), frozenset({"USDT"}))
CATALOG = InstrumentCatalog([instrument(BTC), instrument(ETH)])
DEFAULT = rules(costs=free())
NOW = instant()


def queue_of(*states: PortfolioState) -> DecisionQueue:
    queue = DecisionQueue(RULES)
    queue.begin(states or [PortfolioState.opened(DEFAULT)])
    assert [] == queue.on_instruments(CATALOG, NOW)
    assert [] == queue.on_quotes([quote("100"), quote("10", ETH)], NOW)
    return queue


def sized(steps: list[Step]) -> SizedOrder:
    (step,) = steps
    assert isinstance(step, SizedOrder), step
    return step


def refusal(steps: list[Step]) -> str:
    (step,) = steps
    assert isinstance(step, Refusal), step
    return step.sentence


def result_of(queue: DecisionQueue, order: SizedOrder) -> Result:
    state = queue.state(order.order.portfolio)
    assert state is not None
    return apply(state, filled(order))


def answer(queue: DecisionQueue, *results: Result, now: Instant = NOW) -> list[Step]:
    """Give the queue the answer to the decision in flight."""
    return queue.on_results(DEFAULT.portfolio, results, now, answered=True)


def two_decisions(queue: DecisionQueue) -> SizedOrder:
    """Send two; return the order of the first, while the second waits for its result."""
    order = sized(queue.on_decision(received(), NOW))
    assert [] == queue.on_decision(received(number=2), NOW)
    return order


def test_the_next_decision_is_sized_against_the_result_of_the_order_before() -> None:
    queue = queue_of()
    first = two_decisions(queue)
    second = sized(answer(queue, result_of(queue, first)))
    assert (0, 1) == (first.sizing.version, second.sizing.version)
    assert {BTC: Decimal(17)} == {symbol: held.quantity for symbol, held in second.sizing.positions.items()}


def test_an_order_without_a_result_lets_the_next_decision_be_sized() -> None:
    queue = queue_of()
    two_decisions(queue)
    assert 0 == sized(answer(queue)).sizing.version


def test_rules_that_change_while_a_decision_waits_for_its_turn_count() -> None:
    queue = queue_of()
    first = two_decisions(queue)
    assert [] == queue.on_rules([replace(DEFAULT, halted="by hand")])
    assert "halted: by hand" == refusal(answer(queue, result_of(queue, first)))


def test_a_decision_that_becomes_too_old_while_it_waits_for_its_turn_expires() -> None:
    queue = queue_of()
    first = two_decisions(queue)
    late = instant(NOON + timedelta(seconds=301))
    sentence = "expired: it waited since 2026-01-05 11:59:59 UTC, max_decision_age = 300 s"
    assert sentence == refusal(answer(queue, result_of(queue, first), now=late))


def test_a_removed_portfolio_refuses_the_decisions_that_wait_for_their_turn() -> None:
    queue = queue_of()
    first = two_decisions(queue)
    assert "unknown portfolio: portfolio 'default' was removed" == refusal(queue.on_rules([]))
    assert [] == answer(queue, apply(PortfolioState.opened(DEFAULT), filled(first)))


def test_a_decision_whose_portfolio_is_gone_when_its_price_comes_is_not_refused_by_the_queue() -> None:
    queue = queue_of()
    decision = replace(received(), received=instant(NOON + timedelta(seconds=10)))
    assert [AwaitsPrice(1, BTC)] == queue.on_decision(decision, decision.received)
    assert [] == queue.on_rules([])
    fresh = quote("101", at=NOON + timedelta(seconds=11))
    assert [AwaitsPortfolio(decision)] == queue.on_quotes([fresh], fresh.seen)  # it may have just been created again


def test_nothing_is_sized_while_it_drains() -> None:
    queue = queue_of()
    first = two_decisions(queue)
    queue.draining = True
    assert [] == answer(queue, result_of(queue, first))


def test_a_new_generation_keeps_instruments_and_prices_and_drops_decisions() -> None:
    queue = queue_of()
    two_decisions(queue)
    queue.begin([holding((5, 100))])
    assert 1 == sized(queue.on_decision(received(number=3), NOW)).sizing.version


def test_earlier_prices_fill_gaps_and_replace_nothing() -> None:
    queue = DecisionQueue(RULES)
    queue.begin([replace(holding((1, 100), symbol=ETH), rules=DEFAULT)])
    assert [] == queue.on_instruments(CATALOG, NOW)
    assert [] == queue.on_quotes([quote("100")], NOW)
    older = instant(NOON - timedelta(seconds=1))
    earlier = {BTC: replace(quote("1"), seen=older)}
    assert [] == queue.on_earlier_prices(earlier, {BTC: PricePoint(Decimal(1)), ETH: PricePoint(Decimal(40))}, NOW)
    order = sized(queue.on_decision(received(), NOW))
    assert (Decimal(100), {ETH: Decimal(40)}) == (order.sizing.quote.price, order.sizing.other_marks())
    assert Decimal(9_940) == order.sizing.equity


def test_the_decision_being_handled_is_named_also_where_the_queue_chose_it(monkeypatch: pytest.MonkeyPatch) -> None:
    queue = queue_of()
    first = two_decisions(queue)
    result = result_of(queue, first)

    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(decision_queue, "size", fail)
    with pytest.raises(ZeroDivisionError):
        answer(queue, result)
    assert 2 == queue.about
    monkeypatch.setattr(decision_queue, "pre_trade_check", fail)
    with pytest.raises(ZeroDivisionError):
        queue.on_decision(received(number=3), NOW)
    assert 3 == queue.about
    waits: PendingDecision = received(number=4, portfolio="new")
    assert [AwaitsPortfolio(waits)] == queue.on_decision(waits, NOW)
