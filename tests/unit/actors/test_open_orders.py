"""Open orders while actors crash and commits fail: the data that were kept are matched again, in their order."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from actors.execution_simulator import ExecutionSimulator
from actors.messages import Audit, DataSeen, Flush, KeptData, MatchedUpTo, Rebuild, SizeAgain, Tick, Wake, Watch
from actors.messages.path import RequestRules
from actors.runtime.address import CURRENT
from actors.runtime.routes import Routes
from actors.settlement.driver import RecoveryRules
from actors.supervision.messages import Rebuilt
from domain import failpoints
from domain.alarms import AlarmKind
from domain.market_data.buffer import MarketDataBuffer
from domain.trading.events import Filled, OrderTriggered
from domain.trading.open_orders import sequencer
from domain.trading.open_orders.open_order import OpenOrder
from domain.trading.orders import ExecutionRules
from domain.types import DecisionId, Epoch, Generation, OrderType, OutcomeStatus, PortfolioName, PriceRule, Symbol
from tests.support.actors.decision_path import INSTRUMENTS, begun, opened, put, status, submit
from tests.support.actors.memory_stores import MemoryDatabase
from tests.support.actors.stepped_runtime import SteppedCell
from tests.support.actors.stepper import Stepper
from tests.support.values.builders import instrument, quote, rules

BTC, ETH, DEFAULT = Symbol("BTC/USDT"), Symbol("ETH/USDT"), PortfolioName("default")


@pytest.fixture
def stepper() -> Stepper:
    return begun(opened(MemoryDatabase()))


def bracket(stepper: Stepper, **changes: Any) -> DecisionId:
    """Buy 1 BTC at 100 with a stop at 95 and a target at 120."""
    id_ = put(stepper, quantity="1", **{"stop_loss": "95", "take_profit": "120", **changes})
    stepper.settle()
    assert OutcomeStatus.EXECUTED == stepper.database.rows[id_].outcome.status  # type: ignore[union-attr]
    return id_


def sold(stepper: Stepper) -> list[tuple[OrderType, Decimal]]:
    """Return the type of each SELL order that was filled, with the price of the data that it met."""
    fills = [result for result in stepper.database.fills if result.asset_delta < 0]
    return [(result.order.order_type, result.fill.quote.price) for result in fills]


def open_types(stepper: Stepper) -> list[OrderType]:
    return [one.order.order_type for one in stepper.database.portfolios[DEFAULT].open_orders]


def test_a_stop_whose_commit_fails_is_triggered_though_the_price_has_recovered(stepper: Stepper) -> None:
    bracket(stepper)
    assert [OrderType.STOP, OrderType.LIMIT] == open_types(stepper)
    stepper.database.fail_commits = 1
    stepper.quote({"BTC/USDT": "94"})
    stepper.quote({"BTC/USDT": "101"})
    stepper.run()
    assert 1 == stepper.database.faults["commit failed"]
    assert [(OrderType.STOP, 94)] == sold(stepper)
    assert [] == open_types(stepper)


class Mail(list[Any]):
    """The mailbox of another actor."""

    def tell(self, message: object, /) -> None:
        self.append(message)


def test_data_that_wait_in_the_mailbox_do_not_overtake_those_that_were_kept(stepper: Stepper) -> None:
    bracket(stepper)
    mail = {field.name: Mail() for field in fields(Routes)}
    exchange = ExecutionSimulator(Routes(**mail), stepper.clock, RecoveryRules(0, "test", timedelta(seconds=60)))
    exchange.control(Rebuild(Generation(9), tuple(stepper.database.portfolios.values())))
    (watch,) = mail["price_tracker"]
    number = watch.symbols[BTC]
    assert Watch({BTC: number}, begins=Generation(9)) == watch
    stop, target = (replace(quote(price, BTC), data_no=number + n) for n, price in ((1, "94"), (2, "130")))
    exchange.handle_group([DataSeen((target,))])  # it waited in the mailbox while the actor was rebuilt
    exchange.handle_group([Tick()])
    assert [watch, watch] == mail["price_tracker"]
    first = RequestRules(Generation(9))
    assert ([first], []) == (mail["position_keeper"], mail["supervisor"])
    exchange.handle_group([KeptData(Generation(9), (stop, target))])
    assert [Rebuilt("ExecutionSimulator", Generation(9))] == mail["supervisor"]
    _, record = mail["position_keeper"]
    assert [OrderTriggered, Filled] == [type(event) for event in record.events]
    assert [94] == [event.fill.quote.price for event in record.events if isinstance(event, Filled)]
    exchange.handle_group([DataSeen((stop, target)), Tick()])
    assert [first, record, MatchedUpTo(Generation(9), {BTC: number + 2}, frozenset())] == mail["position_keeper"]


@pytest.mark.parametrize("moment", ["takes", "sends", "sent", "handled"])
def test_data_in_hand_of_a_price_tracker_that_crashes_are_matched_once(
    stepper: Stepper, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    id_ = put(stepper, quantity="5", order_type="limit", limit_price="90")
    stepper.settle()
    struck: list[str] = []

    def hook(at: str, subject: str) -> None:
        within = isinstance(CURRENT.sender, SteppedCell) and CURRENT.sender.name == "PriceTracker"
        if within and (at, subject) == (moment, "DataSeen") and not struck:
            struck.append(at)
            raise RuntimeError("injected")

    numbers = stepper.wiring.market_data._last_number
    monkeypatch.setattr(failpoints, "hook", hook)
    trade = replace(quote("89", BTC), is_trade=True, last_size=Decimal(2))
    stepper.tell("PriceTracker", DataSeen((trade,)))
    stepper.settle()
    assert [moment] == struck
    assert [2] == [result.fill.quantity for result in stepper.database.fills]
    assert numbers + 1 == stepper.wiring.market_data._last_number
    assert stepper.database.rows[id_].opened


def test_an_order_does_not_expire_before_the_data_that_came_in_time_are_matched(stepper: Stepper) -> None:
    expires_at = stepper.clock.now() + timedelta(seconds=5)
    id_ = put(
        stepper, quantity="1", order_type="limit", limit_price="90", time_in_force="GTD", order_expires_at=expires_at
    )
    stepper.settle()
    stepper.database.fail_commits = 1
    stepper.quote({"BTC/USDT": "89"})
    while stepper.database.fail_commits:
        assert stepper.step()
    stepper.pass_by(6)
    stepper.tell("ExecutionSimulator", Tick())
    stepper.settle()
    assert ("executed", "bought 1 BTC/USDT at 90") == status(stepper, id_)


def test_what_is_matched_is_released_once_it_is_committed(stepper: Stepper) -> None:
    bracket(stepper)
    buffer = stepper.wiring.market_data
    stepper.quote({"BTC/USDT": "101"})
    stepper.run()
    assert 1 == len(buffer)
    stepper.tell("ExecutionSimulator", Tick())
    stepper.run()
    assert 0 == len(buffer)


def test_data_of_a_halt_are_not_matched_again_after_it(stepper: Stepper) -> None:
    id_ = put(stepper, quantity="1", order_type="limit", limit_price="90")
    stepper.settle()
    stepper.database.halt(DEFAULT, "by hand")
    stepper.tell("PositionKeeper", Wake())
    stepper.run()
    stepper.quote({"BTC/USDT": "89"})
    stepper.run()
    state = stepper.database.portfolios[DEFAULT]
    stepper.database.portfolios[DEFAULT] = replace(state, rules=replace(state.rules, halted=None))
    stepper.tell("PositionKeeper", Wake())
    stepper.run()
    stepper.crash("ExecutionSimulator")
    stepper.settle()
    assert [OrderType.LIMIT] == open_types(stepper)
    stepper.quote({"BTC/USDT": "89"})
    stepper.settle()
    assert ("executed", "bought 1 BTC/USDT at 90") == status(stepper, id_)


def test_data_of_one_symbol_are_not_released_by_the_number_of_another() -> None:
    buffer = MarketDataBuffer(Epoch(0))
    buffer.watch({BTC: 0, ETH: 0}, begins=True)
    buffer.number([quote("100", BTC), quote("10", ETH), quote("101", BTC)])
    buffer.release({BTC: 3}, {BTC, ETH})
    assert [(ETH, 2)] == [(one.symbol, one.data_no) for one in buffer.since({ETH: 0}, {ETH})]


def test_a_symbol_is_watched_until_the_end_of_its_last_order_is_committed() -> None:
    buffer = MarketDataBuffer(Epoch(0))
    buffer.watch({BTC: 0}, begins=True)
    buffer.watch({}, begins=False)  # its order has ended, and that is not committed yet
    buffer.number([quote("100", BTC)])
    buffer.release({}, {BTC})  # of a moment at which it was open
    assert ({BTC}, 1) == (buffer.watched, len(buffer))
    buffer.release({BTC: 1}, frozenset())
    assert (frozenset(), 0) == (buffer.watched, len(buffer))


def crash_on(monkeypatch: pytest.MonkeyPatch, order_type: OrderType) -> None:
    """Let the matching of open orders of a type raise."""
    original = sequencer.reaches_stop

    def reaches_stop(open_order: OpenOrder, seen: Any) -> bool:
        if open_order.order.order_type is order_type:
            raise RuntimeError("injected")
        return original(open_order, seen)

    monkeypatch.setattr(sequencer, "reaches_stop", reaches_stop)


@pytest.mark.parametrize(("apart_s", "left"), [(3_000, []), (4_000, [OrderType.STOP, OrderType.LIMIT])])
def test_two_crashes_far_apart_do_not_end_an_order_that_rests(
    stepper: Stepper, monkeypatch: pytest.MonkeyPatch, apart_s: int, left: list[OrderType]
) -> None:
    bracket(stepper)
    original, faults = sequencer.reaches_limit, [0]

    def reaches_limit(open_order: OpenOrder, seen: Any) -> bool:
        if any(faults):
            faults.clear()
            raise RuntimeError("injected")
        return original(open_order, seen)

    monkeypatch.setattr(sequencer, "reaches_limit", reaches_limit)
    faults[:] = [1]
    stepper.quote({"BTC/USDT": "120"})  # the target is touched, which fills nothing
    stepper.settle()
    stepper.pass_by(apart_s)
    faults[:] = [1]
    stepper.quote({"BTC/USDT": "120"})
    stepper.settle()
    assert [] == faults
    assert left == open_types(stepper)


def test_an_order_that_makes_an_actor_crash_twice_ends_and_its_portfolio_is_halted(
    stepper: Stepper, monkeypatch: pytest.MonkeyPatch
) -> None:
    bracket(stepper)
    resting = put(stepper, 2, quantity="1", order_type="stop", stop_price="110", decision="BUY", symbol="ETH/USDT")
    stepper.settle()
    crash_on(monkeypatch, OrderType.STOP)
    stepper.quote({"BTC/USDT": "94"})
    stepper.settle()
    rejected = [entry for entry in stepper.database.orders.values() if entry.status == "rejected"]
    assert 2 == len(rejected)  # the stop and the target: both are of the decision that failed
    assert all("ExecutionSimulator crashed twice on it" in str(entry.reason) for entry in rejected)
    halted = str(stepper.database.portfolios[DEFAULT].rules.halted)
    assert halted.endswith("ended by an internal error, so a position may have lost its stop")
    (alarm,) = [alarm for alarm in stepper.alarms if alarm.kind is AlarmKind.UNPROTECTED]
    assert alarm.text.startswith("portfolio default: no stop closes 1 BTC/USDT; order ")
    assert [f"halted: portfolio default ({halted})"] == [a.text for a in stepper.alarms if a.kind is AlarmKind.HALT]
    assert stepper.database.rows[resting].opened  # entries rest on, and are not filled
    assert ("rejected", f"halted: {halted}") == status(stepper, _another(stepper))


def _another(stepper: Stepper) -> DecisionId:
    id_ = put(stepper, 3, quantity="1")
    stepper.quote({"BTC/USDT": "94"})
    stepper.settle()
    return id_


def test_an_entry_that_makes_an_actor_crash_twice_ends_its_decision(
    stepper: Stepper, monkeypatch: pytest.MonkeyPatch
) -> None:
    id_ = put(stepper, quantity="1", order_type="stop", stop_price="110")
    stepper.settle()
    assert stepper.database.rows[id_].opened
    crash_on(monkeypatch, OrderType.STOP)
    stepper.quote({"BTC/USDT": "111"})
    stepper.settle()
    ended = status(stepper, id_)
    assert ended is not None
    assert "rejected" == ended[0]
    assert ended[1].startswith("internal error: ExecutionSimulator crashed twice on it (RuntimeError: injected)")
    assert stepper.database.portfolios[DEFAULT].rules.halted is not None
    assert [] == [alarm for alarm in stepper.alarms if alarm.kind is AlarmKind.UNPROTECTED]  # it holds nothing


def test_a_stop_that_the_program_ends_unfilled_is_an_alarm() -> None:
    database = MemoryDatabase()
    database.open_portfolio(rules(execution=ExecutionRules(price_rule=PriceRule.LAST)))
    coarse = Stepper(database, [instrument("BTC/USDT", tick=40)], seed=1)
    coarse.run()
    coarse.quote({"BTC/USDT": "120"})
    coarse.run()
    bracket(coarse, stop_loss="80", take_profit="200")
    stop = next(iter(database.portfolios[DEFAULT].open_orders)).order.order_id
    for _ in range(3):  # an eighth of the price needs three answers over 10 s
        coarse.quote({"BTC/USDT": "15"})  # 0, to the nearest tick
        coarse.settle()
        coarse.pass_by(5)
    coarse.settle()
    assert [OrderType.LIMIT] == open_types(coarse)
    (alarm,) = coarse.alarms
    reason = "no fill at that price: slippage takes the price 15 to 0"
    sentence = f"portfolio default: no stop closes 1 BTC/USDT; order {stop} ended rejected: {reason}"
    assert (AlarmKind.UNPROTECTED, sentence) == (alarm.kind, alarm.text)


def test_an_order_that_cannot_even_be_ended_is_left_alone_and_all_others_go_on(
    stepper: Stepper, monkeypatch: pytest.MonkeyPatch
) -> None:
    stuck = put(stepper, quantity="1", order_type="limit", limit_price="90")
    stepper.settle()

    def hook(moment: str, what: str) -> None:
        cell = CURRENT.sender
        keeper = (
            isinstance(cell, SteppedCell) and cell.name == "PositionKeeper" and (moment, what) == ("takes", "Record")
        )
        if keeper and any(stuck in message.decisions for message in cell.in_hand):
            raise RuntimeError("injected")

    monkeypatch.setattr(failpoints, "hook", hook)
    stepper.quote({"BTC/USDT": "89"})
    stepper.settle()
    assert stepper.database.rows[stuck].opened
    halted = str(stepper.database.portfolios[DEFAULT].rules.halted)
    assert halted.endswith("can be neither filled nor ended, so a position may have lost its stop; it is left alone")
    stepper.database.open_portfolio(rules("second"))
    stepper.tell("PositionKeeper", Wake())
    other = put(stepper, 2, quantity="1", portfolio="second")
    stepper.quote({"BTC/USDT": "89"})
    stepper.settle()
    assert OutcomeStatus.EXECUTED == stepper.database.rows[other].outcome.status  # type: ignore[union-attr]
    cancel = put(stepper, 3, decision="CANCEL", symbol="*", confidence=1, target=str(stuck))
    stepper.settle()
    (open_order,) = stepper.database.portfolios[DEFAULT].open_orders
    reason = f"nothing to cancel: order {open_order.order.order_id} is left alone after an internal error"
    assert ("rejected", reason) == status(stepper, cancel)
    monkeypatch.setattr(failpoints, "hook", None)
    again = Stepper(stepper.database, INSTRUMENTS, seed=2)  # after the cause was found, and a restart
    again.run()
    again.quote({"BTC/USDT": "88"})
    again.run()
    assert stepper.database.rows[stuck].opened  # its portfolio is halted
    portfolio = again.database.portfolios[DEFAULT]
    again.database.portfolios[DEFAULT] = replace(portfolio, rules=replace(portfolio.rules, halted=None))
    again.tell("PositionKeeper", Wake())
    again.run()
    again.quote({"BTC/USDT": "88"})
    again.run()
    assert ("executed", "bought 1 BTC/USDT at 90") == status(again, stuck)


def test_a_halt_by_the_audit_stops_every_fill_and_names_the_positions(stepper: Stepper) -> None:
    bracket(stepper)
    portfolio = stepper.database.portfolios[DEFAULT]
    stepper.database.portfolios[DEFAULT] = replace(portfolio, cash=portfolio.cash + 1)
    stepper.tell("PositionKeeper", Audit(None))
    stepper.run()
    texts = [alarm.text for alarm in stepper.alarms if alarm.kind is AlarmKind.UNPROTECTED]
    assert ["portfolio default: no stop closes 1 BTC/USDT, because the audit stops every fill"] == texts
    stepper.quote({"BTC/USDT": "94"})
    stepper.settle()
    assert [] == sold(stepper)
    assert [OrderType.STOP, OrderType.LIMIT] == open_types(stepper)


def test_a_decision_that_comes_back_to_no_portfolio_is_refused(stepper: Stepper) -> None:
    id_ = put(stepper, quantity="1", symbol="DEAD/USDT")
    stepper.wake()
    stepper.run()
    generation = stepper.database.generation
    stepper.tell("Sizer", SizeAgain(generation, PortfolioName("gone"), id_))
    stepper.run()
    assert ("rejected", "unknown portfolio: portfolio 'gone' was removed") == status(stepper, id_)


def test_a_caller_who_waits_for_the_end_of_an_open_order_costs_no_queries_until_then(
    stepper: Stepper, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_up: list[DecisionId] = []
    outcomes = stepper.database.outcomes
    monkeypatch.setattr(stepper.database, "outcomes", lambda ids: looked_up.extend(ids) or outcomes(ids))
    caller = submit(stepper, order_type="limit", limit_price="95", quantity="1")
    stepper.settle()
    looked_up.clear()
    put(stepper, 2, quantity="1")
    stepper.settle()
    assert [] == looked_up
    put(stepper, 3, decision="CANCEL", symbol="*", confidence=1, target="all")
    stepper.settle()
    assert OutcomeStatus.CANCELLED == caller.outcome.get(timeout=0).status


def test_an_ordered_stop_leaves_open_orders_as_they_are(stepper: Stepper) -> None:
    bracket(stepper)
    stepper.tell("ExecutionSimulator", Flush())
    stepper.run()
    stepper.quote({"BTC/USDT": "94"})
    stepper.run()
    assert [] == sold(stepper)
    again = Stepper(stepper.database, INSTRUMENTS, seed=2)
    again.run()
    again.quote({"BTC/USDT": "93"})
    again.run()
    assert [(OrderType.STOP, 93)] == sold(again)
