"""backtrader: floats, a class in Python that is called at each bar."""

import datetime
import json
import sys
import time

import backtrader as bt
import numpy as np


class EveryTenBars(bt.Strategy):
    """Buys and sells in turn, every ten bars."""

    def __init__(self):
        self.fills = 0

    def notify_order(self, order):
        """Count a fill."""
        if order.status == order.Completed:
            self.fills += 1

    def next(self):
        """Decide at every tenth bar."""
        if len(self) % 10:
            return
        if self.position:
            self.close()
        else:
            self.buy(size=1_000)


class Columns(bt.feed.DataBase):
    """The arrays of the file, a bar at a time."""

    def __init__(self, prices):
        super().__init__()
        self.rows = list(
            zip(*(prices[name].tolist() for name in ("time", "open", "high", "low", "close")), strict=True)
        )
        self.position = 0

    def _load(self):
        if self.position == len(self.rows):
            return False
        nanoseconds, opened, high, low, close = self.rows[self.position]
        self.position += 1
        moment = datetime.datetime.fromtimestamp(nanoseconds / 1e9, datetime.UTC).replace(tzinfo=None)
        self.lines.datetime[0] = bt.date2num(moment)
        self.lines.open[0], self.lines.high[0], self.lines.low[0], self.lines.close[0] = opened, high, low, close
        self.lines.volume[0] = 1.0
        return True


prices = np.load(sys.argv[1])
cerebro = bt.Cerebro(stdstats=False)
cerebro.adddata(Columns(prices))
cerebro.addstrategy(EveryTenBars)
cerebro.broker.setcash(1e8)
cerebro.broker.setcommission(commission=0.001)
cerebro.broker.set_slippage_perc(0.0005)
begin = time.perf_counter()
(strategy,) = cerebro.run()
seconds = time.perf_counter() - begin
print(json.dumps({"seconds": seconds, "bars": len(prices["time"]), "fills": strategy.fills}))
