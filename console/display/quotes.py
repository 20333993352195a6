"""The newest quotes of the price source, as cells of a table: their ages by both clocks, and their spreads."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any

from console.display.format import duration, percent

QUOTE_COLUMNS = ("age", "by exchange", "spread", "source", "note")
"""Headings of `quote_cells`."""
NOTES = {"book": "only bid and ask are fresh", "nothing": "too old to fill"}


def quote_cells(quote: Mapping[str, Any]) -> tuple[str, str, str, str, str]:
    """Return the age of a quote by our clock and by its exchange's, its spread, its source, and what is unusual.

    Args:
        quote: one of ``prices.quotes`` in the status.
    """
    notes = [quote["time_mark"], NOTES.get(quote["fresh"] or "")]
    return (
        age(quote["age_s"]),
        age(quote["exchange_age_s"]),
        spread(quote),
        quote["source"],
        ", ".join(filter(None, notes)),
    )


def age(seconds: float | None) -> str:
    """Return an age; a dash where it is unknown."""
    if seconds is None:
        return "–"
    return f"{max(seconds, 0):.1f} s" if seconds < 10 else duration(timedelta(seconds=seconds))


def spread(quote: Mapping[str, Any]) -> str:
    """Return a spread in percent; a dash where bid or ask is unknown."""
    return "–" if quote["spread"] is None else percent(Decimal(quote["spread"]), 3, sign=False)
