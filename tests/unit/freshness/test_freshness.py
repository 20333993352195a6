"""Prices that are old by their exchange's clock: which orders they may fill, and what the refusal says."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from domain.market_data.folding import fold
from domain.trading.decision import Refusal
from domain.trading.decision_queue import DecisionQueue
from domain.trading.decision_steps import AwaitsPrice, Step
from domain.trading.events import SizedOrder
from domain.trading.freshness.age import ClockKind, Fresh, Freshness, TimeMark
from domain.trading.freshness.newest_quotes import NewestQuotes
from domain.trading.instruments import InstrumentCatalog
from domain.trading.orders import ExecutionRules
from domain.trading.portfolio import PortfolioState
from domain.trading.prices import may_fill
from domain.trading.quotes import Bar, Quote
from domain.trading.sizing import SizingRules
from domain.types import Instant, PriceRule
from tests.support.values.builders import BTC, BY_LAST, BY_QUOTE, ETH, NOON, instant, instrument, quote, received, rules

RULES = SizingRules(timedelta(seconds=1), timedelta(seconds=30), None, frozenset({"USDT"}))


def aged(fresh: Fresh, seconds: float = 0, price: str = "100", *, behind: float = 600, **parts: object) -> Quote:
    """Return a quote with bid and ask that is seen so long after noon; its own time is ``behind`` the exchange's."""
    there = NOON + timedelta(seconds=seconds)
    freshness = Freshness(there, ClockKind.EXCHANGE, fresh=fresh)
    both = replace(quote(price, at=there, bid="99", ask="101"), price_time=there - timedelta(seconds=behind))
    return replace(both, freshness=replace(freshness, **parts))  # type: ignore[arg-type]


def queue_of(execution: ExecutionRules) -> DecisionQueue:
    queue = DecisionQueue(RULES)
    queue.begin([PortfolioState.opened(rules(execution=execution))])
    queue.on_instruments(InstrumentCatalog([instrument(BTC), instrument(ETH)]), instant())
    return queue


def refusal(steps: list[Step]) -> str:
    (step,) = steps
    assert isinstance(step, Refusal), step
    return step.sentence


@pytest.mark.parametrize(
    ("fresh", "fills"),
    [
        (Fresh.ALL, {PriceRule.LAST, PriceRule.QUOTE}),
        (Fresh.BOOK, {PriceRule.QUOTE}),
        (Fresh.NOTHING, set()),
    ],
)
def test_which_price_rule_a_quote_serves(fresh: Fresh, fills: set[PriceRule]) -> None:
    assert fills == {rule for rule in PriceRule if may_fill(aged(fresh), rule)}
    for rule, execution in ((PriceRule.LAST, BY_LAST), (PriceRule.QUOTE, BY_QUOTE)):
        queue = queue_of(execution)
        queue.on_quotes([aged(fresh)], instant())
        (step,) = queue.on_decision(received(), instant())
        assert (SizedOrder if rule in fills else AwaitsPrice) is type(step)


def test_a_quote_from_no_exchange_is_always_fresh() -> None:
    assert all(may_fill(quote(), rule) for rule in PriceRule)


def test_a_decision_waits_for_a_fresh_price_and_does_not_request_old_ones_without_end() -> None:
    queue = queue_of(BY_LAST)
    assert [AwaitsPrice(1, BTC)] == queue.on_decision(received(), instant())
    for seconds in (1, 2, 3):
        assert [] == queue.on_quotes([aged(Fresh.BOOK, seconds)], instant(NOON + timedelta(seconds=seconds)))
    later = instant(NOON + timedelta(seconds=4))
    (step,) = queue.on_quotes([aged(Fresh.ALL, 4, "102", behind=0)], later)
    assert isinstance(step, SizedOrder)
    assert "102" == str(step.sizing.quote.price)


def test_an_old_quote_does_not_replace_a_fresh_one_within_its_grace() -> None:
    queue = queue_of(BY_LAST)
    queue.on_quotes([aged(Fresh.ALL, 0, "102", behind=0)], instant())
    half = instant(NOON + timedelta(seconds=0.5))
    queue.on_quotes([aged(Fresh.NOTHING, 0.5, "99")], half)
    (step,) = queue.on_decision(received(), half)
    assert isinstance(step, SizedOrder)
    assert "102" == str(step.sizing.quote.price)


AGED = "the newest of BTC/USDT is old: its time is 2026-01-05 11:50:00 UTC"
REPEATED = "test repeats one price of BTC/USDT, while others change"


