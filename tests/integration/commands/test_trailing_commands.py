"""Trailing stops, several take-profits and the default exits of a portfolio, by the commands of people."""

from __future__ import annotations

from tests.integration.commands.test_order_commands import Run, decide, open_orders, run, system

__all__ = ["run", "system"]  # fixtures


def test_a_trailing_stop_and_two_targets_by_options(run: Run) -> None:
    targets = ("--take-profit", "5%:0.5", "--take-profit", "120000:0.25", "--trailing-stop", "2%")
    code, out, _ = decide(run, "BUY", "BTC/USDT", "--quantity", "0.01", *targets)
    assert (0, True) == (code, "executed: bought 0.01 BTC/USDT" in out)
    stop, first, second = open_orders(run)
    assert [2, 3, 4] == [stop["leg"], first["leg"], second["leg"]]
    assert ["0.01", "0.005", "0.0025"] == [stop["quantity"], first["quantity"], second["quantity"]]
    assert ("0.02", "110485.85", "108276.133") == (stop["trail_pct"], stop["trail_mark"], stop["stop_price"])
    assert "120000" == second["limit_price"]
    assert "  2 %  " in run("orders", "--open")[1]
    assert "108,276.13" in run("positions")[1]
    assert "stop 108,276.13" in run("status")[1]
    code, out, _ = run("explain", "1")
    assert (0, True) == (code, "for its trigger at 108276.133" in out.replace(",", ""))


def test_a_trailing_order_by_options(run: Run) -> None:
    decide(run, "BUY", "BTC/USDT", "--quantity", "0.01")
    answer = decide(run, "SELL", "BTC/USDT", "--order-type", "trailing_stop", "--trail", "500")
    expected = "decision 2 is open: SELL 0.01 BTC/USDT, trailing stop 109,985.85, trail 500\n"
    assert (0, expected, "") == answer


def test_a_trail_is_amended_by_an_amount_or_a_percentage(run: Run) -> None:
    decide(run, "BUY", "BTC/USDT", "--quantity", "0.01")
    decide(run, "SELL", "BTC/USDT", "--order-type", "trailing_stop", "--trail", "500")
    assert (0, "decision 3, amend: executed: amended: trail 500 -> 2 %\n", "") == run("amend", "2", "--trail", "2%")
    (order,) = open_orders(run)
    assert ("0.02", None, "108276.133") == (order["trail_pct"], order["trail"], order["stop_price"])
    code, out, _ = run("amend", "2", "--trail", "400", "--quantity", "0.005")
    assert (0, "decision 4, amend: executed: amended: trail 2 % -> 400, quantity 0.01 -> 0.005\n") == (code, out)
    assert (2, "run.py: trail = '-1': must be above 0\n") == run("amend", "2", "--trail", "-1")[::2]
    assert "Decision 3: AMEND 2: trail 2 %, portfolio default" == run("explain", "3")[1].splitlines()[0]
    answer = decide(run, "AMEND", "--target", "2", "--trail", "300")
    assert "executed: amended: trail 400 -> 300" in answer[1]


def test_default_exits_of_a_portfolio(run: Run) -> None:
    code, out, _ = run("portfolio", "set", "default", "--default-stop-loss", "0.05", "--default-take-profit", "none")
    assert (0, "portfolio default: stop loss 0.05, take profit none (revision 2)\n") == (
        code,
        out.replace("default_stop_loss", "stop loss").replace("default_take_profit", "take profit"),
    )
    decide(run, "BUY", "ETH/USDT", "--quantity", "0.1")
    (stop,) = open_orders(run)
    assert (2, "stop") == (stop["leg"], stop["order_type"])
