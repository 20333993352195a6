"""The tables of an actor path in memory, as one process sees them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from domain.errors import Fenced
from domain.trading.account.changes import AccountChange
from domain.trading.account.requests import AccountRefusal, AccountRequest
from domain.trading.bookkeeping import Result
from domain.trading.decision import Refusal
from domain.trading.freshness.price_waits import EndedLeft
from domain.trading.open_orders.settlement import Advance
from domain.trading.snapshot import Snapshot
from domain.types import DecisionId, Epoch, Generation, PortfolioName
from tests.support.actors.memory_stores import MemoryDatabase


class Session:
    """The database as one process sees it; its writes are refused after another process has begun an epoch."""

    def __init__(self, database: MemoryDatabase) -> None:
        database.epoch = Epoch(database.epoch + 1)
        self.epoch = database.epoch
        self._database = database

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)

    def raise_generation(self, generation: Generation) -> None:
        self._require()
        self._database.raise_generation(generation)

    def commit(self, generation: Generation, group: Sequence[Result]) -> None:
        self._require()
        self._database.commit(generation, group)

    def commit_account(self, generation: Generation, request: AccountRequest, changes: Sequence[AccountChange]) -> None:
        self._require()
        self._database.commit_account(generation, request, changes)

    def refuse_account(self, generation: Generation, refusal: AccountRefusal) -> None:
        self._require()
        self._database.refuse_account(generation, refusal)

    def save_advance(self, generation: Generation, advance: Advance) -> None:
        self._require()
        self._database.save_advance(generation, advance)

    def record_audit(self, portfolios: int, differences: Mapping[PortfolioName, str]) -> None:
        self._require()
        self._database.record_audit(portfolios, differences)

    def halt(self, portfolio: PortfolioName, reason: str) -> None:
        self._require()
        self._database.halt(portfolio, reason)

    def end(self, generation: Generation, refusals: Sequence[Refusal]) -> set[DecisionId]:
        self._require()
        return self._database.end(generation, refusals)

    def end_left(self, generation: Generation, *arguments: Any) -> list[EndedLeft]:
        self._require()
        return self._database.end_left(generation, *arguments)

    def save(self, snapshots: Sequence[Snapshot]) -> None:
        self._require()
        self._database.save(snapshots)

    def _require(self) -> None:
        if self.epoch != self._database.epoch and not self._database.away:
            self._database.faults["fenced"] += 1
            raise Fenced(f"epoch {self.epoch} does not write any more, another process holds the lease")
