"""Decisions between their receipt and their order.

A decision waits for a fresh price by its symbol; there it blocks no other. Then it waits for its turn: a portfolio has
one order at the market at a time, so each decision is sized against the portfolio as it stands after every earlier one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, TypeAlias

from domain.trading.bookkeeping import Result
from domain.trading.decision import PendingDecision, Reason, Refusal, refuse
from domain.trading.events import SizedOrder
from domain.trading.instruments import Instrument, InstrumentCatalog
from domain.trading.portfolio import Marks, PortfolioRules, PortfolioState, PositionValues, to_dict
from domain.trading.prices import mark
from domain.trading.quotes import PricePoint, Quote
from domain.trading.sizing import expire_if_stale, pre_trade_check, size
from domain.types import DecisionId, Instant, PortfolioName, PriceRule, Symbol


@dataclass(frozen=True, slots=True)
class SizingRules:
    """The rules by which prices and decisions are accepted.

    Attributes:
        price_grace: a quote seen up to this long before the decision was received is fresh enough.
        max_price_age: a decision without a price for longer than this is rejected.
        max_decision_age: a decision that is older when it would be sized expires; None: no limit.
        same_currency: currencies that count 1:1.
    """

    price_grace: timedelta
    max_price_age: timedelta
    max_decision_age: timedelta | None
    same_currency: frozenset[str]


@dataclass(frozen=True, slots=True)
class AwaitsPrice:
    """A decision waits for a price.

    Attributes:
        symbol: the venue's spelling; None before the instruments are loaded.
    """

    decision_id: DecisionId
    symbol: Symbol | None


@dataclass(frozen=True, slots=True)
class AwaitsPortfolio:
    """A decision names an unknown portfolio, which may have just been created. The queue does not keep it."""

    decision: PendingDecision

    @property
    def decision_id(self) -> DecisionId:
        """Its id."""
        return self.decision.id


Step: TypeAlias = SizedOrder | Refusal | AwaitsPrice | AwaitsPortfolio
"""The next step of a decision."""


def unknown_portfolio(decision: PendingDecision) -> Refusal:
    """Refuse a decision because there is no such portfolio."""
    return refuse(decision, Reason.UNKNOWN_PORTFOLIO, f"there is no portfolio {decision.portfolio!r}")


@dataclass(slots=True)
class _Account:
    """A portfolio in the queue.

    Attributes:
        state: the projection: the committed state and the events after it.
        ready: decisions that have a price, in order.
        pricing: an order has been sized, and its result is not here yet.
    """

    state: PortfolioState
    values: PositionValues
    ready: deque[tuple[PendingDecision, Instrument]] = field(default_factory=deque)
    pricing: bool = False


class DecisionQueue:
    """The decisions that are not sized yet, with the projection of each portfolio and the newest prices.

    It has no clock: each call gets the time. Durations are by the monotonic clock, so that a wall clock that is set
    neither delays nor expires anything.

    Args:
        rules: age limits and currencies.

    Attributes:
        about: id of the decision being handled; it gets a strike if the call raises.
        draining: no more decisions are sized.
    """

    def __init__(self, rules: SizingRules) -> None:
        self.about: DecisionId | None = None
        self.draining = False
        self._rules = rules
        self._accounts: dict[PortfolioName, _Account] = {}
        self._catalog: InstrumentCatalog | None = None
        self._quotes: dict[Symbol, Quote] = {}
        self._marks = {rule: Marks() for rule in PriceRule}
        # By symbol; under None while the instruments are not loaded.
        self._waiting: dict[Symbol | None, list[PendingDecision]] = {}

    def begin(self, states: Iterable[PortfolioState]) -> None:
        """Drop all decisions, and go on from these states. Instruments and prices stay."""
        self._accounts, self._waiting = {}, {}
        for state in states:
            self._open(state)

    def state(self, portfolio: PortfolioName) -> PortfolioState | None:
        """Return the projection of a portfolio; None if there is no such portfolio."""
        account = self._accounts.get(portfolio)
        return account.state if account is not None else None

    def on_decision(self, decision: PendingDecision, now: Instant) -> list[Step]:
        """Refuse a decision, size it, or let it wait."""
        return list(self._admit(decision, now))

    def on_result(self, portfolio: PortfolioName, result: Result | None, now: Instant) -> list[Step]:
        """Take the result of the order at the market, None if it got no fill; size the portfolio's next decision."""
        account = self._accounts.get(portfolio)
        if account is None:
            return []  # the portfolio was removed in the meantime
        if result is not None:
            self._apply_result(account, result)
        account.pricing = False
        return list(self._size_next(account, now))

    def on_quotes(self, quotes: Iterable[Quote], now: Instant) -> list[Step]:
        """Take quotes, each newer than the one before of its symbol, and admit the decisions that waited for them."""
        seen = {quote.symbol: quote for quote in quotes}
        self._quotes |= seen
        self._mark({symbol: quote.point for symbol, quote in seen.items()})
        return list(self._retry_waiting(self._waiting.keys() & seen.keys(), now))

    def on_earlier_prices(
        self, quotes: Mapping[Symbol, Quote], points: Mapping[Symbol, PricePoint], now: Instant
    ) -> list[Step]:
        """Take quotes and prices that are older than any that is here; those of a symbol that has none yet count."""
        present = self._marks[PriceRule.LAST]
        self._mark({symbol: point for symbol, point in points.items() if symbol not in present})
        return self.on_quotes([quote for symbol, quote in quotes.items() if symbol not in self._quotes], now)

    def on_instruments(self, catalog: InstrumentCatalog, now: Instant) -> list[Step]:
        """Take the instruments, and admit the decisions that waited for them."""
        self._catalog = catalog
        return list(self._retry_waiting({None}, now))

    def on_time(self, now: Instant) -> list[Step]:
        """Refuse the decisions that have waited too long for a price."""
        return list(self._refuse_overdue(now))

    def on_rules(self, rules: Iterable[PortfolioRules]) -> list[Step]:
        """Take the rules of all portfolios: new ones open, and those that are missing were removed."""
        present = {row.portfolio: row for row in rules}
        for name, row in present.items():
            if (account := self._accounts.get(name)) is None:
                self._open(PortfolioState.opened(row))
            else:
                if account.state.rules.execution.price_rule is not row.execution.price_rule:
                    account.values = PositionValues(account.state)  # its marks are others now
                account.state = replace(account.state, rules=row)
        removed = [self._accounts.pop(name) for name in list(self._accounts) if name not in present]
        return [
            refuse(decision, Reason.UNKNOWN_PORTFOLIO, f"portfolio {decision.portfolio!r} was removed")
            for account in removed
            for decision, _ in account.ready
        ]

    def _mark(self, points: Mapping[Symbol, PricePoint]) -> None:
        for rule, marks in self._marks.items():
            marks.update({symbol: mark(rule, *point) for symbol, point in points.items()})

    def _open(self, state: PortfolioState) -> None:
        self._accounts[state.name] = _Account(state, PositionValues(state))

    def _apply_result(self, account: _Account, result: Result) -> None:
        symbol = result.order.instrument.symbol
        account.state = result.state
        account.values.changed(symbol)

    def _admit(self, decision: PendingDecision, now: Instant) -> Iterator[Step]:
        """Refuse a decision, queue it, or let it wait for a price."""
        self.about = decision.id
        account = self._accounts.get(decision.portfolio)
        if account is None:
            yield AwaitsPortfolio(decision)
            return
        if self._catalog is None:
            yield self._wait_for_price(decision, None)
            return
        instrument = self._catalog.resolve(decision.symbol)
        refusal = pre_trade_check(decision, account.state.rules, instrument, self._rules.same_currency)
        if refusal is not None:
            yield refusal
            return
        assert isinstance(instrument, Instrument)
        if self._fresh_quote(decision, instrument) is None:
            yield self._wait_for_price(decision, instrument.symbol)
            return
        account.ready.append((decision, instrument))
        yield from self._size_next(account, now)

    def _fresh_quote(self, decision: PendingDecision, instrument: Instrument) -> Quote | None:
        """Return the newest quote, if it is fresh enough for this decision."""
        quote = self._quotes.get(instrument.symbol)
        if quote is None or decision.received.since(quote.seen) > self._rules.price_grace:
            return None
        return quote

    def _wait_for_price(self, decision: PendingDecision, symbol: Symbol | None) -> AwaitsPrice:
        self._waiting.setdefault(symbol, []).append(decision)
        return AwaitsPrice(decision.id, symbol)

    def _size_next(self, account: _Account, now: Instant) -> Iterator[Step]:
        """Size the next decision of a portfolio, unless an order of it is at the market."""
        while account.ready and not account.pricing and not self.draining:
            decision, instrument = account.ready.popleft()
            self.about = decision.id
            # Check again: the portfolio's rules may have changed while the decision waited.
            step = (
                pre_trade_check(decision, account.state.rules, instrument, self._rules.same_currency)
                or expire_if_stale(decision, now, self._rules.max_decision_age)
                or self._size(decision, account, instrument, now)
            )
            account.pricing = isinstance(step, SizedOrder)
            yield step

    def _size(
        self, decision: PendingDecision, account: _Account, instrument: Instrument, now: Instant
    ) -> SizedOrder | Refusal:
        quote = self._quotes[instrument.symbol]  # as fresh as the one that let the decision in, or fresher
        marks = self._marks[account.state.rules.execution.price_rule]
        equity = account.values.equity(account.state, marks)
        return size(decision, account.state, instrument, quote, equity, marks.table, now.time)

    def _retry_waiting(self, symbols: Iterable[Symbol | None], now: Instant) -> Iterator[Step]:
        """Admit the decisions that waited for these symbols again, oldest first."""
        decisions = [decision for symbol in symbols for decision in self._waiting.pop(symbol, [])]
        for decision in sorted(decisions, key=lambda d: (d.created_at, d.id)):
            overdue = self._overdue(decision, now)
            yield from self._admit(decision, now) if overdue is None else (overdue,)

    def _refuse_overdue(self, now: Instant) -> Iterator[Step]:
        for symbol, decisions in list(self._waiting.items()):
            del self._waiting[symbol]
            for decision in decisions:
                if (refusal := self._overdue(decision, now)) is not None:
                    yield refusal
                else:
                    self._waiting.setdefault(symbol, []).append(decision)

    def _overdue(self, decision: PendingDecision, now: Instant) -> Refusal | None:
        """Refuse a decision that has expired or has waited too long for a price."""
        self.about = decision.id
        if decision.expired(now.time):
            return refuse(decision, Reason.EXPIRED, f"at {decision.expiry}, while it waited for a price")
        if (refusal := expire_if_stale(decision, now, self._rules.max_decision_age)) is not None:
            return refusal
        if now.since(decision.received) > self._rules.max_price_age:
            limit = f"{self._rules.max_price_age.total_seconds():g} s"
            return refuse(decision, Reason.NO_PRICE, f"none of {decision.symbol} was seen within {limit}")
        return None

    def describe(self) -> dict[str, Any]:
        """Return the projections, the decisions that wait, and the newest quotes, as a dict for consoles."""
        return {
            "projections": {
                name: {
                    **to_dict(account.state),
                    "ready": [decision.id for decision, _ in account.ready],
                    "pricing": account.pricing,
                }
                for name, account in self._accounts.items()
            },
            "waiting_for_price": {
                symbol or "(no instruments yet)": [decision.id for decision in decisions]
                for symbol, decisions in self._waiting.items()
            },
            "quotes": {
                symbol: {"price": quote.price, "seen_at": quote.seen_at} for symbol, quote in self._quotes.items()
            },
            "draining": self.draining,
        }
