"""`run.py check` finds what the start would refuse, and whether the exchange answers."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import psycopg
import pytest

from console.cli import main
from persistence import schema
from tests.support.system.running_system import running_system


def check(url: str, home: Path, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    capsys.readouterr()
    code = main(["check", "--database-url", url, "--home", str(home), *words])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.mark.slow
def test_a_table_that_cannot_be_adopted_is_refused_and_nothing_is_changed(
    empty_embedded_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    columns = "id bigserial PRIMARY KEY, symbol text, decision text, confidence numeric, reasoning text"
    columns += ", current_price numeric"
    with psycopg.connect(empty_embedded_url, autocommit=True) as connection:
        connection.execute(f"CREATE TABLE trading_decisions ({columns}, timestamp timestamptz)")
    code, _, err = check(empty_embedded_url, tmp_path, capsys, "--prices", "simulated")
    assert (1, True) == (code, "created_at" in err)
    with psycopg.connect(empty_embedded_url, autocommit=True) as connection:
        connection.execute("ALTER TABLE trading_decisions RENAME timestamp TO created_at")
    for _ in range(2):
        code, out, err = check(empty_embedded_url, tmp_path, capsys, "--prices", "simulated", "--json")
        assert (0, "") == (code, err), err
        assert json.loads(out)["database"]["schema_current"] is False
    assert not schema.is_current(empty_embedded_url)
    with psycopg.connect(empty_embedded_url, autocommit=True) as connection:
        count = connection.execute(
            "SELECT count(*) FROM information_schema.columns WHERE table_name = 'trading_decisions'"
        ).fetchone()
    assert (7,) == count


def test_portfolios_of_another_price_source_are_named(
    embedded_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with running_system(embedded_url) as system:
        system.execute_order(symbol="BTC/USDT", side="BUY", quantity="0.01")
    code, out, _ = check(embedded_url, tmp_path, capsys, "--prices", "ccxt", "--offline")
    rejected = "its decisions are rejected while they come from kraken"
    assert (0, True) == (code, f"portfolio default trades at prices of simulated; {rejected}" in " ".join(out.split()))
    assert "trades at prices of" not in check(embedded_url, tmp_path, capsys, "--prices", "simulated")[1]


@pytest.mark.slow
def test_an_exchange_that_does_not_answer_is_an_error_unless_it_is_not_asked(
    embedded_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as closed:  # bound, and nobody listens
        closed.bind(("127.0.0.1", 0))
        proxy = f"http://127.0.0.1:{closed.getsockname()[1]}"
        monkeypatch.setenv("PAPER_EXCHANGE_OPTIONS", json.dumps({"httpsProxy": proxy}))
        code, out, err = check(embedded_url, tmp_path, capsys, "--prices", "ccxt", "--json")
        assert (1, True) == (code, json.loads(out)["prices"]["unreachable"].startswith("cannot reach kraken: ")), err
        code, _, err = check(embedded_url, tmp_path, capsys, "--prices", "ccxt")
        assert (1, True) == (code, err.startswith("run.py: cannot reach kraken: "))
        code, out, _ = check(embedded_url, tmp_path, capsys, "--prices", "ccxt", "--json", "--offline")
        assert (0, None) == (code, json.loads(out)["prices"]["unreachable"])
