"""Requests for accounts on the whole path of actors: each is carried out once, whatever crashes and wherever."""

from __future__ import annotations

from decimal import Decimal

import pytest

from domain import failpoints
from domain.trading.account.requests import AccountKind, Ratio
from domain.types import PortfolioName
from tests.support.account.requested_changes import (
    Point,
    ask,
    assert_memory_is_stored,
    crashed,
    new_stepper,
    reached_points,
    settle,
    with_lost_connections,
)
from tests.support.actors.decision_path import begun, opened, put, status
from tests.support.actors.memory_stores import MemoryDatabase
from tests.support.actors.stepper import Stepper
from tests.support.values.builders import rules

BTC = "BTC/USDT"
DEFAULT = PortfolioName("default")
TEN_FOR_ONE = Ratio(Decimal(10), Decimal(1))


@pytest.fixture
def stepper() -> Stepper:
    return new_stepper()


def buy(stepper: Stepper, number: int = 1) -> None:
    id_ = put(stepper, number)
    stepper.settle()
    outcome = status(stepper, id_)
    assert outcome is not None
    assert "executed" == outcome[0], outcome


def test_a_deposit_is_there_for_the_next_decision(stepper: Stepper) -> None:
    ask(stepper, AccountKind.DEPOSIT, amount=10_000)
    stepper.settle()
    assert {1: ("done", "done: cash is 20000")} == stepper.database.ends
    assert Decimal(20_000) == stepper.database.portfolios[DEFAULT].cash
    buy(stepper)
    fill = stepper.database.fills[0]
    assert fill.event.sizing is not None
    assert Decimal(20_000) == fill.event.sizing.equity


