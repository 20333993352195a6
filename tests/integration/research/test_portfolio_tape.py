"""``run.py backtest --from-portfolio``: the decisions of a portfolio of the database, at the market of then."""

from __future__ import annotations

import json
from pathlib import Path

import psycopg
import pytest

from console.cli import main
from persistence.queries.research.decisions import read_decisions
from persistence.stores import portfolios
from research.tape import tape_of_rows
from tests.support.database.upgraded import database_url, embedded_url
from tests.support.values.builders import uid

__all__ = ["database_url", "embedded_url"]  # fixtures

INSERT = """
INSERT INTO trading_decisions
    (uid, created_at, portfolio, symbol, decision, confidence, quantity, order_type, limit_price, target)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
"""
ROWS = [
    (uid(1), "2025-01-01T00:30:00Z", "default", "BTC/USDT", "BUY", 1, 2, "market", None, None),
    (uid(2), "2025-01-01T01:30:00Z", "default", "BTC/USDT", "BUY", 1, 1, "limit", 50, None),
    (uid(3), "2025-01-01T01:40:00Z", "other", "BTC/USDT", "BUY", 1, 1, "market", None, None),
    (uid(4), "2025-01-01T02:30:00Z", "default", "*", "CANCEL", 1, None, "market", None, "2"),
    (uid(5), "2025-01-01T02:45:00Z", "default", "btc-usdt", "sell", 1, None, "market", None, None),
]


@pytest.fixture
def filled_url(embedded_url: str) -> str:
    """A database with decisions of two portfolios, which it got when they were made."""
    for name in ("default", "other"):
        portfolios.create(embedded_url, name, {"initial_capital": 1_000, "max_position_size": 1, "min_notional": 1})
    with psycopg.connect(embedded_url) as owner:
        for table in ("trading_decisions", "paper_trading_config"):  # their times are the database's own, and now
            owner.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")  # type: ignore[call-overload]
        for row in ROWS:
            owner.execute(INSERT, row)
        owner.execute("UPDATE trading_decisions SET received_at = created_at")
        owner.execute("UPDATE paper_trading_config SET created_at = '2024-01-01'")
    return embedded_url


def test_the_decisions_of_a_portfolio_are_a_tape(filled_url: str) -> None:
    stored = read_decisions(filled_url, "default")
    tape = tape_of_rows("these", stored.rows)
    wishes = list(tape.wishes(0))
    assert [uid(number).bytes for number in (1, 2, 4, 5)] == [one.uid for one in wishes]
    assert ["BUY", "BUY", "CANCEL", "SELL"] == [one.intent.action for one in wishes]
    assert 2 == wishes[2].intent.target  # the second decision of the tape
    assert "these" == tape.name


def test_they_are_executed_by_the_rules_of_the_portfolio(
    filled_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    lines = [f"2025-01-01T{hour:02}:00:00Z,{price},{price},{price},{price},1000" for hour, price in
             enumerate([100, 110, 120, 130, 140])]  # fmt: skip
    Path("BTCUSDT_1h.csv").write_text("\n".join(["timestamp,open,high,low,close,volume", *lines]) + "\n")
    options = ["--database-url", filled_url, "--home", str(tmp_path), "--json"]
    assert 0 == main(["backtest", "--from-portfolio", "default", "BTCUSDT_1h.csv", *options])
    made = json.loads(capsys.readouterr().out)
    assert (4, 2) == (made["backtest"]["decisions"], made["backtest"]["fills"])
    assert "1000" == made["portfolios"][0]["initial_capital"]
    assert "decisions of portfolio default" == made["backtest"]["name"]
    for words, sentence in (
        (["--from-portfolio", "nobody", "BTCUSDT_1h.csv"], "there is no portfolio 'nobody'"),
        (["--from-portfolio", "default", "BTCUSDT_1h.csv", "--param", "a=1"], "decisions of a portfolio have none"),
        ([], "Missing argument 'STRATEGY|DECISIONS', or --from-portfolio; see run.py backtest --help"),
    ):
        assert 2 == main(["backtest", *words, *options[:4]])
        assert sentence in capsys.readouterr().err
