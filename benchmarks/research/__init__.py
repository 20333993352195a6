"""Measurements of research: the backtest, sweeps and their verdicts."""
