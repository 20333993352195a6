"""Settlements of several symbols: which histories are kept, and nothing of a symbol whose data were late is lost."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from actors import decision_watcher
from actors.settlement.driver import Downtime, RecoveryRules
from actors.settlement.history import HistoryFetch
from actors.settlement.messages import HistoryFetched
from domain.market_data.buffer import LostData
from domain.trading.decision import Decision
from domain.trading.portfolio import NO_OPEN_ORDERS, PortfolioState
from domain.types import Generation, PortfolioName, Symbol
from tests.support.actors.memory_stores import MemoryDatabase
from tests.support.actors.stepped_runtime import NOON, StepClock
from tests.support.settlement.recorded_market import RecordedMarket, Served, events_as_text, trade
from tests.support.settlement.settled import history, stopped_at
from tests.support.values.builders import BTC, BY_QUOTE, ETH, free, instant, instrument, rules, uid
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
    downtime.take(fetched(ETH, FIRST_NO))  # the PriceTracker crashed after it had asked
    assert 0 == downtime.kept


def test_a_portfolio_whose_orders_have_ended_meanwhile_is_settled_without_any() -> None:
    state = two_symbols()
    downtime = Downtime(RULES, [state], instant())
    ended = replace(state, open_orders=NO_OPEN_ORDERS)
    late = instant(NOON + timedelta(seconds=61))
    assert [state.name] == downtime.ready(late)
    assert [] == list(downtime.settlement(ended, late).moments())


def test_where_nothing_is_known_what_this_process_has_received_is_matched_next() -> None:
    state = two_symbols()
    numbers = []
    for unknown in (True, False):
        downtime = Downtime(RULES, [state], instant())
        for symbol in (BTC, ETH):  # the request was sent again, after two pieces of data
            message = fetched(symbol, FIRST_NO + 2)
            answer = replace(message.history, unknown="it cannot tell") if unknown else message.history
            downtime.take(replace(message, history=answer))
        progress, spans = downtime.end(state)
        numbers.append((progress.settled_no, [span.gap for span in spans]))
    assert [(FIRST_NO, ["it cannot tell"] * 2), (FIRST_NO + 2, [None, None])] == numbers


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


NAME = rules().portfolio


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def rest(one: Served, number: int, symbol: str, quantity: str, limit: str, portfolio: str = NAME) -> None:
    """Place a limit order of a BUY."""
    one.ticker()
    one.database.add(
        Decision(
            symbol=symbol, decision="BUY", confidence=1, uid=uid(number), quantity=quantity, order_type="limit",
            limit_price=limit, portfolio=portfolio,
        ),
        one.clock.now(),
    )  # fmt: skip
    assert one.stepper is not None
    one.stepper.settle()


def lagging(*eth: tuple[float, str]) -> Served:
    """Return orders of two symbols, killed when BTC/USDT was seen up to second 10 and ETH/USDT up to second 2."""
    database = MemoryDatabase()
    database.open_portfolio(rules(costs=free(), execution=BY_QUOTE, max_position_size=1))
    pieces = [
        (1, BTC, "100"),
        (1, ETH, "10"),
        (2, ETH, "10"),
        (10, BTC, "94"),
        *((at, ETH, price) for at, price in eth),
    ]
    trades = [trade(symbol, price, at(second), "50") for second, symbol, price in sorted(pieces)]
    one = Served(RecordedMarket([instrument(BTC), instrument(ETH)], trades), database, StepClock(), seed=1)
    one.start()
    one.pass_to(at(1))
    rest(one, 1, BTC, "1", "90")
    rest(one, 2, ETH, "10", "9")
    one.pass_to(at(2))
    running, one.stepper = one.stepper, None  # from here on the data of ETH/USDT are late
    one.pass_to(at(10))
    one.stepper = running
    one.see([piece for piece in trades if piece.symbol == BTC][-1:])
    one.tick()
    one.kill()
    return one


def test_a_symbol_whose_data_were_late_loses_nothing_at_a_kill() -> None:
    one = lagging((5, "8.9"), (11, "8.8"))
    progress = one.database.portfolios[NAME].progress
    assert (at(10), {ETH: at(2)}) == (progress.data_at, progress.behind)
    one.pass_to(at(60))
    one.start()
    assert [(BTC, at(10), at(60)), (ETH, at(2), at(60))] == one.market.requests
    filled = [text for text in events_as_text(one.database) if "Filled" in text]
    assert ["05 12:00:05 recovered default 1 Filled BUY 10 at 9"] == filled
    progress = one.database.portfolios[NAME].progress
    assert (at(60), {}) == (progress.data_at, progress.behind)


def test_decisions_of_a_portfolio_that_is_settled_do_not_hold_up_those_of_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(decision_watcher, "MAX_UNDER_WAY", 2)
    monkeypatch.setattr(decision_watcher, "READ_BELOW", 1)
    one = lagging()
    other = rules(costs=free(), execution=BY_QUOTE, max_position_size=1, portfolio="other")
    one.database.open_portfolio(other)
    monkeypatch.setattr(HistoryFetch, "run", lambda *_: None)  # the price source does not answer
    one.start(recovery_timeout=60)
    waiting = [decide(one, number, "default", "BUY") for number in (3, 4, 5)]
    waiting.append(decide(one, 6, "default", "CANCEL"))
    bought = decide(one, 7, "other", "BUY")
    outcome = one.database.rows[bought].outcome
    assert outcome is not None
    assert "bought 1 BTC/USDT at 94" == outcome.reason
    assert [None] * 4 == [one.database.rows[id_].outcome for id_ in waiting]
    one.clock.pass_by(61)
    one.tick()
    one.ticker()
    one.tick()
    assert [False] * 4 == [one.database.rows[id_].outcome is None for id_ in waiting]


NAMES = ("default", "second", "third")


def resting_in_three() -> Served:
    """Return a limit order of each of three portfolios, killed at second 2; later the market reaches its limit."""
    database = MemoryDatabase()
    for name in NAMES:
        database.open_portfolio(rules(costs=free(), execution=BY_QUOTE, max_position_size=1, portfolio=name))
    pieces = [(1, "100"), (60, "89"), (100, "100")]
    trades = [trade(BTC, price, at(second), "50") for second, price in pieces]
    one = Served(RecordedMarket([instrument(BTC)], trades), database, StepClock(), seed=1)
    one.start()
    one.pass_to(at(1))
    for number, name in enumerate(NAMES):
        rest(one, number, BTC, "1", "90", portfolio=name)
    one.pass_to(at(2))
    one.tick()
    one.kill()
    one.pass_to(at(100))
    return one


def test_rules_that_change_during_a_settlement_leave_all_portfolios_to_be_settled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answer, late = HistoryFetch.run, []
    monkeypatch.setattr(HistoryFetch, "run", lambda *arguments: late.append(arguments))  # it answers later
    one = resting_in_three()
    stepper, database = one.start(), one.database
    for name, state in database.portfolios.items():
        database.portfolios[name] = replace(state, rules=replace(state.rules, revision=2))
    stepper.wiring.wake("paper_config")
    stepper.run()
    waiting = [decide(one, 10 + number, name, "BUY") for number, name in enumerate(NAMES)]
    assert [None] * 3 == [database.rows[id_].outcome for id_ in waiting]
    for arguments in late:
        answer(*arguments)
    one.tick()
    filled = [text for text in events_as_text(database) if "recovered" in text]
    assert [f"05 12:01:00 recovered {name} 1 Filled BUY 1 at 90" for name in NAMES] == filled
    one.ticker()
    assert [False] * 3 == [database.rows[id_].outcome is None for id_ in waiting]


def test_a_portfolio_that_is_removed_during_its_settlement_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(HistoryFetch, "run", lambda *_: None)  # the price source does not answer
    one = resting_in_three()
    stepper, database = one.start(), one.database
    removed = database.portfolios.pop(PortfolioName("second"))
    stepper.wiring.wake("paper_config")
    stepper.run()
    assert {"default", "third"} == stepper.wiring._portfolios.settling  # they have no snapshots meanwhile
    database.open_portfolio(replace(removed.rules, revision=2))
    stepper.wiring.wake("paper_config")
    stepper.run()
    one.ticker()
    bought = database.rows[decide(one, 10, "second", "BUY")].outcome
    assert bought is not None
    assert "bought 1 BTC/USDT at 100" == bought.reason


def decide(one: Served, number: int, portfolio: str, action: str) -> int:
    """Send a decision to a portfolio, and let the process do what it can."""
    values = {"quantity": 1} if action == "BUY" else {"target": "all"}
    symbol = BTC if action == "BUY" else "*"
    decision = Decision(
        symbol=symbol, decision=action, confidence=1, uid=uid(number), portfolio=portfolio, **values  # type: ignore[arg-type]
    )  # fmt: skip
    one.ticker()
    id_ = one.database.add(decision, one.clock.now())
    assert one.stepper is not None
    one.stepper.settle()
    assert isinstance(id_, int)
    return id_
