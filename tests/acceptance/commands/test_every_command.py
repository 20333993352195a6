"""Each command of the program on one served home, and each that a document shows, as it stands there."""

from __future__ import annotations

import contextlib
import io
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from console.cli import main
from tests.support.command_list import ROOT, command_of, commands, documented
from tests.support.system.program import Ended, Program, environment

WALK = """
check --offline
status
decide BUY BTC/USDT --confidence 0.75 --wait
protect BTC/USDT --stop-loss 5%
decide BUY ETH/USDT --confidence 0.75 --order-type limit --limit 1000 --wait
orders --open
amend 3 --limit 1001
cancel 3
positions
trades
decisions
decisions --status executed --since today --csv
logs --decision 1
psql -Xc "SELECT 1"
explain 1
replay default
portfolio create second --capital 1000
portfolio set second --max-position-size 0.1
portfolio deposit second 100 --reason savings
portfolio withdraw second 50 --reason rent
portfolio adjust default BTC/USDT --dividend 0.01 --reason "a dividend"
portfolio events second
portfolio clone second trial --capital 1000
portfolio reset trial --capital 500
portfolio close trial
portfolio list
halt --reason storm
resume
validate start trial
validate show trial
validate list
validate stop trial --reason enough
flatten --yes
report
metrics
top
console -c ps
alert test
history import bars.csv --symbol BTC/USDT
history list
history check
history export BTC/USDT out.csv
history remove BTC/USDT --yes
db url
db role create agent --sender
db role list
db role password agent
db role remove agent
db backup backup.dump
"""
"""Each command once, right; files are in the working folder."""
ELSEWHERE = {
    "start": "tests/acceptance/test_service.py",
    "demo": "tests/acceptance/test_demo.py",
    "portfolio cancel-request": "tests/integration/commands/test_account_commands.py",
    "history download": "tests/integration/commands/test_history_download_command.py",
    "backtest": "tests/unit/console/backtest/test_backtest_command.py",
    "sweep": "tests/unit/console/sweep/test_sweep_command.py",
    "agent": "tests/integration/research/test_live_agent.py",
    "db restore": "tests/acceptance/test_operations.py",
    "db upgrade": "tests/integration/persistence/test_upgrade.py",
}
"""Commands that need another world, and the tests that run them right."""
NOT_READY = 4
CODES = {"validate show": NOT_READY}
"""Exit codes of commands that end with another one than 0."""
REFUSED = {
    "portfolio adjust NVDA/USD": "no portfolio holds NVDA/USD",
    "report --from 2026-01-01": "the period ends before every requested portfolio began",
    "validate --accept-underpowered": "has no effect",
}
"""Documented commands about shares or a time that this home does not have, and what it says instead."""
UNSERVED = {
    "start", "demo", "db restore", "db role create", "db role password", "db role remove", "history download",
    "backtest", "sweep", "agent",
}  # fmt: skip
"""Documented commands that are not for a served home, need an exchange, files or a strategy; see `ELSEWHERE`."""
HOLDS = """
    INSERT INTO trading_decisions (symbol, decision, confidence, strategy)
    SELECT 'BTC/USDT', 'HOLD', 0.5, 'trend' FROM generate_series(1, 50)
"""
BARS = """\
timestamp,open,high,low,close,volume
2026-01-01T00:00:00Z,100,102,99,101,5
2026-01-01T01:00:00Z,101,103,100,102,5
"""
KLINES = """\
1517443200000,10100,10200,10000,10150,12.5,1517446799999,126875,310,6,60900,0
1517446800000,10150,10250,10100,10200,10,1517450399999,102000,290,5,51000,0
1517450400000,10200,10300,10150,10250,11,1517453999999,112750,300,5,51250,0
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The working folder, with a home that a service of its own serves."""
    folder = tmp_path_factory.mktemp("every")
    (folder / "bars.csv").write_text(BARS, encoding="utf-8")
    (folder / "BTCUSDT-1h-2018-02.csv").write_text(KLINES, encoding="utf-8")
    settings = {"prices": "simulated", "symbols": "BTC/USDT,ETH/USDT", "alert_command": "cat"}
    env = environment(folder / "home", **settings)
    with pytest.MonkeyPatch.context() as patch, Program("start", env=env) as service:
        for name in ("PAPER_HOME", *(f"PAPER_{name}".upper() for name in settings)):
            patch.setenv(name, env[name])
        patch.setenv("HOME", str(folder))
        patch.chdir(folder)
        service.wait_for()
        yield folder
        assert 0 == service.stop().code


def ended(words: list[str]) -> Ended:
    """Run a command in this process, as from a script: without a terminal and without input."""
    with (
        contextlib.redirect_stdout(io.StringIO()) as out,
        contextlib.redirect_stderr(io.StringIO()) as err,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(sys, "stdin", io.StringIO())
        code = main(words)
    return Ended(code, out.getvalue(), err.getvalue())


def failures(command_lines: list[list[str]]) -> list[str]:
    """Run commands; return those that did not end as they should, with what they said."""
    wrong = []
    for words in command_lines:
        result = ended(words)
        if result.code != CODES.get(command_of(tuple(words)) or "", 0):
            wrong.append(f"{shlex.join(words)}: exit {result.code}: {result.err or result.out}")
    return wrong


def test_each_command_called_right(folder: Path) -> None:
    lines = [shlex.split(line) for line in WALK.splitlines() if line]
    assert "" == "\n".join(failures(lines))
    assert set(commands()) == {command_of(tuple(words)) for words in lines} | set(ELSEWHERE)
    assert [] == [file for file in ELSEWHERE.values() if not (ROOT / file).is_file()]


def test_each_command_as_a_document_shows_it(folder: Path) -> None:
    calls = [call for call in documented() if call.in_block and command_of(call.words) not in UNSERVED]
    with psycopg.connect(ended(["db", "url"]).out.strip(), autocommit=True) as connection:
        connection.execute(HOLDS)  # a document's `explain 19` needs a decision of that number
    command_lines = [shlex.split(shlex.join(call.words).partition(" '|'")[0]) for call in calls]
    others = {name: words for words in command_lines for name in REFUSED if shlex.join(words).startswith(name)}
    assert "" == "\n".join(failures([words for words in command_lines if words not in others.values()]))
    assert [] == [name for name, part in REFUSED.items() if part not in ended(others[name]).err]
