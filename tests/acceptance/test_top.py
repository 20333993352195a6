"""The live view in a real terminal: it shows, follows the terminal's size, and leaves everything as it was."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import psycopg
import pytest

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


@pytest.mark.slow
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


@pytest.mark.slow
def test_keys_scroll_a_long_list_and_choose_a_portfolio_on_small_screens(embedded_url: str, tmp_path: Path) -> None:
    env = environment(tmp_path, prices="simulated", database_url=embedded_url)
    with Program("start", env=env) as service:
        service.wait_for()
        assert 0 == run("portfolio", "create", "second", "--capital", "1000", env=env).code
        with psycopg.connect(embedded_url, autocommit=True) as session:
            session.execute(
                "INSERT INTO trading_decisions (symbol, decision, confidence, portfolio)"
                " SELECT 'BTC/USDT', 'HOLD', 0.8, CASE n % 2 WHEN 0 THEN 'second' ELSE 'default' END"
                " FROM generate_series(1, 40) n"
            )
            waiting = "SELECT FROM trading_decisions WHERE processed_at IS NULL"
            until(lambda: session.execute(waiting).fetchone() is None, "all have an outcome")
        with (
            Screen("top", "--interval", "60", env=env) as screen,
            Screen("top", "--portfolio", "second", env=env, columns=45, lines=20) as narrow,
        ):
            screen.wait_for("decisions 1–")
            assert re.search(r"^decision  .*\n#40 ", screen.text, re.MULTILINE)
            for _ in range(3):
                screen.send("\x1b[B")
            screen.wait_for("decisions 4–")  # the last line is drawn last
            assert re.search(r"^decision  .*\n#37 ", screen.text, re.MULTILINE)
            screen.send("\x1b[6~")
            screen.wait_for("decisions 7–10 of 40")
            screen.send("G")
            screen.wait_for(r"(?m)^#1 ")
            screen.send("g")
            screen.wait_for(r"(?m)^#40 ")
            screen.send("\t")
            screen.wait_for("only default")
            screen.wait_for(r"(?m)^#39 .*\n#37 .*\n#35 ")
            screen.send("2")
            screen.wait_for("only second")
            screen.wait_for(r"(?m)^#40 .*\n#38 .*\n#36 ")
            screen.send("a")
            screen.wait_for("together")
            screen.resize(160, 50)
            screen.wait_for("PgUp PgDn scroll decisions")
            screen.kill(signal.SIGTERM)
            assert 0 == screen.ended()
            assert screen.as_it_was()
            assert screen.echoes()

            narrow.wait_for("only second")
            assert max(map(len, narrow.lines)) <= 45
            narrow.send("j")
            narrow.wait_for(r"(?m)^#38 ")
            narrow.wait_for(r"(?m)^q ends · ↑↓ decisions · Tab · a all$")
            narrow.send("q")
            assert 0 == narrow.ended()
            assert narrow.as_it_was()
            assert narrow.echoes()
        unknown = run("top", "--portfolio", "third", env=env)
        assert (2, 1) == (unknown.code, unknown.err.count("\n"))
        assert "third" in unknown.err
        assert 0 == service.stop().code
