"""Backtests of market orders, each with at most one stop and one target, in integers: the engine's digits, much faster.

The engine stays the law. What is not known here ends the attempt with `NotPlain`, and the engine runs the backtest from
its beginning; tests compare both on random histories, to the last digit.
"""
