"""Exits: the orders that close what an entry bought, kept within what is held."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from domain.immutable.records import fast_frozen, replace
from domain.trading.arithmetic import ZERO, subtract, total
from domain.trading.open_orders.matching import LIMITS, Seen, reaches_limit
from domain.trading.open_orders.open_order import STOPS, OpenOrder, OpenOrders
from domain.trading.orders import Order
from domain.types import OrderId, Symbol


@fast_frozen
@dataclass(frozen=True, slots=True)
class ChangedExit:
    """An exit that a fill of another order made smaller.

    Attributes:
        open_order: with its new quantity.
    """

    open_order: OpenOrder

    @property
    def ended(self) -> bool:
        """Whether nothing of it is left."""
        return not self.open_order.remaining


def reduce_exits(
    open_orders: OpenOrders, filled: Order, quantity: Decimal, held: Decimal
) -> tuple[OpenOrders, tuple[ChangedExit, ...]]:
    """Reduce the exits of a symbol after a fill, until they fit what is held.

    What an exit closed is closed: the other exits of its group become smaller by as much. Then the exits of the symbol
    become smaller until all groups together close no more than is held, the youngest group first.

    Args:
        open_orders: after the fill.
        filled: the order that was filled.
        quantity: of the fill.
        held: quantity of the position after the fill.
    """
    symbol = filled.instrument.symbol
    before = {one.order.order_id: one for one in sorted(open_orders.exits(symbol), key=_age)}
    if not before:
        return open_orders, ()
    exits = dict(before)
    if filled.is_exit:
        others = [one for one in exits.values() if one.order.parent == filled.parent]
        is_stop = filled.order_type in STOPS
        _reduce(exits, [one for one in others if (one.order.order_type in STOPS) is not is_stop], quantity)
    groups = _groups(exits.values())
    excess = subtract(total(size for _, size in groups), held)
    for group, size in reversed(groups):
        if excess <= ZERO:
            break
        cut = min(excess, size)
        for stops in (True, False):
            kind = [one for one in group if (one.order.order_type in STOPS) is stops]
            present = total(exits[one.order.order_id].remaining for one in kind)
            _reduce(exits, [exits[one.order.order_id] for one in kind], subtract(present, subtract(size, cut)))
        excess = subtract(excess, cut)
    changed = tuple(ChangedExit(one) for id_, one in exits.items() if one is not before[id_])
    for change in changed:
        one = change.open_order
        open_orders = open_orders.without(one) if change.ended else open_orders.updated(one)
    return open_orders, changed


def _age(open_order: OpenOrder) -> tuple[datetime, int, int]:
    """Return the place of an exit among all, the oldest first; the new seq that an AMEND gives it does not matter."""
    order = open_order.order
    number = order.decision_id if isinstance(order.decision_id, int) else 0
    return order.created_at, number, order.leg


def _groups(exits: Iterable[OpenOrder]) -> list[tuple[list[OpenOrder], Decimal]]:
    """Return the exits by their entry, the oldest first, each with the quantity that the group closes."""
    return [(group, max(_sizes(group))) for group in _by_entry(exits).values()]


def _by_entry(exits: Iterable[OpenOrder]) -> dict[OrderId | None, list[OpenOrder]]:
    by_entry: dict[OrderId | None, list[OpenOrder]] = {}
    for one in exits:
        by_entry.setdefault(one.order.parent, []).append(one)
    return by_entry


def _sizes(group: Sequence[OpenOrder]) -> tuple[Decimal, Decimal]:
    """Return what the stops of a group close, and what its targets do."""
    stops = total(one.remaining for one in group if one.order.order_type in STOPS)
    return stops, total(one.remaining for one in group if one.order.order_type not in STOPS)


def _reduce(exits: dict[OrderId, OpenOrder], orders: Sequence[OpenOrder], quantity: Decimal) -> None:
    """Take ``quantity`` off the orders, the youngest first."""
    for one in reversed(orders):
        cut = min(quantity, one.remaining)
        if cut <= ZERO:
            continue
        quantity = subtract(quantity, cut)
        exits[one.order.order_id] = replace(one, order=replace(one.order, quantity=subtract(one.order.quantity, cut)))


@dataclass(frozen=True, slots=True)
class ExitGroup:
    """The open exits of one entry, or of one PROTECT.

    Attributes:
        parent: what its exits have in common.
        stops: the quantity that its stop closes.
        targets: the quantity that its targets close together.
    """

    parent: OrderId
    stops: Decimal
    targets: Decimal

    @property
    def size(self) -> Decimal:
        """The quantity that the group closes."""
        return max(self.stops, self.targets)


def exit_groups(open_orders: OpenOrders, symbol: Symbol) -> list[ExitGroup]:
    """Return the groups of open exits of a symbol, the oldest first."""
    groups = []
    for group in _by_entry(open_orders.exits(symbol)).values():
        parent = group[0].order.parent
        assert parent is not None  # they are exits
        groups.append(ExitGroup(parent, *_sizes(group)))
    return groups


def room_of_exit(open_orders: OpenOrders, exit_order: OpenOrder, held: Decimal) -> Decimal:
    """Return the most that may be left of an exit beside the other exits of the symbol, where so much is held."""
    order = exit_order.order
    others = [one for one in open_orders.exits(order.instrument.symbol) if one.order.order_id != order.order_id]
    taken = total(size for _, size in _groups(one for one in others if one.order.parent != order.parent))
    is_stop = order.order_type in STOPS
    same = [one for one in others if one.order.parent == order.parent and (one.order.order_type in STOPS) is is_stop]
    return subtract(subtract(held, taken), total(one.remaining for one in same))


def exits_of(open_orders: OpenOrders, symbol: Symbol, entry: OrderId) -> list[OpenOrder]:
    """Return the open exits of an entry order."""
    return [one for one in open_orders.exits(symbol) if one.order.parent == entry]


def target_reached_too(open_orders: OpenOrders, stop: OpenOrder, seen: Seen) -> bool:
    """Return whether data that reach the stop of an entry have reached a target of the same entry as well."""
    order = stop.order
    if order.parent is None:
        return False
    siblings = exits_of(open_orders, order.instrument.symbol, order.parent)
    return any(one.order.order_type in LIMITS and reaches_limit(one, seen) for one in siblings)
