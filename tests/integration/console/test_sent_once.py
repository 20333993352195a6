"""Once a decision is committed, nothing turns it into a failure: a script would send it again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from console.cli import main
from domain.errors import DatabaseUnavailable
from persistence.error_translation import translated
from persistence.queries.row_lists import LedgerReader
from persistence.stores.intake import submissions
from tests.support.system.running_system import running_system

COMMAND_SPECS = ["decide", "BUY", "BTC/USDT", "--confidence=0.9"]
ERRORS = [
    DatabaseUnavailable("the database is not available: the connection is closed"),
    NotImplementedError("can't parse interval with IntervalStyle sql_standard: 0"),
]


def sent(url: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT count(*) FROM trading_decisions").fetchone()
    assert row is not None
    return int(row[0])


def raising(error: Exception) -> Any:
    def read(*_: object) -> None:
        raise error

    return read


@pytest.fixture
def url(embedded_url: str) -> Iterator[str]:
    with running_system(embedded_url):
        yield embedded_url


@pytest.mark.parametrize("wait", [[], ["--wait"]], ids=["at once", "wait"])
@pytest.mark.parametrize("method", ["decision", "served"])
@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_what_cannot_be_read_afterwards_is_no_failure(
    url: str,
    error: Exception,
    method: str,
    wait: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(LedgerReader, method, raising(error))
    assert main([*COMMAND_SPECS, *wait, "--json", f"--database-url={url}"]) == 0
    out, err = capsys.readouterr()
    assert err == f"run.py: decision 1 is committed; its outcome cannot be read: {error}\n"
    document = json.loads(out)
    assert (document["decision_id"], document["outcome"], document["running"]) == (1, None, None)
    assert main([*COMMAND_SPECS, *wait, f"--database-url={url}"]) == 0
    assert capsys.readouterr().out == "decision 2 accepted: BUY BTC/USDT\n"
    assert sent(url) == 2


def test_a_commit_that_was_not_answered_is_looked_up(
    url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def lost(connection: psycopg.Connection) -> None:
        connection.commit()
        raise DatabaseUnavailable("the connection was lost in COMMIT: server closed", in_doubt=True)

    with monkeypatch.context() as patch:
        patch.setattr("console.sending.transaction", transaction_with(lost))
        assert main([*COMMAND_SPECS, f"--database-url={url}"]) == 0
    assert capsys.readouterr() == ("decision 1 accepted: BUY BTC/USDT\n", "")
    assert sent(url) == 1


def test_a_commit_whose_answer_cannot_be_learnt_says_how_to_find_out(
    embedded_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def lost(connection: psycopg.Connection) -> None:
        connection.rollback()
        raise DatabaseUnavailable("the connection was lost in COMMIT: server closed", in_doubt=True)

    monkeypatch.setattr(submissions, "LOOKUP_TIMEOUT_S", 0.1)
    monkeypatch.setattr("console.sending.transaction", transaction_with(lost))
    assert main([*COMMAND_SPECS, f"--database-url={embedded_url}"]) == 1
    assert "is stored; check with `run.py decisions --json`" in capsys.readouterr().err
    assert sent(embedded_url) == 0


def test_an_executed_order_is_read_again_until_the_database_answers(
    embedded_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.client.ORDER_READ_TIMEOUT_S", 1.0)
    read = LedgerReader.order
    failures = [DatabaseUnavailable("away")]

    def order(ledger_reader: LedgerReader, order_id: object) -> dict[str, Any]:
        if failures:
            raise failures.pop()
        return read(ledger_reader, order_id)

    with running_system(embedded_url) as system:
        monkeypatch.setattr(LedgerReader, "order", order)
        assert system.execute_order("BTC/USDT", "BUY", "0.001")["status"] == "filled"
        monkeypatch.setattr(LedgerReader, "order", raising(DatabaseUnavailable("away")))
        with pytest.raises(DatabaseUnavailable, match=r"order .* is executed, do not send it again; .*: away"):
            system.execute_order("BTC/USDT", "BUY", "0.001")


def transaction_with(commit: Callable[[psycopg.Connection], None]) -> Any:
    """`transaction`, whose COMMIT goes as ``commit`` has it; other transactions of this process commit as always."""

    @contextmanager
    def transaction(pool: Any) -> Iterator[psycopg.Cursor]:
        with translated():
            connection = pool.raw_connection()
            try:
                with connection.driver_connection.cursor() as cursor:
                    yield cursor
                commit(connection.driver_connection)
            finally:
                connection.close()

    return transaction
