"""The law of the intake: no decision is taken in before an earlier one of its portfolio."""

from __future__ import annotations

from actors.decision_watcher import DecisionWatcher
from domain.trading.freshness.price_waits import PRICED, SymbolOf
from domain.types import DecisionId, Generation
from tests.support.actors.memory_rows import Row
from tests.support.actors.memory_stores import MemoryDatabase
from tests.support.actors.stepper import Stepper


class IntakeLaw:
    """Sees which decisions are taken in, and which earlier ones of their portfolios are not.

    Those that are left in the table because so many wait for a price of their symbol may be overtaken, as those that
    wait in memory are. A row counts as later where it comes later in the table and was inserted later.
    """

    def __init__(self, database: MemoryDatabase) -> None:
        self._database = database
        self._seen: tuple[Generation | None, frozenset[DecisionId]] = (None, frozenset())

    def overtaken(self, stepper: Stepper) -> list[tuple[Row, Row]]:
        """Return each pending decision that is overtaken, with the later one that was just taken in."""
        cell = stepper.cells["DecisionWatcher"]
        watcher = cell.behaviour
        if not isinstance(watcher, DecisionWatcher) or watcher.generation != self._database.generation or cell.busy:
            return []
        generation, before = self._seen
        self._seen = watcher.generation, frozenset(watcher._under_way)
        new = self._seen[1] - (before if generation == watcher.generation else frozenset())
        if not new:
            return []
        pending = [row for row in self._database.rows.values() if row.outcome is None and not row.opened]
        elsewhere = watcher._under_way.keys() | watcher._quarantined
        left = {of for of, wait in watcher._waits._waits.items() if wait.left}
        return [
            (row, later)
            for row in pending
            if row.id not in elsewhere and not (row.decision.decision in PRICED and self._symbol_of(row) in left)
            for later in pending
            if later.id in new
            and later.decision.portfolio == row.decision.portfolio
            and later.id > row.id
            and later.place > row.place
        ]

    def _symbol_of(self, row: Row) -> SymbolOf:
        name = row.decision.portfolio
        return SymbolOf(self._database._present_lives.get(name, name), row.decision.symbol)  # type: ignore[arg-type]
