"""Portfolios: their rules, cash and positions, and what these are worth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any, NamedTuple

from domain.immutable.maps import ImmutableMap
from domain.immutable.records import fast_frozen
from domain.trading.arithmetic import ZERO, add, divide, money, multiply, negate, subtract, total
from domain.trading.instruments import Instrument
from domain.trading.open_orders.open_order import OpenOrders, TrailingMark
from domain.trading.orders import DEFAULT_EXECUTION, Costs, ExecutionRules, ExitPlan, Level, Target
from domain.trading.quotes import Quote
from domain.types import BUY, LONG, FeeRule, PortfolioName, PositionId, PositionSide, Side, Symbol

OWN_FEES = FeeRule.OWN
AUDIT_HALT = "audit: "
"""The reason of a halt by the audit begins with it."""


@dataclass(frozen=True, slots=True)
class PortfolioRules:
    """The rules of a portfolio: its row in ``paper_trading_config`` without the cash. Ratios are fractions.

    Attributes:
        revision: counts the changes of the row.
        created_at: when the row was made.
        default_risk_score: risk score of a decision that has none.
        default_stop_loss: stop of a BUY without exits of its own, a fraction below its entry price; None: none.
        default_take_profit: target of such a BUY, a fraction above its entry price; None: none.
        halted: why trading is halted; None where it is not.
        fees: whose commission rates count.
        life: counts the lives of the portfolio under its name; ``portfolio`` is the id of one life.
        shown_as: what people call it: its name, or ``name@life`` for an earlier life; empty: its id.
    """

    portfolio: PortfolioName
    currency: str
    initial_capital: Decimal
    costs: Costs
    max_position_size: Decimal
    decision_confidence_threshold: Decimal
    min_notional: Decimal
    default_risk_score: Decimal
    execution: ExecutionRules = DEFAULT_EXECUTION
    revision: int = 1
    created_at: datetime | None = None
    halted: str | None = None
    fees: FeeRule = FeeRule.OWN
    default_stop_loss: Decimal | None = None
    default_take_profit: Decimal | None = None
    life: int = 1
    shown_as: str = ""

    @property
    def label(self) -> str:
        """What people call the portfolio."""
        return self.shown_as or self.portfolio

    def costs_of(self, instrument: Instrument) -> Costs:
        """Return the costs of an order of this instrument."""
        return self.costs if self.fees is OWN_FEES else self.costs.at(instrument)

    @property
    def default_exits(self) -> ExitPlan | None:
        """The exits of a BUY that has none of its own; None without any."""
        stop, target = self.default_stop_loss, self.default_take_profit
        if stop is None and target is None:
            return None
        targets = () if target is None else (Target(Level(target, is_fraction=True)),)
        return ExitPlan(None if stop is None else Level(stop, is_fraction=True), targets)

    def stops(self, *, reduces: bool) -> bool:
        """Return whether a halt stops an order; one by people lets an order through that only reduces what is held."""
        return self.halted is not None and (self.halted_by_audit or not reduces)

    @property
    def halted_by_audit(self) -> bool:
        """Whether the audit has found its books wrong: then nothing of it is filled, not even an exit."""
        return self.halted is not None and self.halted.startswith(AUDIT_HALT)

    def same_portfolio(self, other: PortfolioRules) -> bool:
        """Return whether both belong to the same portfolio; a deleted portfolio's name can be used again."""
        identity = (self.portfolio, self.currency, self.initial_capital, self.created_at)
        return identity == (other.portfolio, other.currency, other.initial_capital, other.created_at)


class Position(NamedTuple):
    """An open position in one symbol.

    Attributes:
        quantity: always positive; the side is the direction.
        cost: Σ notionals of its entries (LONG: paid, SHORT: received), less the shares of closed parts.
        entry_commission: entry commission of the part that is still open.
        last_price: price of its last fill.
        strategy: of the decision that opened it.
        split_at: when a split changed its units; prices of its symbol from before do not value it.
    """

    position_id: PositionId
    symbol: Symbol
    asset_class: str
    side: PositionSide
    quantity: Decimal
    cost: Decimal
    entry_commission: Decimal
    last_price: Decimal
    opened_at: datetime
    strategy: str | None
    split_at: datetime | None = None

    @property
    def entry_price(self) -> Decimal:
        """Cost of one unit, for display; nothing is computed from it."""
        return divide(self.cost, self.quantity)

    def resized(self, quantity: Decimal, cost: Decimal, entry_commission: Decimal, last_price: Decimal) -> Position:
        """Return it after a fill that opened more of it, or closed a part."""
        # By its constructor: `dataclasses.replace` takes five times as long, and this is done for each fill.
        return Position(
            self.position_id,
            self.symbol,
            self.asset_class,
            self.side,
            quantity,
            cost,
            entry_commission,
            last_price,
            self.opened_at,
            self.strategy,
            self.split_at,
        )

    def value(self, mark: Decimal) -> Decimal:
        """Return quantity × mark in money, negative for SHORT."""
        size = money(multiply(self.quantity, mark))
        return size if self.side is LONG else negate(size)

    def unrealized(self, mark: Decimal) -> Decimal:
        """Return the unrealised result at ``mark`` before any commission, in money."""
        value = self.value(mark)
        return subtract(value, self.cost) if self.side is LONG else add(value, self.cost)


