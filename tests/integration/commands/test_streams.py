"""stdout and stderr that are closed, full, or in an encoding without the text: one sentence and the right exit code."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.system.running_system import next_line

PROGRAM = [sys.executable, str(Path(__file__).parents[3] / "run.py")]
FULL = "cannot write the output: No space left on device"
EXPLAIN = ["check", "--explain", "max_price_age"]


def run(redirection: str, *arguments: str, home: Path, encoding: str = "utf-8") -> subprocess.CompletedProcess[bytes]:
    """Run a command with a shell's redirection of its streams."""
    return subprocess.run(
        ["/bin/sh", "-c", f'exec "$@" {redirection}', "sh", *PROGRAM, *arguments],
        env=os.environ | {"PAPER_HOME": str(home), "PYTHONIOENCODING": encoding},
        stdin=subprocess.DEVNULL, capture_output=True, cwd=home, timeout=120, check=False,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [[*EXPLAIN, "--json"], EXPLAIN, ["--help"]], ids=["json", "text", "help"])
def test_a_full_disk_for_stdout_is_one_sentence(arguments: list[str], tmp_path: Path) -> None:
    done = run(">/dev/full", *arguments, home=tmp_path)
    assert (1, f"run.py: {FULL}\n") == (done.returncode, done.stderr.decode())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("redirection", "setting", "exit_code"),
    [
        ("0<&- 2>&-", "max_price_age", 0),
        ("2>&- >&-", "max_price_age", 0),
        ("2>/dev/full", "nothing", 2),
        ("2>&- >/dev/full", "max_price_age", 1),
    ],
)
def test_closed_and_full_streams_keep_the_exit_code(
    redirection: str, setting: str, exit_code: int, tmp_path: Path
) -> None:
    assert exit_code == run(redirection, "check", "--explain", setting, home=tmp_path).returncode


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "ascii:strict"])
def test_what_an_encoding_cannot_write_is_replaced_and_kept_in_json(encoding: str, tmp_path: Path) -> None:
    (tmp_path / "paper.toml").write_text('alert_command = "/opt/größe 🚀"\n', encoding="utf-8")
    people = run("", "check", "--explain", "größe–🚀", home=tmp_path, encoding=encoding)
    document = run("", "check", "--explain", "größe–🚀", "--json", home=tmp_path, encoding=encoding)
    assert (2, 2) == (people.returncode, document.returncode)
    assert b"-?" in people.stderr
    assert json.loads(document.stdout.decode("latin-1"))["error"].startswith("'größe–🚀' is not a setting")


@pytest.mark.slow
def test_a_service_without_stderr_or_with_full_disks_for_its_logs_serves(embedded_url: str, tmp_path: Path) -> None:
    for redirection, sentence in (("2>&-", ""), ("2>/dev/full", ""), ("", "the log cannot be written (")):
        command = [*PROGRAM, "start", "--prices=simulated", "--json", f"--database-url={embedded_url}"]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL, "text": True}
        with subprocess.Popen(
            ["/bin/sh", "-c", f'ulimit -f 0; exec "$@" {redirection}', "sh", *command],  # no file gets a byte
            env=os.environ | {"PAPER_HOME": str(tmp_path)}, cwd=tmp_path, **pipes,
        ) as process:  # fmt: skip
            assert "simulated" == json.loads(next_line(process))["prices"]
            process.send_signal(signal.SIGTERM)
            out, err = process.communicate(timeout=60)
        assert ("", 0) == (out, process.returncode)
        assert sentence in err
        assert err.count("the log cannot be written (") == (1 if sentence else 0)
        assert "Traceback" not in err
        assert "Logging error" not in err
