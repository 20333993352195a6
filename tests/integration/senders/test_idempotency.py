"""A key is its sender's own: two senders may have the same one, and one sender has it for one decision."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from sqlalchemy import make_url

from actors import Decision, TradingSystem
from console.cli import main
from domain.errors import IdempotencyConflict, InvalidRequest
from domain.trading.decision import CancelTarget, PendingDecision
from persistence.connections import engine_for, transaction
from persistence.queries.references import find_decision, portfolio_of_target
from persistence.queries.row_lists import LedgerReader
from persistence.stores.intake.submissions import find_decisions, insert_decisions
from tests.integration.persistence.test_rights import Role
from tests.integration.persistence.test_stores import Stores
from tests.integration.senders.test_outcomes import value
from tests.support.system.running_system import running_system
from tests.support.values.builders import instant

SENDS = "GRANT SELECT, INSERT ON trading_decisions TO {}"
READS = "GRANT SELECT ON ALL TABLES IN SCHEMA public TO {}"
KEYED = "INSERT INTO trading_decisions (symbol, decision, confidence, idempotency_key) VALUES (%s, 'HOLD', 1, 'k')"
AGED = "UPDATE trading_decisions SET sent_by = NULL, received_at = NULL"


def decision(**changes: Any) -> Decision:
    return Decision(**{"symbol": "BTC/USDT", "decision": "HOLD", "confidence": 1, "idempotency_key": "k", **changes})


def make_older(url: str) -> None:
    """Let the rows be from before senders were stored."""
    with psycopg.connect(url, autocommit=True) as owner:
        for statement in ("DISABLE TRIGGER USER", AGED, "ENABLE TRIGGER USER"):
            owner.execute(statement if statement == AGED else f"ALTER TABLE trading_decisions {statement}")


@pytest.fixture
def real(embedded_url: str) -> Iterator[Stores]:
    opened = Stores(embedded_url)
    yield opened
    opened.close()


def test_a_sender_gets_its_own_outcome_and_not_that_of_another_with_the_same_key(embedded_url: str, role: Role) -> None:
    with (
        running_system(embedded_url) as system,
        TradingSystem.attach(role(SENDS, READS)) as one,
        TradingSystem.attach(role(SENDS, READS)) as other,
    ):
        held = one.submit(decision()).get(timeout=10)
        sold = other.submit(decision(symbol="ETH/USDT", decision="SELL")).get(timeout=10)
        served = system.submit(decision(symbol="SOL/USDT")).get(timeout=10)
        assert ["ignored", "rejected", "ignored"] == [held.status, sold.status, served.status]
        assert 3 == len({held.decision_id, sold.decision_id, served.decision_id})
        assert held == one.submit(decision()).get(timeout=10)
        assert sold == other.submit(decision(symbol="ETH/USDT", decision="SELL")).get(timeout=10)
        for client in (one, system):
            with pytest.raises(IdempotencyConflict, match="idempotency_key 'k' is that of decision"):
                client.submit(decision(symbol="ETH/USDT", decision="SELL"))
        assert {"ignored": 2, "rejected": 1} == system.ledger_reader.outcomes()


def test_by_sql_a_second_row_of_one_sender_is_refused_and_that_of_another_is_not(embedded_url: str, role: Role) -> None:
    with (
        psycopg.connect(role(SENDS), autocommit=True) as one,
        psycopg.connect(role("GRANT INSERT ON trading_decisions TO {}"), autocommit=True) as other,
    ):
        one.execute(KEYED, ["A"])
        other.execute(KEYED, ["A"])
        for agent in (one, other):
            with pytest.raises(psycopg.errors.UniqueViolation, match="idempotency_key was used before"):
                agent.execute(KEYED, ["A"])
        make_older(embedded_url)  # now both are everybody's
        with psycopg.connect(embedded_url) as owner:
            owner.execute("DELETE FROM trading_decisions WHERE id = 2")
        for agent in (one, other):
            with pytest.raises(psycopg.errors.UniqueViolation) as refusal:
                agent.execute(KEYED, ["A"])
            assert "idempotency_key was used before" == refusal.value.diag.constraint_name
        assert 1 == value(one, "SELECT count(*) FROM trading_decisions")


def test_the_key_of_an_older_row_is_that_of_every_sender(embedded_url: str, role: Role) -> None:
    with running_system(embedded_url) as system:
        first = system.submit(decision()).get(timeout=10)
        make_older(embedded_url)
        with TradingSystem.attach(role(SENDS, READS)) as client:
            for sender in (client, system):
                assert first == sender.submit(decision()).get(timeout=10)
                with pytest.raises(IdempotencyConflict, match="which differs in symbol; another"):
                    sender.submit(decision(symbol="ETH/USDT"))
            both = client.submit(decision(idempotency_key="another")).get(timeout=10)
        assert first.decision_id != both.decision_id
        assert {"ignored": 2} == system.ledger_reader.outcomes()


def test_only_the_owner_names_another_sender(embedded_url: str, role: Role) -> None:
    agent_url = role(SENDS)
    owner, agent = (engine_for(url, "test") for url in (embedded_url, agent_url))
    with transaction(owner) as cursor:
        stored = [insert_decisions(cursor, [decision(symbol=name)], name)[0] for name in ("token:a", "token:b")]
    with transaction(agent) as cursor:
        insert_decisions(cursor, [decision()], "token:a")
    with transaction(owner) as cursor:
        senders = [name for (name,) in cursor.execute("SELECT sent_by FROM trading_decisions ORDER BY id").fetchall()]
        same = find_decisions(cursor, [decision(symbol="token:b")], "token:b")
        nothing = find_decisions(cursor, [decision()])
    assert ["token:a", "token:b", make_url(agent_url).username] == senders
    assert ([stored[1]], [None]) == (same, nothing)
    for engine in (owner, agent):
        engine.dispose()


def test_the_command_line_ends_with_2_for_a_key_of_another_decision(
    embedded_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--confidence=1", "--idempotency-key=k", f"--database-url={embedded_url}"]
    assert 0 == main(["decide", "HOLD", "BTC/USDT", *words])
    capsys.readouterr()
    assert 0 == main(["decide", "HOLD", "BTC/USDT", "--risk-score=0.9", *words])
    assert "The first decision stays unchanged; this one differs in risk_score." in capsys.readouterr().out
    assert 2 == main(["decide", "HOLD", "ETH/USDT", "--json", *words])
    problem = json.loads(capsys.readouterr().out)
    message = (
        "idempotency_key 'k' is that of decision 1, which differs in symbol; another decision needs another"
        " idempotency_key"
    )
    assert ("idempotency_conflict", message) == (problem["code"], problem["error"])


def targets(stores: Stores, *ids: Any) -> list[CancelTarget | None]:
    rows = stores.decisions.pending([], 100, instant())
    return [row.target for row in rows if isinstance(row, PendingDecision) and row.id in ids]


def test_a_cancel_finds_the_key_of_its_own_sender(real: Stores, role: Role) -> None:
    cancel = "INSERT INTO trading_decisions (decision, target) VALUES ('CANCEL', 'k') RETURNING id"
    with (
        psycopg.connect(role(SENDS), autocommit=True) as one,
        psycopg.connect(role(SENDS), autocommit=True) as other,
        psycopg.connect(real.url, autocommit=True) as owner,
    ):
        first = value(one, f"{KEYED} RETURNING id", "A")
        ids = [value(agent, cancel) for agent in (one, other, owner)]
        assert [
            CancelTarget(decision_id=first, pending=True),
            CancelTarget(flaw="no decision or order is 'k'"),
            CancelTarget(decision_id=first, pending=True),
        ] == targets(real, *ids)
        second = value(other, f"{KEYED} RETURNING id", "A")
        several = "several senders have the idempotency_key 'k'; name the decision by its id"
        named = [CancelTarget(decision_id=id_, pending=True) for id_ in (first, second)]
        assert [*named, CancelTarget(flaw=several)] == targets(real, *ids)
        third = value(owner, f"{KEYED} RETURNING id", "A")
        assert [*named, CancelTarget(decision_id=third, pending=True)] == targets(real, *ids)


def test_a_person_finds_a_key_that_is_theirs_or_of_one_sender_alone(embedded_url: str, role: Role) -> None:
    with (
        psycopg.connect(role(SENDS), autocommit=True) as one,
        psycopg.connect(role(SENDS), autocommit=True) as other,
        psycopg.connect(embedded_url, autocommit=True) as owner,
    ):
        reader = LedgerReader(embedded_url)
        first = value(one, f"{KEYED} RETURNING id", "A")
        only = find_decision(reader, "k") or {}
        assert (first, "default", False) == (only["id"], portfolio_of_target(reader, "k"), "is_own" in only)
        second = value(other, f"{KEYED} RETURNING id", "A")
        several = f"several senders have the idempotency_key 'k', such as those of decisions {first} and {second}; name"
        with pytest.raises(InvalidRequest, match=several):
            find_decision(reader, "k")
        assert 2 == main(["explain", "k", f"--database-url={embedded_url}"])
        third = value(owner, f"{KEYED} RETURNING id", "A")
        assert third == (find_decision(reader, "k") or {})["id"]
        reader.close()
