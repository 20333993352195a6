"""Decisions between their receipt and their order.

A decision waits for a fresh price by its symbol; there it blocks no other. Then it waits for its turn: one decision of
a portfolio is in flight at a time, so each is sized against the portfolio as it stands after every earlier one. Where
another event comes first, such as the fill of a resting order, the decision comes back and is sized again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from domain.immutable.records import replace
from domain.trading.account.applying import AccountResult
from domain.trading.account.changes import last_splits
from domain.trading.bookkeeping import Result
from domain.trading.decision import CancelTarget, PendingDecision, Reason, Refusal, refuse
from domain.trading.decision_steps import (
    AwaitsPortfolio,
    AwaitsPrice,
    AwaitsSettlement,
    QueuedAccount,
    Sized,
    SizedRefusal,
    Step,
)
from domain.trading.freshness.newest_quotes import NewestQuotes
from domain.trading.instruments import Instrument, InstrumentCatalog, Unresolved
from domain.trading.open_orders.amending import amend, amended_instrument
from domain.trading.open_orders.cancelling import CancelOrders, is_among
from domain.trading.open_orders.protection import protect
from domain.trading.portfolio import Marks, PortfolioRules, PortfolioState, PositionValues
from domain.trading.prices import mark
from domain.trading.quotes import PricePoint, Quote
from domain.trading.sessions.decision_age import AgeLimit, expire_if_stale, waited
from domain.trading.sizing import SizingRules, portfolio_check, pre_trade_check, removed_portfolio, size
from domain.types import AMEND, CANCEL, PROTECT, DecisionId, Instant, PortfolioName, PriceRule, Symbol

MAX_REFUSED = 200  # decisions that have waited too long, at one time: all others wait meanwhile


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
        self._age_limit = AgeLimit(rules.max_decision_age, rules.calendars)
        self._accounts: dict[PortfolioName, QueuedAccount] = {}
        self._catalog: InstrumentCatalog | None = None
        self._quotes = NewestQuotes(rules.price_grace)
        self._marks = {rule: Marks() for rule in PriceRule}
        # By symbol; under None while the instruments are not loaded.
        self._waiting: dict[Symbol | None, list[PendingDecision]] = {}

    def begin(self, states: Iterable[PortfolioState]) -> None:
        """Drop all decisions, and go on from these states. Instruments and prices stay, but none of before a split."""
        self._accounts, self._waiting, present = {}, {}, tuple(states)
        for state in present:
            self._open(state)
        for symbol, at in last_splits(present).items():
            if self._quotes.forget_until(symbol, at):
                self._forget_marks(symbol)

    def state(self, portfolio: PortfolioName) -> PortfolioState | None:
        """Return the projection of a portfolio; None if there is no such portfolio."""
        account = self._accounts.get(portfolio)
        return account.state if account is not None else None

    def in_flight(self, portfolio: PortfolioName) -> DecisionId | None:
        """Return the decision of a portfolio that has been sized, and whose answer is not here yet."""
        account = self._accounts.get(portfolio)
        return account.in_flight[0].id if account is not None and account.in_flight is not None else None

    def on_decision(self, decision: PendingDecision, now: Instant) -> list[Step]:
        """Refuse a decision, size it, or let it wait."""
        return self._admit(decision, now)

    def on_results(
        self, portfolio: PortfolioName, results: Sequence[Result], now: Instant, *, answered: bool
    ) -> list[Step]:
        """Take what has happened in a portfolio; then size its next decision if nothing of it is in flight.

        Args:
            portfolio: its name.
            results: of the portfolio's next events; none where the decision in flight made none.
            now: the present moment.
            answered: whether this is the answer to the decision in flight.
        """
        account = self._accounts.get(portfolio)
        if account is None:
            return []  # the portfolio was removed in the meantime
        if results:
            state, newest = results[-1].state, account.state.rules
            account.state = state if state.rules is newest else replace(state, rules=newest)
        for result in results:
            if result.asset_delta:
                account.values.changed(result.order.instrument.symbol)
        if answered:
            account.in_flight = None
        return self._size_next(account, now)

    def on_account_event(self, change: AccountResult, now: Instant) -> list[Step]:
        """Take a change of an account; decisions of a symbol that was split wait for its next price."""
        account = self._accounts.get(change.state.name)
        if account is None:
            return []
        account.state = replace(change.state, rules=account.state.rules)
        for symbol in change.symbols:
            account.values.changed(symbol)
        if (old_units := change.old_units) is not None:
            self._quotes.forget(old_units)
            self._forget_marks(old_units)
        return self._size_next(account, now)

    def on_returned(self, portfolio: PortfolioName, now: Instant) -> list[Step]:
        """Size the decision in flight again: the portfolio's state has changed before it arrived; see `take_back`."""
        account = self._accounts.get(portfolio)
        if account is None or account.in_flight is None:
            return []
        decision, instrument = account.take_back()
        if not account.cancels:
            account.ready.appendleft((decision, instrument))
            return self._size_next(account, now)
        first = account.cancels[0]
        account.cancels[0] = replace(first, before_sizing=(*first.before_sizing, decision.id))
        return self._size_next(account, now)

    def on_quotes(self, quotes: Iterable[Quote], now: Instant) -> list[Step]:
        """Take quotes, each newer than the one before of its symbol, and admit the decisions that waited for them."""
        seen = {quote.symbol: quote for quote in quotes}
        self._quotes.take(seen)
        for symbol, quote in seen.items():
            if quote.no_buy is None:
                self._mark(symbol, quote.price, quote.bid, quote.ask)
        return list(self._retry_waiting(self._waiting.keys() & seen.keys(), now)) if self._waiting else []

    def on_earlier_prices(
        self, quotes: Mapping[Symbol, Quote], points: Mapping[Symbol, PricePoint], now: Instant
    ) -> list[Step]:
        """Take quotes and prices that are older than any that is here; those of a symbol that has none yet count."""
        present = self._marks[PriceRule.LAST]
        for symbol, point in points.items():
            if symbol not in present:
                self._mark(symbol, *point)
        return self.on_quotes(self._quotes.unknown(quotes.values()), now)

    def on_held_prices(self, reasons: Mapping[Symbol, str]) -> None:
        """Take the symbols whose newest price is held back, each with the reason."""
        self._quotes.held_back = reasons

    def on_instruments(self, catalog: InstrumentCatalog, now: Instant) -> list[Step]:
        """Take the instruments, and admit the decisions that waited for them."""
        self._catalog = catalog.with_calendars(self._rules.calendars)
        return list(self._retry_waiting({None}, now))

    def on_time(self, now: Instant) -> list[Step]:
        """Refuse decisions that have waited too long for a price, up to `MAX_REFUSED`."""
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
        gone = [self._accounts.pop(name) for name in list(self._accounts) if name not in present]
        steps: list[Step] = []
        for account in gone:
            ids = [decision.id for decision, _ in account.ready]
            ids += [id_ for one in account.cancels for id_ in (*one.before_sizing, one.decision_id)]
            steps += [removed_portfolio(decision_id, account.state.name) for decision_id in ids]
        return steps

    def on_settling(self, portfolios: Collection[PortfolioName], now: Instant) -> list[Step]:
        """Let the decisions of these portfolios wait, and of no others; those that go on count as received now."""
        steps: list[Step] = []
        for name, account in self._accounts.items():
            before, account.settling = account.settling, name in portfolios
            if account.settling and not before:
                steps += [AwaitsSettlement(decision.id) for decision, _ in account.ready]
                steps += [AwaitsSettlement(request.decision_id) for request in account.cancels]
            if not before or account.settling:
                continue
            for symbol, waiting in self._waiting.items():
                self._waiting[symbol] = [o.received_again(now) if o.portfolio == name else o for o in waiting]
            ready, account.ready = account.ready, deque()
            steps += self._size_next(account, now)  # the CANCEL decisions
            for decision, _ in ready:
                steps += self._admit(decision.received_again(now), now)
        return steps

    def _mark(self, symbol: Symbol, price: Decimal, bid: Decimal | None, ask: Decimal | None) -> None:
        for rule, marks in self._marks.items():
            marks.set(symbol, mark(rule, price, bid, ask))

    def _forget_marks(self, symbol: Symbol) -> None:
        for marks in self._marks.values():
            marks.forget(symbol)

    def _open(self, state: PortfolioState) -> None:
        self._accounts[state.name] = QueuedAccount(state, PositionValues(state))

    def _admit(self, decision: PendingDecision, now: Instant) -> list[Step]:
        """Refuse a decision, size it, queue it, or let it wait for a price."""
        self.about = decision.id
        account = self._accounts.get(decision.portfolio)
        if account is None:
            return [AwaitsPortfolio(decision)]
        of_symbol = decision.target is not None and decision.target.symbol is not None
        if decision.action is CANCEL and not (of_symbol and self._catalog is None):
            return list(self._cancel(decision, account))
        instrument = self._check(decision, account)
        if not isinstance(instrument, Instrument):
            return [instrument]
        if decision.action is AMEND:
            decision = replace(decision, symbol=instrument.symbol)
        quote = self._quotes.fresh(decision, instrument.symbol, account.state.rules.execution.price_rule)
        if quote is None:
            return [self._wait_for_price(decision, instrument.symbol)]
        if account.is_idle and not self.draining:
            return [self._size(decision, account, instrument, quote, now)]
        account.ready.append((decision, instrument))
        return [AwaitsSettlement(decision.id)] if account.settling else self._size_next(account, now)

    def _check(self, decision: PendingDecision, account: QueuedAccount) -> Instrument | Refusal | AwaitsPrice:
        """Return what a decision trades; its refusal if that needs no price; or let it wait for the instruments."""
        if (refusal := portfolio_check(decision, account.state, self._rules.source)) is not None:
            return refusal
        if self._catalog is None:
            return self._wait_for_price(decision, None)
        instrument = self._instrument(decision, account)
        if isinstance(instrument, Refusal):
            return instrument
        refusal = pre_trade_check(decision, account.state.rules, instrument, self._rules.same_currency)
        if refusal is not None:
            return refusal
        assert isinstance(instrument, Instrument)
        return instrument

    def _instrument(self, decision: PendingDecision, account: QueuedAccount) -> Instrument | Unresolved | Refusal:
        """Return what a decision trades; for an AMEND the instrument of its order."""
        assert self._catalog is not None  # else the decision waits for it
        if decision.action is not AMEND:
            return self._catalog.resolve(decision.symbol)
        queued = (*filter(None, [account.in_flight]), *account.ready)
        waiting = (one for decisions in self._waiting.values() for one in decisions)
        return amended_instrument(decision, account.state.open_orders, queued, waiting)

    def _wait_for_price(self, decision: PendingDecision, symbol: Symbol | None) -> AwaitsPrice:
        self._waiting.setdefault(symbol, []).append(decision)
        return AwaitsPrice(decision.id, symbol)

    def _size_next(self, account: QueuedAccount, now: Instant) -> list[Step]:
        """Size the next decision of a portfolio, unless an order of it is at the market."""
        if account.settling or account.in_flight is not None:
            return []
        steps: list[Step] = [*account.cancels]
        account.cancels = []
        while account.ready and account.in_flight is None and not self.draining:
            decision, instrument = account.ready.popleft()
            self.about = decision.id
            # A split or another price rule may have left none; else it is as fresh as the one that let it in.
            quote = self._quotes.fresh(decision, instrument.symbol, account.state.rules.execution.price_rule)
            if quote is None:
                steps.append(self._wait_for_price(decision, instrument.symbol))
                continue
            # Check again: the portfolio's rules may have changed while the decision waited.
            steps.append(
                portfolio_check(decision, account.state, self._rules.source)
                or pre_trade_check(decision, account.state.rules, instrument, self._rules.same_currency)
                or self._size(decision, account, instrument, quote, now)
            )
        return steps

    def _size(
        self, decision: PendingDecision, account: QueuedAccount, instrument: Instrument, quote: Quote, now: Instant
    ) -> Sized | Refusal:
        """Size a decision that passed the checks, unless it is too old; then it is in flight."""
        if (refusal := expire_if_stale(decision, now, self._age_limit)) is not None:
            return refusal
        state = account.state
        marks = self._marks[state.rules.execution.price_rule]
        equity = account.values.equity(state, marks)
        sized: Sized | Refusal
        if decision.action is AMEND:
            sized = amend(decision, state, quote, equity, now.time)
        elif decision.action is PROTECT:
            sized = protect(decision, state, instrument, quote, now.time)
        else:
            sized = size(decision, state, instrument, quote, equity, marks.table, now.time)
        account.in_flight = decision, instrument
        return SizedRefusal(sized, state.version) if isinstance(sized, Refusal) else sized

    def _cancel(self, decision: PendingDecision, account: QueuedAccount) -> Iterator[Step]:
        """Take out the decisions that a CANCEL names and that are not sized yet; they end with it, at the market."""
        target, portfolio = decision.target or CancelTarget(), decision.portfolio
        symbol = None
        if target.flaw is not None:
            yield refuse(decision, Reason.NOTHING_OPEN, target.flaw)
            return
        if target.symbol is not None and self._catalog is not None:
            instrument = self._catalog.resolve(target.symbol)
            if not isinstance(instrument, Instrument):
                yield refuse(decision, Reason.UNKNOWN_SYMBOL, instrument.reason)
                return
            symbol = instrument.symbol

        def named(other: PendingDecision, of: Symbol | None) -> bool:
            if other.portfolio != portfolio or target.order_id is not None or not is_among(other.id, target.among):
                return False
            return other.id == target.decision_id if target.decision_id is not None else symbol in {None, of}

        ended = {one.id: None for one, instrument in account.ready if named(one, instrument.symbol)}
        account.ready = deque(pair for pair in account.ready if pair[0].id not in ended)
        for of, waiting in list(self._waiting.items()):
            ended |= {one.id: None for one in waiting if named(one, of)}
            self._waiting[of] = [one for one in waiting if one.id not in ended]
            if not self._waiting[of]:
                del self._waiting[of]
        request = CancelOrders(
            decision.id, portfolio, target.decision_id, target.order_id, symbol, tuple(ended), account.state.label,
            target.among,
        )  # fmt: skip
        in_flight = account.in_flight
        if account.settling or (in_flight is not None and named(in_flight[0], in_flight[1].symbol)):
            account.cancels.append(request)
            if account.settling:
                yield AwaitsSettlement(decision.id)
        else:
            yield request

    def _retry_waiting(self, symbols: Iterable[Symbol | None], now: Instant) -> Iterator[Step]:
        """Admit the decisions that waited for these symbols again, in the order of the table."""
        symbols = tuple(symbols)
        old = [symbol for symbol in symbols if self._quotes.is_old(symbol)]
        for decision in sorted((d for symbol in symbols for d in self._waiting.pop(symbol, [])), key=lambda d: d.place):
            overdue = self._overdue(decision, now)
            for step in self._admit(decision, now) if overdue is None else (overdue,):
                # An old quote is no reason to request another one: that would be old, too, and so without end.
                if not (isinstance(step, AwaitsPrice) and step.symbol in old):
                    yield step

    def _refuse_overdue(self, now: Instant) -> Iterator[Step]:
        left = MAX_REFUSED
        for symbol, decisions in list(self._waiting.items()):
            del self._waiting[symbol]
            for decision in decisions:
                if left and (refusal := self._overdue(decision, now)) is not None:
                    left -= 1
                    yield refusal
                else:
                    self._waiting.setdefault(symbol, []).append(decision)

    def _overdue(self, decision: PendingDecision, now: Instant) -> Refusal | None:
        """Refuse a decision that has expired or has waited too long for a price."""
        self.about = decision.id
        if decision.expired(now.time):
            return refuse(decision, Reason.EXPIRED, f"at {decision.expiry}, while it waited for a price")
        account = self._accounts.get(decision.portfolio)
        if account is not None and account.settling:
            return None
        if (refusal := expire_if_stale(decision, now, self._age_limit)) is not None:
            return refusal
        calendar, since = self._rules.calendars.of(decision.symbol), now.since(decision.left_since or decision.received)
        if waited(decision, now, calendar, since) > self._rules.max_price_age:
            why = self._quotes.why_none(decision, self._catalog, self._rules.max_price_age)
            return refuse(decision, Reason.NO_PRICE, why)
        return None

    def describe(self) -> dict[str, Any]:
        """Return the projections, the decisions that wait, and the newest quotes, as a dict for consoles."""
        return {
            "projections": {name: account.describe() for name, account in self._accounts.items()},
            "waiting_for_price": {
                symbol or "(no instruments yet)": [decision.id for decision in decisions]
                for symbol, decisions in self._waiting.items()
            },
            "quotes": self._quotes.describe(),
            "draining": self.draining,
        }
