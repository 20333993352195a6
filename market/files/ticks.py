"""Rows that each hold a price of one moment: what their header must name, and what a row says."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from decimal import Decimal

from domain.trading.arithmetic import add, divide, plain
from market.files.parsing import Entry, Wrong, moment, number, storable, symbol

COLUMNS = ("time", "symbol", "price", "bid", "ask", "volume")
_TWO = Decimal(2)


def columns(names: Collection[str]) -> dict[str, str]:
    """Return which of a header's ``names``, in lower case, stand for which of `COLUMNS`.

    Raises:
        Wrong: one that is needed is missing.
    """
    missing = [name for name in ("time", "symbol") if name not in names]
    if "price" not in names and not ("bid" in names and "ask" in names):
        missing.append("price")
    if missing:
        raise Wrong(f"the header must name time, symbol and price, and lacks {', '.join(missing)}")
    return {name: name for name in COLUMNS if name in names}


def entry(cells: Mapping[str, str]) -> Entry:
    """Return what a row says; one without price counts at the middle of bid and ask.

    Raises:
        Wrong: it makes no sense.
    """
    price, bid, ask, volume = (number(name, cells.get(name, "")) for name in ("price", "bid", "ask", "volume"))
    if bid is not None and ask is not None and bid > ask:
        raise Wrong(f"bid {plain(bid)} is above ask {plain(ask)}")
    if price is None:
        if bid is None or ask is None:
            raise Wrong("price is empty, and so is bid or ask")
        price = storable(divide(add(bid, ask), _TWO))
    name = symbol(cells["symbol"])
    time = moment("time", cells["time"])
    return Entry(time, time, name, price, bid, ask, volume)
