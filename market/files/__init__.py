"""Recorded prices from CSV and Parquet files."""
