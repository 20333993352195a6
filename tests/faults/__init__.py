"""Faults of every kind against the real program: `make faults`, and a short deterministic part inside `make test`."""
