"""Backtest: decisions executed at recorded prices by the engine of `domain.trading`."""
