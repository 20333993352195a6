"""Orders that rest, as a person types the commands, over a kill of the service."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from persistence.embedded.server import EmbeddedServer, running
from tests.support.system.program import Ended, Program, environment, run, until


def typed(line: str, env: dict[str, str]) -> Ended:
    """Run a command as it is typed."""
    return run(*line.split(), env=env)


@pytest.mark.slow
def test_a_limit_order_and_a_protected_position_survive_a_kill(tmp_path: Path) -> None:
    env = environment(tmp_path, prices="simulated", seed="1")
    try:
        with Program("start", env=env) as service:
            service.wait_for("Serving")
            buy = typed("decide BUY BTC/USDT --confidence 0.8 --stop-loss 20% --take-profit 30% --wait", env)
            assert (0, "decision 1 accepted: BUY BTC/USDT") == (buy.code, buy.out.splitlines()[0]), buy.err
            limit = "--order-type limit --limit 50000 --time-in-force GTC --wait"
            resting = typed(f"decide BUY BTC/USDT --confidence 0.8 --quantity 0.001 {limit}", env)
            assert (0, "decision 2 is open: BUY 0.001 BTC/USDT, limit 50000\n") == (resting.code, resting.out)
            before = typed("orders --open --json", env).json["orders"]
            assert [(1, 2), (1, 3), (2, 1)] == [(order["decision_id"], order["leg"]) for order in before]
            service.stop(signal.SIGKILL)
        with Program("start", env=env) as service:
            service.wait_for("Serving")
            assert before == typed("orders --open --json", env).json["orders"]
            seen = "waits       limit 50,000; lowest price since it was placed:"
            until(lambda: seen in typed("explain 2", env).out, "a price is stored")
            explained = typed("explain 2", env)
            assert 0 == explained.code
            assert "open        0 of 0.001 is filled; it holds back 51 USDT" in explained.out
            assert seen in explained.out
            positions = typed("positions", env)
            assert "stop" in positions.out.splitlines()[0]
            assert "no stop" not in positions.out
            cancelled = typed("cancel 2", env)
            assert "decision 3, cancel: executed: cancelled: 1 order of decision 2\n" == cancelled.out
            flat = typed("flatten --yes", env)
            assert 0 == flat.code, flat.out + flat.err
            assert "decision 4, cancel: executed: cancelled: 2 orders of BTC/USDT" == flat.out.splitlines()[0]
            assert flat.out.splitlines()[1].startswith("decision 5, SELL BTC/USDT: executed: sold ")
            assert "No order is open.\n" == typed("cancel --all", env).out
            status = typed("status", env)
            assert 0 == status.code
            assert "books      balance" in status.out
            assert 0 == service.stop().code
    finally:
        if running(tmp_path):
            EmbeddedServer.attach(tmp_path).release()
