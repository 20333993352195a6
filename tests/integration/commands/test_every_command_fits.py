"""Every command on terminals of 45 to 120 columns: no line is longer, no word is cut, headings are column names."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from console.commands.portfolios import RULES
from console.display.table import Column
from domain.analytics.metric_definitions import METRICS
from tests.support.command_list import commands, options_of
from tests.support.screens.__main__ import PAGE, page
from tests.support.screens.fixed_clock import fixed_clock
from tests.support.screens.rendering import UNLIMITED, WIDTHS, Rendered, cut_words, rendered, too_long
from tests.support.system.validation_runs import execute

READING: Mapping[str, Sequence[str]] = {
    "status": ["", "--live"],
    "top": [""],
    "positions": [""],
    "orders": ["", "--open"],
    "trades": [""],
    "decisions": [""],
    "explain": ["82"],
    "replay": ["default"],
    "report": ["", "--portfolio default --strategy trend"],
    "portfolio list": [""],
    "portfolio events": [""],
    "validate show": [""],
    "validate list": [""],
    "check": ["--offline", "--explain max_position_size"],
    "logs": [""],
    "history list": [""],
    "history check": [""],
    "db url": [""],
    "db role list": [""],
}
"""Commands that change nothing, with the rest of their command lines."""
CHANGING: Mapping[str, Sequence[str]] = {
    "halt": ['--portfolio default --reason "the exchange is under attack, and nobody knows for how long"'],
    "resume": ["--portfolio cautious"],
    "portfolio create": ["new{columns} --capital 50000"],
    "portfolio clone": ["default twin{columns} --capital 500"],
    "portfolio close": ["default"],
    "portfolio reset": ["default --capital 500"],
    "portfolio set": ["default --slippage-pct 0.0005"],
    "portfolio deposit": ['default 10 --reason "savings"'],
    "portfolio withdraw": ['default 10 --reason "holidays"'],
    "portfolio adjust": ['default BTC/USDT --dividend 0.1 --reason "a dividend"'],
    "portfolio cancel-request": ["99"],
    "validate start": ["run{columns} --portfolio cautious"],
    "validate stop": ['run{columns} --reason "the model is retrained"'],
    "decide": ["BUY BTC/USDT --confidence 0.75"],
    "cancel": ["17"],
    "amend": ["17 --quantity 1"],
    "protect": ["BTC/USDT --stop-loss 5%"],
    "flatten": ["--yes"],
    "alert": ["test"],
    "backtest": ["{home}/nothing.py {home}/nothing.csv"],
    "agent": ["{home}/nothing.py --symbols BTC/USDT"],
    "sweep": ["{home}/nothing.py {home}/nothing.csv --param fast=5:50:5"],
    "history import": ["{home}/nothing.csv"],
    "history export": ["BTC/USDT {home}/bars.csv"],
    "history remove": ["BTC/USDT --yes"],
    "history download": ["BTC/USDT --timeframe nonsense --since 2026-01-01"],
    "console": ["-c ps"],
    "db backup": ["{home}/a.backup"],
    "db restore": ["{home}/a.backup"],
    "db upgrade": [""],
    "db role create": ["agent{columns} --sender"],
    "db role password": ["agent{columns}"],
    "db role remove": ["agent{columns}"],
}
"""Commands that change something, or that end with a sentence."""
NOT_RENDERED = {
    "start": "it prints lines of the log until it is stopped",
    "demo": "a tour of 30 s; its lines are those of tests/unit/console/display/test_demo_lines.py",
    "psql": "its terminal is that of another program",
    "metrics": "the text format of Prometheus, which has a line for each sample",
}


def test_each_command_of_the_command_line_is_rendered_and_takes_utc() -> None:
    assert sorted(commands()) == sorted([*READING, *CHANGING, *NOT_RENDERED])
    assert [] == [name for name in commands() if "--utc" not in options_of(name)]


def command_line(command: str, rest: str, url: str, home: Path, columns: int) -> list[str]:
    options = ["--home", str(home)]
    if command == "alert":
        options = []
    elif command.split(maxsplit=1)[0] not in {"history", "logs"} and command not in {"db backup", "db restore"}:
        options += ["--database-url", url]
    return [*command.split(), *shlex.split(rest.format(columns=columns, home=home)), *options]


def assert_fits(command: str, rest: str, url: str, home: Path) -> None:
    def at(columns: int) -> Rendered:
        return rendered(*command_line(command, rest, url, home, columns), columns=columns, lines=60)

    reference = at(UNLIMITED)
    assert "unexpected" not in reference.err
    for columns in WIDTHS:
        output = at(columns)
        assert (reference.code, []) == (output.code, too_long(output.lines, columns)), command
        cut = cut_words(reference.lines, output.lines, columns) - FURNITURE - HEADINGS
        assert [] == [one for one in cut if not MONTH.fullmatch(one)], f"{command} {rest} at {columns} columns"
        assert [] == [line for line in output.lines if OTHER_ZONE.search(line)]


PLAIN_FORMS = {
    "time": "created_at", "decision": "decision_id", "type": "order_type", "reason": "outcome_reason",
    "average price": "average_fill_price", "value": "total_value", "result": "total_pnl", "result %": "total_pnl_pct",
    "unrealised": "unrealized_pnl", "unrealised %": "unrealized_pnl_pct", "gross": "realized_pnl", "net": "net_pnl",
    "prices": "price_source",
    "capital": "initial_capital", "cash": "current_capital", "positions": "num_positions", "stop": "stop_price",
    "limit": "limit_price", "filled": "filled_quantity", "expires": "order_expires_at", "since": "created_at",
    "event": "kind", "closed": "exit_time", "started": "started_at", "ended": "ended_at", "by": "by_whom",
    "run": "name",
    "position": "symbol", "price": "symbol", "price of": "symbol", "entry": "entry_price", "last": "current_price",
}  # fmt: skip
"""Headings that are a plain form of a column of the database."""
WITHOUT_TABLE = {
    "actor", "state", "doing", "restarts", "handled", "mailbox", "max", "per second",  # the process
    "age", "by exchange", "spread", "note", "change", "trend",  # its prices
    "setting", "from", "criterion", "required", "seen", "group", "cost", "amount", "of traded value", "of gross",
    "compared", "the portfolio is ahead by", "held",
    "timeframe", "exchange", "bars", "first", "gaps", "size",  # files of the history
}  # fmt: skip
"""Headings of what is in no table of the database."""
LEVELS = ("INFO", "WARNING")
LOGGED = (
    '{{"time": "2026-01-19T09:29:00+00:00", "level": "{}", "decision": 89, "message": "price source kraken has sent no'
    ' price of BTC/USDT since 09:20:00 UTC; decisions wait for one, and are rejected in the end"}}\n'
)
FURNITURE = {"required", "seen"}
"""Words of narrow tables alone."""
MONTH = re.compile(r"[+-]\d+\*?")
"""An amount without cents, as the months of a report have where they are narrow."""
OTHER_ZONE = re.compile(r"(?<!24):\d\d UTC|\d:\d\d:\d\d(?![ :.,]|$)")
HEADINGS: set[str] = set()
"""Words of the headings of all tables that were drawn so far."""


@pytest.fixture(autouse=True)
def headings(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Names of the columns that were made in this test."""
    names: set[str] = set()
    make = Column.__init__

    def record(column: Column, name: str, *args: Any, **values: Any) -> None:
        names.add(name)
        HEADINGS.update(name.split())
        make(column, name, *args, **values)

    monkeypatch.setattr(Column, "__init__", record)
    return names


