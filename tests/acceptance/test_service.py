"""The service: start, stop, second instance, kill -9, and every start that must not happen."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from persistence.embedded.server import EmbeddedServer, running
from persistence.lease_session import LOCK_KEY
from persistence.server_releases import outdated
from tests.support.database.postmaster import postmaster_pid
from tests.support.database.servers import ServerPool, Unavailable
from tests.support.system.program import Ended, Program, environment, run, until

SECRET = "s3cret-word"


def one_sentence(ended: Ended, *, but: str = SECRET) -> str:
    """What a person reads when something is wrong: one line, no traceback, no secret."""
    lines = ended.err.strip().splitlines()
    assert len(lines) == 1, ended.err
    assert lines[0].startswith("run.py: ")
    assert "Traceback" not in ended.err + ended.out
    assert but not in ended.err + ended.out
    return lines[0]


def nothing_logged(home: Path, secret: str = SECRET) -> None:
    for file in (home / "logs").glob("*"):
        assert secret not in file.read_text()


@pytest.fixture
def embedded_home(tmp_path: Path) -> Iterator[Path]:
    home = tmp_path / "home"
    yield home
    if running(home):  # left by a kill -9
        EmbeddedServer.attach(home).release()


def test_it_serves_on_the_embedded_database_and_stops_in_order(embedded_home: Path) -> None:
    env = environment(embedded_home, prices="simulated")
    with Program(env=env) as service:
        service.wait_for()
        output = service.printed()
        assert "Paper trading 0.2.0" in output
        assert f"embedded, in {embedded_home}" in output
        assert "without TimescaleDB" in output
        version = re.search(r"PostgreSQL \d+\.\d+", output)
        assert version is not None
        assert (outdated(version[0]) is not None) == ("lacks fixes of security holes" in output)
        assert "simulated prices: results prove nothing about real markets" in output
        assert "default: 10,000.00 USDT cash" in output
        assert "0 waiting" in output

        second = run("start", env=env)
        assert second.code == 3
        assert f"process {service.pid} on {socket.gethostname()}" in one_sentence(second)

        url = run("db", "url", env=env).out.strip()
        with psycopg.connect(url) as reader:  # libpq, as psql is
            assert reader.execute("SELECT count(*) FROM v_paper_ledger_check").fetchone() == (0,)
        if (psql := shutil.which("psql")) is not None:
            queried = subprocess.run(
                [psql, url, "-Atc", "SELECT 1"], capture_output=True, text=True, check=True, timeout=60
            )
            assert queried.stdout.strip() == "1"

        decided = run("decide", "BUY", "BTC/USDT", "--confidence", "0.8", "--wait", "--json", env=env)
        assert decided.code == 0, decided.err
        assert decided.json["outcome"] == "executed"

        ended = service.stop(signal.SIGTERM)
    assert ended.code == 0, ended.err
    assert service.seconds_to_stop < 3 * 5  # the promise, three times
    assert not running(embedded_home)
    log = embedded_home / "logs" / "paper-trading.jsonl"
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    records = [json.loads(line) for line in log.read_text().splitlines()]
    about = [record for record in records if record.get("decision") == decided.json["decision_id"]]
    assert any(record["message"].startswith("executed") for record in about)
    assert f"#{decided.json['decision_id']} executed" in ended.err


def test_after_kill_9_the_embedded_server_is_found_again(embedded_home: Path) -> None:
    env = environment(embedded_home, prices="simulated")
    with Program("start", env=env) as service:
        service.wait_for()
        server = postmaster_pid(embedded_home)
        service.stop(signal.SIGKILL)
    assert running(embedded_home)
    with Program("start", env=env) as service:
        service.wait_for()
        assert postmaster_pid(embedded_home) == server
        assert service.stop(signal.SIGINT).code == 0
    assert not running(embedded_home)


@pytest.mark.slow
def test_an_embedded_server_that_crashed_is_started_again_and_nothing_is_lost(embedded_home: Path) -> None:
    env = environment(embedded_home, prices="simulated")
    with Program("start", env=env) as service:
        service.wait_for()
        server = postmaster_pid(embedded_home)
        os.kill(server, signal.SIGKILL)
        service.wait_for("embedded PostgreSQL has crashed")
        decided = run("decide", "BUY", "BTC/USDT", "--confidence", "0.8", "--wait", env=env)
        assert "executed" in decided.out, decided.err
        assert postmaster_pid(embedded_home) != server
        assert service.stop().code == 0
    assert not running(embedded_home)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_within_five_seconds_and_a_second_signal_changes_nothing(
    number: signal.Signals, embedded_url: str, tmp_path: Path
) -> None:
    with Program("start", env=environment(tmp_path, prices="simulated", database_url=embedded_url)) as service:
        service.wait_for()
        service.send(number)
        service.send(number)
        ended = service.stop(number)
    assert ended.code == 0
    assert service.seconds_to_stop < 3 * 5  # the promise, three times
    assert "Traceback" not in ended.err


def test_a_second_signal_waits_for_nothing_and_loses_nothing(embedded_url: str, tmp_path: Path) -> None:
    env = environment(tmp_path, prices="simulated", database_url=embedded_url)
    with Program("start", env=env) as service:
        service.wait_for()
        with psycopg.connect(embedded_url) as blocker, psycopg.connect(embedded_url, autocommit=True) as agent:
            blocker.execute("LOCK TABLE paper_orders")  # so that nothing gets through
            agent.execute(
                "INSERT INTO trading_decisions (symbol, decision, confidence)"
                " SELECT 'BTC/USDT', 'BUY', 1 FROM generate_series(1, 300)"
            )
            blocked = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND relation = 'paper_orders'::regclass)"
            until(lambda: agent.execute(blocked).fetchone() == (True,), "the fill waits")
            service.send(signal.SIGTERM)
            service.wait_for("stopping")
            ended = service.stop(signal.SIGTERM)
    assert ended.code == 0
    assert "second signal" in ended.err
    with Program("start", env=env) as service:
        service.wait_for()
        with psycopg.connect(embedded_url, autocommit=True) as agent:
            waiting = "SELECT count(*) FROM trading_decisions WHERE processed_at IS NULL"
            until(lambda: agent.execute(waiting).fetchone() == (0,), "all have ended")
            assert agent.execute("SELECT count(*) FROM v_paper_ledger_check").fetchone() == (0,)
            assert agent.execute("SELECT count(*) FROM trading_decisions").fetchone() == (300,)


def test_it_can_be_stopped_while_it_starts(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # it takes the connection and never answers
        silent.settimeout(60)
        url = f"postgresql://paper:{SECRET}@127.0.0.1:{silent.getsockname()[1]}/paper"
        with Program("start", env=environment(tmp_path, prices="simulated", database_url=url)) as service:
            client, _ = silent.accept()
            with client:
                ended = service.stop(signal.SIGTERM)
    assert ended.code == 0
    assert service.seconds_to_stop < 3
    assert "Traceback" not in ended.err
    assert SECRET not in ended.err
    nothing_logged(tmp_path)


@pytest.mark.slow
def test_it_ends_with_3_when_another_process_has_taken_the_database_over(embedded_url: str, tmp_path: Path) -> None:
    env = environment(tmp_path, prices="simulated", database_url=embedded_url)
    with (
        Program("start", "--json", env=env) as service,
        psycopg.connect(embedded_url, autocommit=True) as other,
    ):
        service.wait_for()
        other.execute("UPDATE paper_lease SET epoch = epoch + 1, holder = 'another one', started_at = now()")
        # A session that waits for the lock gets it as soon as its holder's connection is cut.
        with psycopg.connect(embedded_url, autocommit=True) as cutter, ThreadPoolExecutor(1) as pool:
            other.execute("SET statement_timeout = '30s'")  # the end of the pool waits for it
            locked = pool.submit(other.execute, "SELECT pg_advisory_lock(%s)", [LOCK_KEY])
            cutter.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'paper-trading lease' AND datname = current_database()"
            )
            locked.result(10)
        ended = service.ended()
    assert ended.code == 3, ended.err
    assert "another one" in ended.err.splitlines()[-1]
    assert ended.err.splitlines()[-1].startswith("run.py: ")
    assert ended.json["prices"] == "simulated"
    assert "Traceback" not in ended.err


def test_json_says_once_that_it_serves(embedded_url: str, tmp_path: Path) -> None:
    env = environment(tmp_path, prices="simulated", database_url=embedded_url)
    with Program("start", "--json", env=env) as service:
        service.wait_for('"version"', "out")
        ended = service.stop()
    assert ended.code == 0
    document = ended.json
    assert document["prices"] == "simulated"
    assert document["real_prices"] is False
    assert document["portfolios"][0]["cash"] == "10000"
    assert document["settings_that_differ"] == {}


@pytest.mark.slow
def test_a_setting_that_differs_from_the_portfolio_is_said(embedded_url: str, tmp_path: Path) -> None:
    env = environment(tmp_path, prices="simulated", database_url=embedded_url)
    created = run("portfolio", "create", "default", "--capital", "5000", "--max-position-size", "0.1", env=env)
    assert created.code == 0, created.err
    with Program("start", env=env) as service:
        service.wait_for()
        note = next(line for line in service.printed().splitlines() if line.strip().startswith("note"))
    assert "initial_capital 5,000 (setting: 10,000)" in note
    assert "max_position_size 0.1 (setting: 0.2)" in note
    assert "commission" not in note


def test_it_serves_the_same_on_timescaledb(database_url: str, tmp_path: Path) -> None:
    env = environment(tmp_path, prices="simulated", database_url=database_url)
    with Program("start", env=env) as service:
        service.wait_for()
        with psycopg.connect(database_url, autocommit=True) as agent:
            agent.execute(
                "INSERT INTO trading_decisions (symbol, decision, confidence) SELECT 'ETH/USDT', 'BUY', 0.6 + n / 100.0"
                " FROM generate_series(1, 5) n"
            )
            until(
                lambda: (
                    agent.execute("SELECT count(*) FROM trading_decisions WHERE processed_at IS NULL").fetchone()
                    == (0,)
                ),
                "outcomes",
            )
            assert agent.execute("SELECT count(*) FROM v_paper_ledger_check").fetchone() == (0,)
        status = run("status", "--json", env=env)
        assert service.stop().code == 0
    assert status.code == 0, status.err
    assert status.json["running"] is True
    assert status.json["ledger_ok"] is True
    assert sum(status.json["decisions"].values()) == 5
    assert isinstance(status.json["portfolios"][0]["cash"], str)


REFUSED: dict[str, tuple[dict[str, str], str, int, str]] = {
    # what is wrong: variables, paper.toml, exit code, what the sentence says (tests/unit/actors/test_settings.py has
    # more)
    "unknown exchange": ({"prices": "ccxt", "exchange": "krakn"}, "", 2, "did you mean kraken"),
    "no such file": ({"prices": "nowhere.csv"}, "", 2, "nowhere.csv"),
    "wrong type": ({"check_interval": "often"}, "", 2, "check_interval = 'often' (from PAPER_CHECK_INTERVAL): must be"),
    "unknown variable": ({"comission_pct": "0.1"}, "", 2, "did you mean PAPER_COMMISSION_PCT?"),
    "other database": ({"database_url": f"mysql://u:{SECRET}@h/d"}, "", 2, "only postgresql:// databases work"),
    "two at signs": ({"database_url": f"postgresql://u:{SECRET}@{SECRET}@h/d"}, "", 2, "%40"),
    "unreachable": ({"database_url": f"postgresql://u:{SECRET}@127.0.0.1:1/d"}, "", 1, "refused"),
    "wrong option": (
        {"database_url": f"postgresql://u:{SECRET}@127.0.0.1:1/d?oops=1"},
        "",
        2,
        'invalid URI query parameter: "oops"',
    ),
    "unknown key": ({}, 'commision_pct = "0.1"', 2, "'commision_pct' in paper.toml is not a setting; did you mean"),
    "no toml": ({}, "prices = ", 2, "paper.toml cannot be read as TOML"),
}


@pytest.fixture(scope="module")
def refused(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Ended, Path]]:
    """Every start that must not happen, a few at a time: most of a second each is Python's own."""

    def start(name: str) -> tuple[Ended, Path]:
        variables, text, _, _ = REFUSED[name]
        folder = tmp_path_factory.mktemp("refused")
        (folder / "paper.toml").write_text(text)
        return run("start", env=environment(folder, **({"prices": "simulated"} | variables)), cwd=folder), folder

    with ThreadPoolExecutor(4) as pool:
        return dict(zip(REFUSED, pool.map(start, REFUSED), strict=True))


