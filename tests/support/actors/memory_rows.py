"""Rows of the table of decisions in memory, by the rules of the real one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from domain.errors import IdempotencyConflict
from domain.trading.decision import Accepted, Decision, Outcome
from domain.types import DecisionId
from domain.wording import quoted
from persistence.stores.intake.submissions import CONTENT

OWNER = "owner"
"""The role of the service; it may name the keys of other senders."""


@dataclass
class Row:
    """A row of ``trading_decisions``.

    Attributes:
        received_at: None in a row that is older than this column, and so is `sent_by`.
        opened: its outcome while its order rests.
    """

    id: DecisionId
    decision: Decision
    created_at: datetime
    received_at: datetime | None
    sent_by: str | None
    outcome: Outcome | None = None
    opened: Outcome | None = None

    @property
    def made_at(self) -> datetime:
        """When it was made; never later than the database got it."""
        return min(self.created_at, self.received_at or self.created_at)

    @property
    def place(self) -> tuple[bool, datetime, DecisionId]:
        """Its place in the order of the intake."""
        return self.received_at is not None, self.received_at or self.created_at, self.id

    def is_of(self, sender: str | None) -> bool:
        """Return whether its key is one of that sender's; that of an older row is everybody's."""
        return self.sent_by is None or self.sent_by == sender


def differences(first: Decision, second: Decision) -> list[str]:
    """Return the fields of their content in which two decisions differ."""
    return [name for name in CONTENT if getattr(first, name) != getattr(second, name)]


def find_row(rows: Iterable[Row], decision: Decision, sender: str) -> Accepted | IdempotencyConflict | None:
    """Return what a sender finds by the uid or the key of a decision."""
    key, by_key = decision.idempotency_key, None
    for row in rows:
        if row.decision.uid == decision.uid:
            return _accepted(row, decision)
        if key is not None and row.decision.idempotency_key == key and row.is_of(sender):
            by_key = row
    return _accepted(by_key, decision) if by_key is not None else None


def _accepted(row: Row, decision: Decision) -> Accepted | IdempotencyConflict:
    fields = differences(row.decision, decision)
    if not fields:
        return Accepted(row.id, row.outcome or row.opened)
    if row.decision.uid == decision.uid:
        return IdempotencyConflict("uid", str(decision.uid), row.id, fields)
    return IdempotencyConflict("idempotency_key", quoted(decision.idempotency_key), row.id, fields)


def may_name(cancel: Row, row: Row) -> bool:
    """Return whether a CANCEL or AMEND may name a decision: its sender's own, an older one, or any for the owner."""
    return cancel.sent_by in {OWNER, None} or row.is_of(cancel.sent_by)


def named_rows(rows: Iterable[Row], target: str, sender: str | None) -> list[Row]:
    """Return the decisions that the target of a CANCEL is the id, the uid or the key of; several only of others."""
    rows = list(rows)
    if by_id := [row for row in rows if target in {str(row.id), str(row.decision.uid)}]:
        return by_id[:1]
    by_key = [row for row in rows if row.decision.idempotency_key == target]
    own = [row for row in by_key if row.is_of(sender)]
    return own or (by_key if sender in {OWNER, None} else [])
