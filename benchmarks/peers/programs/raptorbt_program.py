"""raptorbt: a kernel in Rust, floats, a class in Python that is called at each bar."""

import json
import sys
import time

import numpy as np
import raptorbt


class EveryTenBars(raptorbt.Strategy):
    """Buys and sells in turn, every ten bars."""

    def on_bar(self, ctx):
        """Decide at every tenth bar."""
        if ctx.idx % 10:
            return
        if ctx.position is None:
            self.enter(size_frac=0.001)
        else:
            self.close_position()


prices = np.load(sys.argv[1])
columns = [np.ascontiguousarray(prices[name]) for name in ("time", "open", "high", "low", "close")]
config = raptorbt.BacktestConfig(initial_capital=1e8, fees=0.001, slippage=0.0005)
begin = time.perf_counter()
result = raptorbt.run_strategy_backtest(EveryTenBars(), *columns, np.ones(len(columns[0])), symbol="S", config=config)
seconds = time.perf_counter() - begin
print(json.dumps({"seconds": seconds, "bars": len(columns[0]), "fills": 2 * len(result.trades())}))
