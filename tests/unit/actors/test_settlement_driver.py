"""Which histories the driver of settlements keeps, and for how long."""

from __future__ import annotations

from datetime import timedelta

from actors.settlement.driver import Downtime, RecoveryRules
from actors.settlement.messages import HistoryFetched
from domain.market_data.buffer import LostData
from domain.trading.portfolio import PortfolioState
from domain.types import Generation, Symbol
from tests.support.settlement.settled import history, stopped_at
from tests.support.values.builders import BTC, ETH, NOON, instant
from tests.support.values.order_engine import Trade

FIRST_NO = 2**36
RULES = RecoveryRules(FIRST_NO, source="test", timeout=timedelta(seconds=60))


def two_symbols() -> PortfolioState:
    """Return a portfolio with an order of each of two symbols, which have seen the market up to second 2."""
    trade = Trade()
    trade.see("100")
    trade.see("100", symbol=ETH)
    trade.send("BUY 1 limit 90")
    trade.send("BUY 1 limit 90", symbol=ETH)
    return stopped_at(trade.state, 2)


def fetched(symbol: str, data_no: int) -> HistoryFetched:
    """Return what the price source answers about a symbol: one trade."""
    until = NOON + timedelta(hours=1)
    return HistoryFetched(Generation(1), Symbol(symbol), history([(60, "print 95")], symbol), until, data_no)


def test_no_history_is_kept_when_nothing_waits_any_more() -> None:
    state = two_symbols()
    downtime = Downtime(RULES, [state], instant())
    downtime.take(fetched(BTC, FIRST_NO))
    assert [] == downtime.ready(instant())
    downtime.take(fetched(ETH, FIRST_NO))
    assert [state.name] == downtime.ready(instant())
    _, spans = downtime.end(state)
    assert [1, 1] == [span.trades for span in spans]
    assert (0, False) == (downtime.kept, bool(downtime.waiting))


def test_lost_data_are_not_settled_by_the_answers_to_an_earlier_request() -> None:
    state = two_symbols()
    downtime = Downtime(RULES, [state], instant())
    downtime.take(fetched(BTC, FIRST_NO))
    downtime.take(fetched(ETH, FIRST_NO))
    progress, _ = downtime.end(state)
    lost = {Symbol(BTC): LostData(FIRST_NO + 10)}
    later = stopped_at(state, 3600)
    assert {state.name} == downtime.add_lost(lost, [later], instant())
    assert progress.settled_no < FIRST_NO + 10
    assert [] == downtime.ready(instant())
    downtime.take(fetched(BTC, FIRST_NO + 20))
    downtime.take(fetched(ETH, FIRST_NO + 20))
    assert [state.name] == downtime.ready(instant())
