"""The debug console in a terminal, attached to a service under 200 decisions a second."""

from __future__ import annotations

import json
import re
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pexpect
import psycopg
import pytest

from console.debug.command_spec import COMMAND_SPECS
from tests.support.system.program import ROOT, Program, environment, run

DECISIONS_PER_SECOND = 200
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>]|\x1b\][^\x07]*\x07")
EXPECTED = {
    "ps": "PositionKeeper",
    "top": "PositionKeeper",
    "tree": "decision path",
    "state Sizer projections": "cash",
    "inbox Sizer 5": "at most",
    "trace Execute --max 5": "the trace has ended: 5 messages",
    "chain 1": "decision 1: BUY BTC/USDT",
    "explain 1": "the same to the last digit",
    "stack PositionKeeper": "_actor_loop",  # a frame of pykka's that is there whatever the actor does
    "failures": "nothing",
    "dead": "0 dead letters",
    "quarantine": "nothing",
    "positions": "BTC/USDT",
    "orders 3": "filled",
    "open-orders": "nothing",
    "decisions 3": "outcome_reason",
    "prices": "source simulated",
    "portfolio": "total_value",
    "lease": "connection_held",
    "audit": "the books balance",
    "status": "nothing is wrong with this process",
    "trades 3": "exit price",
    "report": "a round trip is a position from flat to flat",
    "decide SELL BTC/USDT --confidence 1 --quantity 0.0001": "executed",
    "cancel 1": "nothing to cancel",
    "amend 1 --quantity 1": "nothing to amend",
    "protect BTC/USDT --stop-loss-pct 0.5": "protected: SELL 0.0",
    "accept-price BTC/USDT": "no price is held back",
    "retry 1": "was executed; a retry would trade twice",
    "suspend Snapshotter": "Snapshotter",
    "resume-actor Snapshotter": "Snapshotter",
    "restart Snapshotter": "Snapshotter",
    "crash Snapshotter": "Snapshotter",
    'send PriceTracker Subscribe {"symbol": "BTC/USDT"}': "Subscribe",
    "halt --portfolio default looking": "looking",
    "resume --portfolio default looked": "looked",
    "loglevel WARNING": "WARNING",
    "repl": "was started without --allow-repl",
    "help trace": "messages as actors handle them",
}
"""A line with each command, and a part of its answer."""


@contextmanager
def decisions_flow(url: str) -> Iterator[None]:
    """Insert 200 decisions a second until the block ends: small BUYs and SELLs, all of them filled or refused."""
    ended = threading.Event()

    def insert() -> None:
        with psycopg.connect(url, autocommit=True) as agent:
            begun = time.monotonic()
            for number in range(1_000_000):
                if ended.wait(max(0.0, begun + number / DECISIONS_PER_SECOND * 10 - time.monotonic())):
                    return
                agent.execute(
                    "INSERT INTO trading_decisions (symbol, decision, confidence, quantity)"
                    " SELECT 'BTC/USDT', CASE WHEN n % 2 = 0 THEN 'BUY' ELSE 'SELL' END, 1, 0.001"
                    " FROM generate_series(1, 10) n"
                )

    thread = threading.Thread(target=insert, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(10)


@pytest.mark.slow
def test_every_command_in_a_terminal_under_load(embedded_url: str, tmp_path: Path) -> None:
    assert set(COMMAND_SPECS) - {"exit"} == {line.split()[0] for line in EXPECTED}
    env = environment(tmp_path, prices="simulated", database_url=embedded_url) | {"TERM": "xterm"}
    env["PROMPT_TOOLKIT_NO_CPR"] = "1"  # this terminal does not answer queries for the cursor
    with Program("start", env=env) as service:
        service.wait_for()
        first = run("decide", "BUY", "BTC/USDT", "--confidence", "1", "--quantity", "0.01", "--wait", env=env)
        assert first.code == 0, first.err
        with decisions_flow(embedded_url):
            console = pexpect.spawn(
                sys.executable,
                ["run.py", "console"],
                cwd=ROOT,
                env=env,
                dimensions=(50, 200),
                encoding="utf-8",
                timeout=20,
            )
            try:
                expect_text(console, "paper>", "")
                for line, expected in EXPECTED.items():
                    console.sendline(line)
                    if COMMAND_SPECS[line.split()[0]].changes:
                        console.expect("Really")
                        console.send("y")
                    expect_text(console, expected, line)
                    if line == "top":
                        console.sendintr()
                console.sendline("nonsense")
                expect_text(console, "there is no command 'nonsense'", "nonsense")
                console.sendline("exit")
                console.expect(pexpect.EOF)
            finally:
                console.close(force=True)
        assert service.stop().code == 0
    log = (tmp_path / "logs" / "console.jsonl").read_text().splitlines()
    assert "suspend" in {json.loads(line)["command"] for line in log}


def expect_text(console: pexpect.spawn, expected: str, line: str) -> None:
    """Wait until the output after ``line`` holds ``expected``, escape sequences left out."""
    output = ""
    deadline = time.monotonic() + 20
    while expected not in ESCAPES.sub("", output):
        assert time.monotonic() < deadline, f"no {expected!r} after {line!r}: {ESCAPES.sub('', output)[-2000:]}"
        try:
            output += console.read_nonblocking(65_536, timeout=0.05)
        except pexpect.TIMEOUT:
            continue


def test_over_the_limit_of_restarts_the_last_failures_are_printed(embedded_url: str, tmp_path: Path) -> None:
    env = environment(tmp_path, prices="simulated", database_url=embedded_url, max_restarts="1")
    with Program("start", env=env) as service:
        service.wait_for()
        for _ in range(2):
            assert run("console", "-c", "crash Sizer", "--yes", env=env).code == 0
        ended = service.ended()
    assert ended.code == 1
    assert "failure 1-1: Sizer, crash: InjectedCrash: Sizer" in ended.err
    assert "gave up after 1 restarts within 30 s; the last to fail was Sizer (InjectedCrash: Sizer)" in ended.err
    with psycopg.connect(embedded_url) as reader:
        kinds = reader.execute("SELECT kind FROM paper_failures ORDER BY number").fetchall()
        assert [("crash",), ("crash",), ("gave up",)] == kinds


def test_in_a_script(embedded_url: str, tmp_path: Path) -> None:
    env = environment(tmp_path, prices="simulated", database_url=embedded_url)
    with Program("start", env=env) as service:
        service.wait_for()
        unconfirmed = run("console", "-c", "crash Sizer", env=env)
        assert (2, "run.py: 'crash Sizer' changes something; confirm it with --yes\n") == (
            unconfirmed.code,
            unconfirmed.err,
        )
        misspelled = run("console", "-c", "state Sizr", env=env)
        assert (2, "run.py: there is no actor 'Sizr'; did you mean Sizer?\n") == (misspelled.code, misspelled.err)
        assert 7 == len(run("console", "-c", "ps --json", env=env).json["actors"])


def test_without_a_service_the_console_says_so(tmp_path: Path) -> None:
    result = run("console", "-c", "ps", env=environment(tmp_path, prices="simulated"))
    assert result.code == 3
    assert "The service is not running; start it with" in result.err
