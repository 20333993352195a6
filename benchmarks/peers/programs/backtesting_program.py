"""backtesting.py: floats, a class in Python that is called at each bar."""

import json
import sys
import time
import warnings

import numpy as np
import pandas as pd
from backtesting import Backtest, Strategy


class EveryTenBars(Strategy):
    """Buys and sells in turn, every ten bars."""

    def init(self):
        """Count the bars; there is no indicator."""
        self.index = 0

    def next(self):
        """Decide at every tenth bar."""
        self.index += 1
        if self.index % 10:
            return
        if self.position:
            self.position.close()
        else:
            self.buy(size=1_000)


warnings.simplefilter("ignore")
prices = np.load(sys.argv[1])
frame = pd.DataFrame(
    {name: prices[name.lower()] for name in ("Open", "High", "Low", "Close")}, index=pd.to_datetime(prices["time"])
)
Backtest(frame[:100], EveryTenBars, cash=1e8, commission=0.001, spread=0.0005).run()  # what the first run imports
backtest = Backtest(frame, EveryTenBars, cash=1e8, commission=0.001, spread=0.0005)
begin = time.perf_counter()
result = backtest.run()
seconds = time.perf_counter() - begin
print(json.dumps({"seconds": seconds, "bars": len(frame), "fills": 2 * int(result["# Trades"])}))
