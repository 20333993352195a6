"""The program's own clients with the URL of a sender, a reader or the service: all that they may do works, and what
they may not do ends with one sentence."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from actors import Decision, TradingSystem
from console.cli import main
from domain.errors import DatabaseUnsuitable, RightMissing
from persistence import schema
from tests.support.database.roles import RoleMaker, user_of
from tests.support.system.running_system import running_system, until, until_all_ended

LIMIT = {"order_type": "limit", "limit_price": "95000", "confidence": 1, "quantity": "0.001"}
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def system(embedded_url: str) -> Iterator[TradingSystem]:
    """A system at fixed prices: BTC/USDT 110 485.85, ETH/USDT 3 950.01."""
    with running_system(embedded_url) as running:
        yield running


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command with the URL of a role; returns its exit code, output and error."""
    monkeypatch.chdir(tmp_path)  # without a paper.toml

    def run_command(url: str, *words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main([*words, "--database-url", url, "--home", str(tmp_path)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run_command


def limit_order(symbol: str = "BTC/USDT", **more: Any) -> Decision:
    return Decision(symbol=symbol, decision="BUY", **{**LIMIT, **more})


def test_a_sender_attaches_submits_and_learns_what_became_of_it(system: TradingSystem, role_maker: RoleMaker) -> None:
    with TradingSystem.attach(role_maker.make("sender")) as client:
        sent = Decision(symbol="BTC/USDT", decision="BUY", confidence="0.75", idempotency_key="once")
        outcome = client.submit(sent).get(timeout=20)
        assert "executed" == outcome.status
        assert outcome == client.submit(Decision(**sent.model_dump(exclude={"uid"}))).get(timeout=20)
        order = client.execute_order("ETH/USDT", "BUY", "0.1", timeout=20)
        assert ("filled", "ETH/USDT") == (order["status"], order["symbol"])
        assert "open" == client.submit(limit_order()).get(timeout=20).status
        for read in (client.positions, client.performance_summary, client.portfolio):
            with pytest.raises(RightMissing, match="the database role lacks a right: permission denied"):
                read()
    assert {"executed": 2, "open": 1} == system.ledger_reader.outcomes()


def test_a_sender_that_reads_sees_its_positions_as_well(system: TradingSystem, role_maker: RoleMaker) -> None:
    with TradingSystem.attach(role_maker.make("sender", "reader")) as client:
        client.submit(Decision(symbol="BTC/USDT", decision="BUY", confidence="0.75")).get(timeout=20)
        assert ["BTC/USDT"] == [row["symbol"] for row in client.positions()]
        assert 1 == client.portfolio()["num_positions"]


def test_the_commands_of_a_sender(system: TradingSystem, role_maker: RoleMaker, run: Run) -> None:
    sender, other = role_maker.make("sender"), role_maker.make("sender")
    code, out, err = run(sender, "decide", "BUY", "BTC/USDT", "--confidence=0.75", "--wait")
    assert (0, "") == (code, err)
    assert "executed: bought" in out
    rests = ("decide", "BUY", "BTC/USDT", "--confidence=1", "--quantity=0.001", "--order-type=limit", "--limit=95000")
    rests = (*rests, "--wait")
    assert (0, "decision 2 is open: BUY 0.001 BTC/USDT, limit 95000\n", "") == run(sender, *rests)
    assert (0, "decision 3 is open: BUY 0.001 BTC/USDT, limit 95000\n", "") == run(other, *rests)

    listed = json.loads(run(sender, "decisions", "--json")[1])["decisions"]
    assert [2, 1] == [row["id"] for row in listed]
    orders = json.loads(run(sender, "orders", "--open", "--json")[1])["orders"]
    assert [2] == [row["decision_id"] for row in orders]
    assert (0, "") == run(sender, "orders", "--open")[::2]
    assert (0, "No orders of DOGE/USDT.\n", "") == run(sender, "orders", "--symbol", "DOGE/USDT")

    status = json.loads(run(sender, "status", "--json")[1])
    assert (True, user_of(sender), None) == (status["running"], status["limited_to"], status["ledger_ok"])
    assert {"executed": 1, "open": 1} == status["decisions"]
    code, out, err = run(sender, "status")
    assert (0, "") == (code, err)
    assert f"role {user_of(sender)}" in " ".join(out.split())
    assert "books" not in out

    assert (0, "decision 4, cancel: executed: cancelled: 1 order of its sender in portfolio default\n", "") == run(
        sender, "cancel", "--all"
    )
    assert [3] == [row["decision_id"] for row in json.loads(run(other, "orders", "--open", "--json")[1])["orders"]]


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["portfolio", "create", "mine", "--capital=1000"], "permission denied for table paper_trading_config"),
        (["portfolio", "deposit", "default", "1000", "--reason=more"], "permission denied for table"),
        (["portfolio", "list"], "permission denied for view v_paper_portfolio_overview"),
        (["halt", "--reason=storm"], "permission denied for view v_paper_halted"),
        (["positions"], "permission denied for view v_paper_open_positions"),
        (["trades"], "permission denied for table paper_trades"),
        (["report"], "permission denied for"),
        (["validate", "list"], "permission denied for"),
    ],
)
def test_a_command_of_a_sender_that_lacks_a_right_says_whose_it_is(
    system: TradingSystem, role_maker: RoleMaker, run: Run, words: list[str], reason: str
) -> None:
    sender = role_maker.make("sender")
    code, out, err = run(sender, *words)
    assert (1, "") == (code, out)
    (line,) = err.splitlines()
    assert line.startswith(f"run.py: role {user_of(sender)} may not do this ({reason}")
    assert line.endswith("ask the owner of the database, or use the URL of a role that may")


