"""The decisions that wait for a price, counted, and those that are left in the table because so many wait."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple

from domain.immutable.records import replace
from domain.trading.decision import Outcome, PendingDecision, Reason
from domain.trading.instruments import NO_CALENDARS, Calendars
from domain.types import Action, DecisionId, Instant, OutcomeStatus, PortfolioName

MAX_WAITING = 2_000
"""So many decisions may wait for a price in memory; beyond that they are left in the table."""
PASS_INTERVAL = timedelta(milliseconds=500)
"""Between two reads, or two ends, that pass over the decisions that are left."""
PRICED = frozenset({Action.BUY, Action.SELL, Action.PROTECT})
"""The actions that need a price of their own symbol; only decisions with these are left."""
WITHOUT_PRICE = frozenset(
    reason.name.lower()
    for reason in (
        Reason.NO_PRICE, Reason.EXPIRED, Reason.CANCELLED, Reason.CLOSED, Reason.HALTED, Reason.INTERNAL_ERROR,
        Reason.OTHER_SOURCE, Reason.UNDER_VALIDATION, Reason.UNKNOWN_PORTFOLIO,
    )
)  # fmt: skip
"""Codes of reasons with which a decision may end although there is no price of its symbol."""


class SymbolOf(NamedTuple):
    """A symbol, as the sender spells it, in the decisions of a portfolio."""

    portfolio: PortfolioName
    symbol: str


@dataclass(frozen=True, slots=True)
class Left:
    """Which decisions the next read leaves in the table.

    Attributes:
        symbols: decisions of these are left.
        passes: whether the read passes over them to the other decisions of their portfolios.
    """

    symbols: frozenset[SymbolOf] = frozenset()
    passes: bool = True

    @property
    def portfolios(self) -> frozenset[PortfolioName]:
        """The portfolios of which decisions are left."""
        return frozenset(one.portfolio for one in self.symbols)


NOTHING_LEFT = Left()


@dataclass(frozen=True, slots=True)
class LeftEnd:
    """How decisions end that are left in the table.

    Attributes:
        of: their portfolio and symbol.
        status, sentence: their outcome; one that has expired by then ends as expired.
        older_than: only those that are in the table for longer.
        market_only: only those with market orders; the others may wait for a session.
        sender: only those of this sender, or of an unknown one; None: of any.
    """

    of: SymbolOf
    status: OutcomeStatus
    sentence: str
    older_than: timedelta | None = None
    market_only: bool = False
    sender: str | None = None


@dataclass(frozen=True, slots=True)
class EndedLeft:
    """A decision that has ended in the table, without having been taken in.

    Attributes:
        waited: how long it was in the table.
    """

    outcome: Outcome
    portfolio: PortfolioName
    waited: timedelta


@dataclass(slots=True)
class _Wait:
    """What is known of one symbol of a portfolio.

    Attributes:
        since: since when there is no price, as far as this process knows.
        changed: when a decision last began or ended its wait.
        count: decisions that wait in memory.
        left: whether others were left in that time.
        refusal: the outcome of one that was refused for want of a price; None where a price has come since.
        ending: more of those in the table are overdue than one statement has ended.
    """

    since: Instant
    changed: Instant
    count: int = 0
    left: bool = False
    refusal: str | None = None
    ending: bool = False


class PriceWaits:
    """Counts the decisions that wait for a price, by portfolio and symbol, and chooses which others are left.

    A decision that waits for a price blocks no other, so it has a place in memory beside those under way. Where
    ``limit`` of them wait, further decisions of the same portfolios and symbols would only wait, too, and are left in
    the table. Once one that is in memory was refused because no price came in time, those in the table that wait for as
    long get the same outcome, many by one statement.

    Args:
        max_age: a decision without a price for longer than this is rejected.
        calendars: of the symbols that have sessions.
        limit: so many may wait in memory.

    >>> from datetime import UTC, datetime
    >>> waits, now = PriceWaits(timedelta(seconds=30), limit=1), Instant(datetime(2026, 1, 5, tzinfo=UTC), 0.0)
    >>> waits.add(7, SymbolOf(PortfolioName("default"), "BTC/USDT"), now)
    >>> [one.symbol for one in waits.left(now).symbols]
    ['BTC/USDT']
    """

    def __init__(self, max_age: timedelta, calendars: Calendars = NO_CALENDARS, limit: int = MAX_WAITING) -> None:
        self._max_age = max_age
        self._calendars = calendars
        self._limit = limit
        self.clear()

    def clear(self) -> None:
        """Forget everything, because all decisions are read again."""
        self._of: dict[DecisionId, SymbolOf] = {}
        self._waits: dict[SymbolOf, _Wait] = {}
        self._passed: Instant | None = None
        self._ended: Instant | None = None
        self._by_statement = True

    def __len__(self) -> int:
        return len(self._of)

    @property
    def active(self) -> bool:
        """Whether any symbol is without a price."""
        return bool(self._waits)

    @property
    def ids(self) -> Collection[DecisionId]:
        """The decisions that wait in memory."""
        return self._of.keys()

    def add(self, decision_id: DecisionId, of: SymbolOf, now: Instant) -> None:
        """Take note that a decision waits."""
        if decision_id not in self._of:
            self._of[decision_id] = of
            wait = self._waits.setdefault(of, _Wait(now, now))
            wait.count, wait.changed = wait.count + 1, now

    def discard(self, decision_id: DecisionId, now: Instant, outcome: Outcome | None = None) -> None:
        """Take note that a decision, if it has waited, waits no more.

        Args:
            decision_id: the decision.
            now: the present moment.
            outcome: with which it ended, or with which its order rests; None where its row is gone.
        """
        of = self._of.pop(decision_id, None)
        if of is None:
            return
        wait = self._waits[of]
        wait.count, wait.changed = wait.count - 1, now
        if outcome is None:
            return
        if outcome.code == Reason.NO_PRICE.name.lower():
            wait.refusal = outcome.reason
        elif outcome.code not in WITHOUT_PRICE:  # it was sized, so there is a price
            wait.since, wait.left, wait.refusal, wait.ending = now, False, None, False

    def left(self, now: Instant) -> Left:
        """Return which decisions the next read leaves in the table."""
        self._tidy(now)
        full = len(self._of) >= self._limit
        chosen = [of for of, wait in self._waits.items() if wait.ending or (full and wait.count)]
        if not chosen:
            return NOTHING_LEFT
        for of in chosen:
            self._waits[of].left = True
        passes = self._passed is None or now.since(self._passed) >= PASS_INTERVAL
        if passes:
            self._passed = now
        return Left(frozenset(chosen), passes)

    def pass_again(self) -> None:
        """Have the next read pass over those that are left."""
        self._passed = None

    def with_wait(self, decision: PendingDecision) -> PendingDecision:
        """Return a decision so that the time counts in which it was left in the table without a price."""
        wait = self._waits.get(SymbolOf(decision.portfolio, decision.symbol))
        if wait is None or not wait.left or decision.action not in PRICED:
            return decision
        was_left = min(decision.waited, decision.received.since(wait.since))
        if was_left <= timedelta(0):
            return decision
        return replace(decision, left_since=decision.received.earlier(was_left))

    def overdue(self, now: Instant) -> list[LeftEnd]:
        """Return the ends of those in the table for which no price has come in time; none too soon after the last."""
        ends = [
            LeftEnd(
                of,
                OutcomeStatus.REJECTED,
                wait.refusal,
                older_than=self._max_age,
                market_only=self._calendars.of(of.symbol) is not None,
            )
            for of, wait in self._waits.items()
            if wait.refusal is not None and wait.left
        ]
        soon = self._ended is not None and now.since(self._ended) < PASS_INTERVAL
        if not ends or not self._by_statement or (soon and not any(wait.ending for wait in self._waits.values())):
            return []
        self._ended = now
        return ends

    def ended(self, ends: Iterable[LeftEnd], *, more: bool) -> None:
        """Take note that a statement has ended those that `overdue` has returned.

        Args:
            ends: from `overdue`.
            more: whether others may be overdue.
        """
        for end in ends:
            if (wait := self._waits.get(end.of)) is not None:
                wait.ending = more

    def refuse_one_by_one(self) -> None:
        """Leave it to the Sizer to refuse decisions, because the database refuses the statement for many."""
        self._by_statement = False
        for wait in self._waits.values():
            wait.ending = False

    def _tidy(self, now: Instant) -> None:
        """Forget the symbols for which nothing has waited for so long that nothing can be left in the table."""
        for of, wait in list(self._waits.items()):
            long_idle = not wait.left or now.since(wait.changed) > self._max_age
            if long_idle and not wait.count and not wait.ending:
                del self._waits[of]