@pytest.mark.parametrize(
    ("old", "reason", "clock"),
    [
        (aged(Fresh.BOOK), AGED, "asked for"),
        (aged(Fresh.NOTHING, clock=ClockKind.HTTP_DATE), AGED, "by its HTTP header"),
        (
            aged(Fresh.NOTHING, clock=ClockKind.OWN, frozen=True),
            f"{REPEATED}: its time is 2026-01-05 11:50:00 UTC",
            "by our clock",
        ),
        (
            aged(Fresh.NOTHING, mark=TimeMark.NO_TIME, frozen=True),
            f"{REPEATED}; it has no exchange time",
            "asked for",
        ),
    ],
)
def test_the_refusal_names_both_times(old: Quote, reason: str, clock: str) -> None:
    queue = queue_of(BY_LAST)
    queue.on_decision(received(), instant())
    queue.on_quotes([old], instant())
    expected = f"no price in time: {reason}, the clock of test 2026-01-05 12:00:00 UTC ({clock})"
    assert expected == refusal(queue.on_time(instant(NOON + timedelta(seconds=31))))


def test_a_decision_that_saw_no_old_price_is_refused_as_before() -> None:
    queue = queue_of(BY_LAST)
    queue.on_quotes([aged(Fresh.NOTHING)], instant())
    at = NOON + timedelta(seconds=60)
    queue.on_decision(received().received_again(instant(at)), instant(at))
    expected = "no price in time: none of BTC/USDT was seen within 30 s"
    assert expected == refusal(queue.on_time(instant(at + timedelta(seconds=31))))


def test_another_price_rule_while_a_decision_waits_for_its_turn_asks_for_another_price() -> None:
    queue = queue_of(BY_QUOTE)
    queue.on_quotes([aged(Fresh.BOOK), replace(aged(Fresh.ALL, behind=0), symbol=ETH)], instant())
    queue.on_decision(received(), instant())  # in flight
    assert [] == queue.on_decision(received(number=2), instant())
    queue.on_rules([rules(execution=BY_LAST)])
    assert [AwaitsPrice(2, BTC)] == queue.on_results(rules().portfolio, [], instant(), answered=True)


def test_folded_pieces_that_are_old_count_only_where_all_are() -> None:
    pieces = [aged(Fresh.ALL, 1, "100", behind=0), aged(Fresh.BOOK, 2, "50"), aged(Fresh.NOTHING, 3, "1")]
    numbered = [replace(piece, data_no=number) for number, piece in enumerate(pieces, 1)]
    assert (100, 100, 1, 3, None) == _parts(fold(numbered))
    assert (50, 50, 2, 3, numbered[1].freshness) == _parts(fold(numbered[1:]))
    assert (1, 1, 3, 3, numbered[2].freshness) == _parts(fold(numbered[2:]))


def _parts(bar: Bar) -> tuple[object, ...]:
    return bar.low, bar.high, bar.first_no, bar.data_no, bar.freshness


def test_a_time_that_cannot_be_says_nothing_of_the_market() -> None:
    old = aged(Fresh.NOTHING, behind=400 * 86_400)
    assert NOON - timedelta(days=400) == old.market_time == old.own_time
    impossible = aged(Fresh.NOTHING, behind=400 * 86_400, mark=TimeMark.IMPOSSIBLE)
    assert (NOON, None) == (impossible.market_time, impossible.own_time)
    assert NOON - timedelta(days=400) == impossible.price_time


@given(
    st.timedeltas(timedelta(0), timedelta(days=1)),
    st.floats(-1e6, 1e6),
    st.one_of(st.floats(-1e5, 1e5), st.floats(-2e-6, 2e-6)),
)
@example(timedelta(seconds=1), 0.1, 4e-7)  # which a duration rounds to nothing
@example(timedelta(microseconds=3), 2.3, 0.0)
def test_the_grace_is_counted_in_microseconds(grace: timedelta, seen: float, beyond: float) -> None:
    decision = replace(received(), received=Instant(NOON, seen + grace.total_seconds() + beyond))
    quotes = NewestQuotes(grace)
    quotes.take({BTC: replace(quote(), seen=Instant(NOON, seen))})
    fresh = quotes.fresh(decision, BTC, PriceRule.QUOTE)
    assert (decision.received.since(Instant(NOON, seen)) <= grace) is (fresh is not None)