def test_a_sender_of_a_service_that_is_stopped_is_told_until_when_it_waits(
    role_maker: RoleMaker, embedded_url: str, run: Run
) -> None:
    with running_system(embedded_url):
        pass
    sender = role_maker.make("sender")
    code, out, err = run(sender, "decide", "BUY", "BTC/USDT", "--confidence=0.75")
    assert 0 == code
    assert "queued; the service is not running" in out
    assert "expires unless the service starts before" in err
    assert 3 == run(sender, "status")[0]


def test_a_reader_reads_with_every_command_and_decides_nothing(
    system: TradingSystem, role_maker: RoleMaker, run: Run
) -> None:
    reader = role_maker.make("reader")
    system.submit(Decision(symbol="BTC/USDT", decision="BUY", confidence="0.75")).get(timeout=20)
    commands = ("status", "positions", "orders", "trades", "decisions", "portfolio list", "explain 1", "report")
    for words in commands:
        assert (0, "") == run(reader, *words.split())[::2], words
    code, out, err = run(reader, "decide", "BUY", "BTC/USDT", "--confidence=0.75")
    assert (1, "") == (code, out)
    assert f"role {user_of(reader)} may not do this (permission denied for table trading_decisions)" in err


def test_the_service_trades_with_a_role_that_does_not_own_the_tables(role_maker: RoleMaker, embedded_url: str) -> None:
    service = role_maker.make("service")
    with running_system(service) as system:
        bought = system.submit(Decision(symbol="BTC/USDT", decision="BUY", confidence="0.75")).get(timeout=10)
        assert "executed" == bought.status
        assert "open" == system.submit(limit_order(), wait="open").get(timeout=10).status
        cancelled = system.submit(Decision(decision="CANCEL", target="all")).get(timeout=10)
        assert ("executed", "cancelled: 1 order of portfolio default") == (cancelled.status, cancelled.reason)
        sender = role_maker.make("sender")
        with TradingSystem.attach(sender) as client:
            assert "open" == client.submit(limit_order()).get(timeout=10).status
        # What serves may cancel everything.
        assert "executed" == system.submit(Decision(decision="CANCEL", target="all")).get(timeout=10).status
        assert [] == system.ledger_reader.ledger_differences()


