"""Pending rows in turn, and the ends of rows that are left, by the rules of `persistence.stores.intake.turns`."""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from domain import failpoints
from domain.errors import WriteRefused
from domain.trading.decision import Outcome, PendingDecision, Refusal
from domain.trading.freshness.price_waits import PRICED, EndedLeft, Left, LeftEnd, SymbolOf
from domain.trading.portfolio import PortfolioState
from domain.types import DecisionId, Generation, Instant, OutcomeStatus, PortfolioName

if TYPE_CHECKING:
    from tests.support.actors.memory_rows import Row

SHARE = 100
PresentLives = Mapping[str, PortfolioName]


def in_turn(rows: Sequence[Row], lanes: Collection[str], limit: int, left: Left, present: PresentLives) -> list[Row]:
    """Return up to ``limit`` rows so that each portfolio has its turns; the oldest of all fill the rest.

    Args:
        rows: pending, in the order of the table.
        lanes: the names of the portfolios that are open.
        limit: how many are returned at most.
        left: which rows are left.
        present: the id of the present life by name of a portfolio.
    """
    turns: Counter[str] = Counter()
    ranked: list[tuple[int, int, Row]] = []
    oldest = 0
    for place, row in enumerate(rows):
        name = row.decision.portfolio
        id_ = present.get(name, PortfolioName(name))
        if (SymbolOf(id_, row.decision.symbol) in left.symbols and row.decision.decision in PRICED) or (
            not left.passes and id_ in left.portfolios
        ):
            continue
        numbers = []
        if name in lanes and turns[name] < SHARE:
            turns[name] += 1
            numbers.append(turns[name])
        if left.passes:
            oldest += 1
            numbers.append(oldest)
        if numbers:
            ranked.append((min(numbers), place, row))
    numbers_of: Counter[str] = Counter()
    highest: Counter[str] = Counter()
    in_order = []
    for turn, place, row in sorted(ranked, key=lambda one: one[:2]):
        sender, name = row.sent_by or "", row.decision.portfolio
        numbers_of[sender] += 1
        highest[name] = max(highest[name], numbers_of[sender])
        in_order.append((highest[name], turn, place, row))
    return [row for *_, row in sorted(in_order, key=lambda one: one[:3])[:limit]]


def ends_of_left(
    rows: Sequence[Row], ends: Sequence[LeftEnd], limit: int, present: PresentLives, now: datetime
) -> list[EndedLeft]:
    """Return how rows end that are left in the table; the rows are pending, and in its order."""
    ended = []
    for row in rows:
        d = row.decision
        for end in ends:
            waited = now - (row.received_at or row.created_at)
            if (
                end.of != SymbolOf(present.get(d.portfolio, PortfolioName(d.portfolio)), d.symbol)
                or d.decision not in PRICED
            ):
                continue
            if end.older_than is not None and waited < end.older_than:
                continue
            if end.market_only and d.order_type != "market":
                continue
            if end.sender is not None and not row.is_of(end.sender):
                continue
            outcome = Outcome(row.id, end.status, end.sentence)
            if d.expires_at is not None and d.expires_at <= now:
                at = f"{d.expires_at:%Y-%m-%d %H:%M:%S} UTC"
                outcome = Outcome(row.id, OutcomeStatus.EXPIRED, f"expired: at {at}, while it waited for a price")
            ended.append(EndedLeft(outcome, end.of.portfolio, waited))
            break
    return ended[:limit]


def before_row(rows: Sequence[Row], before: DecisionId | None) -> Sequence[Row]:
    """Return the rows that come before one of them; all without one."""
    places = [row.id for row in rows]
    return rows if before is None else rows[: places.index(before)] if before in places else ()


@dataclass
class MemoryTurns:
    """What a `MemoryDatabase` does with decisions that have a backlog, or are left.

    Attributes:
        now: the database's time.
    """

    rows: dict[DecisionId, Row] = field(default_factory=dict, kw_only=True)
    portfolios: dict[PortfolioName, PortfolioState] = field(default_factory=dict, kw_only=True)
    lives: dict[str, tuple[PortfolioName, int]] = field(default_factory=dict, kw_only=True)
    stubborn: set[int] = field(default_factory=set, kw_only=True)
    faults: Counter[str] = field(default_factory=Counter, kw_only=True)
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC), kw_only=True)

    def pending_in_turn(
        self, under_way: Collection[DecisionId], limit: int, received: Instant, left: Left
    ) -> list[PendingDecision | Refusal]:
        self._answer()
        present = self._present_lives
        lanes = {name for name, id_ in present.items() if self.portfolios[id_].closed is None}
        rows = in_turn(self._in_order(under_way), lanes, limit, left, present)
        return [self._received(row, received) for row in rows]

    def end_left(
        self,
        generation: Generation,
        ends: Sequence[LeftEnd],
        under_way: Collection[DecisionId],
        limit: int,
        before: DecisionId | None = None,
    ) -> list[EndedLeft]:
        self._answer()
        failpoints.reach("commits", "refusals")
        self._answer()
        self._fence(generation)
        rows = [row for row in before_row(self._in_order(()), before) if row.id not in under_way]
        ended = ends_of_left(rows, ends, limit, self._present_lives, self.now())
        if self.stubborn.intersection(one.outcome.decision_id for one in ended):
            raise WriteRefused("a trigger refused the values")
        for one in ended:
            self.rows[one.outcome.decision_id].outcome = one.outcome
        self.faults["ended in the table"] += len(ended)
        failpoints.reach("committed", "refusals")
        self._lose()
        return ended

    def _in_order(self, under_way: Collection[DecisionId]) -> list[Row]:
        """Return the pending rows that are not under way, in the order of the table."""
        rows = self.rows.values()
        waiting = [row for row in rows if row.outcome is None and not row.opened and row.id not in under_way]
        return sorted(waiting, key=lambda row: row.place)

    @property
    def _present_lives(self) -> dict[str, PortfolioName]:
        """The id of the present life by name of a portfolio."""
        lives = {str(name): name for name in self.portfolios if "@" not in name}
        lives |= {name: id_ for name, (id_, _) in self.lives.items()}
        return {name: id_ for name, id_ in lives.items() if id_ in self.portfolios}

    @abstractmethod
    def _received(self, row: Row, received: Instant) -> PendingDecision | Refusal: ...

    @abstractmethod
    def _answer(self) -> None: ...

    @abstractmethod
    def _fence(self, generation: Generation) -> None: ...

    @abstractmethod
    def _lose(self) -> None: ...