class Taken(NamedTuple):
    """What a portfolio's orders took from the touch of one quote.

    Attributes:
        seen_at: when the quote was seen, which tells it from others of its symbol.
        bought: the quantity taken at the ask.
        sold: the quantity taken at the bid.
    """

    seen_at: datetime
    bought: Decimal = ZERO
    sold: Decimal = ZERO


class Progress(NamedTuple):
    """How far the open orders of a portfolio have seen the market.

    Attributes:
        data_at: the market's time up to which they have seen everything; None where that is not known.
        settled_no: number of the market data after which they see what a process receives; what was before these has
            been settled, when that process started.
        marks: those of trailing orders that have moved by then, where they are to be stored with it.
        behind: symbols whose last data are older than ``data_at``, each with the time of these.
    """

    data_at: datetime | None = None
    settled_no: int = 0
    marks: tuple[TrailingMark, ...] = ()
    behind: Mapping[Symbol, datetime] = MappingProxyType({})

    def seen_to(self, symbol: Symbol) -> datetime | None:
        """Return the market's time up to which they have seen everything of a symbol; None where it is not known."""
        return self.behind.get(symbol, self.data_at)

    @property
    def all_seen_to(self) -> datetime | None:
        """The market's time up to which they have seen everything of all symbols; None where it is not known."""
        return min(self.behind.values(), default=self.data_at)

    def moved_to(self, time: datetime) -> Progress:
        """Return it when everything of all symbols has been seen up to a time."""
        data_at = time if self.data_at is None else max(self.data_at, time)
        behind = {symbol: max(seen_to, time) for symbol, seen_to in self.behind.items() if time < data_at}
        return self._replace(data_at=data_at, behind=behind)


class Flows(NamedTuple):
    """What went into a portfolio and out of it without a trade, in money: the sums since it was created.

    Attributes:
        dividends: less those that a SHORT position paid.
    """

    deposits: Decimal = ZERO
    withdrawals: Decimal = ZERO
    dividends: Decimal = ZERO

    @property
    def net_deposits(self) -> Decimal:
        """Deposits less withdrawals."""
        return subtract(self.deposits, self.withdrawals)


NO_FLOWS = Flows()
NO_PROGRESS = Progress()
NO_OPEN_ORDERS = OpenOrders()
NOTHING_TAKEN: ImmutableMap[Symbol, Taken] = ImmutableMap()


@fast_frozen
@dataclass(frozen=True, slots=True)
class PortfolioState:
    """The state of a portfolio after one of its events.

    Attributes:
        version: counts the portfolio's events.
        taken: by symbol, what its orders took from the last quote that one of them met.
        progress: how far its open orders have seen the market, as it is stored.
        flows: its deposits, withdrawals and dividends.
        price_source: of its first fill: all others have the same; None without a fill.
        closed: when this life ended; None while it trades.
        replaced: whether another life has begun under its name.
    """

    rules: PortfolioRules
    cash: Decimal
    version: int
    positions: ImmutableMap[Symbol, Position]
    open_orders: OpenOrders = field(default_factory=lambda: NO_OPEN_ORDERS)
    taken: ImmutableMap[Symbol, Taken] = field(default_factory=lambda: NOTHING_TAKEN, compare=False)
    progress: Progress = field(default=NO_PROGRESS, compare=False)
    flows: Flows = NO_FLOWS
    price_source: str | None = field(default=None, compare=False)
    closed: datetime | None = None
    replaced: bool = False

    @classmethod
    def opened(cls, rules: PortfolioRules) -> PortfolioState:
        """Return a new portfolio: all cash."""
        return cls(rules, rules.initial_capital, 0, ImmutableMap())

    @property
    def name(self) -> PortfolioName:
        """The name."""
        return self.rules.portfolio

    @property
    def label(self) -> str:
        """What people call it."""
        return self.rules.label

    def has_source(self, source: str | None) -> bool:
        """Return whether prices of this source may fill and value it; None: any source."""
        return source is None or self.price_source is None or self.price_source == source

    @property
    def paid_in(self) -> Decimal:
        """All that was ever paid in: the initial capital and the deposits."""
        return add(self.rules.initial_capital, self.flows.deposits)

    @property
    def free_cash(self) -> Decimal:
        """The cash that no open order holds back."""
        return subtract(self.cash, self.open_orders.reserved)

    def free_quantity(self, symbol: Symbol) -> Decimal:
        """Return the quantity of a LONG position that no open SELL order holds back."""
        position: Position | None = self.positions.get(symbol)
        return subtract(position.quantity, self.open_orders.held_back(symbol)) if position is not None else ZERO

    def taken_from(self, quote: Quote, side: Side) -> Decimal:
        """Return the quantity that the portfolio's orders took from the touch of ``quote`` on this side."""
        taken: Taken | None = self.taken.get(quote.symbol)
        if taken is None or taken.seen_at != quote.seen_at:
            return ZERO
        return taken.bought if side is BUY else taken.sold

    def equity(self, marks: Mapping[Symbol, Decimal]) -> Decimal:
        """Return cash + Σ value at ``marks``; a position without a mark counts at its last fill's price."""
        return add(self.cash, total(p.value(marks.get(p.symbol, p.last_price)) for p in self.positions.values()))


