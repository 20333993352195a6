"""A test that hangs: `make test` ends, names it, and shows where it and what it has started are."""

from __future__ import annotations

import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow  # of the tools of tests alone

ROOT = Path(__file__).parents[3]
TESTS = """
import ctypes, subprocess, sys, threading
import pytest

def test_before(): pass

def hang():
    waits = subprocess.Popen([sys.executable, "-c", "import sys; print(1, flush=True); sys.stdin.read()"],
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    waits.stdout.readline()
    threading.Event().wait()

def hang_in_c_with_the_lock_of_python():
    ctypes.PyDLL(None).pause()

@pytest.fixture
def hangs_at_its_end():
    yield
    hang()

{test}

def test_after(): pass
"""
HANGS = {
    "in the test": "def test_hangs(): hang()",
    "after a failure": "def test_hangs(hangs_at_its_end): assert False",
    "in C code": "def test_hangs(): hang_in_c_with_the_lock_of_python()",
}
CONFTEST = """
from tests.conftest import pytest_exception_interact, pytest_runtest_protocol
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, subprocess.CompletedProcess[str]]:
    """How `make test` ends with each of the tests; all at once, since they mostly wait for their time limit."""
    command = re.search(r"-m pytest (.*) \$\(ARGS\)", (ROOT / "Makefile").read_text())
    assert command is not None
    words = command[1].replace("$(JOBS)", "1").split()
    limits = ["-o", "faulthandler_timeout=3", "-o", "faulthandler_exit_on_timeout=true"]

    def run(test: str) -> subprocess.CompletedProcess[str]:
        folder = tmp_path_factory.mktemp("hanging")
        (folder / "test_hanging.py").write_text(TESTS.format(test=test))
        (folder / "conftest.py").write_text(CONFTEST)
        (folder / "pytest.ini").write_text(f"[pytest]\npythonpath = {ROOT}\n")
        return subprocess.run(
            [sys.executable, "-m", "pytest", *words, *limits, "-p", "no:cacheprovider", "-v"],
            cwd=folder, capture_output=True, text=True, timeout=100, check=False,
        )  # fmt: skip

    with ThreadPoolExecutor() as pool:
        return dict(zip(HANGS, pool.map(run, HANGS.values()), strict=True))


@pytest.mark.parametrize("place", HANGS)
def test_a_test_that_hangs_ends_its_process_and_the_run_and_is_shown(
    place: str, runs: dict[str, subprocess.CompletedProcess[str]]
) -> None:
    done = runs[place]
    assert done.returncode == 1, done.stdout + done.stderr
    # No second process, which would hang in the same test.
    crashed = re.findall(r"worker '(gw\d+)' crashed while running 'test_hanging.py::test_hangs'", done.stdout)
    assert {"gw0"} == set(crashed)
    assert "worker restarting disabled" in done.stdout
    assert re.search(r'test_hanging.py", line \d+ in hang', done.stderr), done.stderr
    if place != "in C code":  # no other thread of Python could run
        assert "test_hanging.py::test_hangs hangs; processes that this one has started:" in done.stderr
        assert re.search(r"\d+ of \d+, \w+: .*sys.stdin.read", done.stderr), done.stderr
