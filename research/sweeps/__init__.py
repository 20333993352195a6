"""Sweeps over a strategy's parameters: space, folds, samplers, trials, and the processes that run them."""
