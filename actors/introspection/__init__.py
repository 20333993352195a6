"""Introspection: status, counters and state of the actors, read from outside."""
