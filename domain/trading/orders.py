"""Orders, which sizing makes of decisions, and fills, which the market makes of orders."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from hashlib import sha1
from typing import NamedTuple
from uuid import UUID, SafeUUID

from domain.currencies import about_one_dollar
from domain.immutable.records import fast_frozen, replace
from domain.trading.arithmetic import ONE, ZERO, add, money, multiply, negate, plain, rate, round_to, subtract
from domain.trading.instruments import Instrument
from domain.trading.prices import mark
from domain.trading.quotes import Quote
from domain.types import (
    BUY,
    MAKER,
    SELL,
    TAKER,
    DecisionId,
    Liquidity,
    OrderId,
    OrderType,
    PortfolioName,
    PositionId,
    PriceRule,
    Side,
    TimeInForce,
)

RULES_VERSION = 3
"""Version of the rules of `domain.trading.prices` and `execution`. Orders of version 1 were made before each stored its
price rule and its tick; up to version 2 the size surcharge took an amount of any currency for dollars."""


def dollar_of_rules(version: int, currency: str) -> Decimal:
    """Return `Costs.dollar` of an order in a currency that was made by a version of the rules."""
    return about_one_dollar(currency) if version > 2 else ONE


NAME_BITS = (1 << 128) - 1 - (0xF << 76) - (0b11 << 62)
"""The bits of a UUID that are of the hash of a name; the others are version and variant (RFC 9562, section 5.5)."""
VERSION_5 = (5 << 76) + (0b10 << 62)
UNKNOWN_SAFETY = SafeUUID.unknown


def name_uuid(namespace: UUID, name: str) -> UUID:
    """Return `uuid.uuid5` of the two in a third of the time: each order and each position needs one.

    The constructor of a UUID first checks which of its six arguments it has got; what it sets then is set here.
    """
    digest = sha1(namespace.bytes + name.encode(), usedforsecurity=False).digest()
    made = UUID.__new__(UUID)
    object.__setattr__(made, "int", int.from_bytes(digest[:16]) & NAME_BITS | VERSION_5)
    object.__setattr__(made, "is_safe", UNKNOWN_SAFETY)
    return made


def order_id(decision_uid: UUID, leg: int) -> OrderId:
    """Return the id of the order for one leg of a decision: always the same one for the same decision."""
    return OrderId(name_uuid(decision_uid, str(leg)))


def position_id(opening_order: OrderId, fill_no: int = 1) -> PositionId:
    """Return the id of the position that a fill of ``opening_order`` opens."""
    return PositionId(name_uuid(opening_order, "position" if fill_no == 1 else f"position/{fill_no}"))


@fast_frozen
@dataclass(frozen=True, slots=True)
class Costs:
    """Trading costs: fractions of the notional, and the minimum commission of an order in money.

    Attributes:
        maker_fee: the venue's commission rate for makers, in place of ``commission_pct``; None where that counts.
        taker_fee: the same for takers.
        dollar: an amount in the portfolio's currency that is worth roughly a dollar; the size surcharge counts in it.
    """

    slippage_pct: Decimal
    commission_pct: Decimal
    min_commission: Decimal
    maker_fee: Decimal | None = None
    taker_fee: Decimal | None = None
    dollar: Decimal = ONE

    def rate(self, liquidity: Liquidity) -> Decimal:
        """Return the commission rate of a fill."""
        fee = self.maker_fee if liquidity is MAKER else self.taker_fee
        return self.commission_pct if fee is None else fee

    @property
    def highest_rate(self) -> Decimal:
        """The highest commission rate that a fill may have."""
        return max(self.rate(MAKER), self.rate(TAKER))

    def at(self, instrument: Instrument) -> Costs:
        """Return them with the rates of the venue, where it states them for this instrument."""
        if instrument.maker_fee is None and instrument.taker_fee is None:
            return self
        return replace(self, maker_fee=instrument.maker_fee, taker_fee=instrument.taker_fee)


DEFAULT_BAR_SHARE = Decimal("0.1")
HUNDRED = Decimal(100)


@dataclass(frozen=True, slots=True)
class ExecutionRules:
    """The rules of an order's prices and of what one fill may take.

    Attributes:
        price_rule: which price a fill meets.
        max_touch_share: the share of the size at the touch that orders take without a size surcharge, a fraction.
        fill_on_touch: a resting order is filled where the market reaches its limit; else it must go through it.
        max_bar_share: the share of a bar's volume that a resting order gets at most, a fraction.
    """

    price_rule: PriceRule = PriceRule.QUOTE
    max_touch_share: Decimal = ONE
    fill_on_touch: bool = False
    max_bar_share: Decimal = DEFAULT_BAR_SHARE


@fast_frozen
@dataclass(frozen=True, slots=True)
class Level:
    """The price of an exit: a price, or a fraction of the entry's average price.

    Attributes:
        value: a price, or a fraction where ``is_fraction``.
    """

    value: Decimal
    is_fraction: bool = False

    def below(self, entry: Decimal) -> Decimal:
        """Return the price for a stop on a position that was entered at ``entry``; not rounded."""
        return multiply(entry, subtract(ONE, self.value)) if self.is_fraction else self.value

    def above(self, entry: Decimal) -> Decimal:
        """Return the price for a target on a position that was entered at ``entry``; not rounded."""
        return multiply(entry, add(ONE, self.value)) if self.is_fraction else self.value


@fast_frozen
@dataclass(frozen=True, slots=True)
class Target:
    """A take-profit of an entry.

    Attributes:
        share: of what the entry buys, a fraction.
    """

    level: Level
    share: Decimal = ONE


@fast_frozen
@dataclass(frozen=True, slots=True)
class Trail:
    """The distance of a trailing stop from the mark: an amount of money, or a fraction of the mark.

    Attributes:
        value: an amount, or a fraction where ``is_fraction``.
    """

    value: Decimal
    is_fraction: bool = False

    def stop_price(self, mark: Decimal, side: Side, tick: Decimal) -> Decimal:
        """Return the stop price at a mark, rounded to the nearest tick: below it for a SELL, above it for a BUY."""
        distance = multiply(mark, self.value) if self.is_fraction else self.value
        return round_to(subtract(mark, distance) if side is SELL else add(mark, distance), tick)

    def __str__(self) -> str:
        return f"{plain(multiply(self.value, HUNDRED))} %" if self.is_fraction else plain(self.value)


@fast_frozen
@dataclass(frozen=True, slots=True)
class ExitPlan:
    """The exits of an entry order; each of them is an order of its own once the entry fills.

    Attributes:
        stop_loss: at most one of it and ``trailing_stop``.
        take_profits: their shares add up to at most 1.
    """

    stop_loss: Level | None = None
    take_profits: tuple[Target, ...] = ()
    trailing_stop: Trail | None = None


DEFAULT_EXECUTION = ExecutionRules()
"""The rules of a new portfolio."""


@fast_frozen
@dataclass(frozen=True, slots=True)
class Order:
    """What is wanted: one leg of a decision, sized for one portfolio. The quote that fills it is no part of it.

    Attributes:
        seq: the version of the portfolio at which it was accepted, or last amended: it rises from order to order.
        costs: the portfolio's costs at sizing.
        execution: the portfolio's rules of execution at sizing.
        note: an addition to the outcome's reason; usually empty.
        limit_price: the worst price allowed; None for orders without a limit.
        stop_price: the mark at which a stop order is triggered; of a trailing stop the first one.
        time_in_force: None for a market order.
        expires_at: with `TimeInForce.GTD` and `TimeInForce.DAY`; it sees no market data of this time or later.
        post_only: it is rejected where it would take liquidity at once.
        reduce_only: it works in a halted portfolio too.
        exits: of an entry order: the exits that its fills open.
        parent: of an exit: the entry order. The exits of a PROTECT have no entry: theirs is the id that one would have.
        trail: of a trailing stop.
        calendar: with `TimeInForce.DAY`: the exchange at whose close it expires.
        price_source: name of the source whose prices it was sized from; no other one's data fill it. None: of any.
        rules_revision: of the portfolio's row in ``paper_trading_config`` from which costs and execution come.
        amended: an AMEND has set its values: an exit then keeps its prices where its entry is filled further.
    """

    order_id: OrderId
    decision_id: DecisionId
    portfolio: PortfolioName
    leg: int
    seq: int
    instrument: Instrument
    side: Side
    order_type: OrderType
    quantity: Decimal
    costs: Costs
    execution: ExecutionRules
    created_at: datetime
    strategy: str | None = None
    note: str = ""
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    time_in_force: TimeInForce | None = None
    expires_at: datetime | None = None
    post_only: bool = False
    reduce_only: bool = False
    exits: ExitPlan | None = None
    parent: OrderId | None = None
    trail: Trail | None = None
    rules_revision: int = 1
    amended: bool = False
    price_source: str | None = None
    calendar: str | None = None

    @property
    def end(self) -> str:
        """When it expires, as a clause that follows *expired:*; empty where it does not."""
        if self.expires_at is None:
            return ""
        at = f"{self.expires_at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
        return f"at {at}" if self.calendar is None else f"the session of {self.calendar} ended at {at}"

    @property
    def own_price(self) -> Decimal | None:
        """The price at which budget, room and reservation count it; None for a market order."""
        return self.limit_price if self.limit_price is not None else self.stop_price

    @property
    def reduces(self) -> bool:
        """Whether it only reduces what is held: then it works in a portfolio that people halted."""
        return self.reduce_only or self.is_exit

    @property
    def is_exit(self) -> bool:
        """Whether it closes what another order has opened."""
        return self.parent is not None


@dataclass(frozen=True, slots=True)
class NotFilled:
    """The reason why an order got no fill: a sentence for a person."""

    reason: str


class SlippageFactors(NamedTuple):
    """The factors whose product is a slippage rate.

    Attributes:
        base_rate: ``slippage_pct`` of the portfolio, a fraction.
        type: of the order's type; a market order has four times the slippage of a limit order.
        size: 1, and more for what exceeds the size at the touch; see `size_factor`.
        random: the draw U, see `slippage_draw`.
    """

    base_rate: Decimal
    type: Decimal
    size: Decimal
    random: Decimal

    @property
    def rate(self) -> Decimal:
        """The fraction by which the price moves against the order, to 1e-12."""
        return rate(multiply(multiply(multiply(self.base_rate, self.type), self.size), self.random))


class FillCosts(NamedTuple):
    """The cost of a fill beside its commission, in money: by how much it is worse than a fill at the mark.

    Attributes:
        spread: from the mark to the base price.
        slippage: by the base rate of slippage and by rounding to the tick; negative where rounding or a limit saved
            more.
        size: the surcharge for what exceeds the size at the touch.
        random: by the random factor; negative where it was below 1.
    """

    spread: Decimal
    slippage: Decimal
    size: Decimal
    random: Decimal


class Fill(NamedTuple):
    """One execution of all or part of an order, with the data that it was computed from.

    Attributes:
        price: the price of one unit.
        notional: quantity × price.
        slippage_rate: the drawn rate between base price and price, before rounding to the tick.
        slippage: quantity × the distance between price and base price, in money; a cost is positive.
        quote: the market data that it met.
        base_price: the price that it met, before slippage.
        touch_size: the quantity that it could take at the base price without a surcharge; None where unknown.
        liquidity: taker or maker.
        side: of the order.
        price_rule: of the order.
        factors: of its slippage; None for a maker, who has none.
        ambiguous: the data would allow another order of things; the worse one for the portfolio was assumed.
    """

    fill_no: int
    quantity: Decimal
    price: Decimal
    notional: Decimal
    commission: Decimal
    slippage_rate: Decimal
    slippage: Decimal
    quote: Quote
    filled_at: datetime
    base_price: Decimal
    touch_size: Decimal | None
    liquidity: Liquidity
    side: Side
    price_rule: PriceRule
    factors: SlippageFactors | None
    ambiguous: bool = False

    @property
    def costs(self) -> FillCosts:
        """How its cost is composed, computed at each call; the parts add up to its distance from the mark."""
        spread, factors = self.spread, self.factors
        if factors is None:
            return FillCosts(spread, ZERO, ZERO, ZERO)
        at_mark, at_base = self._worth(self._mark), self._worth(self.base_price)
        cost = subtract(self.notional, at_mark) if self.side is BUY else subtract(at_mark, self.notional)
        flat = multiply(at_base, multiply(factors.base_rate, factors.type))
        size = money(multiply(flat, subtract(factors.size, ONE)))
        random = money(multiply(multiply(flat, factors.size), subtract(factors.random, ONE)))
        return FillCosts(spread, subtract(subtract(subtract(cost, spread), size), random), size, random)

    @property
    def spread(self) -> Decimal:
        """By how much it is worse than a fill at the mark because of the price that it met, in money."""
        difference = subtract(self._worth(self.base_price), self._worth(self._mark))
        return difference if self.side is BUY else negate(difference)

    @property
    def _mark(self) -> Decimal:
        """The mark in the market data that it met."""
        return mark(self.price_rule, self.quote.price, self.quote.bid, self.quote.ask)

    def _worth(self, price: Decimal) -> Decimal:
        """Return its quantity × a price, in money."""
        return money(multiply(self.quantity, price))
