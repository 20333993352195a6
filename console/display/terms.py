"""What fills, trades and round trips are, in one sentence each; for places where they stand beside each other."""

from __future__ import annotations

FILL = "a fill executes an order, or a part of it"
TRADE = "a trade closes a position, or a part of it"
ROUND_TRIP = "a round trip is a position from flat to flat"


def glossary(*terms: str) -> str:
    """Return terms as one line: ``A fill executes an order, or a part of it; a trade …``."""
    line = "; ".join(terms)
    return f"{line[:1].upper()}{line[1:]}."
