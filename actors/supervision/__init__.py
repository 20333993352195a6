"""Restarts, recovery, an ordered stop, and the alarms about them."""
