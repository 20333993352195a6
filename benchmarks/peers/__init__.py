"""Other backtest programs, each in an environment of its own, at the same prices: ``make bench-peers``."""
