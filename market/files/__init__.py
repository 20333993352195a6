"""Prices from files that somebody recorded: CSV and Parquet."""
