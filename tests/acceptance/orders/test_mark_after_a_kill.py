"""A mark that was not stored before a kill -9, after which the exchange knows nothing: the stored prices move it."""

from __future__ import annotations

import json
import signal
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import psycopg
import pytest

from persistence.queries.row_lists import LedgerReader
from tests.support.exchange.server import ExchangeServer
from tests.support.system.program import Program, environment, run
from tests.support.system.running_system import until

STOP = "SELECT trail_mark, paper_stop_price(o) AS stop FROM paper_orders o WHERE leg = 2"
PRICES = "SELECT high, price FROM market_prices WHERE time > (SELECT data_at FROM paper_portfolio_state) ORDER BY time"
PATH = "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'paper-trading%%' AND datname = current_database()"


@pytest.mark.slow
def test_the_mark_of_a_trailing_stop_after_a_kill(embedded_url: str, tmp_path: Path) -> None:
    with ExchangeServer() as server, closing(LedgerReader(embedded_url)) as ledger:
        server.set_price("ETH/USDT", "4000", bid="4000", ask="4000")
        options = json.dumps(server.kraken)
        env = environment(
            tmp_path,
            database_url=embedded_url,
            exchange="kraken",
            exchange_options=options,
            exchange_trusted_hosts="127.0.0.1",
        )
        with Program("start", env=env) as service, psycopg.connect(embedded_url) as owner:
            service.wait_for("Serving")
            buy = "decide BUY ETH/USDT --quantity 0.2 --confidence 1 --wait --trailing-stop 500"
            assert 0 == run(*buy.split(), env=env).code
            until(lambda: ledger.rows("SELECT data_at FROM paper_portfolio_state")[0]["data_at"] is not None)
            owner.execute("LOCK TABLE paper_portfolio_state IN SHARE MODE")  # no mark is stored from here on
            until(lambda: len(ledger.rows(PRICES)) >= 2)
            server.set_price("ETH/USDT", "4300", bid="4300", ask="4300")
            until(lambda: any(row["high"] == 4300 for row in ledger.rows(PRICES)))
            server.set_price("ETH/USDT", "4200", bid="4200", ask="4200")
            until(lambda: ledger.rows(PRICES)[-1]["price"] == 4200)
            service.send(signal.SIGKILL)
            service.ended()
            with psycopg.connect(embedded_url, autocommit=True) as other:
                other.execute(f"SELECT pg_terminate_backend(pid) FROM ({PATH}) p")
                until(lambda: not other.execute(PATH).fetchall())
        assert [(4000, 3500)] == [tuple(row.values()) for row in ledger.rows(STOP)]
        server.past.reach = server.past.bars_reach = server.past.now()
        server.past.happen("ETHUSDT", ("4200", "1"))
        with Program("start", env=env) as service:
            service.wait_for("Serving")
            until(lambda: bool(ledger.rows("SELECT FROM paper_settlements")))
            (span,) = ledger.rows("SELECT gap FROM paper_settlements")
            assert "kraken: its trades do not reach back; its bars do not reach back" == span["gap"]
            assert [(Decimal(4300), Decimal(3800))] == [tuple(row.values()) for row in ledger.rows(STOP)]
            assert [] == ledger.ledger_differences()
            assert 0 == service.stop().code
