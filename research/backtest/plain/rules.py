"""The rules of a portfolio, an instrument and its columns, as integers."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from decimal import Decimal

from domain.trading.arithmetic import CONTEXT, ONE, multiply
from domain.trading.decision import MAX_AMOUNT
from domain.trading.execution import LARGE_NOTIONAL, MAX_SIZE_SURCHARGE, MAX_SLIPPAGE_DRAW, TYPE_FACTOR
from domain.trading.instruments import Instrument
from domain.trading.orders import Costs
from domain.trading.portfolio import PortfolioRules
from domain.types import MAKER, TAKER, OrderType, PriceRule
from research.columns.bar_columns import BarColumns
from research.columns.scaled import integer_above

MONEY_SCALE = 12
"""Decimals of an amount of money."""
PARTS: int = 10**MONEY_SCALE
LARGEST_SCALE = 18
"""Decimals of the finest price or quantity."""
FINEST = 10**40
LARGEST_PRICE, LARGEST_QUANTITY, LARGEST_EQUITY = 10**24, 10**26, 10**32
"""Below these integers no product has more than the 60 digits of `domain.trading.arithmetic.CONTEXT`."""

FACTOR_DIGITS = 25
"""So many digits the factors of a budget may have together, for the same reason."""
QUARTER = Decimal("0.25")


class NotPlain(Exception):
    """Something comes up that the integers do not know."""


def decimals(number: Decimal) -> int:
    """Return how many decimals a number has, without trailing zeros."""
    return max(-int(number.normalize(CONTEXT).as_tuple().exponent), 0)


def as_integer(number: Decimal, scale: int) -> int:
    """Return a number × 10^scale.

    Raises:
        NotPlain: it has more decimals.
    """
    shifted = number.scaleb(scale, CONTEXT)
    if shifted != shifted.to_integral_value():
        raise NotPlain
    return int(shifted)


def decimal(value: int, scale: int) -> Decimal:
    """Return the number that an integer stands for."""
    return Decimal(value).scaleb(-scale, CONTEXT)


@dataclass(frozen=True, slots=True)
class PlainRules:
    """What sizing and execution need of one instrument: prices × 10^price_scale, quantities × 10^quantity_scale.

    Fractions are numerators over a denominator. ``x2`` stands for twice a number: half of a denominator is added before
    a division that rounds half up.

    Attributes:
        widen: a price of the columns × this is a price here.
        up, half, down: money is (quantity × price × up + half) // down.
        step_up: step × up.
        position_x2, position_unit: ``max_position_size`` is half of the one over the other.
        min_notional: of an entry: of portfolio or venue.
        venue_notional: of the venue.
        large: in money: so much doubles the slippage.
        slip: numerator of the slippage of a market order at draw 1, over ``slip_unit``, in parts of 1e-12.
        slip_margin: so near to a tie the Decimals decide; they have rounded by then.
        worst: the largest draw × 2^64.
        has_low_costs: an order never costs more than twice its worth, two ticks and the least commission.
        taker, taker_unit, maker, maker_unit: commission rates.
        nearest: prices are rounded to the nearest tick, else against the order.
    """

    rules: PortfolioRules
    instrument: Instrument
    costs: Costs
    price_scale: int
    quantity_scale: int
    widen: int
    tick: int
    step: int
    up: int
    half: int
    down: int
    step_up: int
    position_x2: int
    position_unit: int
    min_notional: int
    venue_notional: int
    min_quantity: int
    min_commission: int
    max_quantity: int
    large: int
    most_surcharged: int
    slip: int
    slip_unit: int
    slip_margin: int
    worst: int
    has_low_costs: bool
    taker: int
    taker_unit: int
    maker: int
    maker_unit: int
    nearest: bool
    touch: bool

    @classmethod
    def of(
        cls, rules: PortfolioRules, instrument: Instrument, columns: BarColumns, same_currency: AbstractSet[str]
    ) -> PlainRules:
        """Return the rules as integers.

        Raises:
            NotPlain: they cannot be, or a part of them is not known here.
        """
        tick, step, costs = instrument.tick, instrument.step, rules.costs_of(instrument)
        other_currency = instrument.quote != rules.currency and not {instrument.quote, rules.currency} <= same_currency
        closed = rules.halted is not None or instrument.not_traded is not None or instrument.calendar is not None
        if closed or instrument.quote is None or other_currency:
            raise NotPlain
        price_scale, quantity_scale = max(columns.price_scale, _written(tick)), _written(step)
        if max(price_scale, quantity_scale) > LARGEST_SCALE or decimals(rules.max_position_size) > LARGEST_SCALE:
            raise NotPlain
        widen = 10 ** (price_scale - columns.price_scale)
        if not len(columns) or int(columns.lowest.min()) <= 0 or int(columns.highest.max()) * widen >= LARGEST_PRICE:
            raise NotPlain
        both = price_scale + quantity_scale
        up, down = 10 ** max(MONEY_SCALE - both, 0), 10 ** max(both - MONEY_SCALE, 0)
        position, base_rate = rules.max_position_size, costs.slippage_pct
        large = as_integer(multiply(LARGE_NOTIONAL, costs.dollar), MONEY_SCALE)
        if large <= 0 or FINEST % large or decimals(base_rate) > LARGEST_SCALE:
            raise NotPlain  # what a division by it gives has no end
        # rate × factor of the type × (large + surcharged) / large × draw / 2^64, in parts of 1e-12
        slip_scale = decimals(base_rate)
        slip = as_integer(base_rate, slip_scale) * int(TYPE_FACTOR[OrderType.MARKET]) * PARTS
        slip_unit = 10**slip_scale * large * 2**64
        (taker, taker_unit), (maker, maker_unit) = _fraction(costs.rate(TAKER)), _fraction(costs.rate(MAKER))
        position_scale = decimals(position)
        most_slippage = multiply(base_rate, multiply(TYPE_FACTOR[OrderType.MARKET], MAX_SIZE_SURCHARGE + ONE))
        low_costs = multiply(most_slippage, MAX_SLIPPAGE_DRAW) <= QUARTER and costs.rate(TAKER) <= QUARTER
        return cls(
            rules, instrument, costs, price_scale, quantity_scale, widen, as_integer(tick, price_scale),
            as_integer(step, quantity_scale), up, down // 2, down, as_integer(step, quantity_scale) * up,
            2 * as_integer(position, position_scale), 10**position_scale,
            integer_above(max(rules.min_notional, instrument.min_notional), MONEY_SCALE),
            integer_above(instrument.min_notional, MONEY_SCALE),
            integer_above(instrument.min_quantity, quantity_scale), as_integer(costs.min_commission, MONEY_SCALE),
            min(LARGEST_QUANTITY, as_integer(MAX_AMOUNT, quantity_scale)), large, int(MAX_SIZE_SURCHARGE) * large,
            slip, slip_unit, 2 * slip_unit // 10**30, int(MAX_SLIPPAGE_DRAW * 2**64), low_costs, taker, taker_unit,
            maker, maker_unit, rules.execution.price_rule is PriceRule.LAST, rules.execution.fill_on_touch,
        )  # fmt: skip

    def fill_price(self, value: int) -> Decimal:
        """Return the price of a fill, written as a multiple of the tick is."""
        return multiply(Decimal(value // self.tick), self.instrument.tick)

    def quantity(self, value: int) -> Decimal:
        """Return the quantity that an integer stands for, written as a multiple of the step is."""
        return decimal(value, self.quantity_scale)

    def covers(self, cash: int, quantity: int, price: int) -> bool:
        """Return whether cash covers the highest possible cost of buying a quantity."""
        bound = 2 * quantity * (price + self.tick) * self.up // self.down + self.min_commission + 2
        return (self.has_low_costs and bound <= cash) or self.worst_cost(quantity, price) <= cash

    def worst_cost(self, quantity: int, price: int) -> int:
        """Return `domain.trading.execution.worst_cost`."""
        worth = (quantity * price * self.up + self.half) // self.down
        surcharged = min(worth, self.most_surcharged)
        slip = (2 * self.slip * (self.large + surcharged) * self.worst + self.slip_unit) // (2 * self.slip_unit)
        raw, unit = price * (PARTS + slip), self.tick * PARTS
        met = ((2 * raw + unit) // (2 * unit) if self.nearest else -(-raw // unit)) * self.tick
        notional = (quantity * met * self.up + self.half) // self.down
        fee = max((notional * self.taker + self.taker_unit // 2) // self.taker_unit, self.min_commission)
        return notional + fee

    def covered(self, steps: int, price: int, cash: int) -> int:
        """Return `domain.trading.sizing.largest_covered`, in steps; ``cash`` does not cover ``steps``."""
        low, high = 0, steps
        while high - low > 1:
            middle = (low + high) // 2
            if self.covers(cash, middle * self.step, price):
                low = middle
            else:
                high = middle
        return low


def _written(number: Decimal) -> int:
    """Return with how many decimals a number is written: what is computed from it is written with as many."""
    exponent = int(number.as_tuple().exponent)
    if exponent > 0:
        raise NotPlain
    return -exponent


def _fraction(rate: Decimal) -> tuple[int, int]:
    """Return a rate as a numerator and an even denominator."""
    scale = max(decimals(rate), 1)
    if scale > LARGEST_SCALE:
        raise NotPlain
    return as_integer(rate, scale), 10**scale
