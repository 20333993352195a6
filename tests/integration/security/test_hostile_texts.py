"""No text becomes SQL: neither an option nor an argument of any command, of the shell or of the debug console.

Decisions, with all of their fields and by each interface, are in tests/integration/system/test_bad_input.py.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from console.debug.command_spec import COMMAND_SPECS
from domain.errors import PaperTradingError
from persistence.queries.row_lists import LedgerReader
from tests.integration.commands.test_every_command_fits import CHANGING, READING, command_line
from tests.support.command_list import commands
from tests.support.screens.fixed_clock import NOT_SERVED, fixed_clock
from tests.support.screens.rendering import rendered
from tests.support.system.console_sessions import buy, console_session
from tests.support.system.running_system import assert_sound, until_all_ended

HOSTILE = """x'"; CREATE TABLE injected (); --%s{0}"""
"""Whatever quotes it would stand in, and whatever would be put into it: it ends them, or is an error of the syntax."""
AS_SQL = re.compile(
    r"syntax error|unterminated|placeholder|unexpected|the request failed|Traceback|IndexError|KeyError"
)
"""Messages that appear where a text was taken for SQL or for a format."""
WITHOUT_DATABASE = ("alert", "check", "console", "db", "history", "logs")
PLACES = ("config", "database_url", "home", "html", "csv", "log_level")
"""Options that say where something is, and reach no statement."""
LINES = {
    name: rest[0] for name, rest in {**READING, **CHANGING}.items() if name.split(maxsplit=1)[0] not in WITHOUT_DATABASE
}


def tables(url: str) -> set[str]:
    with psycopg.connect(url) as connection:
        return {name for (name,) in connection.execute("SELECT relname FROM pg_class WHERE relkind IN ('r', 'v')")}


def hostile_lines(command: str, url: str, home: Path) -> Iterator[list[str]]:
    """Yield a command line for each text that a command takes, with a hostile one in its place."""
    words = shlex.split(LINES[command].format(columns=80, home=home))
    line = command_line(command, LINES[command], url, home, 80)
    for parameter in commands()[command].params:
        if parameter.param_type_name == "option" and parameter.name not in PLACES and not parameter.is_flag:
            yield [*line, f"{max(parameter.opts, key=len)}={HOSTILE}"]
    for value in words:
        if not value.startswith("-"):
            yield [HOSTILE if part == value else part for part in line]


@pytest.mark.parametrize("command", LINES)
def test_no_text_on_the_command_line_becomes_sql(
    command: str, fixed_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The time of this database stands still: a lease that a command took would count as renewed for ever.
    monkeypatch.setattr(LedgerReader, "served", lambda _reader: {**NOT_SERVED, "renewed_ago": None})
    before = tables(fixed_url)
    with fixed_clock(served=False):
        for line in hostile_lines(command, fixed_url, tmp_path):
            ended = rendered(*line, columns=400, lines=60)
            assert ended.code in {0, 1, 2, 3, 4}, line
            assert not AS_SQL.search(ended.out + ended.err), (line, ended.out + ended.err)
    assert before == tables(fixed_url)


@pytest.mark.parametrize("words", ["halt --reason", "explain", "orders --symbol", "trades --portfolio", "cancel"])
def test_bytes_that_are_no_text_are_one_sentence(words: str, fixed_url: str, tmp_path: Path) -> None:
    half = b"x\xed\xa0\x80y".decode(errors="surrogateescape")  # as the system gives it to the program
    with fixed_clock(served=False):
        line = [*words.split(), half, f"--database-url={fixed_url}", f"--home={tmp_path}"]
        ended = rendered(*line, columns=400, lines=60)
    assert (2, "") == (ended.code, ended.out)
    assert r"'x\udced\udca0\udc80y' is no text that UTF-8 can encode" in ended.err


GOOD: dict[str, dict[str, Any]] = {
    "decide": {"decision": "BUY", "symbol": "BTC/USDT", "confidence": "1", "quantity": "0.001"},
    "protect": {"symbol": "BTC/USDT", "stop_loss_pct": "0.05"},
    "amend": {"target": "1", "quantity": "1"},
    "send": {"actor": "PriceTracker", "type": "Subscribe", "json": '{"symbol": "BTC/USDT"}'},
    "halt": {"portfolio": "none", "reason": "none"},
    "resume": {"portfolio": "none", "reason": "none"},
}
"""What the other arguments of a command of the debug console are, while one is hostile."""


def test_no_text_in_the_debug_console_becomes_sql(embedded_url: str, tmp_path: Path) -> None:
    with console_session(embedded_url, tmp_path) as talk:
        buy(talk.system)
        before = tables(embedded_url)
        for name, spec in COMMAND_SPECS.items():
            if name in talk.session.local_commands or name in {"exit", "help", "repl", "top", "trace"}:
                continue
            for argument in spec.arguments:
                request = {**GOOD.get(name, {}), argument.name: HOSTILE}
                try:
                    answer = str(talk.session.connection.ask(name, **request))
                except PaperTradingError as error:
                    answer = f"{error} ({error.code})"
                assert not AS_SQL.search(answer), (name, request, answer)
        until_all_ended(talk.system.ledger_reader)
        assert before == tables(embedded_url)
        assert_sound(talk.system.ledger_reader, sum(talk.system.ledger_reader.outcomes().values()))
