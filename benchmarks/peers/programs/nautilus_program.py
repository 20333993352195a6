"""nautilus_trader: a kernel in Rust and Cython, an object for each bar, a class in Python called at each bar."""

import json
import sys
import time
from decimal import Decimal

import numpy as np
from nautilus_trader.backtest.engine import BacktestEngine, BacktestEngineConfig
from nautilus_trader.config import LoggingConfig
from nautilus_trader.model.currencies import BTC, USDT
from nautilus_trader.model.data import Bar, BarType
from nautilus_trader.model.enums import AccountType, OmsType, OrderSide
from nautilus_trader.model.identifiers import InstrumentId, Symbol, Venue
from nautilus_trader.model.instruments import CurrencyPair
from nautilus_trader.model.objects import Money, Price, Quantity
from nautilus_trader.trading.strategy import Strategy

VENUE = Venue("SIM")
ID = InstrumentId(Symbol("BTCUSDT"), VENUE)
BAR_TYPE = BarType.from_str("BTCUSDT.SIM-1-MINUTE-LAST-EXTERNAL")


class EveryTenBars(Strategy):
    """Buys and sells in turn, every ten bars."""

    def __init__(self):
        super().__init__()
        self.count = self.fills = 0

    def on_start(self):
        """Ask for the bars."""
        self.instrument = self.cache.instrument(ID)
        self.subscribe_bars(BAR_TYPE)

    def on_bar(self, _bar):
        """Decide at every tenth bar."""
        self.count += 1
        if self.count % 10:
            return
        side = OrderSide.SELL if self.portfolio.is_net_long(ID) else OrderSide.BUY
        self.submit_order(self.order_factory.market(ID, side, self.instrument.make_qty(1_000)))

    def on_order_filled(self, _event):
        """Count a fill."""
        self.fills += 1


prices = np.load(sys.argv[1])
engine = BacktestEngine(BacktestEngineConfig(logging=LoggingConfig(bypass_logging=True)))
engine.add_venue(VENUE, OmsType.NETTING, AccountType.CASH, [Money(100_000_000, USDT), Money(1_000_000, BTC)])
engine.add_instrument(
    CurrencyPair(
        ID, Symbol("BTCUSDT"), BTC, USDT, 2, 4, Price.from_str("0.01"), Quantity.from_str("0.0001"), 0, 0,
        maker_fee=Decimal("0.001"), taker_fee=Decimal("0.001"),
    )
)  # fmt: skip
rows = zip(*(prices[name].tolist() for name in ("time", "open", "high", "low", "close")), strict=True)
one = Quantity(1_000_000, 4)
engine.add_data(
    [Bar(BAR_TYPE, Price(o, 2), Price(h, 2), Price(low, 2), Price(c, 2), one, t, t) for t, o, h, low, c in rows]
)
strategy = EveryTenBars()
engine.add_strategy(strategy)
begin = time.perf_counter()
engine.run()
seconds = time.perf_counter() - begin
print(json.dumps({"seconds": seconds, "bars": len(prices["time"]), "fills": strategy.fills}))
