"""The market and the portfolios of a `tests.faults.world.World`."""

from __future__ import annotations

from decimal import Decimal

from tests.support.values.builders import instrument

INSTRUMENTS = [
    instrument("BTC/USDT"),
    instrument("ETH/USDT"),
    instrument("DEAD/USDT"),
    instrument("X/EUR", currency="EUR"),
]
CALENDARS = {"BTC/USDT": "XETR", "ETH/USDT": "XETR"}
"""A day begins at noon, and their exchange closes at 16:30."""
PRICES = {"BTC/USDT": Decimal("110485.85"), "ETH/USDT": Decimal("3950.01")}
"""To begin with; nobody ever sees a price of ``DEAD/USDT``."""
WORKERS = ("PriceTracker", "Snapshotter", "PositionKeeper", "ExecutionSimulator", "Sizer", "DecisionWatcher")
NAMES = ("default", "second", "third")
"""Of portfolios; the first two are there from the start."""
BY_QUOTE_NAME = NAMES[1]
"""The portfolio whose orders meet bid and ask; those of the others meet the last trade."""
OFFERED = "0.02"
"""The quantity at bid and ask: less than most orders want."""
NO_FAULTS = frozenset(
    {
        "rules changed",
        "portfolio made",
        "portfolio removed",
        "portfolio halted",
        "portfolio begun anew",
        "cancelled by hand",
        "ordered stop",
        "gave up",
        "fenced",
        "ended in the table",
    }
)
"""Deeds, and what follows from faults."""
