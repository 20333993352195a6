"""Strategies to begin with: buy and hold, a moving-average crossover, mean reversion with bracket orders."""
