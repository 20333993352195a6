"""The live view in a real terminal: it shows, follows the terminal's size, and leaves everything as it was."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import psycopg

from tests.support.system.program import Program, environment, run, run_all, until
from tests.support.system.terminal import Screen


def test_the_demo_is_a_live_view_in_a_terminal_and_ends_with_its_summary(tmp_path: Path) -> None:
    with Screen("demo", "--seconds", "600", env=environment(tmp_path)) as screen:
        screen.wait_for(r"#3 ")
        assert ("h", "l", "l", False) == (screen.mode("?1049"), screen.mode("?25"), screen.mode("?7"), screen.echoes())
        for words in ("Paper trading  running", "decisions/s", "prove nothing", "together", "┤", "7 healthy", "sent"):
            screen.wait_for(words)
        screen.resize(140, 40)
        screen.wait_for(r"\d\d:\d\d:\d\d UTC\n")
        screen.wait_for("DecisionWatcher")
        assert 140 == len(screen.lines[0])
        assert "\x1b" not in screen.text
        screen.resize(80, 30)
        screen.wait_for(r"q ends the demo early · #\d+ (stop|target) net [+-]\d")  # a BUY's exit was filled
        screen.send("\x03")
        assert 0 == screen.ended()
        assert "Ledger check: the books balance" in screen.text
        assert "Traceback" not in screen.raw.decode()
        assert screen.as_it_was()


def test_top_of_a_service_that_ends_while_it_is_shown(embedded_url: str, tmp_path: Path) -> None:
    env = environment(tmp_path, prices="simulated", database_url=embedded_url)
    with Program("start", env=env) as service:
        service.wait_for()
        with psycopg.connect(embedded_url, autocommit=True) as session:
            session.execute(
                "INSERT INTO trading_decisions (symbol, decision, confidence) VALUES ('BTC/USDT', 'BUY', 0.8)"
            )
            ended = "SELECT FROM trading_decisions WHERE processed_at IS NOT NULL"
            until(lambda: session.execute(ended).fetchone() is not None, "it has an outcome")
        printed, document = run_all("top", "top --json", env=env)
        assert (0, 0) == (printed.code, document.code), printed.err
        assert "\x1b" not in printed.out
        for words in ("running for", "BTC/USDT", "executed", "books balance", "DecisionWatcher", "prove nothing"):
            assert words in printed.out
        assert ["executed"] == [row["status"] for row in document.json["decisions"]]
        assert document.json["running"] is True
        assert isinstance(document.json["equity"][-1]["worth"], str)
        plain = {**env, "NO_COLOR": "1"}
        with Screen("top", "--interval", "0.2", env=plain) as screen, Screen("top", env=env) as other:
            screen.wait_for(r"books balance")
            other.wait_for(r"books balance")
            screen.wait_for("7 healthy")
            other.kill(signal.SIGTERM)
            assert 0 == other.ended()
            assert other.as_it_was()
            assert 0 == service.stop().code
            screen.wait_for(r"no service runs; the last was")
            screen.send("q")
            assert 3 == screen.ended()
            assert screen.as_it_was()
            assert re.search(rb"\x1b\[[0-9;]*3[0-7]m", other.raw)
            assert not re.search(rb"\x1b\[[0-9;]*(?:3[0-8]|4[0-8]|9[0-7])[;m]", screen.raw)
    stopped = run("top", env=env)
    assert 3 == stopped.code
    assert "no service runs" in stopped.out


def test_without_a_database_there_is_nothing_to_show(tmp_path: Path) -> None:
    ended = run("top", env=environment(tmp_path, database_url="postgresql://u:s3cret@127.0.0.1:1/d"))
    assert 1 == ended.code
    assert "the database is not available" in ended.err
    assert "s3cret" not in ended.err + ended.out
