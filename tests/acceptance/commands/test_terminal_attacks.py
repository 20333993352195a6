"""A role that may only insert decisions cannot do anything to the terminals of those who look at them."""

from __future__ import annotations

import json
from pathlib import Path

import psycopg
import pytest

from tests.support.planted_escapes import COLOURS, PLANTED, PLANTED_NAME, PROGRESS, TOP, obeyed
from tests.support.system.program import environment, until
from tests.support.system.terminal import Screen

INSERT = """
INSERT INTO trading_decisions (symbol, decision, confidence, portfolio, strategy, reasoning, idempotency_key)
VALUES (%s, %s, 0.9, %s, %s, %s, %s) RETURNING id
"""
SHOWN = (
    "chain {0}", "chain {1}", "chain {2}", "explain {0}", "explain {1}", "decisions", "orders", "positions", "failures",
    "dead", "quarantine", "state Sizer", "state DecisionWatcher", "state PositionKeeper", "inbox Sizer", "prices",
    "portfolio", "lease", "audit", "status", "trades", "report",
)  # fmt: skip
"""Commands of the debug console that show what came from outside."""


def attack(connection: psycopg.Connection) -> list[int]:
    """Insert decisions with the attack in each text; return their ids."""
    ids = []
    for symbol, side, portfolio in (
        ("BTC/USDT", "HOLD", "default"), ("{}", "BUY", "default"), ("BTC/USDT", "BUY", "{}"),
    ):  # fmt: skip
        for text in (PLANTED, PLANTED_NAME):  # names take no control characters of ASCII
            values = [symbol.format(text), side, portfolio.format(text), text, PLANTED, f"{side}{len(ids)}{text}"]
            try:
                row = connection.execute(INSERT, values).fetchone()
            except psycopg.errors.CheckViolation:
                continue
            assert row is not None
            ids.append(row[0])
            break
    assert 3 == len(ids)
    return ids


def shown_on_a_terminal(*words: str, env: dict[str, str], columns: int = 100) -> str:
    """Run a command on a pseudo-terminal; return all that it wrote."""
    with Screen(*words, env=env, columns=columns, lines=50) as screen:
        screen.ended()
        return screen.raw.decode()


@pytest.mark.slow
def test_no_terminal_obeys_a_decision(embedded_url: str, tmp_path: Path) -> None:
    env = environment(
        tmp_path / "home", database_url=embedded_url, prices="simulated", symbols="BTC/USDT", log_level="DEBUG"
    )
    written = {}
    with Screen("start", env=env, columns=160, lines=50) as service:
        service.wait_for("Serving")
        with psycopg.connect(embedded_url, autocommit=True) as connection:
            ids = attack(connection)
            connection.execute("INSERT INTO paper_halts (halted, reason) VALUES (true, %s)", [f"because {PLANTED}"])
            query = "SELECT count(*) FROM trading_decisions WHERE processed_at IS NOT NULL"
            until(lambda: connection.execute(query).fetchone() == (3,), "the decisions have outcomes")
        console = [argument for line in SHOWN for argument in ("-c", line.format(*ids))]
        for words in (["status"], ["decisions"], ["logs"], ["console", *console]):
            written[words[0]] = shown_on_a_terminal(*words, env=env)
            documents = written[f"{words[0]} --json"] = shown_on_a_terminal(*words, "--json", env=env)
            assert "\\u009b" in documents
        written["halt"] = shown_on_a_terminal("halt", "--reason", PLANTED, env=env)
        written["explain"] = shown_on_a_terminal("explain", str(ids[1]), env=env)
        with Screen("top", env=env, columns=160, lines=50) as live:
            live.wait_for("halted")
            live.send("q")
            assert 0 == live.ended()
        service.send("\x03")
        assert 0 == service.ended()
    written["start"] = service.raw.decode()
    assert r"\x9b2J" in written["console"] + written["start"]
    characters = {
        name: obeyed(text, PROGRESS if name.startswith("console") else COLOURS) for name, text in written.items()
    }
    assert {} == {name: those for name, those in characters.items() if those}
    assert [] == obeyed(live.raw.decode(), TOP)
    assert json.loads(written["decisions --json"])["decisions"][0]["id"] in ids
