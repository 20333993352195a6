"""Bars in columns of integers."""
