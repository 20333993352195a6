"""Symbols as vendors write them, in the program's spelling: base and quote are split where both are known."""

from __future__ import annotations

import re

from domain.currencies import split_name
from domain.types import Symbol

_SYMBOL = re.compile(r"[^\x00-\x20/:]+(/[^\x00-\x20/:]+(:[^\x00-\x20/]+)?)?")


def is_symbol(text: str) -> bool:
    """Return whether a text is a valid symbol, such as BTC/USDT or AAPL."""
    return _SYMBOL.fullmatch(text) is not None


def market_symbol(text: str) -> Symbol:
    """Return a vendor's symbol in the program's spelling, base/quote; one that names no known pair stays as it is.

    >>> market_symbol("BTCUSDT"), market_symbol("EURUSD=X"), market_symbol("BRK-B")
    ('BTC/USDT', 'EUR/USD', 'BRK-B')
    """
    pair = None if "/" in text else split_name(text)
    return Symbol(text if pair is None else f"{pair.base}/{pair.quote}")
