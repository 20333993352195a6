"""Single prices: their checks, and the middle of bid and ask where there is no last trade."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from domain.trading.arithmetic import plain
from market.history.conversion.joining import Groups, Piece, Sorter
from market.history.conversion.numbers import MAX_DECIMALS, NUMBER
from market.history.conversion.part import Part, as_mask
from market.history.conversion.rows import Changes, SpooledTicks
from market.history.dialects.reading import Role

_NUMBERS = (Role.PRICE, Role.BID, Role.ASK, Role.VOLUME, Role.BID_SIZE, Role.ASK_SIZE)
_WIDE = pa.decimal256(40, 18)
_HALF = pa.scalar(Decimal("0.5"), pa.decimal256(1, 1))


def tick_piece(part: Part, groups: Groups) -> Piece:
    """Return the good prices of a part; what is wrong with the others is described in its problems."""
    _skip_rows_without_price(part)
    values: dict[Role, Any] = {
        role: part.number(role, may_be_zero=role is Role.VOLUME) if part.has(role) else pa.nulls(part.rows, NUMBER)
        for role in _NUMBERS
    }
    if part.reading.carries_quotes:
        values[Role.BID], values[Role.ASK] = (pc.fill_null_forward(values[role]) for role in (Role.BID, Role.ASK))
    bid, ask = values[Role.BID], values[Role.ASK]
    part.refuse(
        as_mask(pc.greater(bid, ask)),
        lambda row: f"bid {plain(bid[row].as_py())} is above ask {plain(ask[row].as_py())}",
    )
    for size, price in ((Role.BID_SIZE, Role.BID), (Role.ASK_SIZE, Role.ASK)):
        lone = as_mask(pc.and_(pc.is_valid(values[size]), pc.is_null(values[price])))
        part.refuse(
            lone,
            lambda row, size=size, price=price: f"{size} is {plain(values[size][row].as_py())}, and {price} is empty",  # type: ignore[misc]
        )
    values[Role.PRICE] = pc.coalesce(values[Role.PRICE], _middle(bid, ask))
    times = part.times()
    numbers = groups.of_rows((part.symbols(),))
    part.skipped |= as_mask(pc.is_null(values[Role.PRICE])) & ~part.bad
    groups.count(part, numbers)
    return Piece.of(part, numbers, times, None, {role.value: array for role, array in values.items()})


def _skip_rows_without_price(part: Part) -> None:
    """Mark the rows that have neither a price nor both bid and ask."""
    if not part.reading.carries_quotes:  # otherwise an empty bid is the one of the row before
        part.skipped |= part.is_empty(Role.PRICE) & (part.is_empty(Role.BID) | part.is_empty(Role.ASK))


def _middle(bid: Any, ask: Any) -> Any:
    """Return the middle of bid and ask, rounded once to 18 decimals; null where one of them is unknown."""
    are_both = pc.and_(pc.is_valid(bid), pc.is_valid(ask))
    if not pc.any(are_both).as_py():
        return pa.nulls(len(bid), NUMBER)
    halves = pc.multiply(pc.add(bid.cast(_WIDE), ask.cast(_WIDE)), _HALF)
    return pc.round(halves, MAX_DECIMALS, round_mode="half_towards_infinity").cast(NUMBER)


def join_ticks(sorter: Sorter, groups: Groups) -> tuple[SpooledTicks, ...]:
    """Return the prices of each symbol from the pieces of a file. Equal prices of one moment are different trades."""
    ticks, sorted_rows = [], sorter.spool()
    for number, (symbol,) in enumerate(groups.numbers):
        ordered = sorter.ordered(number)
        if not ordered.blocks:
            continue
        blocks, counts = ordered.blocks, groups.counts[number]
        if not ordered.is_rising:
            for table in ordered.tables():
                sorted_rows.add(table, number)
            blocks = sorted_rows.blocks(number)
        changes = Changes(
            reordered=sorter.reordered[number],
            skipped=counts.skipped,
            rounded=counts.rounded,
            left_out=counts.left_out,
        )
        ticks.append(SpooledTicks(symbol, blocks, changes))
    return tuple(ticks)
