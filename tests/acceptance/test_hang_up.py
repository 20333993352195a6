"""A terminal that is closed: SIGHUP stops in order, though nothing can be written to the terminal any more."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.support.system.program import Program, environment, run, until
from tests.support.system.terminal import Screen

STOPPED = "stopping: no new decisions are accepted"


@pytest.fixture
def env(embedded_url: str, tmp_path: Path) -> dict[str, str]:
    return environment(tmp_path, prices="simulated", database_url=embedded_url)


@pytest.fixture
def agent(embedded_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(embedded_url, autocommit=True) as connection:
        yield connection


def log_of(home: Path) -> str:
    return (home / "logs" / "paper-trading.jsonl").read_text()


def test_a_closed_terminal_stops_the_service_in_order(
    env: dict[str, str], agent: psycopg.Connection, tmp_path: Path
) -> None:
    with Screen("start", env=env, columns=200) as screen:
        screen.wait_for("Serving")
        decided = run("decide", "BUY", "BTC/USDT", "--confidence", "0.8", "--wait", env=env)
        assert 0 == decided.code, decided.err
        # A price comes each second: the log and what else is written must not find the terminal.
        agent.execute("INSERT INTO trading_decisions (symbol, decision, confidence) VALUES ('DEAD/USDT', 'BUY', 1)")
        screen.hang_up()
        assert 0 == screen.exit_code()
    log = log_of(tmp_path)
    assert (True, True, False) == (STOPPED in log, '"stopped"' in log, "traceback" in log)
    # The lease was given back: the next one has it at once, and the books are as they were.
    with Program("start", env=env) as service:
        service.wait_for()
        open_ = "SELECT count(*) FROM trading_decisions WHERE processed_at IS NULL"
        until(lambda: (0,) == agent.execute(open_).fetchone(), "every decision has an outcome")
        assert (1,) == agent.execute("SELECT count(*) FROM paper_fills").fetchone()
        assert 0 == run("status", env=env).code
        assert 0 == service.stop().code


@pytest.mark.slow
def test_a_closed_terminal_ends_the_demo_in_order(tmp_path: Path) -> None:
    with Screen("demo", "--seconds", "600", env=environment(tmp_path)) as screen:
        screen.wait_for(r"#3 ")
        screen.hang_up()
        assert 0 == screen.exit_code()
    log = log_of(tmp_path / "demo")
    assert "traceback" not in log


def test_sighup_stops_as_sigterm_does_and_more_of_them_do_not_hurry(env: dict[str, str]) -> None:
    with Program("start", env=env) as service:
        service.wait_for()
        service.send(signal.SIGHUP)
        service.send(signal.SIGHUP)  # as the shell's follows that of the terminal
        ended = service.stop(signal.SIGHUP)
    assert (0, True) == (ended.code, "stopped" in ended.err), ended.err
    assert ("second signal" in ended.err, "Traceback" in ended.err) == (False, False)


@pytest.mark.slow
def test_under_nohup_it_outlives_its_terminal(env: dict[str, str]) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # which a child inherits
    try:
        with Program("start", env=env) as service:
            service.wait_for()
            service.send(signal.SIGHUP)
            decided = run("decide", "BUY", "BTC/USDT", "--confidence", "0.8", "--wait", env=env)
            assert (0, True) == (decided.code, "executed" in decided.out), decided.err
            assert "stopping" not in service.printed()
            assert 0 == service.stop().code
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_command_that_is_hung_up_says_so(env: dict[str, str], agent: psycopg.Connection) -> None:
    assert 0 == run("db", "upgrade", env=env).code
    blocked = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND relation = 'trading_decisions'::regclass)"
    with agent.transaction():
        agent.execute("LOCK TABLE trading_decisions")
        with Program("decide", "BUY", "BTC/USDT", "--confidence", "1", env=env) as waiting:
            until(lambda: (True,) == agent.execute(blocked).fetchone(), "the decision waits for the table")
            ended = waiting.stop(signal.SIGHUP)
    assert (130, "run.py: interrupted\n") == (ended.code, ended.err)


@pytest.mark.slow
def test_stderr_whose_reader_has_gone_does_not_spoil_the_stop(env: dict[str, str], tmp_path: Path) -> None:
    reader, writer = os.pipe()
    with subprocess.Popen(
        [sys.executable, "run.py", "start"], env=env, stderr=writer, stdout=writer, start_new_session=True
    ) as service:
        os.close(writer)
        limit = threading.Timer(60, service.kill)  # which ends the lines, and the end of Popen's `with`
        limit.daemon = True
        limit.start()
        with os.fdopen(reader) as lines:
            for line in lines:
                if "Serving" in line:
                    break
        service.send_signal(signal.SIGHUP)
        assert 0 == service.wait(60)
        limit.cancel()
    assert (True, False) == ('"stopped"' in log_of(tmp_path), "traceback" in log_of(tmp_path))
