"""The real program beside a database and a shell that set what would have ended it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from tests.support.database import hostile_settings
from tests.support.system.program import ROOT, Program, environment, run

DECIDE = ["decide", "BUY", "BTC/USDT", "--confidence", "0.9", "--quantity", "0.001", "--strategy", "momentum 🚀"]


def test_a_service_beside_hostile_settings_of_its_database(database_url: str, tmp_path: Path) -> None:
    hostile_settings.set_by_database(database_url)
    env = environment(tmp_path / "home", database_url=database_url, prices="simulated") | hostile_settings.SHELL
    with Program("start", env=env) as service:
        service.wait_for()
        with psycopg.connect(database_url, client_encoding="UTF8", options="-c search_path=public") as agent:
            agent.execute(
                "INSERT INTO trading_decisions (symbol, decision, confidence, strategy)"
                " VALUES ('ETH/USDT', 'BUY', 0.9, 'momentum 🚀')"
            )
        sent = run(*DECIDE, "--wait", "--json", env=env)
        assert (sent.code, sent.err, sent.json["outcome"]) == (0, "", "executed")
        status = run("status", "--json", env=env)
        assert status.code == 0, status.err
        ended = run("decisions", "--json", env=env)
        assert [(row["status"], row["strategy"]) for row in ended.json["decisions"]] == [
            ("executed", "momentum 🚀")
        ] * 2
        assert service.stop().code == 0


@pytest.mark.slow
def test_variables_of_the_shell_do_not_reach_the_embedded_server(tmp_path: Path) -> None:
    env = environment(tmp_path / "home", prices="simulated") | hostile_settings.WRONG_SHELL
    with Program("start", env=env) as service:
        service.wait_for()
        sent = run(*DECIDE, "--wait", env=env)
        assert (sent.code, sent.err) == (0, "")
        backup = run("db", "backup", str(tmp_path / "b"), env=env)
        assert (backup.code, backup.err) == (0, "")
        assert service.stop().code == 0


@pytest.mark.slow
@pytest.mark.parametrize("stdout", ["/dev/full", "closed"])
def test_a_decision_whose_answer_nobody_can_read_is_no_failure(database_url: str, tmp_path: Path, stdout: str) -> None:
    env = environment(tmp_path / "home", database_url=database_url)
    words = [sys.executable, str(ROOT / "run.py"), *DECIDE]
    if stdout == "closed":
        reader = subprocess.Popen(["true"], stdin=subprocess.PIPE)
        reader.wait()
        assert reader.stdin is not None
        ended = subprocess.run(
            words, env=env, stdout=reader.stdin, stderr=subprocess.PIPE, text=True, check=False, timeout=60
        )
        reader.stdin.close()
    else:
        with Path(stdout).open("w") as full:
            ended = subprocess.run(
                words, env=env, stdout=full, stderr=subprocess.PIPE, text=True, check=False, timeout=60
            )
    assert ended.returncode == 0, ended.stderr
    unprinted, unserved = ended.stderr.splitlines()
    assert unprinted.startswith("run.py: decision 1 is committed; the answer cannot be printed: ")
    assert unserved.startswith("run.py: The service is not running: decision 1 expires unless ")
