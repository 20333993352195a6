"""When the database got a decision, from whom, and with which id: it says so itself, whatever the sender states."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import psycopg
import pytest

from domain.trading.decision import PendingDecision
from tests.integration.persistence.test_rights import GOOD, Role
from tests.integration.persistence.test_stores import Stores
from tests.integration.senders.test_outcomes import value
from tests.support.database.set_time import database_time
from tests.support.system.running_system import running_system, until_all_ended
from tests.support.values.builders import instant

INSERT_ONLY = "GRANT INSERT ON trading_decisions TO {}"
READS = "GRANT SELECT ON trading_decisions TO {}"
LONG_AGO = "2000-01-01"
STATED = (
    "INSERT INTO trading_decisions (symbol, decision, confidence, quantity, created_at, received_at, sent_by)"
    f" VALUES ('BTC/USDT', 'BUY', 1, 0.001, %s, '{LONG_AGO}', 'another')"
)
OVERRIDES = (
    "INSERT INTO trading_decisions (id, symbol, decision, confidence) OVERRIDING SYSTEM VALUE"
    " VALUES (%s, 'A', 'HOLD', 1)"
)


@pytest.fixture
def real(embedded_url: str) -> Iterator[Stores]:
    opened = Stores(embedded_url)
    yield opened
    opened.close()


def taken(stores: Stores) -> list[PendingDecision]:
    return [row for row in stores.decisions.pending([], 100, instant()) if isinstance(row, PendingDecision)]


def test_no_sender_overtakes_by_an_old_time_but_its_decision_is_as_old_as_that(real: Stores, role: Role) -> None:
    with psycopg.connect(real.url, autocommit=True) as owner, psycopg.connect(role(INSERT_ONLY)) as agent:
        owner.execute(GOOD)
        agent.execute(STATED, [LONG_AGO])
        agent.execute(STATED, [database_time(real.url) + timedelta(days=365)])
        agent.commit()
        owner.execute(GOOD)
        name, own = agent.info.user, owner.info.user
    rows = taken(real)
    assert [1, 2, 3, 4] == [row.id for row in rows]
    assert [own, name, name, own] == [row.sent_by for row in rows]
    times = [row.received_at for row in rows]
    assert times == sorted(filter(None, times))
    assert timedelta(days=20 * 365) < rows[1].waited
    assert timedelta(0) <= rows[2].waited < timedelta(hours=1)  # one dated ahead is as old as its receipt
    assert [True, False, True, True] == [row.created_at == row.received_at for row in rows]


@pytest.mark.parametrize("grant", [INSERT_ONLY, "GRANT ALL ON trading_decisions TO {}"], ids=["insert", "everything"])
def test_an_old_time_makes_a_decision_expire(embedded_url: str, role: Role, grant: str) -> None:
    with psycopg.connect(role(grant), autocommit=True) as agent:
        for created in ("now", LONG_AGO, "2999-01-01"):
            agent.execute(STATED, [created])
    with running_system(embedded_url) as system:
        until_all_ended(system.ledger_reader)
        rows = system.ledger_reader.rows("SELECT status, outcome_reason FROM trading_decisions ORDER BY id")
    assert ["executed", "expired", "executed"] == [row["status"] for row in rows]
    assert rows[1]["outcome_reason"].startswith("expired: it waited since 2000-01-01 00:00:00 UTC")


def test_rows_from_before_come_first_by_the_times_that_they_state(real: Stores) -> None:
    with psycopg.connect(real.url) as owner:
        for created in ("2026-01-03", "2026-01-01", "2026-01-02", "2026-01-02"):
            owner.execute(STATED, [created])
        owner.execute("ALTER TABLE trading_decisions DISABLE TRIGGER USER")
        owner.execute("UPDATE trading_decisions SET received_at = NULL, sent_by = NULL WHERE id > 1")
        owner.execute("ALTER TABLE trading_decisions ENABLE TRIGGER USER")
    assert [2, 3, 4, 1] == [row.id for row in taken(real)]
    assert [(None, None)] * 3 == [(row.received_at, row.sent_by) for row in taken(real)[:3]]


def test_an_insert_without_values_for_the_two_gets_them_whoever_sends(embedded_url: str) -> None:
    with psycopg.connect(embedded_url) as owner:
        owner.execute(
            "INSERT INTO trading_decisions (symbol, decision, confidence, sent_by, received_at)"
            " VALUES ('A', 'HOLD', 1, NULL, NULL), ('A', 'HOLD', 1, 'token:desk', DEFAULT)"
        )
        rows = owner.execute("SELECT sent_by, received_at > now() - interval '1 h' FROM trading_decisions ORDER BY id")
        stored = rows.fetchall()
        own = owner.info.user
        changed = "UPDATE trading_decisions SET received_at = '2000-01-01'"
        with pytest.raises(psycopg.errors.CheckViolation, match="a decision never changes"):
            owner.execute(changed)
    assert [(own, True), ("token:desk", True)] == stored


def test_a_sender_states_no_id_and_an_insert_gets_one_in_any_form(embedded_url: str, role: Role) -> None:
    refused = "the id of a decision is given by the database; leave it out"
    with psycopg.connect(role(INSERT_ONLY, READS), autocommit=True) as agent:
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match=refused):
            agent.execute(OVERRIDES, [1_000_000])
        ids = [value(agent, GOOD + " RETURNING id")]
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match=refused):
            agent.execute(OVERRIDES, [ids[0] + 1])
        several = f"{GOOD}, ('ETH/USDT', 'HOLD', 1), ('ETH/USDT', 'HOLD', 1) RETURNING id"
        ids += [row[0] for row in agent.execute(several).fetchall()]  # type: ignore[call-overload]
        selected = (
            "INSERT INTO trading_decisions (symbol, decision, confidence)"
            " SELECT 'A', 'HOLD', 1 FROM generate_series(1, 3) n ORDER BY n DESC RETURNING id"
        )
        ids += [row[0] for row in agent.execute(selected).fetchall()]
        with agent.cursor() as cursor:
            cursor.executemany(GOOD, [()] * 3)
            with cursor.copy("COPY trading_decisions (symbol, decision, confidence) FROM STDIN") as copy:
                for _ in range(3):
                    copy.write_row(("A", "HOLD", 1))
        stored = [row[0] for row in agent.execute("SELECT id FROM trading_decisions ORDER BY id").fetchall()]
    assert ids == sorted(set(ids))
    assert ids == stored[:7]
    assert 13 == len(stored)
    assert max(stored) < 1_000
    with psycopg.connect(embedded_url, autocommit=True) as owner:
        owner.execute(OVERRIDES, [1_000_000])
