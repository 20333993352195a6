"""Research on recorded markets: backtests, sweeps over parameters, and the statistics of what they find."""
