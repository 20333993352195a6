"""The book of one instrument in integers: cash, position and exits, and how orders change them.

Each rule is that of `domain.trading`, where its words are: `sizing`, `execution`, `account.trades`, `open_orders`.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from domain.immutable.maps import ImmutableMap
from domain.immutable.records import replace
from domain.trading.arithmetic import CONTEXT, ONE, add, divide
from domain.trading.decision import Reason
from domain.trading.execution import TYPE_FACTOR, slippage_draw
from domain.trading.open_orders.open_order import OpenOrder, OpenOrders
from domain.trading.open_orders.step import GTC, planned_exits
from domain.trading.orders import Order, SlippageFactors
from domain.trading.portfolio import PortfolioState, Position
from domain.types import LONG, SELL, OrderId, OrderType, PositionId
from research.backtest.ids import draw, name_bytes
from research.backtest.pieces import SOURCE
from research.backtest.plain.intents import PlainIntent
from research.backtest.plain.rows import STOP, TARGET, PlainRows
from research.backtest.plain.rules import LARGEST_EQUITY, MONEY_SCALE, PARTS, NotPlain, PlainRules, decimal
from research.columns.bar_columns import time_of

EXECUTED = "executed"


@dataclass(slots=True)
class Exits:
    """The open exits of one entry.

    Attributes:
        stop, target: their prices; None without one.
        quantity: what each of them still closes.
        since: number of the market data after which they are matched.
        entry: id of the entry order; their own ids are made of it.
        version: of the portfolio after the entry's fill.
        price: of that fill.
        filled, fills, notional, paid: of the target so far: its quantity, number of fills, notional and commission.
        charged: Σ notional × rate of these fills, over ``PlainRules.maker_unit``.
    """

    stop: int | None
    target: int | None
    quantity: int
    since: int
    decision: int
    entry: bytes
    version: int
    price: int
    at: int
    wanted: PlainIntent
    filled: int = 0
    fills: int = 0
    notional: int = 0
    charged: int = 0
    paid: int = 0


class Book:
    """What a portfolio holds of one instrument, in integers.

    Args:
        rules: of the instrument.
        rows: take what happens.
        cash: at the start, in money.

    Attributes:
        quantity: held; 0: nothing.
        exits: None while none is open.
    """

    def __init__(self, rules: PlainRules, rows: PlainRows, cash: int) -> None:
        self.cash, self.version = cash, 0
        self.quantity = self.cost = self.paid = self.last_price = self.opened = 0
        self.position_id = b""
        self.strategy: str | None = None
        self.exits: Exits | None = None
        self.traded, self.traded_from = 0, -1
        self._position: Position | None = None  # what was built of the present integers
        self._state: PortfolioState | None = None
        self._rules, self._rows = rules, rows

    def buy(self, wanted: PlainIntent, number: int, uid: bytes, base: int, at: int, data_no: int) -> Reason | None:
        """Buy at market.

        Args:
            wanted: what is wanted.
            number: of the decision.
            uid: of the decision.
            base: the price that is met.
            at: the time, in microseconds since 1970.
            data_no: number of the market data that have the price.

        Returns:
            Why nothing is bought; None where it is.

        Raises:
            NotPlain: something comes up that is not known here.
        """
        rules, cash = self._rules, self.cash
        if cash <= 0:
            return Reason.NO_CASH
        quantity = self._to_buy(wanted, base)
        if isinstance(quantity, Reason):
            return quantity
        if quantity >= rules.max_quantity:
            raise NotPlain
        worth = (quantity * base * rules.up + rules.half) // rules.down
        if not quantity or worth < rules.min_notional or quantity < rules.min_quantity:
            return Reason.TOO_SMALL
        if wanted.plan is not None and self._misplaced(wanted, base):
            return Reason.INVALID
        order = name_bytes(uid, b"1")
        price = self._taken(True, base, worth, order)
        notional = (quantity * price * rules.up + rules.half) // rules.down
        fee = (notional * rules.taker + rules.taker_unit // 2) // rules.taker_unit
        fee = max(fee, rules.min_commission)
        self.cash = cash - notional - fee
        self.version += 1
        if self.quantity:
            self.quantity += quantity
            self.cost += notional
            self.paid += fee
        else:
            self.quantity, self.cost, self.paid = quantity, notional, fee
            self.opened, self.strategy = at, wanted.strategy
            self.position_id = name_bytes(order, b"position")
        self.last_price = price
        if self.quantity >= rules.max_quantity:
            raise NotPlain
        slippage = (quantity * abs(price - base) * rules.up + rules.half) // rules.down
        self._traded(notional, at)
        self._rows.fills.append((
            at, number, order, self.position_id, 1, 1, True, self.strategy, False, quantity, price, base, notional, fee,
            slippage, 0, self.cash, self.quantity,
        ))  # fmt: skip
        self._rows.ends.append((at, number, EXECUTED, "", True))
        if wanted.plan is not None:
            self._open_exits(wanted, number, order, quantity, price, at, data_no)
        return None

    def _to_buy(self, wanted: PlainIntent, base: int) -> int | Reason:
        """Return how much of it may be bought, or why nothing."""
        rules, cash = self._rules, self.cash
        held = (self.quantity * base * rules.up + rules.half) // rules.down
        equity = cash + held
        if equity >= LARGEST_EQUITY:
            raise NotPlain
        headroom = (equity * rules.position_x2 + rules.position_unit) // (2 * rules.position_unit) - held
        if headroom <= 0:
            return Reason.NO_ROOM
        quantity = wanted.quantity
        if quantity is None:
            unit = wanted.budget_unit
            spend = min((equity * wanted.budget_x2 + unit) // (2 * unit), headroom)
            steps = spend * rules.down // (base * rules.step_up)
            quantity = steps * rules.step
            if quantity and not rules.covers(cash, quantity, base):
                quantity = rules.covered(steps, base, cash) * rules.step
                if self._too_small(quantity, base):
                    return Reason.NO_CASH
        elif self._worth(quantity, base) > headroom:
            return Reason.NO_ROOM
        elif quantity and not rules.covers(cash, quantity, base):
            return Reason.NO_CASH
        return quantity

    def sell(self, wanted: PlainIntent, number: int, uid: bytes, base: int, at: int) -> Reason | None:
        """Sell at market; see `buy`."""
        rules, free = self._rules, self.quantity
        if not free:
            return Reason.NOTHING_HELD
        quantity = free
        if wanted.requested is not None and wanted.requested <= free - rules.step:
            assert wanted.quantity is not None  # it has one where it was requested
            quantity = wanted.quantity
            if self._too_small(quantity, base):
                return Reason.TOO_SMALL
            rest = free - quantity
            if rest < rules.min_quantity or self._worth(rest, base) < rules.venue_notional:
                quantity = free  # the rest could not be sold alone
        order = name_bytes(uid, b"1")
        worth = (quantity * base * rules.up + rules.half) // rules.down
        price = self._taken(False, base, worth, order)
        self._sold(1, number, order, quantity, base, price, at, self._fee(quantity, price))
        self._rows.ends.append((at, number, EXECUTED, "", True))
        return None

    def sell_at_stop(self, base: int, at: int, *, ambiguous: bool) -> None:
        """Fill the stop at a base price."""
        exits = self.exits
        assert exits is not None  # it was reached
        order = name_bytes(exits.entry, b"2")
        price = self._taken(False, base, self._worth(exits.quantity, base), order)
        self.version += 1  # it was triggered
        fee = self._fee(exits.quantity, price)
        self._sold(STOP, exits.decision, order, exits.quantity, base, price, at, fee, ambiguous=ambiguous)

    def sell_at_target(self, quantity: int, at: int, mark: int = 0) -> None:
        """Fill a quantity of the target, or all of it, at its price.

        Args:
            quantity: that is filled.
            at: the time.
            mark: of the market, where it is another price; else 0.
        """
        exits, rules = self.exits, self._rules
        assert exits is not None
        assert exits.target is not None
        order, price = name_bytes(exits.entry, b"3"), exits.target
        notional = self._worth(quantity, price)
        exits.charged += notional * rules.maker
        due = max((exits.charged + rules.maker_unit // 2) // rules.maker_unit, rules.min_commission) - exits.paid
        fee = min(max(due, 0), notional)
        exits.fills += 1
        spread = self._worth(quantity, mark) - notional if mark else 0
        self._sold(TARGET, exits.decision, order, quantity, price, price, at, fee, spread=spread, fill_no=exits.fills)
        exits.quantity -= quantity
        exits.filled += quantity
        exits.notional += notional
        exits.paid += fee
        if not exits.quantity:
            self.exits = None

    def _fee(self, quantity: int, price: int) -> int:
        """Return the commission of a SELL that takes."""
        rules, notional = self._rules, self._worth(quantity, price)
        due = (notional * rules.taker + rules.taker_unit // 2) // rules.taker_unit
        return min(max(due, rules.min_commission), notional)

    def _sold(
        self, leg: int, decision: int, order: bytes, quantity: int, base: int, price: int, at: int, fee: int, *,
        ambiguous: bool = False, spread: int = 0, fill_no: int = 1,
    ) -> None:  # fmt: skip
        rules = self._rules
        notional = (quantity * price * rules.up + rules.half) // rules.down
        held, cost, paid = self.quantity, self.cost, self.paid
        closes = quantity == held
        if not closes:
            cost = (2 * cost * quantity + held) // (2 * held)
            paid = (2 * paid * quantity + held) // (2 * held)
        self.cash += notional - fee
        if self.cash >= LARGEST_EQUITY:
            raise NotPlain
        self.version += 1
        self.quantity = left = held - quantity
        self.cost -= cost
        self.paid -= paid
        self.last_price = price
        slippage = (quantity * abs(price - base) * rules.up + rules.half) // rules.down
        self._traded(notional, at)
        self._rows.fills.append((
            at, decision, order, self.position_id, leg, fill_no, False, self.strategy, ambiguous, quantity, price,
            base, notional, fee, slippage, spread, self.cash, left,
        ))  # fmt: skip
        self._rows.trades.append((
            self.position_id, order, fill_no, quantity, cost, notional, price, paid, fee, self.opened, at,
            self.strategy, closes,
        ))  # fmt: skip
        exits = self.exits
        if exits is not None and leg != TARGET:
            if leg == STOP or not left:
                self.exits = None
            elif exits.quantity > left:
                exits.quantity = left

    def _traded(self, notional: int, at: int) -> None:
        self._position = self._state = None
        self.traded += notional
        if self.traded_from < 0:
            self.traded_from = at

    def _worth(self, quantity: int, price: int) -> int:
        rules = self._rules
        return (quantity * price * rules.up + rules.half) // rules.down

    def _too_small(self, quantity: int, price: int) -> bool:
        rules = self._rules
        return not quantity or self._worth(quantity, price) < rules.min_notional or quantity < rules.min_quantity

    def _misplaced(self, wanted: PlainIntent, price: int) -> bool:
        """Return whether an exit is on the wrong side of the entry's price."""
        if wanted.stop is not None and not self._rules.tick <= wanted.stop.price(price) < price:
            return True
        return wanted.target is not None and wanted.target.price(price) <= price

    def _open_exits(
        self, wanted: PlainIntent, number: int, order: bytes, quantity: int, price: int, at: int, data_no: int
    ) -> None:
        if self.exits is not None:
            raise NotPlain  # a second group
        stop = None if wanted.stop is None else max(wanted.stop.price(price), self._rules.tick)
        target = None if wanted.target is None else wanted.target.price(price)
        self.exits = Exits(stop, target, quantity, data_no, number, order, self.version, price, at, wanted)
        self.version += (stop is not None) + (target is not None)
        self._state = None

    def _taken(self, buys: bool, base: int, worth: int, order: bytes) -> int:
        """Return the price at which a taker fills: the base price with slippage, rounded to the tick."""
        rules = self._rules
        unit = rules.slip_unit
        surcharged = min(worth, rules.most_surcharged)
        slip, rest = divmod(2 * rules.slip * (rules.large + surcharged) * draw(order) + unit, 2 * unit)
        if not rules.slip_margin <= rest <= 2 * unit - rules.slip_margin:
            slip = self._rounded_slip(surcharged, order)
        tick = rules.tick * PARTS
        raw = base * (PARTS + slip if buys else PARTS - slip)
        ticks = -(-raw // tick) if buys else raw // tick
        if rules.nearest:
            ticks = (2 * raw + tick) // (2 * tick)
        if ticks > 0:
            return ticks * rules.tick
        if raw < 0 or rules.nearest or base < rules.tick:
            raise NotPlain  # no market has such a price
        return rules.tick

    def _rounded_slip(self, surcharged: int, order: bytes) -> int:
        """Return the rate of slippage by Decimals: near a tie their 60 digits decide."""
        rules = self._rules
        size = add(ONE, divide(decimal(surcharged, MONEY_SCALE), decimal(rules.large, MONEY_SCALE)))
        draw_of = slippage_draw(OrderId(UUID(bytes=order)))
        factors = SlippageFactors(rules.costs.slippage_pct, TYPE_FACTOR[OrderType.MARKET], size, draw_of)
        return int(factors.rate.scaleb(MONEY_SCALE, CONTEXT))

    def position(self) -> Position | None:
        """Return the position; None where nothing is held."""
        if not self.quantity or self._position is not None:
            return self._position
        rules = self._rules
        self._position = Position(
            PositionId(UUID(bytes=self.position_id)), rules.instrument.symbol, rules.instrument.asset_class, LONG,
            rules.quantity(self.quantity), decimal(self.cost, MONEY_SCALE), decimal(self.paid, MONEY_SCALE),
            rules.fill_price(self.last_price), time_of(self.opened), self.strategy,
        )  # fmt: skip
        return self._position

    def state(self) -> PortfolioState:
        """Return the portfolio."""
        if self._state is not None:
            return self._state
        rules, held = self._rules.rules, self.position()
        cash = decimal(self.cash, MONEY_SCALE) if self.version else rules.initial_capital
        positions = ImmutableMap({} if held is None else {held.symbol: held})
        self._state = PortfolioState(
            rules, cash, self.version, positions, self._open_orders(),
            price_source=SOURCE if self.traded_from >= 0 else None,
        )  # fmt: skip
        return self._state

    def equity(self, mark: int) -> int:
        """Return the value of the portfolio at a mark, in money."""
        return self.cash + self._worth(self.quantity, mark)

    def _open_orders(self) -> OpenOrders:
        opened, exits, rules = OpenOrders(), self.exits, self._rules
        if exits is None:
            return opened
        entry, at, plan = OrderId(UUID(bytes=exits.entry)), time_of(exits.at), exits.wanted.plan
        assert plan is not None  # they are the exits of a plan
        base = Order(
            entry, exits.decision, rules.rules.portfolio, STOP, exits.version, rules.instrument, SELL,
            OrderType.MARKET, rules.quantity(exits.quantity), rules.costs, rules.rules.execution, at,
            exits.wanted.strategy, time_in_force=GTC, parent=entry, rules_revision=rules.rules.revision,
            price_source=SOURCE,
        )  # fmt: skip
        price = rules.fill_price(exits.price)
        of_target = [rules.quantity(exits.quantity + exits.filled)]
        for version, order in enumerate(planned_exits(base, plan, price, price, of_target), exits.version + 1):
            present = OpenOrder(replace(order, seq=version), exits.since)
            if exits.fills and order.leg == TARGET:
                present = replace(
                    present, filled=rules.quantity(exits.filled), fills=exits.fills,
                    notional=decimal(exits.notional, MONEY_SCALE), paid=decimal(exits.paid, MONEY_SCALE),
                    charged=divide(decimal(exits.charged, MONEY_SCALE), Decimal(rules.maker_unit)),
                )  # fmt: skip
            opened = opened.updated(present)
        return opened
