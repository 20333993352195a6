"""run.py metrics and the endpoint, as their users meet them."""

from __future__ import annotations

from pathlib import Path

from tests.support.database.server import free_port
from tests.support.system.program import Program, environment, run
from tests.support.system.scrapes import Scrape, fetch


def test_the_command_tells_what_the_endpoint_does_and_once_nothing_runs_what_the_database_says(
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
        told, scraped = Scrape(command.out), fetch(port)
        assert list(scraped.families) == list(told.families)
        for name in ("paper_decisions_total", "paper_fills_total", "paper_build_info", "paper_portfolio_cash"):
            assert scraped.by(name) == told.by(name)
        assert 1 == told.value("paper_decisions_total", outcome="executed")
        cash = told.value("paper_portfolio_cash")
        as_json = run("metrics", "--json", env=env).json
        assert {"name": "paper_up", "type": "gauge", "labels": {}, "value": "1.0"} in as_json

        # A second one of the same home is told of the first one, not of its port.
        second = run("start", env=env)
        assert 3 == second.code
        assert second.err.startswith(f"run.py: another process with home {tmp_path} serves this database already")

        # Another one, which would serve another database, finds the port taken before it touches anything.
        other = environment(tmp_path / "other", prices="simulated", metrics_port=str(port))
        refused = run("start", env=other)
        sentence = f"run.py: setting metrics_port = {port}: 127.0.0.1:{port} cannot be listened at (address already in "
        assert refused.code == 2
        assert refused.err.startswith(sentence)
        assert 1 == len(refused.err.splitlines())
        assert not (tmp_path / "other" / "postgres").exists()
        assert service.stop().code == 0

    after = run("metrics", env=env)
    assert (0, "") == (after.code, after.err)
    told = Scrape(after.out)
    assert (0, 1, 0, cash) == tuple(
        told.value(f"paper_{name}") for name in ("up", "database_up", "lease_held", "portfolio_cash")
    )
    assert {} == told.by("paper_decisions_total")


def test_where_nothing_ever_ran_no_database_is_made_to_say_so(tmp_path: Path) -> None:
    told = run("metrics", env=environment(tmp_path / "home"))
    assert (0, "") == (told.code, told.err)
    assert (0, 0) == tuple(Scrape(told.out).value(f"paper_{name}") for name in ("up", "database_up"))
    assert not (tmp_path / "home" / "postgres").exists()


def test_a_database_that_cannot_be_reached_is_said_on_stderr_alone(tmp_path: Path) -> None:
    told = run("metrics", env=environment(tmp_path, database_url="postgresql://u:s3cret-word@127.0.0.1:1/d"))
    assert 0 == told.code
    assert (0, 0) == tuple(Scrape(told.out).value(f"paper_{name}") for name in ("up", "database_up"))
    assert "the database adds no numbers: the database is not available" in told.err
    assert "s3cret-word" not in told.err + told.out
