"""Sizer: sizes each decision against its portfolio as it stands after every earlier one."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

from loguru import logger

from actors.messages import (
    Control,
    Decide,
    Execute,
    Flush,
    InstrumentsLoaded,
    Message,
    Pause,
    Priced,
    Prices,
    QuotesSeen,
    Rebuild,
    Refused,
    RequestRules,
    RulesChanged,
    SendPrices,
    Subscribe,
    Tick,
    Waits,
)
from actors.runtime.behaviour import PathBehaviour
from actors.runtime.routes import Routes
from actors.supervision.messages import Rebuilt
from domain.trading.decision import PendingDecision, Reason, Refusal, refuse
from domain.trading.instruments import Instrument, InstrumentCatalog
from domain.trading.portfolio import Portfolio, apply, to_dict
from domain.trading.quotes import Quote
from domain.trading.sizing import expire_if_stale, pre_trade_check, size
from domain.types import Clock, PortfolioName, Symbol


@dataclass(slots=True)
class _Queue:
    """The queue of one portfolio.

    Attributes:
        projection: the committed state plus the priced fills after it.
        ready: decisions that have a price, in order.
        pricing: an order is at the ExecutionSimulator.
    """

    projection: Portfolio
    ready: deque[tuple[PendingDecision, Instrument]] = field(default_factory=deque)
    pricing: bool = False


@dataclass(frozen=True, slots=True)
class SizerRules:
    """The rules by which the Sizer accepts prices and decisions.

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


