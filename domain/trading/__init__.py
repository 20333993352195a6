"""The rules of trading: decisions, sizing, execution, portfolios. Pure values and functions."""
