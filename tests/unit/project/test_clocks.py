"""One clock: the program's is passed in, and SQL asks `paper_now()`; what reads another one is named here."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.project.test_walls import PACKAGES, ROOT, modules

CLOCK = Path("actors/runtime/timer.py")
"""The module of `SystemClock`. Durations of real work, such as time limits, are measured by `time.monotonic`."""
WALL_CLOCKS = {
    "datetime.now", "datetime.utcnow", "datetime.today", "date.today", "time.time", "time.time_ns", "time.localtime",
    "time.gmtime", "time.ctime", "time.asctime", "time.strftime", "time.clock_gettime", "time.clock_gettime_ns",
}  # fmt: skip
OWN_CLOCKS = {
    "actors/system.py": "the composition root, where no clock is passed in",
    "console/commands/agent.py": "a process of its own: the agent itself has no clock but that of the stored prices",
    "console/commands/alert.py": "a process of its own",
    "console/commands/backtest.py": "a process of its own: what was published by now; the test itself has no clock",
    "console/commands/check.py": "a process of its own",
    "console/commands/history_import.py": "a process of its own",
    "console/commands/lives.py": "a process of its own",
    "console/commands/logs.py": "a process of its own",
    "console/commands/report.py": "a process of its own",
    "console/commands/serve.py": "the process that serves passes it to the system",
    "console/commands/sweep.py": "a process of its own: what was published by now, and when its trials ran",
    "console/commands/top.py": "a process of its own",
    "console/debug/render.py": "the screen of a process of its own",
    "console/display/times.py": "what a process of its own prints",
    "console/listing/options.py": "the commands that list rows are processes of their own",
}
"""Modules that make a clock, each with the reason; all others get theirs."""
TEST_CLOCKS = {
    "tests/support/actors/memory_turns.py": "the database in memory of a system that runs on the real clock",
    "tests/support/exchange/past.py": "an exchange that a real process asks, whose clock it compares with its own",
    "tests/support/exchange/server.py": "the same exchange",
    "tests/unit/project/test_clocks.py": "the text of a module that the test below reads",
}
"""Modules of the tests that read this machine's time, each with the reason; no expectation of theirs rests on it."""
SQL_CLOCK = re.compile(
    r"\b(?:now|clock_timestamp|statement_timestamp|transaction_timestamp|timeofday)\s*\(\s*\)"
    r"|\b(?:CURRENT_TIMESTAMP|CURRENT_DATE|CURRENT_TIME|LOCALTIMESTAMP|LOCALTIME)\b",
    re.IGNORECASE,
)
SQL_EXCEPTIONS = {
    ("persistence/adoption.py", "now()"): "before the migration that makes paper_now(), which then replaces it",
    ("persistence/embedded/backups/restore.py", "now()"): "the schema of a backup may have no paper_now() yet",
    (
        "persistence/lease_session.py",
        "clock_timestamp()",
    ): "the schema that another process serves may have no paper_now() yet",
    ("persistence/sessions/answers.py", "clock_timestamp()"): "compared with times of the server's own sessions",
}
"""Other clocks in the program's SQL, each with the reason."""


def names(path: Path) -> Iterator[str]:
    """Yield each dotted name of a module that has two parts or more, by its last two parts."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.Attribute(value=ast.Name(id=owner) | ast.Attribute(attr=owner), attr=name):
                yield f"{owner}.{name}"
            case ast.ImportFrom(module=str(module)):
                yield from (f"{module}.{alias.name}" for alias in node.names)


def program() -> list[Path]:
    return [ROOT / "run.py", ROOT / "paper_trading_actors.py", *modules(*PACKAGES)]


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_no_module_but_that_of_the_clock_reads_the_time() -> None:
    readers = {relative(path) for path in program() if WALL_CLOCKS.intersection(names(path))}
    assert {CLOCK.as_posix()} == readers


def test_no_test_reads_this_machines_time_but_for_a_reason() -> None:
    calls = {
        relative(path)
        for path in sorted((ROOT / "tests").rglob("*.py"))
        for name in WALL_CLOCKS
        if re.search(rf"\b{re.escape(name)}\(", path.read_text(encoding="utf-8"))
    }
    assert TEST_CLOCKS.keys() == calls


def test_the_clock_is_made_where_a_process_begins_and_passed_on() -> None:
    makers = {
        relative(path)
        for path in program()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "SystemClock"
    }
    assert OWN_CLOCKS.keys() == makers


def strings(path: Path) -> Iterator[str]:
    """Yield each string of a module, parts of f-strings included; docstrings are none."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    texts = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in texts:
            yield node.value


def test_the_sql_of_the_program_asks_paper_now_alone() -> None:
    clocks = {
        (relative(path), clock)
        for path in modules("persistence")
        for text in strings(path)
        for clock in SQL_CLOCK.findall(text)
    }
    assert SQL_EXCEPTIONS.keys() == clocks
    # The tables, functions and triggers that the files of sql/ make: tests/integration/fortnight/test_time.py.
    views = "".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "sql/views").glob("*.sql")))
    assert [] == SQL_CLOCK.findall(views)
    assert 4 == len(re.findall(r"\bpaper_now\(\)", views))


@pytest.mark.parametrize(
    ("text", "clocks"),
    [
        ("SELECT paper_now(), paper_now ()", []),
        ("SELECT now() - NOW ( )", ["now()", "NOW ( )"]),
        ("at = current_timestamp AND day < CURRENT_DATE", ["current_timestamp", "CURRENT_DATE"]),
        ("clock_timestamp() statement_timestamp()", ["clock_timestamp()", "statement_timestamp()"]),
        ("what is known now (it is late)", []),
    ],
)
def test_clocks_are_recognised_in_sql(text: str, clocks: list[str]) -> None:
    assert clocks == SQL_CLOCK.findall(text)


def test_clocks_are_recognised_in_python(tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text("import datetime\nfrom time import time\nx = datetime.datetime.now()\ny = datetime.date.today\n")
    assert {"time.time", "datetime.now", "date.today"} == WALL_CLOCKS.intersection(names(module))
