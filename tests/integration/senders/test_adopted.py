"""Senders of a table that was adopted: its ids, its columns, and the rows that it had."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import psycopg
import pytest
from loguru import logger

from actors import Decision, TradingSystem
from domain.errors import DatabaseUnsuitable, IdempotencyConflict
from persistence import schema
from persistence.rows import one_row
from persistence.stores.intake.backlog import Backlog, include_backlog
from tests.integration.persistence.test_adoption import FLOATS, MINIMAL, UUIDS, psql
from tests.integration.persistence.test_rights import GOOD, Role
from tests.integration.persistence.test_upgrade import upgrade_to
from tests.integration.senders.test_outcomes import value
from tests.support.system.running_system import running_system

SENDS = "GRANT SELECT, INSERT ON trading_decisions TO {}"
WITH_ID = "INSERT INTO trading_decisions (id, symbol, decision, confidence) {} VALUES ({}, 'A', 'HOLD', 1) RETURNING id"
SEQUENCE = "GRANT USAGE ON SEQUENCE trading_decisions_id_seq TO {}"


@pytest.fixture
def embedded_url(empty_embedded_url: str) -> str:
    """A database without any table."""
    return empty_embedded_url


@pytest.mark.parametrize(
    ("table", "grants", "statement"),
    [
        (MINIMAL, [SENDS, SEQUENCE], WITH_ID.format("", 1_000_000)),
        (UUIDS, [SENDS], WITH_ID.format("", f"'{'1' * 32}'")),
        (FLOATS, [SENDS], WITH_ID.format("OVERRIDING SYSTEM VALUE", 1_000_000)),
    ],
    ids=["serial", "uuids", "identity"],
)
def test_a_sender_states_no_id(embedded_url: str, role: Role, table: str, grants: list[str], statement: str) -> None:
    psql(embedded_url, table)
    schema.upgrade(embedded_url)
    with psycopg.connect(role(*grants), autocommit=True) as agent:
        if table == FLOATS:
            with pytest.raises(psycopg.errors.InsufficientPrivilege, match="leave it out"):
                agent.execute(statement)  # type: ignore[call-overload]
        else:  # nobody can tell a stated one from another, so it is not used
            assert str(value(agent, statement)).replace("-", "") not in {"1000000", "1" * 32}
        ids = [value(agent, GOOD + " RETURNING id") for _ in range(3)]
        assert 3 == len(set(ids))
        assert agent.info.user == value(agent, "SELECT DISTINCT sent_by FROM trading_decisions")
    # The owner may, as a program of his that has always stated them.
    assert 1 == len(psql(embedded_url, statement))


@pytest.mark.slow
def test_a_retry_with_the_same_key_is_the_same_where_the_table_has_floats_and_defaults(embedded_url: str) -> None:
    psql(
        embedded_url,
        FLOATS.replace("confidence double precision", "strategy text DEFAULT 'own', confidence real"),
    )
    wanted: dict[str, Any] = {
        "symbol": "BTC/USDT", "decision": "BUY", "confidence": "0.123456789", "quantity": "0.1", "idempotency_key": "k",
    }  # fmt: skip
    with running_system(embedded_url) as system, TradingSystem.attach(embedded_url) as client:
        first = system.submit(Decision(**wanted)).get(timeout=10)
        for same in (wanted, wanted, {**wanted, "strategy": "own"}):
            assert first == client.submit(Decision(**same)).get(timeout=10)
        for field, other in {"confidence": "0.1234", "quantity": "0.2", "strategy": "another"}.items():
            with pytest.raises(IdempotencyConflict, match=f"differs in {field}; another"):
                client.submit(Decision(**{**wanted, field: other}))
        assert 1 == len(psql(embedded_url, "SELECT id FROM trading_decisions"))


@pytest.mark.parametrize("column", ["sent_by text", "received_at timestamptz"])
def test_a_column_of_such_a_name_in_a_table_of_an_earlier_version_is_refused(embedded_url: str, column: str) -> None:
    upgrade_to(embedded_url, "0033_lease_session")
    psql(embedded_url, f"ALTER TABLE trading_decisions ADD {column}")
    name = column.split(maxsplit=1)[0]
    repair = f"ALTER TABLE public.trading_decisions RENAME COLUMN {name} TO my_{name}"
    with pytest.raises(DatabaseUnsuitable, match=f"has column {name}, which .* cannot be used: {repair}"):
        schema.upgrade(embedded_url)
    psql(embedded_url, repair)
    schema.upgrade(embedded_url)


BACKLOG = MINIMAL.replace("reasoning text", 'reasoning text, "pnl%%" numeric, "50%s" text, "a:b" text')
ROW = (
    "INSERT INTO trading_decisions (symbol, decision, confidence, created_at, \"pnl%%\") VALUES ('A', 'HOLD', 1, %s, 7)"
)


def test_the_backlog_says_how_many_rows_are_too_old_and_copies_columns_of_any_name(embedded_url: str) -> None:
    with psycopg.connect(embedded_url) as owner:
        (now,) = one_row(owner.cursor(), "SELECT now()")  # there are no tables of this program yet
        owner.execute(BACKLOG.replace("%%", "%"))  # type: ignore[call-overload]
        for created in (now - timedelta(days=400), now - timedelta(days=6), now - timedelta(seconds=5), None):
            owner.execute(ROW, [created])
    schema.upgrade(embedded_url)
    lines: list[str] = []
    sink = logger.add(lambda line: lines.append(str(line)), level="WARNING", format="{message}")
    assert Backlog(inserted=1, refused=0, too_old=3) == include_backlog(embedded_url, timedelta(seconds=300))
    assert Backlog(inserted=1, refused=0, too_old=2) == include_backlog(embedded_url, timedelta(days=7))
    logger.remove(sink)
    beginning = "backlog: 3 decisions from before adoption are older than 300 s, and left out; `"
    assert lines[0].startswith(beginning)
    assert "start --include-backlog --max-age 7d` trades those of the last seven days" in lines[0]
    assert 2 == len(lines)
    copies = psql(embedded_url, "SELECT \"pnl%\" FROM trading_decisions WHERE status = 'pending'")
    assert [7, 7] == [row[0] for row in copies]
