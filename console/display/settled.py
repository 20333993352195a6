"""Sentences about a settlement after a downtime: from what was found out what the market did."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from console.display.times import utc_moment
from domain.wording import counted, format_time, one_line

Row = Mapping[str, Any]


def after_downtime(at: datetime, settlements: Sequence[Row]) -> str:
    """Return from what was found out what happened at a moment that no process saw.

    Args:
        at: the market's time of it.
        settlements: rows of ``paper_settlements``.
    """
    sentence = "found out after a downtime"
    row = next((row for row in settlements if row["since"] <= at <= row["until"]), None)
    if row is None:
        return f"{sentence}; from what, is recorded when the settlement ends"
    if row["gap"] is not None:
        return f"{sentence}, {_span(row)}"
    data = f"{counted(row['trades'], 'trade')} and {counted(row['bars'], 'bar')} of {one_line(row['price_source'])}"
    return f"{sentence}, from {data}, {_span(row)}"


def gaps(settlements: Iterable[Row]) -> Iterator[tuple[str, str]]:
    """Yield label and sentence for each span of time of which nobody knows what the market did."""
    for row in settlements:
        if row["gap"] is not None:
            yield "gap", f"{_span(row)} nobody knows what the market did: {one_line(row['gap'])}"


def _span(row: Row) -> str:
    return f"between {format_time(row['since'])} and {utc_moment(row['until'])}"
