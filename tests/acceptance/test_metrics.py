"""run.py metrics and the endpoint, from outside."""

from __future__ import annotations

from pathlib import Path

from tests.support.database.server import free_port
from tests.support.system.program import Program, environment, run
from tests.support.system.scrapes import Scrape, fetch


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
