"""Queries for parts of a report: stored prices to compare with, and its tables as CSV."""
