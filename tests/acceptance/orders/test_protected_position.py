"""A position that is protected afterwards: the real program, the real ccxt, a kill -9, and a fall through the stop."""

from __future__ import annotations

import json
import signal
from decimal import Decimal
from pathlib import Path

import pytest

from tests.acceptance.orders.test_resting_orders import Ledger, decide, numbers, open_orders, server
from tests.support.exchange.server import ExchangeServer
from tests.support.system.program import Program, environment, run

__all__ = ["server"]  # a fixture


@pytest.mark.slow
def test_a_position_gets_a_stop_afterwards_that_is_filled_after_a_kill(
    server: ExchangeServer, embedded_url: str, tmp_path: Path
) -> None:
    options = json.dumps(server.kraken)
    env = environment(
        tmp_path,
        database_url=embedded_url,
        exchange="kraken",
        exchange_options=options,
        exchange_trusted_hosts="127.0.0.1",
    )
    ledger = Ledger(embedded_url)
    with Program("start", env=env) as service:
        service.wait_for("Serving")
        assert "decision 1 accepted: BUY ETH/USDT" == decide(env, "BUY ETH/USDT --quantity 0.2")
        assert [] == open_orders(env)
        protected = run(*["protect", "ETH/USDT", "--stop-loss", "3900", "--take-profit", "4300"], env=env)
        assert 0 == protected.code, protected.out + protected.err
        assert protected.out.startswith(
            "decision 2, PROTECT ETH/USDT: executed: protected: SELL 0.2 ETH/USDT, stop 3900;"
            " SELL 0.2 ETH/USDT, limit 4300 (bought at 4,00"
        )
        before = open_orders(env)
        assert [(2, 2), (2, 3)] == numbers(before)
        again = run(*["protect", "ETH/USDT", "--stop-loss", "3800"], env=env)
        assert 1 == again.code
        assert "rejected: nothing to protect: all 0.2 ETH/USDT has exits; AMEND or CANCEL stop order " in again.out
        service.stop(signal.SIGKILL)

    with Program("start", env=env) as service:
        service.wait_for("Serving")
        assert before == open_orders(env)
        server.wait_for("subscribe trades", 2)  # of ETH/USDT, by each process
        # Nobody traded between 3 950 and 3 700: the stop gets the bid behind the gap.
        server.set_price("ETH/USDT", "3950", bid="3949", ask="3951")
        server.set_price("ETH/USDT", "3705", bid="3700", ask="3710")
        stopped = ledger.until_filled(2, 2)
        assert (Decimal(3700), "taker") == (stopped["base_price"], stopped["liquidity"])
        assert "cancelled" == ledger.leg(2, 3)["status"]
        assert [] == open_orders(env)
        explained = run("explain", "2", env=env)
        assert 0 == explained.code
        assert "recomputed  the same to the last digit" in explained.out
        status = run("status", env=env)
        assert "books      balance" in status.out
        assert 0 == service.stop().code
    ledger.reader.close()
