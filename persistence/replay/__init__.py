"""The replay of a portfolio: its events are computed again from what is stored, and compared with the tables."""
