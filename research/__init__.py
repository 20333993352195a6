"""Research: strategies on the prices of the past, by the rules of the live system."""

from research.strategy import Intent, Parameters, Signals, Strategy
from research.view import Bar, View

__all__ = ["Bar", "Intent", "Parameters", "Signals", "Strategy", "View"]
