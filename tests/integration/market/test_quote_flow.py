"""The whole program with the real ccxt and a database: what is stored about fills under price rule `quote`."""

from __future__ import annotations

from contextlib import closing
from decimal import Decimal
from typing import Any

import pytest

from actors import Settings, TradingSystem
from actors.runtime.timer import SystemClock
from domain.trading.arithmetic import plain
from domain.trading.decision import Decision
from market.exchange.ccxt_source import ExchangePrices
from persistence.queries.row_lists import LedgerReader
from tests.support.exchange.server import ExchangeServer
from tests.support.exchange.sources import QUICK, trusted
from tests.support.system.running_system import assert_sound, until

FILLS = """
SELECT f.side, f.price, f.base_price, f.last_price, f.touch_size, f.commission, f.spread_cost, f.bid, f.ask, f.bid_size,
       f.ask_size, f.liquidity
FROM paper_fills f JOIN paper_orders o USING (order_id) ORDER BY o.seq
"""
OUTSIDE_THE_QUOTE = """
SELECT order_id FROM paper_fills
WHERE liquidity = 'taker' AND (side = 'BUY' AND price < ask OR side = 'SELL' AND price > bid)
"""
LAST_PRICE = "SELECT price FROM market_prices WHERE symbol = 'ADA/USDT' ORDER BY time DESC LIMIT 1"


def fill(side: str, price: str, last: str, touch_size: str, commission: str, spread_cost: str) -> dict[str, Any]:
    """Return what is stored of a fill at the touch, without slippage."""
    values = {"price": price, "base_price": price, "last_price": last, "touch_size": touch_size}
    costs = {"commission": commission, "spread_cost": spread_cost}
    return {"side": side, "liquidity": "taker"} | {name: Decimal(value) for name, value in (values | costs).items()}


@pytest.mark.parametrize(
    ("bid", "ask", "bought", "sold", "cash"),
    [
        # 10 000 − 920 − 1 + 900 − 1. The mark is the bid at the BUY, and the last trade at the SELL.
        (
            "0.90",
            "0.92",
            fill("BUY", "0.92", "0.50", "400", commission="1", spread_cost="20"),
            fill("SELL", "0.90", "0.91", "5000", commission="1", spread_cost="10"),
            "9978",
        ),
        # 10 000 − 1200 − 1.20 + 800 − 1: of 1200 a third is gone.
        (
            "0.80",
            "1.20",
            fill("BUY", "1.20", "1", "400", commission="1.20", spread_cost="200"),
            fill("SELL", "0.80", "1.01", "5000", commission="1", spread_cost="210"),
            "9597.80",
        ),
    ],
)
def test_a_round_trip_pays_the_spread(
    bid: str,
    ask: str,
    bought: dict[str, Any],
    sold: dict[str, Any],
    cash: str,
    server: ExchangeServer,
    embedded_url: str,
) -> None:
    touch = {"bid": bid, "ask": ask, "bid_size": "5000", "ask_size": "400"}
    server.set_price("ADA/USDT", str(bought["last_price"]), **touch)
    source = ExchangePrices(
        "kraken", SystemClock(), cache=None, symbols=["ADA/USDT"], access=trusted(server.kraken), timing=QUICK
    )
    settings = Settings.isolated(database_url=embedded_url, max_position_size=1, slippage_pct=0)
    with closing(LedgerReader(embedded_url)) as ledger:
        with TradingSystem.start(settings, source=source) as system:
            buy = Decision(symbol="ADA/USDT", decision="BUY", confidence=1, quantity=Decimal(1000))
            assert f"bought 1000 ADA/USDT at {plain(Decimal(ask))}" == system.submit(buy).get(timeout=30).reason
            server.set_price("ADA/USDT", str(sold["last_price"]), **touch)
            until(lambda: [{"price": sold["last_price"]}] == ledger.rows(LAST_PRICE))
            sell = Decision(symbol="ADA/USDT", decision="SELL", confidence=1)
            assert f"sold 1000 ADA/USDT at {plain(Decimal(bid))}" == system.submit(sell).get(timeout=30).reason
        evidence = {name: Decimal(value) for name, value in touch.items()}
        assert [bought | evidence, sold | evidence] == ledger.rows(FILLS)
        assert [] == ledger.rows(OUTSIDE_THE_QUOTE)
        assert_sound(ledger, 2)
        (portfolio,) = ledger.rows("SELECT current_capital, price_rule FROM paper_trading_config")
        assert {"current_capital": Decimal(cash), "price_rule": "quote"} == portfolio
        (summary,) = ledger.rows(
            "SELECT total_commission, total_spread, total_slippage FROM v_paper_performance_metrics"
        )
        costs = {"0.92": ("2", "30", "0"), "1.20": ("2.20", "410", "0")}[ask]
        names = ("total_commission", "total_spread", "total_slippage")
        assert dict(zip(names, map(Decimal, costs), strict=True)) == summary
