"""Deposits, withdrawals and adjustments by the commands of their owner."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from tests.integration.commands.test_order_commands import Run, decide, open_orders, run, system

__all__ = ["run", "system"]  # fixtures


def test_a_deposit_and_a_withdrawal(run: Run) -> None:
    assert (0, "request 1: done: cash is 12500\n", "") == run(
        "portfolio", "deposit", "default", "2500", "--reason", "savings"
    )
    code, out, _ = run("portfolio", "withdraw", "default", "500", "--reason", "to the bank", "--json")
    request = json.loads(out)["request"]
    assert (0, "done", "withdrawal", "500") == (
        code, request["status"], request["kind"], request["amount"],
    )  # fmt: skip
    code, _, error = run("portfolio", "withdraw", "default", "12000.01", "--reason", "greed")
    assert (2, "run.py: request 3 is refused: 12000.01 is more than the free cash of 12000\n") == (code, error)
    (row,) = json.loads(run("portfolio", "list", "--json")[1])["portfolios"]
    assert ("12000", "0") == (row["cash"], row["total_pnl"])
    out = run("portfolio", "events")[1]
    assert "deposit of 2,500" in out
    assert "savings" in out
    assert "refused" in run("portfolio", "events", "default", "--json")[1]


@pytest.mark.slow
def test_a_split_of_a_position_and_its_orders(run: Run) -> None:
    decide(run, "BUY", "BTC/USDT", "--quantity", "0.01", "--stop-loss", "90000")
    code, out, _ = run("portfolio", "adjust", "default", "BTC/USDT", "--split", "10:1", "--reason", "a test")
    assert (0, "request 1: done: 0.01 BTC/USDT became 0.1 BTC/USDT; 1 open order in new units\n") == (code, out)
    (stop,) = open_orders(run)
    assert ("0.1", "9000") == (stop["quantity"], stop["stop_price"])
    code, out, _ = run("portfolio", "adjust", "default", "BTC/USDT", "--write-off", "0", "--reason", "a test", "--json")
    assert (0, True) == (code, json.loads(out)["request"]["outcome"].endswith("; 1 open order ended"))
    assert [] == json.loads(run("positions", "--json")[1])["positions"]
    (trade,) = json.loads(run("trades", "--json")[1])["trades"]
    assert ("0.1", "0") == (trade["quantity"], trade["exit_price"])
    assert "write off of BTC/USDT at 0" in run("portfolio", "events")[1]


@pytest.mark.slow
def test_a_split_of_all_portfolios(run: Run) -> None:
    run("portfolio", "create", "second", "--capital", "50000")
    for name in ("default", "second"):
        decide(run, "BUY", "BTC/USDT", "--quantity", "0.01", "--portfolio", name)
    split = ("BTC/USDT", "--split", "10:1", "--reason", "a test")
    code, _, error = run("portfolio", "adjust", "default", *split)
    held = "portfolio second holds BTC/USDT, too, at the same price; adjust all of them at once, with --all-portfolios"
    assert (2, f"run.py: request 1 is refused: {held}\n") == (code, error)
    became = "0.01 BTC/USDT became 0.1 BTC/USDT"
    assert (0, f"request 2: done: default: {became}. second: {became}\n", "") == run(
        "portfolio", "adjust", *split, "--all-portfolios"
    )
    events = json.loads(run("portfolio", "events", "--json")[1])["events"]
    assert [("default", "done"), ("second", "done"), ("default", "refused")] == [
        (row["portfolio"], row["status"]) for row in events
    ]
    assert 1 == len(json.loads(run("portfolio", "events", "second", "--json")[1])["events"])
    code, _, error = run("portfolio", "cancel-request", "2")
    assert (2, True) == (code, error.startswith("run.py: request 2 has ended already: done: default: "))
    code, _, error = run("portfolio", "cancel-request", "7")
    assert (2, "run.py: there is no request 7; see `run.py portfolio events`\n") == (code, error)


@pytest.mark.slow
def test_report_and_csv_show_them_and_no_result_contains_a_deposit(run: Run, tmp_path: Path) -> None:
    decide(run, "BUY", "BTC/USDT", "--quantity", "0.01")
    run("portfolio", "deposit", "default", "90000", "--reason", "savings")
    run("portfolio", "adjust", "default", "BTC/USDT", "--dividend", "5", "--reason", "staking")
    (report,) = json.loads(run("report", "--json")[1])["portfolios"]
    assert [("deposit", "90000", "savings"), ("dividend", "0.05", "staking")] == [
        (entry["kind"], entry["cash_delta"], entry["reason"]) for entry in report["account"]
    ]
    out = run("report")[1]
    assert "Deposits and adjustments" in out
    assert "dividend of BTC/USDT: 5 a unit" in out
    page = tmp_path / "page.html"
    assert 0 == run("report", "--html", str(page))[0]
    assert "deposit of 90,000" in page.read_text(encoding="utf-8")
    assert 0 == run("report", "--csv", str(tmp_path / "csv"))[0]
    with (tmp_path / "csv" / "account_events.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [("deposit", "90000"), ("dividend", "0.05")] == [(row["kind"], row["cash_delta"]) for row in rows]
    (row,) = json.loads(run("portfolio", "list", "--json")[1])["portfolios"]
    assert ("90000", "0.05", True) == (row["net_deposits"], row["dividends"], abs(float(row["total_pnl"])) < 100)
    assert abs(float(row["total_pnl_pct"])) < 0.001


def test_wrong_input_is_one_sentence(run: Run) -> None:
    why = ("--reason", "a test")
    needs = "adjust needs one of --split, --redenominate, --new-symbol, --dividend and --write-off"
    cases = {
        ("deposit", "default", "0"): "amount must be above 0",
        ("deposit", "default", "-5"): "-5 begins with a minus, and no option has that name: no number here is negative",
        ("deposit", "default", "much"): "AMOUNT 'much': must be a decimal number such as 0.75",
        ("deposit", "nobody", "1"): "there is no portfolio 'nobody'",
        ("adjust", "default", "A", "--split", "10"): "ratio '10': must be NEW:OLD, such as 10:1",
        ("adjust", "default", "A", "--split", "2:2"): "a split changes something",
        ("adjust", "default", "A"): needs,
        ("adjust", "A", "--split", "2:1"): "adjust needs NAME and SYMBOL",
        (
            "adjust",
            "default",
            "A",
            "--split",
            "2:1",
            "--all-portfolios",
        ): "adjust needs SYMBOL alone with --all-portfolios",
        (
            "adjust",
            "A",
            "--dividend",
            "1",
            "--all-portfolios",
        ): "--all-portfolios goes with --split or --redenominate only",
        ("adjust", "A", "--split", "2:1", "--all-portfolios"): " is refused: no portfolio holds A",
        ("adjust", "default", "A", "--split", "2:1", "--new-symbol", "B"): needs,
        ("adjust", "default", "A", "--dividend", "1"): " is refused: portfolio default holds no A",
    }
    for arguments, sentence in cases.items():
        code, out, error = run("portfolio", *arguments, *why)
        assert (2, "") == (code, out), arguments
        assert sentence in error
