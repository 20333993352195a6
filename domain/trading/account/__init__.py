"""The account of a portfolio: positions and trades, and what changes them without an order."""
