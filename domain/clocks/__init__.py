"""Clocks of the program."""
