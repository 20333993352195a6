"""Benchmarks of research: the backtest."""
