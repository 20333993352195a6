"""The market goes through a stop and back while nothing runs: the real program, the real ccxt, and a kill -9."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from persistence.queries.row_lists import LedgerReader
from tests.support.exchange.server import ExchangeServer
from tests.support.system.program import Program, environment, run
from tests.support.system.running_system import until

STOP = """
SELECT f.base_price, f.last_price, f.recovered, f.liquidity, extract(epoch FROM f.filled_at)::float AS at,
       extract(epoch FROM o.triggered_at)::float AS triggered_at, o.status
FROM paper_orders o JOIN paper_fills f USING (order_id) WHERE o.leg = 2
"""
SPANS = "SELECT symbol, price_source, trades, bars, gap FROM paper_settlements ORDER BY until"


@pytest.fixture
def server() -> Iterator[ExchangeServer]:
    with ExchangeServer() as running:
        running.set_price("ETH/USDT", "4000", bid="3999", ask="4001")
        yield running


@pytest.mark.slow
def test_a_stop_that_was_reached_while_nothing_ran(server: ExchangeServer, embedded_url: str, tmp_path: Path) -> None:
    options = json.dumps(server.kraken)
    env = environment(
        tmp_path,
        database_url=embedded_url,
        exchange="kraken",
        exchange_options=options,
        exchange_trusted_hosts="127.0.0.1",
    )
    ledger = LedgerReader(embedded_url)
    begun = server.past.now()
    with Program("start", env=env) as service:
        service.wait_for("Serving")
        bracket = "decide BUY ETH/USDT --quantity 0.2 --confidence 1 --wait --stop-loss 3800 --take-profit 4400"
        assert 0 == run(*bracket.split(), env=env).code
        until(lambda: ledger.rows("SELECT data_at FROM paper_portfolio_state")[0]["data_at"] is not None)
        service.send(signal.SIGKILL)
        service.ended()
    # The last second is not yet over; what happens after the kill is what the next process asks for.
    server.past.add("ETHUSDT", (begun - 60, "4000", "1"))
    fell_at, _ = server.past.happen("ETHUSDT", ("3790", "3"), ("4500", "9"))
    server.set_price("ETH/USDT", "4100", bid="4099", ask="4101")
    with Program("start", env=env) as service:
        service.wait_for("Serving")
        until(lambda: bool(ledger.rows(SPANS)))
        (stop,) = ledger.rows(STOP)
        (span,) = ledger.rows(SPANS)
        assert ("ETH/USDT", "kraken", 2, 0, None) == tuple(span.values())
        assert (Decimal(3790), Decimal(3790), True, "taker", "filled") == (
            stop["base_price"], stop["last_price"], stop["recovered"], stop["liquidity"], stop["status"],
        )  # fmt: skip
        assert pytest.approx(fell_at, abs=0.0001) == stop["at"] == stop["triggered_at"]
        assert [] == ledger.ledger_differences()
        assert {"executed": 1} == ledger.outcomes()
        assert [] == run("orders", "--open", "--json", env=env).json["orders"]
        assert 0 == service.stop().code
    ledger.close()