def test_a_deposit_into_a_portfolio_that_is_new_is_there_for_its_first_decision(
    stepper: Stepper, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(stepper, AccountKind.DEPOSIT, amount=10_000, portfolio="new")
    stepper.run()  # nobody knows the portfolio yet
    stepper.database.open_portfolio(rules(portfolio="new"))

    def carry_out(*point: str) -> None:
        if point == ("sent", "RulesChanged"):  # before the PositionKeeper does anything else
            monkeypatch.setattr(failpoints, "hook", None)
            cell = stepper.cells["ExecutionSimulator"]
            while cell.mailbox.deliverable:
                envelope = cell.mailbox.get()
                assert envelope is not None
                cell.receive(envelope.message)

    monkeypatch.setattr(failpoints, "hook", carry_out)
    stepper.wiring.wake("paper_config")
    stepper.run()
    id_ = put(stepper, portfolio="new")
    stepper.settle()
    assert {1: ("done", "done: cash is 20000")} == stepper.database.ends
    outcome = status(stepper, id_)
    assert outcome is not None
    assert "executed" == outcome[0]


def test_a_withdrawal_beyond_the_free_cash_ends_with_the_reason(stepper: Stepper) -> None:
    buy(stepper)
    before = stepper.database.portfolios[DEFAULT]
    ask(stepper, AccountKind.WITHDRAWAL, amount=10_000)
    stepper.settle()
    outcome, reason = stepper.database.ends[1]
    assert ("refused", True) == (outcome, reason.startswith("10000 is more than the free cash of "))
    assert before == stepper.database.portfolios[DEFAULT]


def test_after_a_split_a_decision_waits_for_the_new_price(stepper: Stepper) -> None:
    buy(stepper)
    held = stepper.database.portfolios[DEFAULT].positions[BTC]
    ask(stepper, AccountKind.SPLIT, symbol=BTC, ratio=TEN_FOR_ONE)
    stepper.settle()
    after = stepper.database.portfolios[DEFAULT].positions[BTC]
    assert (held.quantity * 10, held.cost) == (after.quantity, after.cost)
    sell = put(stepper, 2, decision="SELL")
    stepper.settle()
    assert status(stepper, sell) is None
    stepper.pass_by(1)
    stepper.quote({BTC: "10"})
    stepper.settle()
    assert stepper.database.rows[sell].outcome is not None
    trade = stepper.database.trades[-1]
    assert (after.quantity, True) == (trade.quantity, trade.closes)


def test_after_a_change_of_its_symbol_a_position_gets_prices_at_once(stepper: Stepper) -> None:
    buy(stepper)
    assert "DEAD/USDT" not in stepper.source.wanted
    ask(stepper, AccountKind.SYMBOL_CHANGE, symbol=BTC, new_symbol="DEAD/USDT")
    stepper.settle()
    assert "DEAD/USDT" in stepper.source.wanted


def test_a_decision_that_waits_during_a_suspected_split_ends_with_its_name(stepper: Stepper) -> None:
    stepper.pass_by(2)
    stepper.quote({BTC: "10"})
    stepper.settle()
    id_ = put(stepper, 1)
    stepper.settle()
    stepper.pass_by(31)
    stepper.settle()
    looks = "BTC/USDT at 10 after 100 looks like a 10:1 split"
    assert ("rejected", f"no price in time: {looks}") == status(stepper, id_)


def test_a_cancelled_request_is_not_carried_out(stepper: Stepper) -> None:
    request = ask(stepper, AccountKind.DEPOSIT, amount=5, portfolio="second")
    stepper.run()
    stepper.database.ends[request.id] = "cancelled", "cancelled by me"  # it waits in the ExecutionSimulator
    stepper.database.open_portfolio(rules("second"))
    stepper.wiring.wake("paper_config")
    settle(stepper)
    assert {request.id: ("cancelled", "cancelled by me")} == stepper.database.ends
    assert Decimal(10_000) == stepper.database.portfolios[PortfolioName("second")].cash
    ask(stepper, AccountKind.DEPOSIT, amount=7, portfolio="second")
    settle(stepper)
    assert ("done", "done: cash is 10007") == stepper.database.ends[2]


def test_a_request_for_a_portfolio_that_is_made_a_moment_later_waits_for_it(stepper: Stepper) -> None:
    ask(stepper, AccountKind.DEPOSIT, amount=5, portfolio="second")
    stepper.run()
    assert {} == stepper.database.ends
    stepper.database.open_portfolio(rules("second"))
    stepper.wiring.wake("paper_config")
    stepper.run()
    assert {1: ("done", "done: cash is 10005")} == stepper.database.ends


def test_a_write_off_ends_the_stop_and_closes_the_position(stepper: Stepper) -> None:
    put(stepper, 1, stop_loss_pct="0.05")
    stepper.settle()
    assert 1 == len(stepper.database.portfolios[DEFAULT].open_orders)
    ask(stepper, AccountKind.WRITE_OFF, symbol=BTC, price=0)
    stepper.settle()
    state = stepper.database.portfolios[DEFAULT]
    assert ({}, 0) == (state.positions, len(state.open_orders))
    assert stepper.database.ends[1][1].endswith("; 1 open order ended")


def test_a_request_that_makes_the_rules_fail_is_refused_and_stops_nothing(
    stepper: Stepper, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("injected")

    with monkeypatch.context() as patched:
        patched.setattr("domain.trading.open_orders.sequencer.change_account", fail)
        ask(stepper, AccountKind.DEPOSIT, amount=1)
        stepper.settle()
    assert {1: ("refused", "internal error: injected")} == stepper.database.ends
    buy(stepper)
    assert [] == stepper.database.failures


# crashes


def scene(stepper: Stepper) -> None:
    """Do everything that an account can meet: a deposit, a split of a position with exits, and a write-off."""
    put(stepper, 1, stop_loss_pct="0.05")
    put(stepper, 2, decision="BUY", order_type="limit", limit_price="90", quantity="1")
    ask(stepper, AccountKind.DEPOSIT, amount=1_000)
    settle(stepper)
    ask(stepper, AccountKind.SPLIT, symbol=BTC, ratio=TEN_FOR_ONE)
    settle(stepper)
    stepper.quote({BTC: "10.5"})
    settle(stepper)
    ask(stepper, AccountKind.WITHDRAWAL, amount=100)
    ask(stepper, AccountKind.DIVIDEND, symbol=BTC, amount="0.25")
    settle(stepper)
    ask(stepper, AccountKind.WRITE_OFF, symbol=BTC, price="1.5")
    settle(stepper)


BY_THE_TEST = {("sends", "ReadRequests"), ("sent", "ReadRequests")}
POINTS = [
    point
    for point in reached_points(scene, "Account", "account", "ReadRequests", "ForgetPrice")
    if point not in BY_THE_TEST
]


def of_two_portfolios() -> Stepper:
    """Return a stepper whose two portfolios hold BTC with stops at 95."""
    database = opened(MemoryDatabase())
    database.open_portfolio(rules("second"))
    stepper = begun(database)
    for number, name in enumerate(("default", "second"), start=1):
        put(stepper, number, portfolio=name, stop_loss_pct="0.05")
    stepper.settle()
    return stepper


def split_all(stepper: Stepper) -> None:
    """Have the price fall to a tenth, which is held back, and split both portfolios; then the price goes on."""
    for _ in range(4):
        stepper.quote({BTC: "10"})
        stepper.settle()
        stepper.pass_by(1)
    ask(stepper, AccountKind.SPLIT, portfolio=None, symbol=BTC, ratio=TEN_FOR_ONE)
    for _ in range(3):
        stepper.quote({BTC: "10"})
        stepper.run()
    settle(stepper)
    stepper.quote({BTC: "10"})
    settle(stepper)


def test_a_split_of_all_portfolios_happens_at_once() -> None:
    stepper = of_two_portfolios()
    before = {name: state.positions[BTC] for name, state in stepper.database.portfolios.items()}
    split_all(stepper)
    states = stepper.database.portfolios
    status_, outcome = stepper.database.ends[1]
    assert ("done", True) == (status_, outcome.startswith("done: default: "))
    assert {name: held.quantity * 10 for name, held in before.items()} == {
        name: state.positions[BTC].quantity for name, state in states.items()
    }
    assert 2 == sum(len(state.open_orders) for state in states.values())
    assert [] == stepper.database.trades


def test_a_split_of_one_of_two_portfolios_leaves_the_price_held_back() -> None:
    stepper = of_two_portfolios()
    stepper.quote({BTC: "10"})
    stepper.settle()
    ask(stepper, AccountKind.SPLIT, symbol=BTC, ratio=TEN_FOR_ONE)
    settle(stepper)
    held = "portfolio second holds BTC/USDT, too, at the same price"
    assert {1: ("refused", f"{held}; adjust all of them at once, with --all-portfolios")} == stepper.database.ends
    stepper.quote({BTC: "10"})
    settle(stepper)
    assert [] == stepper.database.trades


@pytest.mark.parametrize("point", POINTS, ids=" ".join)
def test_no_stop_of_before_a_split_fills_after_it_whatever_crashes(point: Point) -> None:
    stepper = crashed(split_all, point, 0, of_two_portfolios())
    assert ["done"] == [status_ for status_, _ in stepper.database.ends.values()]
    assert [] == stepper.database.trades
    assert 2 == len(stepper.database.changes)
    assert_memory_is_stored(stepper)


def test_the_crash_points_are_those_of_a_requests_way() -> None:
    assert {
        ("takes", "ReadRequests"), ("sends", "ChangeAccount"), ("takes", "ChangeAccount"), ("sends", "AccountChanged"),
        ("sends", "ForgetPrice"), ("sends", "RecordAccount"), ("takes", "RecordAccount"), ("commits", "account"),
        ("committed", "account"), ("handled", "RecordAccount"), ("takes", "AccountChanged"),
    } <= set(POINTS)  # fmt: skip


@pytest.mark.parametrize("skipped", range(3))
@pytest.mark.parametrize("point", POINTS, ids=" ".join)
def test_a_crash_at_any_point_changes_nothing(point: Point, skipped: int) -> None:
    expected = new_stepper()
    scene(expected)
    assert_same(expected, crashed(scene, point, skipped))


@pytest.mark.parametrize("fault", ["fail_commits", "lose_answers"])
@pytest.mark.parametrize("seed", range(6))
def test_lost_connections_change_nothing(fault: str, seed: int) -> None:
    expected = new_stepper()
    scene(expected)
    assert_same(expected, with_lost_connections(scene, fault, seed, 0.4))


def assert_same(expected: Stepper, actual: Stepper) -> None:
    """Fail unless both have carried out the same requests with the same result, and memory equals database."""
    assert expected.database.ends == actual.database.ends
    before, after = (one.database.portfolios[DEFAULT] for one in (expected, actual))
    assert (before.cash, before.flows, before.positions) == (after.cash, after.flows, after.positions)
    assert before.version == after.version
    assert [one.quantity for one in expected.database.trades] == [one.quantity for one in actual.database.trades]
    assert len(expected.database.changes) == len(actual.database.changes)
    assert_memory_is_stored(actual)
