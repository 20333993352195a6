"""The table of snapshots, which the Snapshotter reads and writes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal

from domain.trading.arithmetic import plain
from domain.trading.snapshot import Snapshot
from domain.types import PortfolioName
from persistence.connections import transaction
from persistence.lease import writing
from persistence.rows import KEEP_EXISTING, insert_rows, row_from
from persistence.stores.store import Store

OPENING = """
SELECT c.portfolio, s.total_value - s.net_deposits FROM paper_trading_config c
JOIN LATERAL (SELECT total_value, net_deposits FROM paper_portfolio_snapshots s
              WHERE s.portfolio = c.portfolio AND s.time <= %s ORDER BY s.time DESC LIMIT 1) s ON true
"""


class SnapshotStore(Store):
    """The table of snapshots."""

    ACTOR = "Snapshotter"

    def opening_values(self, day: datetime) -> Mapping[PortfolioName, Decimal]:
        """Return each portfolio's value less its net deposits at ``day`` 00:00 UTC; no entry without a snapshot."""
        with transaction(self.engine) as cursor:
            return {PortfolioName(name): value for name, value in cursor.execute(OPENING, [day]).fetchall()}

    def save(self, snapshots: Sequence[Snapshot]) -> None:
        """Store snapshots; an existing one of the same portfolio and time stays as it is."""
        rows = [
            {name: value for name, value in row_from(s, allocation=_allocation(s)).items() if name != "shown_as"}
            for s in snapshots
        ]
        with writing(self.engine, self._lease, "snapshots") as cursor:
            insert_rows(cursor, "paper_portfolio_snapshots", rows, KEEP_EXISTING)


def _allocation(snapshot: Snapshot) -> str:
    return json.dumps({name: plain(part) for name, part in snapshot.allocation.items()})
