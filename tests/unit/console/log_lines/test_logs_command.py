"""`run.py logs`: the lines of the log files, as the terminal has them."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from loguru import logger

from console import logs
from console.cli import main
from tests.support.system.program import Program, environment

Run = Callable[..., tuple[int, str, str]]
BEGIN = datetime(2026, 1, 31, 12, tzinfo=UTC)
UID = "6f9619ff-8b86-d011-b42d-00c04fc964ff"


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs `logs` on a home; returns its exit code, output and error."""

    def run_command(*words: str) -> tuple[int, str, str]:
        code = main(["logs", *words, "--home", str(tmp_path)])
        output = capsys.readouterr()
        return code, output.out, output.err

    return run_command


def write(home: Path, name: str, *entries: dict[str, object]) -> Path:
    (home / "logs").mkdir(exist_ok=True)
    file = home / "logs" / name
    file.write_text("".join(f"{json.dumps(entry)}\n" for entry in entries), encoding="utf-8")
    return file


def entry(minute: int, message: str, level: str = "INFO", **more: object) -> dict[str, object]:
    return {"time": (BEGIN + timedelta(minutes=minute)).isoformat(), "level": level, **more, "message": message}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    older = [entry(0, "executed: bought 1", decision=17), entry(1, "delivery failed", "WARNING")]
    write(tmp_path, f"{logs.FILE}.1", *older)
    newer = [
        entry(2, "rejected: \x1b[31mhalted", decision=18),
        entry(3, "ignored: hold", decision=UID),
        entry(4, "Sizer crashed", "ERROR", decision=17, traceback="Traceback …"),
    ]
    write(tmp_path, logs.FILE, *newer)
    write(tmp_path, logs.WARNINGS_FILE, entry(-9, "an old warning", "WARNING"), older[1], newer[2])
    return tmp_path


LINES = [
    "2026-01-31 12:00:00 UTC INFO    #17 executed: bought 1",
    "2026-01-31 12:01:00 UTC WARNING delivery failed",
    "2026-01-31 12:02:00 UTC INFO    #18 rejected: \\x1b[31mhalted",
    f"2026-01-31 12:03:00 UTC INFO    #{UID} ignored: hold",
    "2026-01-31 12:04:00 UTC ERROR   #17 Sizer crashed",
]
OLD_WARNING = "2026-01-31 11:51:00 UTC WARNING an old warning"


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(
    ("words", "lines"),
    [
        ("", LINES),
        ("--limit 2", LINES[3:]),
        ("--decision 17", [LINES[0], LINES[4]]),
        ("--decision #18", [LINES[2]]),
        (f"--decision {UID.upper()}", [LINES[3]]),
        ("--since 2026-01-31T12:02", LINES[2:]),
        ("--level warning", [OLD_WARNING, LINES[1], LINES[4]]),
        ("--level ERROR --decision 17", [LINES[4]]),
        ("--level info --limit 1", LINES[4:]),
    ],
)
def test_lines_are_those_that_are_wanted(run: Run, words: str, lines: list[str]) -> None:
    assert (0, "".join(f"{text}\n" for text in lines), "") == run(*words.split())


@pytest.mark.usefixtures("home")
def test_as_json_a_line_is_what_the_file_has(run: Run) -> None:
    code, out, err = run("--json", "--limit", "1")
    assert (0, "", [entry(4, "Sizer crashed", "ERROR", decision=17, traceback="Traceback …")]) == (
        code, err, [json.loads(text) for text in out.splitlines()],
    )  # fmt: skip


def test_without_a_matching_line_it_says_so(run: Run, home: Path) -> None:
    folder = home / "logs"
    sentence = f"No lines about decision 7 in {folder}; `run.py explain 7` tells what became of it.\n"
    assert (0, sentence, "") == run("--decision", "7")
    assert (0, f"No lines since 2026-02-01 00:00:00 UTC in {folder}.\n", "") == run("--since", "2026-02-01")
    assert (0, "", "") == run("--decision", "7", "--json")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--decision x", "--decision 'x': must be the id of a decision, such as 17"),
        ("--level loud", "--level 'loud': must be TRACE, DEBUG, INFO, WARNING or ERROR"),
        ("--since soon", "--since 'soon': must be a duration such as 30m, 12h or 7d, or today, yesterday, a day such"),
        ("--limit 0", "Invalid value for '--limit': must be at least 1; see run.py logs --help"),
    ],
)
def test_what_cannot_be_is_one_sentence(run: Run, words: str, message: str) -> None:
    code, out, err = run(*words.split())
    assert (2, "", True, 1) == (code, out, err.startswith(f"run.py: {message}"), err.count("\n")), err


def test_without_a_log_it_says_who_writes_it(run: Run, tmp_path: Path) -> None:
    msg = f"there is no log in {tmp_path / 'logs'}; the service writes it: `run.py start`, with the same home"
    assert (3, "", f"run.py: {msg}\n") == run("--follow")


def test_a_log_that_cannot_be_read_is_one_sentence(run: Run, tmp_path: Path) -> None:
    (tmp_path / "logs" / logs.FILE).mkdir(parents=True)
    assert (1, "", f"run.py: cannot read the log in {tmp_path / 'logs'}: Is a directory\n") == run()


def test_followed_lines_come_over_a_rotation_until_a_signal(tmp_path: Path) -> None:
    path = write(tmp_path, logs.FILE, *(entry(number, f"line {number}") for number in range(20)))
    with Program("logs", "-f", env=environment(tmp_path)) as program:
        program.wait_for("line 19\n", "out")
        assert "line 9\n" not in program.printed("out")
        path.rename(path.with_name(f"{path.name}.1"))
        write(tmp_path, logs.FILE, entry(20, "line 20"))
        program.wait_for("line 20\n", "out")
        with path.open("a", encoding="utf-8") as file:
            file.write(f"{json.dumps(entry(21, 'line 21'))}\n")
        program.wait_for("line 21\n", "out")
        ended = program.stop(signal.SIGINT)
    assert (0, "") == (ended.code, ended.err)
    assert [f"line {number}" for number in range(10, 22)] == [text[-7:] for text in ended.out.splitlines()]


def test_it_prints_what_the_log_has_written(run: Run, tmp_path: Path) -> None:
    try:
        logger.remove()
        logs.to_file(tmp_path, "INFO")
        logger.bind(decision=7).warning("of {}", "seven")
    finally:
        logger.remove()
    code, out, _ = run("--decision", "7")
    assert (0, True) == (code, out.endswith(f"WARNING #7 of seven{os.linesep}"))