class Sizer(PathBehaviour):
    """The sizing of decisions. It keeps a projection of each portfolio: committed state plus the priced fills after it.

    Args:
        routes: the addresses of the actors.
        rules: age limits and currencies.
        clock: the time.
    """

    def __init__(self, routes: Routes, rules: SizerRules, clock: Clock) -> None:
        self._routes = routes
        self._rules = rules
        self._clock = clock
        self._queues: dict[PortfolioName, _Queue] = {}
        self._catalog: InstrumentCatalog | None = None
        self._quotes: dict[Symbol, Quote] = {}
        self._marks: dict[Symbol, Decimal] = {}
        # By symbol; under None while the source has not loaded its instruments.
        self._waiting: dict[Symbol | None, list[PendingDecision]] = {}
        # Decisions of unknown portfolios, each with the number of its `RequestRules`.
        self._without_portfolio: list[tuple[int, PendingDecision]] = []
        self._last_request = 0
        self._draining = False

    def rebuild(self, message: Rebuild) -> None:
        """Start from the committed state, and request the prices that this process has seen."""
        self._queues = {portfolio.name: _Queue(portfolio) for portfolio in message.portfolios}
        self._waiting = {}
        self._without_portfolio = []
        self.generation = message.generation
        self._routes.price_tracker.tell(SendPrices(self._routes.sizer.tell))
        self._routes.supervisor.tell(Rebuilt("Sizer", message.generation))

    def describe(self) -> Mapping[str, Any]:
        """Return the projections, the decisions that wait, and the newest quotes."""
        return {
            "generation": self.generation,
            "projections": {
                name: {
                    **to_dict(queue.projection),
                    "ready": [decision.id for decision, _ in queue.ready],
                    "pricing": queue.pricing,
                }
                for name, queue in self._queues.items()
            },
            "waiting_for_price": {
                symbol or "(no instruments yet)": [decision.id for decision in decisions]
                for symbol, decisions in self._waiting.items()
            },
            "waiting_for_portfolio": [decision.id for _, decision in self._without_portfolio],
            "quotes": {
                symbol: {"price": quote.price, "seen_at": quote.seen_at} for symbol, quote in self._quotes.items()
            },
            "draining": self._draining,
        }

    def control(self, message: Control) -> None:
        """Begin or end a generation. Between two generations prices still arrive, but no decision waits for them."""
        if isinstance(message, Pause):
            self._queues, self._waiting, self._without_portfolio = {}, {}, []
        super().control(message)

    def handle(self, message: Message) -> None:
        """Handle one message."""
        match message:
            case Decide():
                self._admit(message.decision)
            case Priced():
                self._apply_fill(message)
            case QuotesSeen():
                self._take_quotes(message.quotes.values())
            case RulesChanged():
                self._change_rules(message)
            case Prices():
                self._catalog = message.catalog or self._catalog
                self._marks = {**message.marks, **self._marks}
                # Quotes that arrived on their own are newer. Clocks may jump, so `seen_at` does not decide.
                unknown = [quote for symbol, quote in message.quotes.items() if symbol not in self._quotes]
                self._retry_waiting({None} if self._catalog is not None else set())
                self._take_quotes(unknown)
            case InstrumentsLoaded():
                self._catalog = message.catalog
                self._retry_waiting({None})
            case Tick():
                self._refuse_overdue()
            case Flush():
                self._draining = True
                self._routes.execution_simulator.tell(message)
        self.about = None

    def _admit(self, decision: PendingDecision) -> None:
        """Refuse a decision, queue it, or let it wait for a price."""
        self.about = decision.id
        queue = self._queues.get(decision.portfolio)
        if queue is None:
            self._request_rules(decision)
            return
        if self._catalog is None:
            self._wait_for_price(decision, None)
            return
        instrument = self._catalog.resolve(decision.symbol)
        refusal = pre_trade_check(decision, queue.projection.rules, instrument, self._rules.same_currency)
        if refusal is not None:
            self._refuse(refusal)
            return
        assert isinstance(instrument, Instrument)
        if self._fresh_quote(decision, instrument) is None:
            self._routes.price_tracker.tell(Subscribe(instrument.symbol))
            self._wait_for_price(decision, instrument.symbol)
            return
        queue.ready.append((decision, instrument))
        self._size_next(queue)

    def _request_rules(self, decision: PendingDecision) -> None:
        """Let a decision wait while its portfolio is looked up, because it may have just been created."""
        assert self.generation is not None
        self._last_request += 1
        self._without_portfolio.append((self._last_request, decision))
        self._routes.position_keeper.tell(RequestRules(self.generation, self._last_request))

    def _fresh_quote(self, decision: PendingDecision, instrument: Instrument) -> Quote | None:
        """Return the newest quote, if it is fresh enough for this decision."""
        quote = self._quotes.get(instrument.symbol)
        if quote is None or quote.seen_at < decision.received_at - self._rules.price_grace:
            return None
        return quote

    def _wait_for_price(self, decision: PendingDecision, symbol: Symbol | None) -> None:
        assert self.generation is not None
        self._waiting.setdefault(symbol, []).append(decision)
        self._routes.decision_watcher.tell(Waits(self.generation, decision.id))

    def _size_next(self, queue: _Queue) -> None:
        """Size the next decision of a portfolio, unless an order of it is being priced."""
        assert self.generation is not None
        while queue.ready and not queue.pricing and not self._draining:
            decision, instrument = queue.ready.popleft()
            self.about = decision.id
            rules = queue.projection.rules
            quote = self._fresh_quote(decision, instrument)
            assert quote is not None
            # Check again: the portfolio's rules may have changed while the decision waited.
            now = self._clock.now()
            sized = (
                pre_trade_check(decision, rules, instrument, self._rules.same_currency)
                or expire_if_stale(decision, now, self._rules.max_decision_age)
                or size(decision, queue.projection, instrument, quote, self._marks, now)
            )
            if isinstance(sized, Refusal):
                self._refuse(sized)
                continue
            logger.bind(decision=decision.id).debug("sized: {} {} {}", sized.side, sized.quantity, instrument.symbol)
            queue.pricing = True
            self._routes.execution_simulator.tell(Execute(self.generation, sized))

    def _apply_fill(self, message: Priced) -> None:
        queue = self._queues.get(message.portfolio)
        if queue is None:
            return  # the portfolio was removed in the meantime
        if message.fill is not None:
            queue.projection = apply(queue.projection, message.fill).portfolio
        queue.pricing = False
        self._size_next(queue)

    def _take_quotes(self, quotes: Iterable[Quote]) -> None:
        awaited: set[Symbol | None] = set()
        for quote in quotes:
            self._quotes[quote.symbol] = quote
            self._marks[quote.symbol] = quote.price
            if quote.symbol in self._waiting:
                awaited.add(quote.symbol)
        self._retry_waiting(awaited)

    def _retry_waiting(self, symbols: set[Symbol | None]) -> None:
        """Admit the decisions that waited for these symbols again, oldest first."""
        decisions = [decision for symbol in symbols for decision in self._waiting.pop(symbol, [])]
        for decision in sorted(decisions, key=lambda d: (d.created_at, d.id)):
            if not self._refuse_if_overdue(decision):
                self._admit(decision)

    def _refuse_overdue(self) -> None:
        for symbol, decisions in list(self._waiting.items()):
            remaining = [decision for decision in decisions if not self._refuse_if_overdue(decision)]
            if remaining:
                self._waiting[symbol] = remaining
            else:
                del self._waiting[symbol]

    def _refuse_if_overdue(self, decision: PendingDecision) -> bool:
        """Refuse a decision that has expired or has waited too long for a price; return whether it was refused."""
        self.about = decision.id
        now = self._clock.now()
        if decision.expired(now):
            self._refuse(refuse(decision, Reason.EXPIRED, f"at {decision.expiry}, while it waited for a price"))
            return True
        if (refusal := expire_if_stale(decision, now, self._rules.max_decision_age)) is not None:
            self._refuse(refusal)
            return True
        if now - decision.received_at > self._rules.max_price_age:
            details = f"none of {decision.symbol} was seen within {self._rules.max_price_age.total_seconds():g} s"
            self._refuse(refuse(decision, Reason.NO_PRICE, details))
            return True
        return False

    def _refuse(self, refusal: Refusal) -> None:
        assert self.generation is not None
        self._routes.execution_simulator.tell(Refused(self.generation, refusal))

    def _change_rules(self, message: RulesChanged) -> None:
        unresolved, self._without_portfolio = self._without_portfolio, []
        present = {rules.portfolio for rules in message.rules}
        for rules in message.rules:
            queue = self._queues.get(rules.portfolio)
            if queue is None:
                self._queues[rules.portfolio] = _Queue(Portfolio.opened(rules))
            else:
                queue.projection = replace(queue.projection, rules=rules)
        for name in [name for name in self._queues if name not in present]:
            removed = self._queues.pop(name)
            for decision, _ in removed.ready:
                self._refuse(refuse(decision, Reason.UNKNOWN_PORTFOLIO, f"portfolio {name!r} was removed"))
        for request, decision in unresolved:
            if decision.portfolio in self._queues:
                self._admit(decision)
            elif request <= message.answered:
                self._refuse(
                    refuse(decision, Reason.UNKNOWN_PORTFOLIO, f"there is no portfolio {decision.portfolio!r}")
                )
            else:
                self._without_portfolio.append((request, decision))
