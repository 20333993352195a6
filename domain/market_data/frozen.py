"""Frozen symbols: the exchange repeats one answer of a symbol while prices of others change."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass, field
from datetime import timedelta

from domain.trading.quotes import Quote
from domain.types import Instant, Symbol

LIVELY_CHANGES = 20
"""A symbol whose quote has changed so often within `LIVELY_TIME` is expected to go on changing."""
LIVELY_TIME = timedelta(hours=1)


@dataclass
class _History:
    """What is known of a symbol.

    Attributes:
        fields: of its last quote.
        changed: the moments of its last changes, the newest last.
        frozen: whether it is.
    """

    fields: Hashable
    changed: deque[Instant] = field(default_factory=lambda: deque(maxlen=LIVELY_CHANGES))
    frozen: bool = False


class FrozenSymbols:
    """Tells which symbols of a source are frozen.

    A symbol is frozen if it has changed often and no field of its quote has changed for a while, in which the quote of
    another symbol has. A market where nobody trades is not frozen, nor is an exchange that is closed.

    Args:
        after: how long a symbol must be without a change.
    """

    def __init__(self, after: timedelta) -> None:
        self._after = after
        self._symbols: dict[Symbol, _History] = {}

    def see(self, quote: Quote) -> bool:
        """Take a quote, each newer than the one before of its symbol; return whether the symbol is frozen now."""
        fields = (
            quote.price, quote.bid, quote.ask, quote.bid_size, quote.ask_size, quote.last_size, quote.volume,
            quote.own_time,
        )  # fmt: skip
        history = self._symbols.get(quote.symbol)
        if history is None:
            self._symbols[quote.symbol] = _History(fields)
            return False
        if fields != history.fields:
            history.fields, history.frozen = fields, False
            history.changed.append(quote.seen)
            return False
        history.frozen = history.frozen or self._freezes(quote, history)
        return history.frozen

    def last_change(self, symbol: Symbol) -> Instant | None:
        """Return when a quote of a symbol changed last; None if it has not."""
        history = self._symbols.get(symbol)
        return history.changed[-1] if history is not None and history.changed else None

    def _freezes(self, quote: Quote, history: _History) -> bool:
        changed = history.changed
        if len(changed) < LIVELY_CHANGES or quote.seen.since(changed[-1]) <= self._after:
            return False
        if quote.seen.since(changed[0]) > LIVELY_TIME + self._after:
            return False
        others = (other.changed[-1] for other in self._symbols.values() if other is not history and other.changed)
        return any(quote.seen.since(at) <= self._after for at in others)
