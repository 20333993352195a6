"""PROTECT by the commands of people: protect, decide, positions, explain; and by the debug console."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from actors import Decision, TradingSystem
from tests.integration.commands.test_order_commands import Run, decide, open_orders, run, system
from tests.support.system.console_sessions import console_session

__all__ = ["run", "system"]  # fixtures


def test_a_position_gets_exits_and_a_second_protect_is_rejected(run: Run) -> None:
    decide(run, "BUY", "BTC/USDT", "--quantity", "0.01")
    assert "no stop" in run("positions")[1]
    targets = ("--take-profit", "5%:0.5", "--take-profit", "130000:0.25")
    code, out, _ = run("protect", "btc-usdt", "--stop-loss", "100000", *targets)
    assert 0 == code
    assert out.startswith("decision 2, PROTECT btc-usdt: executed: protected: SELL 0.01 BTC/USDT, stop 100000; SELL ")
    assert [(2, 2, "0.01"), (2, 3, "0.005")] == [
        (order["decision_id"], order["leg"], order["quantity"]) for order in open_orders(run)
    ][:2]
    assert "100,000" in run("positions")[1]
    code, out, _ = run("protect", "BTC/USDT", "--stop-loss", "5%", "--json")
    (sent,) = json.loads(out)["decisions"]
    assert (1, "rejected", "nothing_to_protect") == (code, sent["outcome"], sent["code"])
    code, out, _ = run("explain", "2")
    assert "Decision 2: PROTECT btc-usdt: stop_loss 100,000" in out


def test_of_several_stops_the_first_is_shown_with_its_quantity(run: Run) -> None:
    decide(run, "BUY", "BTC/USDT", "--quantity", "0.01")
    assert 0 == run("protect", "BTC/USDT", "--stop-loss", "90000")[0]
    assert "stop 90,000.00\n" in run("status")[1]
    decide(run, "SELL", "BTC/USDT", "--quantity", "0.004", "--order-type", "stop", "--stop", "95000")
    assert "stop 95,000.00 for 0.004, more below\n" in run("status")[1]


def test_by_decide_and_by_python(run: Run, system: TradingSystem) -> None:
    decide(run, "BUY", "BTC/USDT", "--quantity", "0.01")
    code, out, _ = run("decide", "protect", "BTC/USDT", "--trailing-stop", "2%", "--wait")
    assert (0, True) == (code, "executed: protected: SELL 0.01 BTC/USDT, trailing stop 108,276.13" in out)
    run("cancel", "--symbol", "BTC/USDT")
    outcome = system.submit(Decision(decision="PROTECT", symbol="BTC/USDT", stop_loss_pct="0.1")).get(timeout=10)  # type: ignore[call-arg]
    assert "executed" == outcome.status
    assert (2, "run.py: Missing argument 'SYMBOL'; see run.py decide --help\n") == run("decide", "PROTECT")[::2]
    message = "run.py: a PROTECT sets only stop_loss, take_profit and trailing_stop\n"
    assert (2, message) == run("decide", "PROTECT", "BTC/USDT", "--quantity", "1")[::2]


def test_all_unprotected(run: Run) -> None:
    assert (0, "Every position has a stop.\n", "") == run("protect", "--all-unprotected")
    run("portfolio", "create", "other", "--capital", "10000")
    for portfolio, symbol in (("default", "BTC/USDT"), ("default", "ETH/USDT"), ("other", "ETH/USDT")):
        decide(run, "BUY", symbol, "--quantity", "0.01" if symbol[0] == "B" else "0.1", "--portfolio", portfolio)
    run("protect", "BTC/USDT", "--stop-loss", "5%")
    run("portfolio", "set", "default", "--default-stop-loss", "0.05", "--default-take-profit", "0.1")
    code, out, _ = run("protect", "--all-unprotected")
    first, second = out.splitlines()
    assert 1 == code
    assert re.match(r"decision 5, PROTECT ETH/USDT: executed: protected: SELL 0\.1 ETH/USDT, stop 3,7\d\d", first)
    assert (
        "PROTECT ETH/USDT of other: not sent: portfolio other has no default_stop_loss for its 0.1 ETH/USDT; set it"
        " with `run.py portfolio set other --default-stop-loss 0.05`, or name a stop:"
        " `run.py protect ETH/USDT --portfolio other --stop-loss 5%`"
    ) == second
    assert (0, "Every position has a stop.\n", "") == run("protect", "--all-unprotected", "--portfolio", "default")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("", "protect needs SYMBOL and --stop-loss, --take-profit or --trailing-stop; or --all-unprotected"),
        ("BTC/USDT", "protect needs SYMBOL and --stop-loss, --take-profit or --trailing-stop; or --all-unprotected"),
        ("BTC/USDT --all-unprotected", "--all-unprotected takes neither SYMBOL nor exits"),
        ("--all-unprotected --stop-loss 5%", "--all-unprotected takes neither SYMBOL nor exits"),
    ],
)
def test_wrong_usage(run: Run, words: str, message: str) -> None:
    assert (2, f"run.py: {message}; see run.py protect --help\n") == run("protect", *words.split())[::2]


def test_by_the_debug_console(embedded_url: str, tmp_path: Path) -> None:
    with console_session(embedded_url, tmp_path) as console:
        console.json("decide BUY BTC/USDT --confidence 1 --quantity 0.01")
        protected = console.json("protect BTC/USDT --stop-loss 100000")
        assert ("executed", "100000") == (protected["outcome"], console.json("open-orders")[0]["stop_price"])


def test_a_symbol_without_anything_open_and_one_that_nobody_knows(run: Run) -> None:
    decide(run, "BUY", "ETH/USDT", "--quantity", "0.1", "--stop-loss", "5%")
    decide(run, "BUY", "BTC/USDT", "--quantity", "0.01")
    code, out, err = run("cancel", "--symbol", "BTC/USDT")
    assert (0, "No order is open in BTC/USDT; orders are open in ETH/USDT.\n", "") == (code, out, err)
    unknown = "run.py: no order, position or price of 'BTC/UDST' is known; orders are open in ETH/USDT\n"
    assert (1, "", unknown) == run("cancel", "--symbol", "BTC/UDST")
    unknown = "run.py: no order, position or price of 'BTC/UDST' is known; positions are open in BTC/USDT, ETH/USDT\n"
    assert (1, "", unknown) == run("flatten", "--symbol", "BTC/UDST", "--yes")
    run("flatten", "--symbol", "BTC/USDT", "--yes")
    expected = "No position is open in BTC/USDT; positions are open in ETH/USDT.\n"
    assert (0, expected, "") == run("flatten", "--symbol", "BTC/USDT", "--yes")
