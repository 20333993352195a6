"""Orders that rest, by the commands of people: decide, orders --open, positions, cancel, flatten, explain; and by the
debug console."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from actors import TradingSystem
from console.cli import main
from tests.support.system.console_sessions import console_session
from tests.support.system.running_system import running_system, until

Run = Callable[..., tuple[int, str, str]]
HALT = "INSERT INTO paper_halts (halted, reason, by_whom) VALUES (true, 'audit: cash differs', %s)"
LIMIT = ("--order-type", "limit", "--limit", "95000")


@pytest.fixture
def system(embedded_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TradingSystem]:
    """A system at fixed prices: BTC/USDT 110 485.85, ETH/USDT 3 950.01."""
    monkeypatch.chdir(tmp_path)  # without a paper.toml
    with running_system(embedded_url) as running:
        yield running


@pytest.fixture
def run(system: TradingSystem, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command; returns its exit code, output and error."""

    def run_command(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main([*words, "--database-url", system.database_url, "--home", str(tmp_path)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run_command


def decide(run: Run, *words: str) -> tuple[int, str, str]:
    return run("decide", *words, "--confidence", "1", "--wait")


def open_orders(run: Run) -> list[dict[str, Any]]:
    orders: list[dict[str, Any]] = json.loads(run("orders", "--open", "--json")[1])["orders"]
    return orders


def test_a_limit_order_rests_and_is_cancelled(run: Run) -> None:
    answer = decide(run, "BUY", "BTC/USDT", "--quantity", "0.01", *LIMIT)
    assert (0, "decision 1 is open: BUY 0.01 BTC/USDT, limit 95000\n", "") == answer
    (order,) = open_orders(run)
    assert ("1", "951.000000001", "GTC", "open") == (
        str(order["decision_id"]), order["reserved"], order["time_in_force"], json.loads(
            run("decisions", "--json")[1])["decisions"][0]["status"],
    )  # fmt: skip
    code, out, _ = run("explain", "1")
    assert 0 == code
    assert "  open        its order rests in the market" in out
    assert "  open        0 of 0.01 is filled; it holds back 951.000000001 USDT" in out
    assert (0, "decision 2, cancel: executed: cancelled: 1 order of decision 1\n", "") == run("cancel", "1")
    assert [] == open_orders(run)
    code, out, _ = run("explain", "1")
    assert "UTC: cancelled: by decision 2" in out
    again = (1, "decision 3, cancel: rejected: nothing to cancel: already cancelled: by decision 2\n", "")
    assert again == run("cancel", "1")


def test_a_decision_may_cancel_too(run: Run) -> None:
    decide(run, "BUY", "BTC/USDT", "--quantity", "0.01", *LIMIT)
    expected = "decision 2 accepted: CANCEL 1\nexecuted: cancelled: 1 order of decision 1\n"
    assert (0, expected, "") == run("decide", "cancel", "--target", "1", "--wait")


def test_an_immediate_order_that_cannot_take_ends(run: Run) -> None:
    code, out, _ = decide(run, "BUY", "BTC/USDT", "--quantity", "0.01", *LIMIT, "--time-in-force", "IOC")
    assert 0 == code
    assert out.splitlines()[1].startswith("cancelled: no fill at that price: the market is beyond the limit")


def test_a_protected_position_shows_its_stop_and_flatten_closes_it(run: Run) -> None:
    decide(run, "BUY", "BTC/USDT", "--quantity", "0.01", "--stop-loss", "5%", "--take-profit", "121000")
    decide(run, "BUY", "ETH/USDT", "--quantity", "0.1")
    decide(run, "BUY", "ETH/USDT", "--quantity", "0.1", "--order-type", "stop", "--stop", "5000")
    assert [("SELL", 2, "stop"), ("SELL", 3, "limit"), ("BUY", 1, "stop")] == [
        (order["side"], order["leg"], order["order_type"]) for order in open_orders(run)
    ]
    rows = json.loads(run("positions", "--json")[1])["positions"]
    assert [("BTC/USDT", "0.01"), ("ETH/USDT", None)] == [(row["symbol"], row["stop_quantity"]) for row in rows]
    status = run("status")[1]
    stop = float(rows[0]["stop_price"])
    assert f"position   0.01 BTC/USDT of default: stop {stop:,.2f}" in status
    assert "position   0.1 ETH/USDT of default: no stop" in status
    assert "orders     3 open" in status
    refused = "run.py: flatten closes 1 position at market: 0.1 ETH/USDT of default; confirm it with --yes\n"
    assert (2, "", refused) == run("flatten", "--symbol", "eth-usdt")
    code, out, _ = run("flatten", "--yes")
    assert (0, [
        "decision 4, cancel: executed: cancelled: 2 orders of BTC/USDT",
        "decision 6, cancel: executed: cancelled: 1 order of ETH/USDT",
    ]) == (code, [line for line in out.splitlines() if "cancel" in line])  # fmt: skip
    assert ["BTC/USDT", "ETH/USDT"] == [
        line.split()[3].rstrip(":") for line in out.splitlines() if "executed: sold" in line
    ]
    assert [] == open_orders(run)
    assert (0, "No position is open.\n", "") == run("flatten")


def test_cancel_all_and_by_symbol(run: Run) -> None:
    assert (0, "No order is open.\n", "") == run("cancel", "--all")
    decide(run, "BUY", "BTC/USDT", "--quantity", "0.01", *LIMIT)
    decide(run, "BUY", "ETH/USDT", "--quantity", "0.1", "--order-type", "stop", "--stop", "5000")
    unknown = "run.py: no order, position or price of 'SOL/UDST' is known; orders are open in BTC/USDT, ETH/USDT\n"
    assert (1, "", unknown) == run("cancel", "--symbol", "SOL/UDST")
    assert (0, "decision 3, cancel: executed: cancelled: 1 order of ETH/USDT\n", "") == run(
        "cancel", "--symbol", "eth-usdt"
    )
    code, out, _ = run("cancel", "--all", "--json")
    (sent,) = json.loads(out)["decisions"]
    assert (0, "executed", "cancelled", "all", "default") == (
        code, sent["outcome"], sent["code"], sent["target"], sent["portfolio"],
    )  # fmt: skip
    message = "run.py: cancel needs TARGET, --symbol or --all, and only one of them; see run.py cancel --help\n"
    assert [(2, "", message)] * 2 == [run("cancel"), run("cancel", "1", "--all")]


def test_flatten_works_in_a_halted_portfolio_unless_the_audit_halted_it(run: Run, embedded_url: str) -> None:
    decide(run, "BUY", "BTC/USDT", "--quantity", "0.01", "--stop-loss", "5%")
    rejected = "a reason that begins with audit: is for halts by the audit"
    code, out, error = run("halt", "--reason", "audit: cash differs")
    assert (1, "", f"run.py: {rejected}\n") == (code, out, error)
    with psycopg.connect(embedded_url, autocommit=True) as connection:
        with pytest.raises(psycopg.errors.CheckViolation, match=rejected):
            connection.execute(HALT, ["a person"])
        connection.execute(HALT, ["audit"])
    assert (1, "SELL BTC/USDT of default: not sent: halted: audit: cash differs\n", "") == run("flatten", "--yes")
    assert ["stop"] == [order["order_type"] for order in open_orders(run)]
    assert 0 == run("halt", "--reason", "too many losses")[0]
    sell = ("decide", "SELL", "BTC/USDT", "--confidence", "1", "--wait")
    until(lambda: "rejected: halted: too many losses" in run(*sell)[1])  # the service sees the halt a moment later
    assert 0 == run("flatten", "--yes")[0]
    assert [] == open_orders(run)


def test_without_a_service_flatten_sends_nothing(
    embedded_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with running_system(embedded_url) as running:
        running.execute_order("BTC/USDT", "BUY", "0.01")
    capsys.readouterr()
    assert 3 == main(["flatten", "--yes", "--database-url", embedded_url, "--home", str(tmp_path)])
    assert capsys.readouterr().err.endswith("; nothing was sent\n")


def test_the_debug_console_lists_and_cancels_open_orders(embedded_url: str, tmp_path: Path) -> None:
    with console_session(embedded_url, tmp_path) as console:
        sent = console.json("decide BUY BTC/USDT --confidence 1 --quantity 0.01 --order-type limit --limit-price 95000")
        assert ("open", "open: BUY 0.01 BTC/USDT, limit 95000") == (sent["outcome"], sent["reason"])
        (order,) = console.json("open-orders")
        assert ("BUY", "951.000000001") == (order["side"], order["reserved"])
        assert "open: BUY 0.01 BTC/USDT, limit 95000" in console.do("chain 1")
        assert "its order rests in the market" in console.do("explain 1")
        amended = console.json("amend 1 --limit-price 94000 --quantity 0.02")
        assert ("executed", "amended: limit 95000 -> 94000, quantity 0.01 -> 0.02") == (
            amended["outcome"], amended["reason"],
        )  # fmt: skip
        assert "1881.880000001" == console.json("open-orders")[0]["reserved"]
        cancelled = console.json("cancel 1")
        assert ("executed", "cancelled: 1 order of decision 1") == (cancelled["outcome"], cancelled["reason"])
        assert [] == console.json("open-orders")
        events = [(event["what"], event["detail"]) for event in console.json("chain 1")["events"]]
        assert ("accepted", "leg 1") in events
        assert ("ended", "leg 1: cancelled: by decision 3") in events
        console.json("decide BUY BTC/USDT --confidence 1 --quantity 0.01 --order-type limit --limit-price 95000")
        assert "cancelled: 1 order of BTC/USDT" == console.json("cancel --symbol btc-usdt")["reason"]
        trailing = console.json("decide BUY BTC/USDT --confidence 0.8 --order-type trailing_stop --trail 500")
        again = console.json(f"amend {trailing['decision_id']} --trail-pct 0.02")
        assert ("executed", "amended: trail 500 -> 2 %") == (again["outcome"], again["reason"])


def test_an_open_order_is_amended(run: Run) -> None:
    decide(run, "BUY", "BTC/USDT", "--quantity", "0.01", *LIMIT)
    assert (0, "decision 2, amend: executed: amended: limit 95000 -> 96000, quantity 0.01 -> 0.005\n", "") == run(
        "amend", "1", "--quantity", "0.005", "--limit", "96000"
    )
    (order,) = open_orders(run)
    assert ("0.005", "96000", "481.000000001") == (order["quantity"], order["limit_price"], order["reserved"])
    code, out, _ = run("explain", "1")
    assert "by decision 2: limit 95000 -> 96000" in " ".join(out.split())
    code, out, _ = run("amend", order["order_id"], "--limit", "96000", "--json")
    (answer,) = json.loads(out)["decisions"]
    assert (1, "rejected", "nothing_to_amend", "AMEND") == (
        code, answer["outcome"], answer["code"], answer["decision"],
    )  # fmt: skip
    assert (
        2,
        "run.py: amend needs --quantity, --limit, --stop, --trail or --order-expires-at; see run.py amend --help\n",
    ) == (run("amend", "1")[::2])
    assert (2, "run.py: quantity = '-1': must be above 0\n") == run("amend", "1", "--quantity", "-1")[::2]
    assert (
        "decision 4 accepted: AMEND 1\nexecuted: amended: quantity 0.005 -> 0.004\n"
        == run("decide", "amend", "--target", "1", "--quantity", "0.004", "--wait")[1]
    )
    assert 1 == run("amend", "no-such-order", "--limit", "1")[0]


def test_status_names_orders_that_wait_for_another_price_source(run: Run, system: TradingSystem) -> None:
    decide(run, "BUY", "BTC/USDT", "--quantity", "0.01", *LIMIT)
    assert [] == json.loads(run("status", "--json")[1])["frozen_orders"]
    with psycopg.connect(system.database_url) as connection:
        connection.execute("SET paper.writer = 'PositionKeeper'")
        connection.execute("UPDATE paper_orders SET price_source = 'kraken'")
    code, out, _ = run("status")
    assert 0 == code
    assert "1 rests unfilled: prices come from simulated, not from kraken" in " ".join(out.split())
