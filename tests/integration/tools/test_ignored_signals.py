"""Programs that tests start find each signal at its default, however pytest was started."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow  # of the tools of tests alone

ROOT = Path(__file__).parents[3]
TEST = """
import os, signal, subprocess, sys

LISTS = "import signal; print(signal.SIG_IGN in map(signal.getsignal, {1, 2, 3, 15}))"

def test_nothing_is_inherited():
    assert b"False\\n" == subprocess.run([sys.executable, "-c", LISTS], stdout=subprocess.PIPE, check=True).stdout
    for number in (signal.SIGHUP, signal.SIGINT):
        os.kill(os.getpid(), number)  # pytest itself still ignores it
"""
CONFTEST = "from tests.conftest import pytest_configure, pytest_configure_node, pytest_sessionfinish"
IGNORING = """
import os, signal, sys
for number in (signal.SIGHUP, signal.SIGINT):
    signal.signal(number, signal.SIG_IGN)
os.execv(sys.argv[1], sys.argv[1:])
"""


@pytest.mark.parametrize("workers", ["0", "1"])
def test_a_signal_that_pytest_ignores_is_not_ignored_by_what_it_starts(workers: str, tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(TEST)
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "pytest.ini").write_text(f"[pytest]\npythonpath = {ROOT}\n")
    run = [sys.executable, "-m", "pytest", "-n", workers, "-p", "no:cacheprovider"]
    ended = subprocess.run(
        [sys.executable, "-c", IGNORING, *run], cwd=tmp_path, capture_output=True, text=True, timeout=100, check=False
    )
    assert 0 == ended.returncode, ended.stdout + ended.stderr