@pytest.mark.parametrize("command", READING)
def test_what_a_command_shows_fits(command: str, fixed_url: str, tmp_path: Path, headings: set[str]) -> None:
    if command == "logs":
        (tmp_path / "logs").mkdir()
        (tmp_path / "logs" / "paper-trading.jsonl").write_text("".join(map(LOGGED.format, LEVELS)), encoding="utf-8")
    if command.startswith("history"):
        file = tmp_path / "BTCUSDT-1h.csv"
        file.write_text("timestamp,open,high,low,close,volume\n2025-01-01T00:00:00Z,1,2,1,2,5\n", encoding="utf-8")
        line = ["history", "import", str(file), "--symbol", "BTC/USDT", "--timeframe", "1h", "--home", str(tmp_path)]
        assert 0 == rendered(*line, columns=UNLIMITED).code
    with fixed_clock():
        for rest in READING[command]:
            assert_fits(command, rest, fixed_url, tmp_path)
    names = {row[0] for row in execute(fixed_url, "SELECT column_name FROM information_schema.columns")}
    columns = {name.replace("_", " ") for name in names}
    rules = {heading: rule for rule, (heading, _) in RULES.items()}
    assert set() == {column for column in (PLAIN_FORMS | rules).values() if column not in names}
    metrics = {metric.label.lower() for metric in METRICS.values()}
    assert set() == headings - columns - set(PLAIN_FORMS) - set(rules) - metrics - WITHOUT_TABLE


def test_utc_is_shown_where_it_is_wanted(fixed_url: str) -> None:
    def decisions(*options: str) -> str:
        words = ["decisions", "--limit", "1", "--database-url", fixed_url, *options]
        return rendered(*words, columns=80).out

    with fixed_clock():
        assert "2026-01-19 10:29:57 CET" in decisions()
        assert "2026-01-19 09:29:57 UTC" in decisions("--utc")


def test_colours_change_nothing_else_and_there_are_none_with_no_color(
    fixed_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["decisions", "--database-url", fixed_url]
    with fixed_clock():
        dumb, coloured = (rendered(*words, columns=60, term=term) for term in ("dumb", "xterm-256color"))
        monkeypatch.setenv("NO_COLOR", "1")
        plain = rendered(*words, columns=60, term="xterm-256color")
    assert dumb.lines == coloured.lines == plain.lines
    assert "\x1b" not in dumb.out
    assert re.search(r"\x1b\[3[1-6]m", coloured.out)
    assert not re.search(r"\x1b\[[0-9;]*(?:3[0-8]|9[0-7])[;m]", plain.out)


def test_the_page_of_screens_is_the_one_that_is_generated(fixed_url: str, tmp_path: Path) -> None:
    expected = PAGE.read_text(encoding="utf-8")
    assert expected == page(["--database-url", fixed_url, "--home", str(tmp_path)]), "python -m tests.support.screens"


@pytest.mark.parametrize("command", CHANGING)
def test_what_a_command_answers_fits(command: str, fixed_url: str, tmp_path: Path) -> None:
    with fixed_clock(served=False):
        for rest in CHANGING[command]:
            assert_fits(command, rest, fixed_url, tmp_path)
