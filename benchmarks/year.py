"""A year in one portfolio, made by SQL: a snapshot a minute, fifty thousand round trips, and the decisions behind them.

The books of it balance to the last digit. Prices walk at random, from a seed; the snapshots follow cash and positions.
"""

from __future__ import annotations

from pathlib import Path

from benchmarks.database import connect

TRIPS, MINUTES, REFUSED = 50_000, 525_600, 60_000
HELD_AT_THE_END = 3

FILL = Path(__file__).with_suffix(".sql")


def fill(database_url: str, *, trips: int = TRIPS, minutes: int = MINUTES, refused: int = REFUSED) -> None:
    """Write the year into an empty database that has the schema.

    Args:
        database_url: where.
        trips: round trips; each is two decisions, orders and fills, and one trade.
        minutes: snapshots.
        refused: decisions besides that got no order.
    """
    counts = {"trips": trips, "minutes": minutes, "refused": refused, "held": HELD_AT_THE_END}
    with connect(database_url, writer="PositionKeeper") as connection:
        for statement in FILL.read_text(encoding="utf-8").format(**counts).split(";\n"):
            if statement.strip():
                connection.execute(statement)
        connection.execute("VACUUM ANALYZE")  # as a database that grew over a year has been
