"""A fork of the program is the same as a start from scratch; only its imports are missing."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.system.fork_server import ForkServer
from tests.support.system.program import ROOT, environment

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the fork server is for Linux only")


@pytest.fixture(scope="module")
def server() -> Iterator[ForkServer]:
    started = ForkServer()
    yield started
    started.close()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("decide LONG BTC/USDT --confidence 1 --json", 2),
        ("status --json", 1),
        ("--help", 0),
    ],
)
def test_it_prints_and_ends_as_a_start_from_scratch_does(
    words: str, code: int, server: ForkServer, tmp_path: Path
) -> None:
    env = environment(tmp_path, database_url="postgresql://u:secret@127.0.0.1:1/d")
    plain = subprocess.run(
        [sys.executable, ROOT / "run.py", *words.split()],
        env=env,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    forked = server.start(words.split(), env, tmp_path)
    assert code == plain.returncode, plain.stderr
    assert (plain.stdout, plain.stderr) == (forked.stdout.read(), forked.stderr.read())
    assert code == forked.wait(60)
    forked.stdout.close()
    forked.stderr.close()


def test_it_leads_a_session_and_a_signal_ends_it(server: ForkServer, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql://u@127.0.0.1:{silent.getsockname()[1]}/d"
        waits = server.start(["status"], environment(tmp_path, database_url=url), tmp_path)
        assert waits.pid == os.getsid(waits.pid)
        assert waits.poll() is None
        with pytest.raises(subprocess.TimeoutExpired):
            waits.wait(0.01)
        waiter = threading.Thread(target=waits.wait)
        waiter.start()
        assert waits.poll() is None
        waits.kill()
        waiter.join(60)
    assert -signal.SIGKILL == waits.poll() == waits.wait()
    waits.stdout.close()
    waits.stderr.close()


def test_variables_that_python_reads_at_its_start_need_a_start_from_scratch(server: ForkServer, tmp_path: Path) -> None:
    env = environment(tmp_path, prices="simulated")
    assert server.fits(env)
    assert server.fits(env | {"PGHOST": "h"})
    assert not server.fits(env | {"TZ": "Asia/Tokyo"})
    assert not server.fits(env | {"PYTHONWARNINGS": "error"})
    assert not server.fits({name: value for name, value in env.items() if name != "PATH"})


def test_an_ignored_signal_needs_a_start_from_scratch(server: ForkServer, tmp_path: Path) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert not server.fits(environment(tmp_path))
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.slow
def test_it_ends_with_the_process_that_has_started_it() -> None:
    starts = "from tests.support.system.fork_server import ForkServer; ForkServer()"
    command = [sys.executable, "-W", "ignore", "-c", starts]
    # The server has the same stderr, which is read to its end.
    assert b"" == subprocess.run(command, cwd=ROOT, stderr=subprocess.PIPE, check=True, timeout=60).stderr
