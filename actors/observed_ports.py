"""Ports that pass on what they have committed to a `TradingObserver`.

The actors do not know of it: each call does what the port does, and then hands on what was written, as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal

from actors.ports import Ledger, Snapshots, TradingObserver
from actors.validation_job import Verdicts
from domain.trading.account.applying import AccountResult
from domain.trading.account.changes import AccountChange
from domain.trading.account.requests import AccountRefusal, AccountRequest
from domain.trading.bookkeeping import Result
from domain.trading.open_orders.settlement import Advance
from domain.trading.portfolio import PortfolioRules, PortfolioState
from domain.trading.snapshot import Snapshot
from domain.types import Generation, PortfolioName
from domain.validation.progress import Progress
from domain.validation.verdict import Verdict


def observed(
    observer: TradingObserver | None, ledger: Ledger, snapshots: Snapshots, verdicts: Verdicts
) -> tuple[Ledger, Snapshots, Verdicts]:
    """Return ports whose commits a observer gets; without one, the ports as they are."""
    if observer is None:
        return ledger, snapshots, verdicts
    return (
        ObservedLedger(ledger, observer),
        ObservedSnapshots(snapshots, observer),
        ObservedVerdicts(verdicts, observer),
    )


class ObservedLedger:
    """The books, whose commits a observer gets."""

    def __init__(self, ledger: Ledger, observer: TradingObserver) -> None:
        self._ledger = ledger
        self._observer = observer

    def commit(self, generation: Generation, group: Sequence[Result]) -> None:
        """See `Ledger.commit`."""
        self._ledger.commit(generation, group)
        self._observer.committed(tuple(group))

    def commit_account(self, generation: Generation, request: AccountRequest, changes: Sequence[AccountChange]) -> None:
        """See `Ledger.commit_account`."""
        self._ledger.commit_account(generation, request, changes)
        committed: list[Result | AccountResult] = []
        for ended, result in changes:
            committed += [*ended, result]
        self._observer.committed(committed)

    def raise_generation(self, generation: Generation) -> None:
        """See `Ledger.raise_generation`."""
        self._ledger.raise_generation(generation)

    def load(self) -> tuple[PortfolioState, ...]:
        """See `Ledger.load`."""
        return self._ledger.load()

    def rules(self) -> tuple[PortfolioRules, ...]:
        """See `Ledger.rules`."""
        return self._ledger.rules()

    def record_audit(self, portfolios: int, differences: Mapping[PortfolioName, str]) -> None:
        """See `Ledger.record_audit`."""
        self._ledger.record_audit(portfolios, differences)

    def halt(self, portfolio: PortfolioName, reason: str) -> None:
        """See `Ledger.halt`."""
        self._ledger.halt(portfolio, reason)

    def refuse_account(self, generation: Generation, refusal: AccountRefusal) -> None:
        """See `Ledger.refuse_account`."""
        self._ledger.refuse_account(generation, refusal)

    def save_advance(self, generation: Generation, advance: Advance) -> None:
        """See `Ledger.save_advance`."""
        self._ledger.save_advance(generation, advance)


class ObservedSnapshots:
    """The table of snapshots; a observer gets those that are stored."""

    def __init__(self, snapshots: Snapshots, observer: TradingObserver) -> None:
        self._snapshots = snapshots
        self._observer = observer

    def opening_values(self, day: datetime) -> Mapping[PortfolioName, Decimal]:
        """See `Snapshots.opening_values`."""
        return self._snapshots.opening_values(day)

    def save(self, snapshots: Sequence[Snapshot]) -> None:
        """See `Snapshots.save`."""
        self._snapshots.save(snapshots)
        self._observer.valued(snapshots)


class ObservedVerdicts:
    """The table of verdicts; a observer gets the new ones."""

    def __init__(self, verdicts: Verdicts, observer: TradingObserver) -> None:
        self._verdicts = verdicts
        self._observer = observer

    def end_changed(self) -> list[str]:
        """See `Verdicts.end_changed`."""
        return self._verdicts.end_changed()

    def progress(self) -> list[Progress]:
        """See `Verdicts.progress`."""
        return self._verdicts.progress()

    def last_progress(self) -> list[Progress]:
        """See `Verdicts.last_progress`."""
        return self._verdicts.last_progress()

    def fill(self, until: datetime, stopping: Callable[[], bool]) -> list[Verdict]:
        """See `Verdicts.fill`."""
        written = self._verdicts.fill(until, stopping)
        self._observer.judged(written)
        return written

    def close(self) -> None:
        """See `Verdicts.close`."""
        self._verdicts.close()
