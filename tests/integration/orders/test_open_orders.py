"""Open orders in the books: every event is there after its commit, and what is loaded equals what was in memory."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from domain.audit import differences
from domain.errors import DecisionsEnded, Fenced
from domain.trading.bookkeeping import Result, apply
from domain.trading.decision import CancelTarget, Decision, Outcome, PendingDecision, Reason, Refusal, refuse
from domain.trading.engine import Engine
from domain.trading.events import OrderAccepted, OrderAmended
from domain.trading.instruments import InstrumentCatalog
from domain.trading.open_orders.settlement import Advance
from domain.trading.portfolio import PortfolioState
from domain.trading.quotes import Quote
from domain.trading.sizing import SizingRules
from domain.types import DecisionId, OutcomeStatus
from tests.integration.persistence.test_stores import FIRST, InMemory, Stores, real, stores
from tests.support.values.builders import BTC, BY_QUOTE, NOON, instant, instrument, quote, rules, uid

__all__ = ["real", "stores"]  # fixtures

SIZING = SizingRules(timedelta(seconds=1), timedelta(seconds=30), None, frozenset({"USDT"}))
CATALOG = InstrumentCatalog([instrument(min_notional="1.5", min_quantity="0.001", step="0.0001")])
Ended = Result | Refusal


class Market:
    """An engine over stores: each call is one commit, after which memory and database must be the same."""

    def __init__(self, stores: Any, sizing: SizingRules = SIZING) -> None:
        self.stores = stores
        self._sizing = sizing
        self.seconds = 0
        self.number = 0
        self.data_no = 0
        self.last: Quote | None = None
        self.under_way: list[DecisionId] = []
        stores.ledger.raise_generation(FIRST)
        self.restart()

    @property
    def now(self) -> datetime:
        return NOON + timedelta(seconds=self.seconds)

    @property
    def state(self) -> PortfolioState:
        (stored,) = self.stores.ledger.load()
        return stored  # type: ignore[no-any-return]

    def restart(self) -> None:
        """Begin anew from what is stored, as after a kill."""
        self.engine = Engine(self.stores.ledger.load(), self._sizing)
        self.engine.on_instruments(CATALOG, instant(self.now))
        # Numbers of market data rise over restarts, and what was matched is not matched again.
        self.engine._data_no = self.data_no
        if self.last is not None:
            assert [] == list(self.engine._queue.on_quotes([self.last], instant(self.now)))
        self.under_way.clear()
        if happened := self._take():
            self._commit(happened)

    def price(self, price: str, bid: str, ask: str, size: str | None = None) -> None:
        self.seconds += 1
        met = quote(price, at=self.now, bid=bid, ask=ask, bid_size=size, ask_size=size)
        self.data_no += 1
        self.last = replace(met, data_no=self.data_no)
        self._commit(self.engine.on_quotes([met], instant(self.now)))

    def time(self, seconds: int) -> None:
        self.seconds += seconds
        self._commit(self.engine.on_time(instant(self.now)))

    def send(self, decision: str, quantity: str | None = None, **terms: Any) -> DecisionId:
        """Insert a decision, read it as the DecisionWatcher does, and take it."""
        self.number += 1
        values = {"symbol": "BTC/USDT", "confidence": 1, "decision": decision, "quantity": quantity, **terms}
        self.stores.decisions.insert([Decision(uid=uid(self.number), **values)])
        happened, id_ = self._take(), self.under_way[-1]
        self._commit(happened)
        return id_

    def _take(self) -> list[Ended]:
        """Take the decisions that are pending and not under way."""
        happened: list[Ended] = []
        for pending in self.stores.decisions.pending(self.under_way, 10, instant(self.now)):
            assert isinstance(pending, PendingDecision)
            self.under_way.append(pending.id)
            happened += self.engine.on_decision(pending, instant(self.now))
        return happened

    def outcome(self, id_: DecisionId) -> Outcome:
        """Return the outcome of a decision that has ended."""
        outcome = self.stores.decisions.outcomes([id_])[id_]
        assert isinstance(outcome, Outcome)
        return outcome

    def is_open(self, id_: DecisionId) -> bool:
        """Return whether the order of a decision rests, and the decision is not pending either."""
        waiting = [pending.id for pending in self.stores.decisions.pending([], 10, instant())]
        outcome = self.stores.decisions.outcomes([id_])[id_]
        return outcome is not None and outcome.status is OutcomeStatus.OPEN and id_ not in waiting

    def _commit(self, happened: Iterable[Ended]) -> None:
        happened = list(happened)
        group = [one for one in happened if isinstance(one, Result)]
        refusals = [one for one in happened if isinstance(one, Refusal)]
        if group:
            self.stores.ledger.commit(FIRST, group)
        if refusals:
            self.stores.decisions.end(FIRST, refusals)
        if marks := self.engine._sequencer.take_moved_marks():
            self.stores.ledger.save_advance(FIRST, Advance(marks))
        in_memory = self.engine.state(self.state.name)
        assert in_memory is not None
        stored = self.state
        assert {} == differences({stored.name: in_memory}, [stored])
        assert in_memory == stored
        assert sees_from(in_memory) == sees_from(stored)
        if isinstance(self.stores, Stores):
            assert [] == self.stores.ledger_reader.ledger_differences()


def sees_from(state: PortfolioState) -> list[int]:
    """Return the number of the data after which each open order can be matched."""
    matched = state.open_orders.matched(BTC)
    return [max(one.since, matched) for one in state.open_orders]


@pytest.fixture(params=["one process", "a kill after each commit"])
def market(request: pytest.FixtureRequest, stores: Any) -> Market:
    return opened(Market, request, stores)


def opened(kind: type[Market], request: pytest.FixtureRequest, stores: Any) -> Market:
    """Open a market whose portfolio has price rule *quote*; it restarts after each commit where the test says so."""
    if isinstance(stores, InMemory):  # as a new portfolio in the database
        stores.ledger.open_portfolio(replace(rules(execution=BY_QUOTE), created_at=NOON))
    market = kind(stores)
    if request.param != "one process":
        commit = market._commit

        def commit_and_restart(happened: Iterable[Ended]) -> None:
            commit(happened)
            market.restart()

        market._commit = commit_and_restart  # type: ignore[method-assign]
    return market


def open_of(market: Market) -> list[tuple[int, str, Decimal, Decimal]]:
    return [(o.order.leg, o.order.order_type.value, o.remaining, o.reserved) for o in market.state.open_orders]


def test_a_limit_order_rests_is_filled_in_parts_and_its_exits_close_the_position(market: Market) -> None:
    market.price("100", "99.9", "100.1")
    terms = {"order_type": "limit", "limit_price": "99", "stop_loss_pct": "0.05", "take_profit": "110"}
    entry = market.send("BUY", "4", **terms)
    assert [(1, "limit", Decimal(4), Decimal(397))] == open_of(market)
    assert market.is_open(entry)
    again = Decision(symbol="BTC/USDT", decision="BUY", confidence=1, quantity="4", uid=uid(1), **terms)
    (accepted,) = market.stores.decisions.find([again])
    assert accepted.outcome is not None
    assert ("open", "open: BUY 4 BTC/USDT, limit 99") == (accepted.outcome.status, accepted.outcome.reason)
    market.price("98.9", "98.4", "98.8", "1")
    market.price("98.7", "98.4", "98.6", "1.5")
    market.price("111", "110.5", "111", "0.7")
    market.price("112", "111.5", "112")
    assert [] == open_of(market)
    assert OutcomeStatus.EXECUTED is market.outcome(entry).status


def test_stop_and_stop_limit_orders_trigger(market: Market) -> None:
    market.price("100", "99.9", "100.1")
    market.send("BUY", "1", order_type="stop", stop_price="105")
    market.send("BUY", "1", order_type="stop_limit", stop_price="104", limit_price="104.5")
    market.price("104.6", "104.6", "104.8")
    assert [("stop", False), ("stop_limit", True)] == [
        (o.order.order_type.value, o.triggered_at is not None) for o in market.state.open_orders
    ]
    market.price("106", "105.9", "106.5")
    market.price("104", "103.9", "104.2")
    assert [] == open_of(market)
    assert Decimal(2) == market.state.positions[BTC].quantity


def test_a_stop_whose_cash_does_not_suffice_is_reduced_at_the_gap(market: Market) -> None:
    market.price("100", "99.9", "100.1")
    market.send("BUY", "19", order_type="stop", stop_price="102")
    market.send("BUY", "15", order_type="stop", stop_price="102")
    market.price("600", "600", "600")
    assert [] == open_of(market)


def test_orders_expire_and_are_cancelled(market: Market) -> None:
    market.price("100", "99.9", "100.1")
    gtd = {"time_in_force": "GTD", "order_expires_at": NOON + timedelta(seconds=10)}
    first = market.send("BUY", "1", order_type="limit", limit_price="90", **gtd)
    second = market.send("BUY", "1", order_type="limit", limit_price="91")
    third = market.send("BUY", "1", order_type="limit", limit_price="92", post_only=True)
    cancel = market.send("CANCEL", target=str(second))
    late = market.send("CANCEL", target=str(second))
    market.time(20)
    rest = market.send("CANCEL", target="all")
    assert [] == open_of(market)
    assert {
        first: OutcomeStatus.EXPIRED,
        second: OutcomeStatus.CANCELLED,
        third: OutcomeStatus.CANCELLED,
        cancel: OutcomeStatus.EXECUTED,
        late: OutcomeStatus.REJECTED,
        rest: OutcomeStatus.EXECUTED,
    } == {id_: market.outcome(id_).status for id_ in (first, second, third, cancel, late, rest)}
    assert f"nothing to cancel: already cancelled: by decision {cancel}" == market.outcome(late).reason


def test_an_order_that_never_rests_is_one_commit(market: Market) -> None:
    market.price("100", "99.9", "100.1", "2")
    bought = market.send("BUY", "5", order_type="limit", limit_price="101", time_in_force="IOC")
    nothing = market.send("BUY", "5", order_type="limit", limit_price="101", time_in_force="FOK")
    assert [] == open_of(market)
    assert OutcomeStatus.EXECUTED is market.outcome(bought).status
    assert OutcomeStatus.CANCELLED is market.outcome(nothing).status


# The targets of a CANCEL.


def test_a_target_is_found_by_every_name_of_it(market: Market) -> None:
    market.price("100", "99.9", "100.1")
    entry = market.send("BUY", "1", order_type="limit", limit_price="90", idempotency_key="my order")
    (order,) = market.state.open_orders
    of_decision, of_order = CancelTarget(decision_id=entry), CancelTarget(order_id=order.order.order_id)
    expected = {
        str(entry): of_decision,
        f" {entry} ": of_decision,
        str(uid(1)): of_decision,
        "my order": of_decision,
        str(order.order.order_id): of_order,
        "all": CancelTarget(),
        "ALL": CancelTarget(),
        "symbol": CancelTarget(symbol="btc-usdt"),
        "999999": CancelTarget(flaw="no decision or order is '999999'"),
        "BTC/USDT": CancelTarget(
            flaw="no decision or order is 'BTC/USDT'; to cancel by symbol: target 'symbol', or run.py cancel --symbol"
        ),
        "9" * 30: CancelTarget(flaw=f"no decision or order is '{'9' * 30}'"),
        "'; DROP TABLE paper_orders; --": CancelTarget(
            flaw='no decision or order is "\'; DROP TABLE paper_orders; --"'
        ),
        str(uid(77)): CancelTarget(flaw=f"no decision or order is '{uid(77)}'"),
    }
    assert expected == {target: target_of(market, target, symbol="btc-usdt") for target in expected}
    assert "target 'symbol' needs the decision's symbol, which is left out" == target_of(market, "symbol").flaw
    other = target_of(market, str(entry), portfolio="another")
    assert f"'{entry}' is of portfolio default" == other.flaw


def test_a_target_that_has_ended_says_how(market: Market) -> None:
    market.price("100", "99.9", "100.1")
    bought = market.send("BUY", "1")
    outcome = market.outcome(bought)
    assert f"already executed: {outcome.reason}" == target_of(market, str(bought)).flaw
    held = market.send("HOLD")
    assert "already ignored: hold: nothing to do" == target_of(market, str(held)).flaw
    assert "already filled" == target_of(market, str(outcome.order_id)).flaw


def target_of(market: Market, target: str, **fields: str) -> CancelTarget:
    """Return the target as it is read; end the CANCEL, so that the next one is read alone."""
    market.number += 1
    decisions = market.stores.decisions
    decisions.insert([Decision(decision="CANCEL", target=target, uid=uid(market.number), **fields)])
    (pending,) = decisions.pending([], 10, instant(market.now))
    decisions.end(FIRST, [refuse(pending, Reason.NOTHING_OPEN, "a test")])
    assert isinstance(pending.target, CancelTarget)
    return pending.target


# What the stores refuse.


def test_a_decision_that_is_open_is_ended_by_its_order_alone(market: Market) -> None:
    market.price("100", "99.9", "100.1")
    entry = market.send("BUY", "1", order_type="limit", limit_price="90")
    name = market.state.name
    assert set() == market.stores.decisions.end(
        FIRST, [Refusal(entry, name, OutcomeStatus.REJECTED, Reason.INTERNAL_ERROR, "a test")]
    )
    assert market.is_open(entry)


def test_an_open_order_is_not_opened_twice(market: Market) -> None:
    market.price("100", "99.9", "100.1")
    before = market.state
    market.send("BUY", "1", order_type="limit", limit_price="90")
    (one,) = market.state.open_orders
    again = OrderAccepted(before.version + 1, one.order, None, one.reserved, one.since, NOON)
    with pytest.raises(DecisionsEnded):
        market.stores.ledger.commit(FIRST, [apply(before, again)])


def test_events_of_an_order_that_is_not_open_in_the_database_are_fenced(real: Stores) -> None:
    market = Market(real)
    market.price("100", "99.9", "100.1")
    market.send("BUY", "1", order_type="limit", limit_price="90")
    (one,) = market.state.open_orders
    before = market.state
    market.send("CANCEL", target="all")
    triggered = OrderAmended(before.version + 1, one.order, one.reserved, one.since, NOON, "a test")
    with pytest.raises(Fenced, match="not in the database, or has ended there"):
        real.ledger.commit(FIRST, [apply(before, triggered)])


PERSON = [
    ("UPDATE trading_decisions SET status = 'cancelled', processed_at = now()", "INSERT a CANCEL with target = '1'"),
    ("UPDATE trading_decisions SET status = 'pending', order_id = NULL", "decision 1 rests in the market"),
    ("DELETE FROM trading_decisions", "decision 1 rests in the market"),
    ("UPDATE trading_decisions SET limit_price = 91", "a decision never changes"),
    ("UPDATE paper_order_events SET reason = ''", "table paper_order_events is written by the program alone"),
    ("UPDATE paper_portfolio_state SET version = 7", "table paper_portfolio_state is written by the program alone"),
]


@pytest.mark.parametrize(("statement", "sentence"), PERSON, ids=[statement for statement, _ in PERSON])
def test_a_person_cannot_end_what_rests(real: Stores, statement: str, sentence: str) -> None:
    market = Market(real)
    market.price("100", "99.9", "100.1")
    assert 1 == market.send("BUY", "1", order_type="limit", limit_price="90")
    with psycopg.connect(real.url) as connection, pytest.raises(psycopg.errors.CheckViolation, match=sentence):
        connection.execute(statement)
    with psycopg.connect(real.url) as connection:
        connection.execute("UPDATE trading_decisions SET reasoning = 'a note of mine'")


def test_a_pending_decision_is_opened_by_the_program_alone(real: Stores) -> None:
    real.decisions.insert([Decision(symbol="A", decision="HOLD", confidence=1)])
    opened = pytest.raises(psycopg.errors.CheckViolation, match="decision 1 becomes open by the program alone")
    with psycopg.connect(real.url) as connection, opened:
        connection.execute("UPDATE trading_decisions SET status = 'open'")


FAULTS = [
    ("UPDATE paper_orders SET reserved = 20000 WHERE status = 'open'", "reserve 20000.000000000000, its cash is"),
    ("UPDATE paper_orders SET leg = 2, parent = order_id WHERE status = 'open'", "whose entry has no fill"),
    ("UPDATE paper_orders SET status = 'cancelled', ended_at = now(), reserved = 0 WHERE status = 'open'",
     "is cancelled, but its decision 2 is open"),
    ("UPDATE paper_orders SET quantity = 2 WHERE status = 'filled'", "is filled, but only by 1.0"),
    ("UPDATE paper_portfolio_state SET version = 9", "has version 9, its last event has version 2"),
    ("DELETE FROM paper_portfolio_state", "has version none, its last event has version 2"),
    ("UPDATE paper_fills SET version = 2", "2 events of portfolio default have version 2"),
    ("UPDATE paper_order_events SET version = 3; UPDATE paper_portfolio_state SET version = 3",
     "has 2 events of versions 1 to 3"),
    ("UPDATE trading_decisions SET status = 'pending', order_id = NULL WHERE id = 2", "its decision 2 is pending"),
    ("DELETE FROM paper_orders WHERE status = 'open'", "decision 2 is open, but its order"),
    ("UPDATE paper_orders SET filled_quantity = 0.5 WHERE status = 'open'", "is filled by 0.5"),
]  # fmt: skip


@pytest.mark.parametrize(("fault", "sentence"), FAULTS, ids=[fault[:60] for fault, _ in FAULTS])
def test_the_ledger_check_names_each_fault(real: Stores, fault: str, sentence: str) -> None:
    market = Market(real)
    market.price("100", "99.9", "100.1")
    market.send("BUY", "1")
    market.send("BUY", "1", order_type="limit", limit_price="90")
    assert [] == real.ledger_reader.ledger_differences()
    with psycopg.connect(real.url) as connection:
        connection.execute("SET paper.writer = 'PositionKeeper'")
        connection.execute(fault)
    assert [one for one in map(str, real.ledger_reader.ledger_differences()) if sentence in one]


def test_an_order_that_ends_by_an_internal_error_halts_its_portfolio_in_the_same_transaction(market: Market) -> None:
    market.price("100", "99.9", "100.1")
    id_ = market.send("BUY", "1", stop_loss="95", take_profit="120")
    stop, target = market.state.open_orders
    (results,) = market.engine._sequencer.end_poisoned({id_: "it failed twice; reference 1-1"}, instant(market.now))
    market.stores.ledger.commit(FIRST, results)
    assert [] == list(market.state.open_orders)
    assert {stop.order.order_id, target.order.order_id} == {result.order.order_id for result in results}
    reason = f"order {stop.order.order_id} ended by an internal error, so a position may have lost its stop"
    assert reason == market.state.rules.halted
    market.stores.ledger.halt(market.state.name, "left alone")
    assert "left alone" == market.state.rules.halted
