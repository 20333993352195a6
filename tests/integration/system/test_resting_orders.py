"""1 000 resting orders on 50 symbols: a start with them, prices that reach none or some, and one CANCEL of all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from decimal import Decimal

from actors import Decision, TradingSystem
from actors.runtime.timer import SystemClock
from domain.trading.instruments import Instrument
from domain.types import Symbol
from persistence import schema
from persistence.queries.row_lists import LedgerReader
from tests.support.database.server import one_transaction
from tests.support.exchange.fixed_price_source import FixedPriceSource
from tests.support.system.running_system import isolated_settings, until

SYMBOLS = [f"S{number:02}/USDT" for number in range(50)]
ORDERS_OF_A_SYMBOL = 20
ORDERS = 1_000
INSERT = """
INSERT INTO trading_decisions (symbol, decision, confidence, quantity, order_type, limit_price)
VALUES (%s, 'BUY', 1, 2, 'limit', %s)
"""
OPEN = """
SELECT count(*) AS orders, sum(reserved) AS reserved, sum(quantity - filled_quantity) AS quantity
FROM paper_orders WHERE status = 'open'
"""
EVENTS = "SELECT kind, count(*) AS count FROM paper_order_events GROUP BY kind ORDER BY kind"
LAST_PRICE = "SELECT price FROM market_prices WHERE symbol = 'S00/USDT' ORDER BY time DESC LIMIT 1"


class Prices(FixedPriceSource):
    """Prices of 50 symbols, all of them 100, confirmed ten times a second."""

    def __init__(self) -> None:
        instruments = [Instrument(Symbol(symbol), "USDT", tick=Decimal("0.01")) for symbol in SYMBOLS]
        super().__init__(dict.fromkeys(SYMBOLS, "100"), SystemClock(), 0.1, instruments)


@contextmanager
def trading(url: str, source: Prices) -> Iterator[TradingSystem]:
    """Run a system whose portfolio can pay for all orders."""
    settings = isolated_settings(url, initial_capital=1_000_000, slippage_pct=0)
    with TradingSystem.start(settings, source=source) as system:
        yield system


def test_a_thousand_resting_orders(embedded_url: str) -> None:
    schema.upgrade(embedded_url)
    # 20 orders of each symbol, at 50, 51 … 69.
    rows = [(symbol, 50 + number) for number in range(ORDERS_OF_A_SYMBOL) for symbol in SYMBOLS]
    # Each reserves 2 × its limit, and the least commission of 1.
    resting = {"orders": ORDERS, "reserved": Decimal(2 * 50 * sum(range(50, 70)) + ORDERS), "quantity": Decimal(2_000)}
    with closing(LedgerReader(embedded_url)) as ledger:

        def events() -> dict[str, int]:
            return {row["kind"]: row["count"] for row in ledger.rows(EVENTS)}

        def until_stored(price: str) -> None:
            until(lambda: [{"price": Decimal(price)}] == ledger.rows(LAST_PRICE))

        source = Prices()
        with trading(embedded_url, source):
            with one_transaction(embedded_url) as connection:
                connection.cursor().executemany(INSERT, rows)
            until(lambda: ledger.rows(OPEN)[0]["orders"] == ORDERS, 60)
            assert [resting] == ledger.rows(OPEN)
            assert {"accepted": ORDERS} == events()
        with trading(embedded_url, source) as system:
            source.set_price("S00/USDT", "70")
            until_stored("70")
            assert [resting] == ledger.rows(OPEN)
            assert {"accepted": ORDERS} == events()
            # The market goes through the orders at 69 and 68 of one symbol, and through no other.
            source.set_price("S00/USDT", "67.5")
            until(lambda: ledger.rows(OPEN)[0]["orders"] < ORDERS)
            until_stored("67.5")
            assert ORDERS - 2 == ledger.rows(OPEN)[0]["orders"]
            assert {"accepted": ORDERS} == events()
            outcome = system.submit(Decision(decision="CANCEL", target="all")).get(timeout=30)
            assert ("executed", "cancelled: 998 orders of portfolio default") == (outcome.status, outcome.reason)
            assert [{"orders": 0, "reserved": None, "quantity": None}] == ledger.rows(OPEN)
            assert {"accepted": ORDERS, "ended": ORDERS - 2} == events()
            assert [] == ledger.ledger_differences()
            (portfolio,) = ledger.rows("SELECT current_capital FROM paper_trading_config")
            assert {"current_capital": Decimal(1_000_000) - 138 - 136 - 2} == portfolio