def test_the_service_leaves_an_upgrade_to_the_owner(role_maker: RoleMaker, embedded_url: str) -> None:
    service = role_maker.make("service")
    with psycopg.connect(embedded_url) as owner:
        owner.execute("UPDATE paper_schema_version SET version_num = '0001_tables'")
    with pytest.raises(DatabaseUnsuitable, match="may not upgrade it: its owner runs"), running_system(service):
        pass
    with psycopg.connect(embedded_url) as owner:
        owner.execute("UPDATE paper_schema_version SET version_num = %s", [schema.newest_version()])
    with running_system(service):
        pass


def test_a_sender_cancels_and_amends_its_own_decisions_alone(system: TradingSystem, role_maker: RoleMaker) -> None:
    one, other = role_maker.make("sender"), role_maker.make("sender", "reader")
    with TradingSystem.attach(one) as mine, TradingSystem.attach(other) as others:
        own = system.submit(limit_order(idempotency_key="shared"), wait="open").get(timeout=10)
        first = mine.submit(limit_order(idempotency_key="shared")).get(timeout=10)
        second = others.submit(limit_order("ETH/USDT", quantity="0.1", limit_price="3000")).get(timeout=10)
        assert ["open"] * 3 == [outcome.status for outcome in (own, first, second)]

        def reasons(*targets: object, **more: Any) -> list[str]:
            sent = [Decision(decision=more.get("decision", "CANCEL"), target=str(target), quantity=more.get("quantity"))
                    for target in targets]  # fmt: skip
            return [mine.submit(decision).get(timeout=20).reason for decision in sent]

        taken = system.ledger_reader.decision(second.decision_id)
        foreign = (own.decision_id, second.decision_id, taken["uid"], second.order_id)
        assert [f"nothing to cancel: '{target}' is of another sender" for target in foreign] == reasons(*foreign)
        assert [f"nothing to amend: '{own.decision_id}' is of another sender"] == reasons(
            own.decision_id, decision="AMEND", quantity="0.002"
        )
        # The key is that of several senders: each means its own.
        (done,) = reasons("shared", decision="AMEND", quantity="0.0005")
        assert done.startswith("amended: quantity 0.001 -> 0.0005")
        assert ["cancelled: 1 order of its sender in portfolio default"] == reasons("all")
        assert ["nothing to cancel: no order of its sender in portfolio default is open"] == reasons("all")
    open_ids = "SELECT decision_id FROM paper_orders WHERE status = 'open' ORDER BY 1"
    assert [own.decision_id, second.decision_id] == [row["decision_id"] for row in system.ledger_reader.rows(open_ids)]
    # The owner cancels what anybody sent.
    outcome = system.submit(Decision(decision="CANCEL", target=str(second.decision_id))).get(timeout=10)
    assert "executed" == outcome.status
    until(lambda: [row["decision_id"] for row in system.ledger_reader.rows(open_ids)] == [own.decision_id])


def test_a_sender_that_is_gone_and_one_of_an_interface_cancel_no_more_than_their_own(
    system: TradingSystem, embedded_url: str
) -> None:
    order = system.submit(limit_order(), wait="open").get(timeout=10)
    with psycopg.connect(embedded_url, autocommit=True) as owner:
        for sender in ("token:agent", "a_role_that_is_gone"):
            row = owner.execute(
                "INSERT INTO trading_decisions (decision, target, sent_by) VALUES ('CANCEL', %s, %s) RETURNING id",
                [str(order.decision_id), sender],
            ).fetchone()
            assert row is not None
            until_all_ended(system.ledger_reader)
            outcome = system.ledger_reader.decision(row[0])
            expected = f"nothing to cancel: '{order.decision_id}' is of another sender"
            assert ("rejected", expected) == (outcome["status"], outcome["outcome_reason"])
