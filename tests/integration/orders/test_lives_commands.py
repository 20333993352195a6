"""``run.py portfolio close``, ``reset`` and ``clone``, while the service runs and while it does not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import psycopg
import pytest

from actors import Decision, TradingSystem
from actors.runtime.timer import SystemClock
from console.cli import main
from persistence.queries.open_orders import other_source
from tests.integration.commands.test_order_commands import HALT, Run, decide, open_orders, run, system
from tests.support.exchange.fixed_price_source import FixedPriceSource
from tests.support.system.running_system import PRICES, isolated_settings, running_system

__all__ = ["run", "system"]  # fixtures


def listed(run: Run) -> dict[str, dict[str, Any]]:
    rows = json.loads(run("portfolio", "list", "--json")[1])["portfolios"]
    return {row["portfolio"]: row for row in rows}


def test_a_reset_while_the_service_runs(run: Run) -> None:
    decide(run, "BUY", "BTC/USDT", "--quantity", "0.01", "--stop-loss", "90000")
    code, _, error = run("portfolio", "reset", "default")
    assert 2 == code
    holds = "portfolio default holds BTC/USDT and has 1 open order"
    assert (
        f"run.py: {holds}; `run.py portfolio reset default --flatten` closes positions and cancels orders first\n"
        == error
    )
    code, out, _ = run("portfolio", "reset", "default", "--capital", "500", "--flatten", "--yes")
    assert (0, "portfolio default begins anew with 500 USDT; what was before is default@1\n") == (code, out)
    rows = listed(run)
    assert [("default", "500", None), ("default@1", "default@1", True)] == [
        ("default", rows["default"]["cash"], rows["default"]["closed_at"]),
        ("default@1", rows["default@1"]["portfolio"], rows["default@1"]["closed_at"] is not None),
    ]
    assert 0 == decide(run, "BUY", "ETH/USDT", "--quantity", "0.02")[0]
    assert ["ETH/USDT"] == [row["symbol"] for row in json.loads(run("positions", "--json")[1])["positions"]]
    reports = {name: json.loads(run("report", "--portfolio", name, "--json")[1]) for name in ("default", "default@1")}
    assert {"default": ("default", 1), "default@1": ("default@1", 2)} == {
        name: (report["portfolios"][0]["portfolio"], report["portfolios"][0]["funnel"]["received"])
        for name, report in reports.items()
    }
    code, out, _ = run("portfolio", "list")
    assert "portfolio default@1 is closed since" in out
    assert "default@1" not in run("status")[1]
    assert "reset of 500" in run("portfolio", "events")[1]
    assert 0 == run("status")[0]


@pytest.mark.slow
def test_a_closed_portfolio_rejects_and_can_be_begun_anew(run: Run) -> None:
    run("portfolio", "create", "trial", "--capital", "5000")
    assert (0, "portfolio trial closed with 5000 USDT\n", "") == run("portfolio", "close", "trial")
    code, out, _ = run("decide", "BUY", "BTC/USDT", "--confidence", "1", "--portfolio", "trial", "--wait")
    assert (0, True) == (code, "rejected: portfolio is closed: trial, since" in out)
    code, _, error = run("portfolio", "close", "trial")
    assert (2, "run.py: request 2 is refused: portfolio trial is closed already\n") == (code, error)
    code, _, error = run("portfolio", "set", "trial", "--slippage-pct", "0")
    assert (2, True) == (code, "portfolio trial is closed and never changes; a reset begins it anew" in error)
    assert "trial" not in run("status")[1]
    assert (0, "portfolio trial begins anew with 5000 USDT; what was before is trial@1\n", "") == run(
        "portfolio", "reset", "trial"
    )
    assert 0 == decide(run, "BUY", "ETH/USDT", "--quantity", "0.1", "--portfolio", "trial")[0]


@pytest.mark.slow
def test_a_portfolio_that_people_halted_ends_and_one_that_the_audit_halted_goes_on(
    run: Run, system: TradingSystem
) -> None:
    decide(run, "BUY", "BTC/USDT", "--quantity", "0.01")
    run("halt", "--reason", "by hand")
    assert 0 == run("portfolio", "reset", "default", "--flatten", "--yes")[0]
    run("resume")
    decide(run, "BUY", "BTC/USDT", "--quantity", "0.01")
    with psycopg.connect(system.database_url, autocommit=True) as connection:
        connection.execute(HALT, ["audit"])
    code, _, error = run("portfolio", "reset", "default", "--flatten", "--yes")
    assert (2, True) == (code, "portfolio default is not flat, so it goes on: SELL BTC/USDT is rejected" in error)
    assert [] == open_orders(run)


@pytest.mark.slow
def test_a_clone(run: Run) -> None:
    run("portfolio", "set", "default", "--max-position-size", "0.5")
    code, out, _ = run("portfolio", "clone", "default", "candidate", "--capital", "50000")
    assert (0, "portfolio candidate created with the rules of default: 50,000.00 USDT\n") == (code, out)
    assert ("0.5", "50000") == (listed(run)["candidate"]["max_position_size"], listed(run)["candidate"]["cash"])
    run("portfolio", "create", "coins", "--capital", "0.005", "--currency", "BTC", "--min-commission", "0")
    code, out, _ = run("portfolio", "clone", "coins", "more coins")
    assert (0, "portfolio more coins created with the rules of coins: 0.00500000 BTC\n") == (code, out)
    code, _, error = run("portfolio", "clone", "default", "candidate")
    assert (2, "run.py: portfolio 'candidate' exists already; choose another name\n") == (code, error)
    code, _, error = run("portfolio", "clone", "default", "x@2")
    assert (2, True) == (code, "@ and digits at its end would name an earlier life" in error)
    assert 2 == run("portfolio", "clone", "nobody", "x")[0]


def test_a_validation_run_ends_only_after_a_question(run: Run) -> None:
    decide(run, "BUY", "ETH/USDT", "--quantity", "0.01")
    decide(run, "SELL", "ETH/USDT")
    assert 0 == run("validate", "start", "--portfolio", "default", "--strategy", "mine")[0]
    code, _, error = run("portfolio", "reset", "default")
    assert (2, True) == (code, "portfolio default is in validation run run-1, which this ends" in error)
    assert 0 == run("portfolio", "reset", "default", "--yes")[0]
    (row,) = json.loads(run("validate", "list", "--json")[1])["runs"]
    assert (["default@1"], True) == (row["portfolios"], row["end_reason"].endswith(": portfolio reset"))


@pytest.mark.slow
def test_without_a_service_it_takes_effect_at_once(
    embedded_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def command(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main([*words, "--database-url", embedded_url, "--home", str(tmp_path)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    with running_system(embedded_url) as system:
        bought = system.submit(Decision(symbol="BTC/USDT", decision="BUY", confidence=1, quantity="0.01"))
        assert "executed" == bought.get(timeout=30).status
    code, _, error = command("portfolio", "reset", "default", "--flatten", "--yes")
    assert (3, True) == (code, "portfolio default holds BTC/USDT, and only it can close that" in error)
    with running_system(embedded_url) as system:
        sold = system.submit(Decision(symbol="BTC/USDT", decision="SELL", confidence=1))
        assert "executed" == sold.get(timeout=30).status
    waits = command("decide", "BUY", "BTC/USDT", "--confidence", "1")
    assert 0 == waits[0]
    code, out, _ = command("portfolio", "reset", "default", "--capital", "2000")
    assert (0, "portfolio default begins anew with 2000 USDT; what was before is default@1\n") == (code, out)
    with running_system(embedded_url) as system:
        bought = system.submit(Decision(symbol="ETH/USDT", decision="BUY", confidence=1, quantity="0.1"))
        assert "executed" == bought.get(timeout=30).status
        assert ["default", "default@1", "default@1", "default@1"] == [
            row["portfolio"] for row in system.ledger_reader.decisions()
        ]
        assert "portfolio is closed" in system.ledger_reader.decision(3)["outcome_reason"]
        assert [] == system.ledger_reader.ledger_differences()


class OtherSource(FixedPriceSource):
    """Another price source, as an exchange beside a simulation."""

    name = "other"


@pytest.mark.slow
def test_portfolios_of_two_price_sources_live_in_one_database(embedded_url: str) -> None:
    with running_system(embedded_url) as system:
        bought = system.submit(Decision(symbol="BTC/USDT", decision="BUY", confidence=1, quantity="0.01"))
        assert "executed" == bought.get(timeout=30).status
    main(["portfolio", "create", "real", "--capital", "10000", "--database-url", embedded_url])
    prices = {symbol: str(2 * float(price)) for symbol, price in PRICES.items()}
    with TradingSystem.start(
        isolated_settings(embedded_url, snapshot_interval=1), source=OtherSource(prices, SystemClock(), 0.1)
    ) as system:
        reader = system.ledger_reader
        rejected = system.submit(Decision(symbol="BTC/USDT", decision="SELL", confidence=1)).get(timeout=30)
        detail = "portfolio default trades at prices of simulated, the service has those of other"
        assert ("rejected", f"other price source: {detail}") == (rejected.status, rejected.reason)
        before = reader.positions("default")
        bought = system.submit(
            Decision(symbol="BTC/USDT", decision="BUY", confidence=1, quantity="0.005", portfolio="real")
        )
        assert "executed" == bought.get(timeout=30).status
        assert before[0]["current_price"] == reader.positions("default")[0]["current_price"]
        rows = {row["portfolio"]: row["price_source"] for row in reader.portfolios()}
        assert {"default": "simulated", "real": "other"} == rows
        assert [{"portfolio": "default", "price_source": "simulated", "present": "other"}] == other_source(reader)
    with running_system(embedded_url) as system:
        sold = system.submit(Decision(symbol="BTC/USDT", decision="SELL", confidence=1))
        assert "executed" == sold.get(timeout=30).status
        assert [] == system.ledger_reader.ledger_differences()
