"""Conversion of a file's text to exact numbers and moments, column by column, and the rules for its rows."""
