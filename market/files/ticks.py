"""Rows with single prices, each of one moment: the columns of their header, and a row's price."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from decimal import Decimal

from domain.trading.arithmetic import add, divide, plain, storable
from market.files.parsing import Entry, FormatError, parse_number, parse_symbol, parse_time

_NUMBERS = ("price", "bid", "ask", "volume", "bid_size", "ask_size")
COLUMNS = ("time", "symbol", *_NUMBERS)
_TWO = Decimal(2)


def columns(names: Collection[str]) -> dict[str, str]:
    """Return the columns of `COLUMNS` among a header's ``names`` in lower case, each with its name there.

    Raises:
        FormatError: a required one is missing.
    """
    missing = [name for name in ("time", "symbol") if name not in names]
    if "price" not in names and not ("bid" in names and "ask" in names):
        missing.append("price")
    if missing:
        raise FormatError(f"the header must name time, symbol and price, and lacks {', '.join(missing)}")
    return {name: name for name in COLUMNS if name in names}


def entry(fields: Mapping[str, str]) -> Entry:
    """Return a row's price; without one it is the middle of bid and ask.

    Raises:
        FormatError: a field is invalid or contradicts another.
    """
    price, bid, ask, volume, bid_size, ask_size = (parse_number(name, fields.get(name, "")) for name in _NUMBERS)
    if bid is not None and ask is not None and bid > ask:
        raise FormatError(f"bid {plain(bid)} is above ask {plain(ask)}")
    _require_price("bid", bid, bid_size)
    _require_price("ask", ask, ask_size)
    if price is None:
        if bid is None or ask is None:
            raise FormatError("price is empty, and so is bid or ask")
        price = storable(divide(add(bid, ask), _TWO))
    name = parse_symbol(fields["symbol"])
    time = parse_time("time", fields["time"])
    return Entry(time, time, name, price, bid, ask, volume, bid_size, ask_size)


def _require_price(name: str, price: Decimal | None, size: Decimal | None) -> None:
    if size is not None and price is None:
        raise FormatError(f"{name}_size is {plain(size)}, and {name} is empty")
