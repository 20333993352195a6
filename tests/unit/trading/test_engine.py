"""The engine: which decisions wait, for what, and how each of them ends."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from domain.trading.bookkeeping import Result
from domain.trading.decision import PendingDecision, Refusal
from domain.trading.engine import Ended, Engine
from domain.trading.instruments import InstrumentCatalog
from domain.trading.portfolio import PortfolioRules, PortfolioState
from domain.trading.quotes import Quote
from domain.trading.sizing import SizingRules
from domain.types import Instant, PortfolioName
from tests.support.values.builders import BTC, ETH, NOON, free, instant, instrument, quote, received, rules
from tests.support.values.order_engine import SIZING, Trade, described, market_data

RULES = SizingRules(
    price_grace=timedelta(seconds=1),
    max_price_age=timedelta(seconds=30),
    max_decision_age=timedelta(seconds=300),
    same_currency=frozenset({"USD", "USDT"}),
)
CATALOG = InstrumentCatalog([instrument(BTC), instrument(ETH)])
DEFAULT = rules(costs=free())


def after(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def decided(action: str = "BUY", *, at: float = 0, **fields: Any) -> PendingDecision:
    return replace(received(action, **fields), received=instant(after(at)))


def quoted(price: str, at: float = 0, symbol: str = BTC) -> Quote:
    return quote(price, symbol, after(at))


class Trading:
    """An engine whose time the test gives in seconds after noon."""

    def __init__(self, *portfolios: PortfolioRules, catalog: InstrumentCatalog | None = CATALOG) -> None:
        self.engine = Engine([PortfolioState.opened(row) for row in portfolios or (DEFAULT,)], RULES)
        if catalog is not None:
            assert [] == self.engine.on_instruments(catalog, instant())

    def decide(self, decision: PendingDecision) -> list[str]:
        return sentences(self.engine.on_decision(decision, decision.received))

    def quote(self, *quotes: Quote) -> list[str]:
        return sentences(self.engine.on_quotes(quotes, max((q.seen for q in quotes), key=lambda seen: seen.monotonic)))

    def wait(self, seconds: float) -> list[str]:
        return sentences(self.engine.on_time(instant(after(seconds))))


def sentences(ended: list[Ended]) -> list[str]:
    numbers = [one.decision_id if isinstance(one, Refusal) else one.order.decision_id for one in ended]
    return [f"{number} {one.sentence}" for number, one in zip(numbers, ended, strict=True)]


@pytest.fixture
def trading() -> Trading:
    return Trading()


def test_a_decision_uses_a_price_of_the_grace_and_no_older_one(trading: Trading) -> None:
    assert [] == trading.quote(quoted("100"))
    assert ["1 bought 17 BTC/USDT at 100"] == trading.decide(decided(at=1))
    assert [] == trading.decide(decided("SELL", number=2, at=1.001))
    assert ["2 sold 17 BTC/USDT at 110"] == trading.quote(quoted("110", at=5))


def test_a_decision_waits_for_the_instruments_and_then_for_a_price() -> None:
    trading = Trading(catalog=None)
    assert [] == trading.decide(decided())
    assert [] == sentences(trading.engine.on_instruments(CATALOG, instant(after(1))))
    assert ["1 bought 17 BTC/USDT at 100"] == trading.quote(quoted("100", at=2))


def test_a_decision_without_a_price_is_rejected_in_time_and_blocks_no_other(trading: Trading) -> None:
    assert [] == trading.decide(decided())
    assert [] == trading.quote(quoted("10", symbol=ETH))
    assert ["2 bought 170 ETH/USDT at 10"] == trading.decide(decided(number=2, symbol=ETH))
    assert [] == trading.wait(30)
    assert ["1 no price in time: none of BTC/USDT was seen within 30 s"] == trading.wait(30.001)
    assert [] == trading.quote(quoted("100", at=31))


def test_a_price_that_comes_too_late_ends_the_decision_too(trading: Trading) -> None:
    assert [] == trading.decide(decided())
    assert ["1 no price in time: none of BTC/USDT was seen within 30 s"] == trading.quote(quoted("100", at=31))


def test_a_decision_expires_while_it_waits(trading: Trading) -> None:
    assert [] == trading.decide(decided(expires_at=after(5)))
    assert [] == trading.wait(4.999)
    assert ["1 expired: at 2026-01-05 12:00:05 UTC, while it waited for a price"] == trading.wait(5)


def test_a_decision_that_is_too_old_expires(trading: Trading) -> None:
    old = replace(decided(), waited=timedelta(seconds=290))
    assert [] == trading.decide(old)
    assert [] == trading.wait(10)
    expected = "1 expired: it waited since 2026-01-05 11:59:59 UTC, max_decision_age = 300 s"
    assert [expected] == trading.wait(10.001)


def test_decisions_of_one_moment_are_sized_one_after_the_other_and_in_the_order_of_their_creation(
    trading: Trading,
) -> None:
    for number in (3, 1, 2):
        assert [] == trading.decide(decided(number=number, confidence=1, risk_score=0))
    first, second, third = trading.quote(quoted("100"))
    assert "1 bought 20 BTC/USDT at 100" == first
    assert "2 no room: BTC/USDT is worth 2000, the position limit is 2000" == second
    assert "3 no room: BTC/USDT is worth 2000, the position limit is 2000" == third


def test_portfolios_do_not_wait_for_each_other() -> None:
    trading = Trading(DEFAULT, rules("other", costs=free()))
    assert [] == trading.quote(quoted("100"))
    assert ["1 bought 17 BTC/USDT at 100"] == trading.decide(decided())
    assert ["2 bought 17 BTC/USDT at 100"] == trading.decide(decided(number=2, portfolio="other"))
    states = [trading.engine.state(PortfolioName(name)) for name in ("default", "other")]
    assert [1, 1] == [state.version for state in states if state is not None]


def test_new_rules_count_for_the_next_decision_and_a_removed_portfolio_refuses_its_own(trading: Trading) -> None:
    assert [] == trading.quote(quoted("100"))
    assert ["1 unknown portfolio: there is no portfolio 'new'"] == trading.decide(decided(portfolio="new"))
    changed = [replace(DEFAULT, decision_confidence_threshold=Decimal("0.9")), rules("new", costs=free())]
    assert [] == trading.engine.on_rules(changed, instant())
    assert ["2 confidence below threshold: 0.8 is below 0.9"] == trading.decide(decided(number=2, confidence="0.8"))
    assert ["3 bought 17 BTC/USDT at 100"] == trading.decide(decided(number=3, portfolio="new"))
    assert [] == trading.decide(decided(number=4, symbol=ETH, portfolio="new"))
    assert [] == trading.engine.on_rules(changed[:1], instant())
    assert trading.engine.state(PortfolioName("new")) is None
    assert ["4 unknown portfolio: there is no portfolio 'new'"] == trading.quote(quoted("10", symbol=ETH))


def test_an_order_without_a_fill_ends_its_decision_and_the_next_one_is_sized() -> None:
    trading = Trading(rules(), catalog=InstrumentCatalog([instrument(BTC, tick=1)]))
    assert [] == trading.decide(decided(quantity=100))
    assert [] == trading.decide(decided(number=2, quantity=100))
    refusals = [f"{number} no fill at that price: slippage takes the price 0.4 to 0" for number in (1, 2)]
    assert refusals == trading.quote(quoted("0.4"))


def test_the_order_of_the_ends_is_that_of_the_actors(trading: Trading) -> None:
    for decision in (decided(), decided(number=2), decided(number=3, expires_at=after(5))):
        assert [] == trading.decide(decision)
    numbers = [sentence.split()[0] for sentence in trading.quote(quoted("100", at=6))]
    assert ["1", "3", "2"] == numbers  # 2 is sized when the result of 1 is back; the end of 3 waits for nothing


def test_a_price_from_before_the_machine_slept_is_too_old(trading: Trading) -> None:
    assert [] == trading.quote(quoted("100"))
    assert [] == trading.decide(decided(at=3600))  # the clock of the process counts the sleep
    assert ["1 no price in time: none of BTC/USDT was seen within 30 s"] == trading.wait(3631)


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_wall_clock_that_is_set_delays_nothing_and_expires_nothing(trading: Trading, hours: int) -> None:
    def moment(seconds: float) -> Instant:
        return Instant(after(seconds) + timedelta(hours=hours), seconds)

    engine = trading.engine
    assert [] == engine.on_decision(decided(), instant())
    assert [] == engine.on_decision(decided(number=2, symbol=ETH), instant())
    # Now the wall clock is set.
    assert [] == engine.on_time(moment(2))
    (bought,) = engine.on_quotes([replace(quoted("100"), seen=moment(3))], moment(3))
    assert isinstance(bought, Result)
    assert bought.fill.filled_at == moment(3).time
    assert [] == engine.on_time(moment(30))
    (refusal,) = engine.on_time(moment(30.5))
    assert "no price in time: none of ETH/USDT was seen within 30 s" == refusal.sentence


def test_an_engine_that_goes_on_numbers_data_behind_those_that_open_orders_have_seen() -> None:
    trade = Trade()
    trade.see("100")
    trade.send("BUY 10 limit 95")
    trade.see("print 94 x2", "print 96", "print 94 x2")
    again = Engine([trade.state], SIZING)
    assert [] == again.on_instruments(InstrumentCatalog([instrument()]), instant())
    data = market_data("print 94 x2", trade.now)
    assert isinstance(data, Quote)
    assert ["BUY 2 at 95 maker"] == [described(one) for one in again.on_quotes([data], data.seen)]


def test_evidence_is_shared_and_not_copied(trading: Trading) -> None:
    trading.quote(quoted("100"), quoted("10", symbol=ETH))
    ended = [trading.engine.on_decision(decided(number=n, symbol=s), instant()) for n, s in ((1, BTC), (2, ETH))]
    one, other = (result.event.sizing for (result,) in ended if isinstance(result, Result))
    assert one.marks is other.marks
    assert ({}, {BTC: Decimal(100)}) == (one.other_marks(), other.other_marks())
