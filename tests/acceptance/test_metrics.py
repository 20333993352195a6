"""run.py metrics and the endpoint, from outside."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.support.database.server import free_port
from tests.support.system.program import Program, environment, run, until
from tests.support.system.scrapes import Scrape, fetch


@pytest.mark.slow
def test_the_command_prints_what_the_endpoint_serves_and_without_a_process_the_database_s_metrics(
    embedded_url: str, tmp_path: Path
) -> None:
    port = free_port()
    env = environment(tmp_path, prices="simulated", database_url=embedded_url, metrics_port=str(port))
    with Program("start", "--json", env=env) as service:
        service.wait_for("metrics", stream="out")
        assert f'"metrics": "http://127.0.0.1:{port}/metrics"' in service.printed("out")
        decided = run("decide", "BUY", "BTC/USDT", "--confidence", "0.8", "--wait", env=env)
        assert decided.code == 0, decided.err
        command = run("metrics", env=env)
        assert (0, "") == (command.code, command.err)
        printed, scraped = Scrape(command.out), fetch(port)
        assert list(scraped.families) == list(printed.families)
        for name in ("paper_decisions_total", "paper_fills_total", "paper_build_info", "paper_portfolio_cash"):
            assert scraped.by(name) == printed.by(name)
        assert 1 == printed.value("paper_decisions_total", outcome="executed")
        cash = printed.value("paper_portfolio_cash")
        as_json = run("metrics", "--json", env=env).json
        assert {"name": "paper_up", "type": "gauge", "labels": {}, "value": "1.0"} in as_json

        # A second process of the same home fails because of the first one, not because of its port.
        second = run("start", env=env)
        assert 3 == second.code
        assert second.err.startswith(f"run.py: another process with home {tmp_path} already serves this database")

        # A process with another database finds the port taken before it creates anything.
        other = environment(tmp_path / "other", prices="simulated", metrics_port=str(port))
        refused = run("start", env=other)
        sentence = f"run.py: setting metrics_port = {port}: cannot listen on 127.0.0.1:{port} (address already in "
        assert refused.code == 2
        assert refused.err.startswith(sentence)
        assert 1 == len(refused.err.splitlines())
        assert not (tmp_path / "other" / "postgres").exists()
        assert service.stop().code == 0

    after = run("metrics", env=env)
    assert (0, "") == (after.code, after.err)
    stopped = Scrape(after.out)
    assert (0, 1, 0, cash) == tuple(
        stopped.value(f"paper_{name}") for name in ("up", "database_up", "lease_held", "portfolio_cash")
    )
    assert {} == stopped.by("paper_decisions_total")


def test_a_new_home_gets_no_database(tmp_path: Path) -> None:
    command = run("metrics", env=environment(tmp_path / "home"))
    assert (0, "") == (command.code, command.err)
    assert (0, 0) == tuple(Scrape(command.out).value(f"paper_{name}") for name in ("up", "database_up"))
    assert not (tmp_path / "home" / "postgres").exists()


def test_an_unreachable_database_is_reported_on_stderr(tmp_path: Path) -> None:
    command = run("metrics", env=environment(tmp_path, database_url="postgresql://u:s3cret-word@127.0.0.1:1/d"))
    assert 0 == command.code
    assert (0, 0) == tuple(Scrape(command.out).value(f"paper_{name}") for name in ("up", "database_up"))
    assert "no metrics from the database: the database is not available" in command.err
    assert "s3cret-word" not in command.err + command.out


HALF_REQUESTS = """
import resource, socket, sys

_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
clients = []
for number in range(2_000):
    client = socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=10)
    clients.append(client)
    try:
        client.sendall(b"GET /metrics HTTP/1.1\\r\\nHost: localhost\\r\\n")
    except OSError:
        pass  # the server has closed it
print(len(clients), flush=True)
sys.stdin.read()
"""


@pytest.mark.slow
def test_two_thousand_half_requests_of_another_user_do_not_stop_trading(embedded_url: str, tmp_path: Path) -> None:
    port = free_port()
    env = environment(tmp_path, prices="simulated", database_url=embedded_url, metrics_port=str(port))
    another = {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.geteuid() == 0 else {}
    python = shutil.which("python3", path="/usr/bin:/bin") or sys.executable  # one that another user may run
    with Program("start", env=env) as service:
        service.wait_for()
        before = psutil.Process(service.pid).num_fds()
        with subprocess.Popen(
            [python, "-c", HALF_REQUESTS, str(port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd="/",
            **another,  # type: ignore[call-overload]
        ) as attack:  # fmt: skip
            assert attack.stdout is not None
            assert "2000\n" == attack.stdout.readline()
            decided = run("decide", "BUY", "BTC/USDT", "--confidence", "0.8", "--wait", env=env)
            assert decided.code == 0, decided.err
            # Those that are answered, and a few that are just being closed.
            assert psutil.Process(service.pid).num_fds() < before + 100
            attack.communicate("", timeout=30)
        until(lambda: is_answered(port), "a scrape is answered again")
        assert service.stop().code == 0


def is_answered(port: int) -> bool:
    try:
        return fetch(port).value("paper_up") == 1
    except OSError:
        return False
