"""The end of a portfolio and its next life: what is refused, and that each reset happens once, whatever crashes."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from domain.trading.account.applying import AccountResult
from domain.trading.account.requests import AccountKind, AccountRefusal
from domain.trading.bookkeeping import Result, apply
from domain.trading.decision import Refusal
from domain.trading.engine import Engine
from domain.trading.events import Closed
from domain.trading.instruments import InstrumentCatalog
from domain.trading.open_orders.terms import OrderTerms
from domain.trading.portfolio import PortfolioState
from domain.types import OrderType, OutcomeStatus, PortfolioName
from tests.support.account.account_run import account_request
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
from tests.support.actors.decision_path import put, status
from tests.support.actors.stepper import Stepper
from tests.support.values.builders import NOON, deal, free, instant, instrument, quote, received, rules
from tests.support.values.engine_run import SIZING, engine_of

DEFAULT, SECOND_LIFE = PortfolioName("default"), PortfolioName("default@2")
CLOSE, RESET = AccountKind.CLOSE, AccountKind.RESET


def answer(engine: Engine, kind: AccountKind, number: int = 1, **values: object) -> AccountResult | AccountRefusal:
    (happened,) = engine.on_account_event(account_request(kind, number=number, **values), instant())  # type: ignore[arg-type]
    assert isinstance(happened, AccountResult | AccountRefusal)
    return happened


def reason(engine: Engine, kind: AccountKind, **values: object) -> str:
    refusal = answer(engine, kind, **values)
    assert isinstance(refusal, AccountRefusal)
    return refusal.reason


def refusal_of(engine: Engine, action: str, number: int = 9) -> tuple[OutcomeStatus, str]:
    (happened,) = engine.on_decision(received(action, number=number), instant())
    assert isinstance(happened, Refusal)
    return happened.status, happened.sentence


# The rules


def test_a_closed_portfolio_rejects_what_it_would_have_traded_and_changes_no_more() -> None:
    engine = engine_of(PortfolioState.opened(rules()))
    engine.on_quotes([quote(100)], instant())
    closed = answer(engine, CLOSE)
    assert isinstance(closed, AccountResult)
    assert ("done: closed with 10000 USDT", 1) == (closed.sentence, closed.event.version)
    sentence = "portfolio is closed: default, since 2026-01-05 12:00:00 UTC"
    for action in ("BUY", "SELL", "PROTECT"):
        assert (OutcomeStatus.REJECTED, sentence) == refusal_of(engine, action)
    assert (OutcomeStatus.IGNORED, "hold: nothing to do") == refusal_of(engine, "HOLD")
    assert "portfolio default is closed" == reason(engine, AccountKind.DEPOSIT, amount=1)
    assert "portfolio default is closed already" == reason(engine, CLOSE)


def test_what_is_held_and_what_rests_prevents_the_end_of_a_portfolio() -> None:
    engine = engine_of(deal(PortfolioState.opened(rules(costs=free(), max_position_size=1)), "BUY", "1", "100").state)
    engine.on_quotes([quote(100)], instant())
    terms = OrderTerms(OrderType.LIMIT, limit_price=Decimal(90))
    (rests,) = engine.on_decision(replace(received(quantity="1"), terms=terms), instant())
    assert isinstance(rests, Result)
    sentence = (
        "portfolio default holds BTC/USDT and has 1 open order; --flatten closes positions and cancels orders first"
    )
    assert sentence == reason(engine, CLOSE)
    assert sentence == reason(engine, RESET)


def test_a_halt_prevents_no_end() -> None:
    for halted in ("by hand", "audit: cash differs"):
        engine = engine_of(PortfolioState.opened(replace(rules(), halted=halted)))
        assert isinstance(answer(engine, CLOSE), AccountResult)


def test_a_reset_names_the_life_that_it_ends_and_happens_once() -> None:
    engine = engine_of(PortfolioState.opened(rules()))
    first = answer(engine, RESET, amount="500.5")
    assert isinstance(first, AccountResult)
    assert "done: begins anew with 500.5 USDT; what was before is default@1" == first.sentence
    assert "portfolio default was begun anew already" == reason(engine, RESET, number=2)


def test_a_closed_portfolio_can_be_begun_anew_and_keeps_the_time_of_its_end() -> None:
    state = apply(PortfolioState.opened(rules()), Closed(1, account_request(CLOSE), NOON)).state
    after = apply(state, Closed(2, account_request(RESET, number=2), NOON.replace(hour=13))).state
    assert (NOON, True, 2) == (after.closed, after.replaced, after.version)


def test_only_the_portfolios_of_the_price_source_trade() -> None:
    of_another = deal(PortfolioState.opened(rules()), "BUY", "1", "100").state
    assert "test" == of_another.price_source
    new = PortfolioState.opened(rules("new"))
    engine = Engine([of_another, new], replace(SIZING, source="other"))
    engine.on_instruments(InstrumentCatalog([instrument()]), instant())
    engine.on_quotes([replace(quote(100), source="other")], instant())
    detail = "portfolio default trades at prices of test, the service has those of other"
    assert (OutcomeStatus.REJECTED, f"other price source: {detail}") == refusal_of(engine, "SELL")
    (bought,) = engine.on_decision(received(portfolio="new"), instant())
    assert isinstance(bought, Result)
    assert "other" == bought.state.price_source


# On the path of actors


@pytest.fixture
def stepper() -> Stepper:
    return new_stepper()


def test_decisions_for_the_name_go_to_the_present_life(stepper: Stepper) -> None:
    first = put(stepper, 1)
    stepper.settle()
    put(stepper, 2, decision="SELL")
    stepper.settle()
    ask(stepper, RESET, amount=500)
    stepper.settle()
    second = put(stepper, 3)
    stepper.settle()
    before, after = stepper.database.portfolios[DEFAULT], stepper.database.portfolios[SECOND_LIFE]
    assert ("executed", "executed") == tuple(status(stepper, id_)[0] for id_ in (first, second))  # type: ignore[index]
    assert [DEFAULT, DEFAULT, SECOND_LIFE] == [fill.order.portfolio for fill in stepper.database.fills]
    assert (Decimal(500), 2, "default") == (after.rules.initial_capital, after.rules.life, after.label)
    assert (True, "default@1", 3) == (before.replaced, before.label, before.version)
    assert {"BTC/USDT"} == set(after.positions)


def test_a_decision_that_waited_through_the_reset_is_rejected_and_a_later_one_is_not(stepper: Stepper) -> None:
    waits = put(stepper, 1, symbol="DEAD/USDT")
    stepper.run()
    ask(stepper, RESET)
    stepper.settle()
    later = put(stepper, 2)
    stepper.crash("DecisionWatcher")
    settle(stepper)
    outcome = status(stepper, waits)
    assert outcome is not None
    assert ("rejected", "portfolio is closed") == (outcome[0], outcome[1].partition(":")[0])
    assert "executed" == status(stepper, later)[0]  # type: ignore[index]


def test_a_portfolio_that_holds_something_goes_on(stepper: Stepper) -> None:
    put(stepper, 1)
    stepper.settle()
    ask(stepper, RESET)
    stepper.settle()
    assert "refused" == stepper.database.ends[1][0]
    assert [DEFAULT] == list(stepper.database.portfolios)


def test_a_closed_portfolio_has_no_snapshots(stepper: Stepper) -> None:
    ask(stepper, CLOSE)
    settle(stepper)
    before = len(stepper.database.snapshots)
    stepper.pass_by(120)
    settle(stepper)
    assert before == len(stepper.database.snapshots)


def scene(stepper: Stepper) -> None:
    """Trade, close all of it, begin anew while decisions come, and trade again."""
    put(stepper, 1, stop_loss_pct="0.05")
    settle(stepper)
    put(stepper, 2, decision="CANCEL", target="all", symbol="*")
    put(stepper, 3, decision="SELL")
    settle(stepper)
    put(stepper, 4, symbol="DEAD/USDT")
    stepper.run()
    ask(stepper, RESET, amount=500)
    put(stepper, 5, decision="HOLD")
    settle(stepper)
    put(stepper, 6)
    stepper.quote({"BTC/USDT": "100", "ETH/USDT": "10"})
    ask(stepper, CLOSE)  # of the life before, which has ended
    settle(stepper)
    stepper.pass_by(31)
    settle(stepper)


@pytest.mark.parametrize("skipped", range(2))
@pytest.mark.parametrize("point", reached_points(scene, "Account", "account", "RulesChanged"), ids=" ".join)
def test_each_reset_happens_once_and_each_decision_ends_once_whatever_crashes(point: Point, skipped: int) -> None:
    assert_sound(crashed(scene, point, skipped))


@pytest.mark.parametrize("fault", ["fail_commits", "lose_answers"])
@pytest.mark.parametrize("seed", range(4))
def test_lost_connections_make_no_second_life(fault: str, seed: int) -> None:
    assert_sound(with_lost_connections(scene, fault, seed, 0.5))


def assert_sound(stepper: Stepper) -> None:
    database = stepper.database
    assert {1: "done", 2: "refused"} == {number: status_ for number, (status_, _) in database.ends.items()}
    assert [DEFAULT, SECOND_LIFE] == sorted(database.portfolios)
    assert (True, False) == tuple(database.portfolios[name].replaced for name in (DEFAULT, SECOND_LIFE))
    outcomes = [status(stepper, id_) for id_ in sorted(database.rows, key=int)]
    words = [None if one is None else one[0] for one in outcomes]
    assert ["executed", "executed", "executed", "rejected", "executed"] == [*words[:4], words[5]]
    assert Decimal(500) > database.portfolios[SECOND_LIFE].cash
    assert_memory_is_stored(stepper)