@pytest.mark.parametrize("name", REFUSED)
def test_a_start_that_must_not_happen(name: str, refused: dict[str, tuple[Ended, Path]]) -> None:
    ended, home = refused[name]
    _, _, code, message = REFUSED[name]
    assert message in one_sentence(ended)
    assert ended.code == code
    nothing_logged(home)


def test_a_home_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    ended = run("start", env=environment(tmp_path / "file" / "home", prices="simulated"))
    assert "home" in one_sentence(ended)
    assert ended.code == 2


def test_white_space_in_home_without_a_database(tmp_path: Path) -> None:
    ended = run("start", env=environment(tmp_path / "my home", prices="simulated"))
    assert "white space" in one_sentence(ended)
    assert ended.code == 2


class RefusingServer:
    """Speaks enough of PostgreSQL's protocol to refuse a password (message formats: documentation, chapter 55)."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._socket.close()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError:
                return
            with client:
                while len(first := client.recv(8192)) == 8:  # it asks for encryption: no
                    client.sendall(b"N")
                if first:
                    client.sendall(b"R" + (8).to_bytes(4) + (3).to_bytes(4))  # the password, in clear
                    client.recv(8192)
                    fields = b'SFATAL\0VFATAL\0C28P01\0Mpassword authentication failed for user "u"\0\0'
                    client.sendall(b"E" + (len(fields) + 4).to_bytes(4) + fields)


@pytest.fixture
def refusing() -> Iterator[RefusingServer]:
    server = RefusingServer()
    yield server
    server.close()


@pytest.mark.parametrize("words", [["start"], ["decide", "BUY", "BTC/USDT", "--confidence", "1", "--json"]])
def test_a_wrong_password(words: list[str], refusing: RefusingServer, tmp_path: Path) -> None:
    url = f"postgresql://u:{SECRET}@127.0.0.1:{refusing.port}/paper"
    ended = run(*words, "--log-level", "DEBUG", env=environment(tmp_path, prices="simulated", database_url=url))
    assert "password authentication failed" in one_sentence(ended)
    assert ended.code == 1
    nothing_logged(tmp_path)


def test_a_real_servers_wrong_password(pool: ServerPool, tmp_path: Path) -> None:
    try:
        server = pool.get("timescaledb-17")
    except Unavailable as reason:
        pytest.skip(str(reason))
    name, port = server.admin_url.rpartition("@")[2].partition("/")[0].split(":")
    url = f"postgresql://nobody:{SECRET}@{name}:{port}/nothing"
    ended = run("check", env=environment(tmp_path, database_url=url))
    assert ended.code == 1
    assert SECRET not in ended.out + ended.err
    assert "Traceback" not in ended.err
