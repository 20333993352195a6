"""Lives of portfolios in the tables: ids, names and times, what SQL may write, and what views show."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from domain.errors import Fenced, UnknownPortfolio
from domain.trading.account.changes import AccountChange
from domain.trading.account.requests import AccountKind
from domain.trading.bookkeeping import apply
from domain.trading.decision import PendingDecision, Reason, Refusal
from domain.trading.open_orders.sequencer import Sequencer
from domain.trading.orders import order_id
from domain.types import OutcomeStatus
from persistence.stores import portfolios
from persistence.stores.books.account import insert_request
from persistence.stores.books.unserved import carry_out
from tests.integration.persistence.test_stores import FIRST, InMemory, Stores, a_decision, filled, real, stores
from tests.support.account.account_run import account_request
from tests.support.actors.stepped_runtime import StepClock
from tests.support.values.builders import filled as event_of
from tests.support.values.builders import instant, market_order

__all__ = ["real", "stores"]  # fixtures

ENDED = "portfolio {} has ended and never changes; the present one of this name has the id {}"


def end(stores: Any, kind: AccountKind, portfolio: str = "default", amount: str | None = None) -> AccountChange:
    """Carry out a request as the actors do."""
    if isinstance(stores, InMemory):
        number = len(stores.ledger.requests) + 1
        stores.ledger.requests.append(account_request(kind, number=number, portfolio=portfolio, amount=amount))
    else:
        values = {"portfolio": portfolio, "kind": kind.value, "amount": amount, "reason": "a test", "author": "me"}
        insert_request(stores.url, values)
    (request,) = stores.decisions.account_requests([])
    sequencer = Sequencer()
    sequencer.begin(stores.ledger.load())
    changes = sequencer.on_account_event(request, instant())
    assert isinstance(changes, tuple), changes
    stores.ledger.commit_account(FIRST, request, changes)
    return changes[0]


@pytest.fixture
def begun(stores: Any) -> Any:
    stores.ledger.raise_generation(FIRST)
    return stores


def test_the_next_life_has_the_same_rules_its_own_id_and_no_history(begun: Any) -> None:
    end(begun, AccountKind.RESET, amount="500")
    before, after = begun.ledger.load()
    assert ("default", "default@1", True) == (before.name, before.label, before.replaced)
    assert ("default@2", "default", 2, Decimal(500), 0) == (
        after.name, after.label, after.rules.life, after.cash, after.version,
    )  # fmt: skip
    assert (before.rules.costs, before.rules.max_position_size) == (after.rules.costs, after.rules.max_position_size)
    assert (None, False) == (after.closed, after.replaced)


def test_a_decision_is_of_the_life_in_which_it_was_made(begun: Any) -> None:
    begun.decisions.insert([a_decision(1)])
    end(begun, AccountKind.RESET)
    begun.decisions.insert([a_decision(2), a_decision(3, decision="CANCEL", target="1", symbol="*")])
    old, new, cancel = begun.decisions.pending([], 10, instant())
    assert isinstance(old, Refusal)
    assert (OutcomeStatus.REJECTED, Reason.CLOSED) == (old.status, old.reason)
    assert isinstance(new, PendingDecision)
    assert "default@2" == new.portfolio
    assert isinstance(cancel, PendingDecision)


def test_what_a_life_has_done_stays_and_the_next_one_fills_under_its_own_id(begun: Any) -> None:
    begun.decisions.insert([a_decision(1)])
    (state,), (received,) = begun.ledger.load(), begun.decisions.pending([], 1, instant())
    bought = filled(state, received)
    begun.ledger.commit(FIRST, [bought])
    begun.decisions.insert([a_decision(2, decision="SELL")])
    (received,) = begun.decisions.pending([], 1, instant())
    begun.ledger.commit(FIRST, [filled(bought.state, received, "SELL")])
    end(begun, AccountKind.RESET)
    begun.decisions.insert([a_decision(3)])
    (received,) = begun.decisions.pending([], 1, instant())
    _, after = begun.ledger.load()
    made = market_order("BUY", "0.01", "110485.85", seq=1)
    own = replace(made.order, decision_id=received.id, order_id=order_id(received.uid, 1), portfolio=after.name)
    begun.ledger.commit(FIRST, [apply(after, event_of(made._replace(order=own)))])
    before, after = begun.ledger.load()
    assert (3, 1) == (before.version, after.version)
    assert ([], ["BTC/USDT"]) == (list(before.positions), list(after.positions))
    assert ("test", "test") == (before.price_source, after.price_source)
    if isinstance(begun, Stores):
        assert [] == begun.ledger_reader.ledger_differences()
        reader = begun.ledger_reader
        assert ["default", "default@1", "default@1"] == sorted(row["portfolio"] for row in reader.orders())
        assert ["default", "default@1", "default@1"] == [row["portfolio"] for row in reader.decisions()]
        assert 2 == len(reader.orders("default@1"))
        assert ["default"] == [row["portfolio"] for row in reader.positions("default")]


def test_a_reset_that_was_committed_is_not_committed_again(begun: Any) -> None:
    change = end(begun, AccountKind.RESET)
    with pytest.raises(Fenced):
        begun.ledger.commit_account(FIRST, change.result.request, [change])
    assert 2 == len(begun.ledger.load())


def test_a_reset_of_an_older_generation_writes_nothing(begun: Any) -> None:
    if isinstance(begun, Stores):
        insert_request(begun.url, {"portfolio": "default", "kind": "reset", "reason": "a test", "author": "me"})
    else:
        begun.ledger.requests.append(account_request(AccountKind.RESET))
    (request,) = begun.decisions.account_requests([])
    sequencer = Sequencer()
    sequencer.begin(begun.ledger.load())
    changes = sequencer.on_account_event(request, instant())
    assert isinstance(changes, tuple)
    begun.ledger.raise_generation(type(FIRST)(2))
    with pytest.raises(Fenced):
        begun.ledger.commit_account(FIRST, request, changes)
    assert 1 == len(begun.ledger.load())
    assert [request] == begun.decisions.account_requests([])


# SQL


@pytest.fixture
def sql(real: Stores) -> Iterator[psycopg.Connection]:
    """A connection of the owner to a database whose portfolio default was begun anew twice."""
    real.ledger.raise_generation(FIRST)
    end(real, AccountKind.RESET, amount="500")
    end(real, AccountKind.RESET, amount="700")
    with psycopg.connect(real.url, autocommit=True) as connection:
        yield connection


def refusal(sql: psycopg.Connection, statement: str) -> str:
    with pytest.raises(psycopg.errors.CheckViolation) as caught:
        sql.execute(statement)
    return str(caught.value.diag.message_primary)


def test_names_and_ids(sql: psycopg.Connection) -> None:
    rows = sql.execute("SELECT portfolio, portfolio_id, cash FROM v_paper_portfolio_overview ORDER BY life").fetchall()
    assert [("default@1", "default", 10_000), ("default@2", "default@2", 500), ("default", "default@3", 700)] == rows
    names = ("default", "default@1", "default@2", "default@3", "default@4", "nobody")
    ids = [sql.execute("SELECT paper_portfolio_id(%s)", [name]).fetchone() for name in names]
    assert [("default@3",), ("default",), ("default@2",), ("default@3",), (None,), (None,)] == ids
    assert (Decimal(700), Decimal(10_000), None) == sql.execute(
        "SELECT get_portfolio_value(), get_portfolio_value('default@1'), get_portfolio_value('nobody')"
    ).fetchone()


def test_halts_and_requests_name_the_present_life(sql: psycopg.Connection) -> None:
    sql.execute("INSERT INTO paper_halts (portfolio, halted, reason) VALUES ('default', true, 'a test')")
    assert [("default", "default@3")] == sql.execute("SELECT portfolio, portfolio_id FROM v_paper_halted").fetchall()
    row = sql.execute(
        "INSERT INTO paper_account_requests (portfolio, kind, amount, reason)"
        " VALUES ('default', 'deposit', 1, 'a test') RETURNING portfolio"
    ).fetchone()
    assert ("default@3",) == row


def test_what_has_ended_never_changes(sql: psycopg.Connection) -> None:
    change = "UPDATE paper_trading_config SET {} WHERE portfolio = '{}'"
    assert ENDED.format("default", "default@3") == refusal(sql, change.format("slippage_pct = 0", "default"))
    by_request = (
        "portfolio default@3 is closed by a request: INSERT INTO paper_account_requests with kind close or reset"
    )
    assert by_request == refusal(sql, change.format("closed_at = now()", "default@3"))
    sql.execute(change.format("slippage_pct = 0", "default@3"))
    insert = "INSERT INTO paper_trading_config (portfolio) VALUES ('x@2')"
    possible = "@ and digits at its end would name an earlier life of a portfolio"
    assert f"the name x@2 is not possible: {possible}" == refusal(sql, insert)


def test_a_clone_has_the_rules_of_a_life_and_a_name_of_its_own(real: Stores, sql: psycopg.Connection) -> None:
    sql.execute("UPDATE paper_trading_config SET slippage_pct = 0.002 WHERE portfolio = 'default@3'")
    portfolios.clone(real.url, "default", "twin", None)
    portfolios.clone(real.url, "default@1", "older", Decimal(5))
    rows = sql.execute(
        "SELECT portfolio, name, life, initial_capital, slippage_pct, revision FROM paper_trading_config"
        " WHERE name IN ('twin', 'older') ORDER BY 1 DESC"
    ).fetchall()
    assert [("twin", "twin", 1, 700, Decimal("0.002"), 1), ("older", "older", 1, 5, Decimal("0.0005"), 1)] == rows
    with pytest.raises(UnknownPortfolio):
        portfolios.clone(real.url, "nobody", "third", None)


def test_a_portfolio_that_has_such_a_name_already_keeps_it(real: Stores) -> None:
    with psycopg.connect(real.url) as connection:
        connection.execute("ALTER TABLE paper_trading_config DISABLE TRIGGER paper_config_guard")
        connection.execute(
            "INSERT INTO paper_trading_config (portfolio, name, current_capital, min_commission, min_notional)"
            " VALUES ('default@2', 'default@2', 10000, 1, 10)"
        )
        connection.execute("ALTER TABLE paper_trading_config ENABLE TRIGGER paper_config_guard")
    real.ledger.raise_generation(FIRST)
    end(real, AccountKind.RESET)
    assert "default@3" == real.ledger_reader.portfolio_id("default")
    assert "default@2" == real.ledger_reader.portfolio_id("default@2")
    assert "default" == real.ledger_reader.portfolio_id("default@1")


def test_no_service_is_needed_and_one_that_runs_is_left_alone(real: Stores) -> None:
    values = {"portfolio": "default", "reason": "a test", "author": "me"}
    insert_request(real.url, {**values, "kind": "deposit", "amount": 5})
    number = insert_request(real.url, {**values, "kind": "reset"})
    real.lease.release()
    carry_out(real.url, number, StepClock())
    ended = real.ledger_reader.rows("SELECT status, outcome FROM paper_account_requests ORDER BY id")
    outcomes = ["done: cash is 10005", "done: begins anew with 10000 USDT; what was before is default@1"]
    assert [{"status": "done", "outcome": outcome} for outcome in outcomes] == ended
    carry_out(real.url, number, StepClock())  # it has ended: nothing happens
    assert ["default", "default@1"] == [row["portfolio"] for row in real.ledger_reader.portfolios()]
    assert [] == real.ledger_reader.ledger_differences()