def to_dict(state: PortfolioState) -> dict[str, Any]:
    """Return a portfolio as a dict for consoles: cash, version (the number of the last event), positions."""
    positions = {
        symbol: {
            "side": position.side.value,
            "quantity": position.quantity,
            "cost": position.cost,
            "entry_commission": position.entry_commission,
            "opened_at": position.opened_at,
            "position_id": position.position_id,
        }
        for symbol, position in state.positions.items()
    }
    return {
        "cash": state.cash,
        "net_deposits": state.flows.net_deposits,
        "dividends": state.flows.dividends,
        "version": state.version,
        "revision": state.rules.revision,
        "currency": state.rules.currency,
        "price_source": state.price_source,
        "closed": state.closed,
        "positions": positions,
    }


class Marks:
    """The newest mark of each symbol, and which marks are newer than at an earlier moment.

    Attributes:
        number: of the last change.
    """

    def __init__(self) -> None:
        self.number = 0
        self._prices: dict[Symbol, Decimal] = {}
        self._changed: dict[Symbol, int] = {}  # the number of the last change, in the order of these numbers
        self._table: Mapping[Symbol, Decimal] | None = None

    def __contains__(self, symbol: Symbol) -> bool:
        return symbol in self._prices

    def forget(self, symbol: Symbol) -> None:
        """Drop the price of a symbol: it is in units that no longer count."""
        if self._prices.pop(symbol, None) is not None:
            self._table = None
            self._count(symbol)

    def set(self, symbol: Symbol, price: Decimal) -> None:
        """Take a newer price."""
        self._prices[symbol] = price
        self._table = None
        self._count(symbol)

    def _count(self, symbol: Symbol) -> None:
        self.number = number = self.number + 1
        changed = self._changed
        if symbol in changed:
            del changed[symbol]
        changed[symbol] = number

    def changed_since(self, number: int) -> list[Symbol]:
        """Return the symbols whose prices have changed after that change."""
        changed = []
        for symbol, last in reversed(self._changed.items()):
            if last <= number:
                break
            changed.append(symbol)
        return changed

    @property
    def table(self) -> Mapping[Symbol, Decimal]:
        """The present prices, as a table that never changes: one for all who ask before the next change."""
        if self._table is None:
            self._table = MappingProxyType(dict(self._prices))
        return self._table


class PositionValues:
    """Σ value of the positions of one portfolio. It is exact: the sum of the same rounded values, to the last digit.

    Args:
        state: the portfolio's state at the start; all its positions are valued at the first request.
    """

    def __init__(self, state: PortfolioState) -> None:
        self._values: dict[Symbol, Decimal] = {}
        self._total = ZERO
        self._outdated: set[Symbol] = set(state.positions)
        self._mark_number = 0

    def changed(self, symbol: Symbol) -> None:
        """Value the position in ``symbol`` anew at the next request: it has changed."""
        self._outdated.add(symbol)

    def equity(self, state: PortfolioState, marks: Marks) -> Decimal:
        """Return `PortfolioState.equity`; only what has changed since the last request is computed."""
        if marks.number != self._mark_number:
            self._outdated.update(self._values.keys() & marks.changed_since(self._mark_number))
            self._mark_number = marks.number
        for symbol in self._outdated:
            if (before := self._values.pop(symbol, None)) is not None:
                self._total = subtract(self._total, before)
            if (position := state.positions.get(symbol)) is not None:
                value = self._values[symbol] = position.value(marks.table.get(symbol, position.last_price))
                self._total = add(self._total, value)
        self._outdated.clear()
        return add(state.cash, self._total if self._values else ZERO)
