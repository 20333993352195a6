"""Prices of exchanges, through ccxt."""
