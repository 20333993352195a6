"""What a command says where no row is wanted: that there is none, or that a name was mistyped."""

from __future__ import annotations

from console.display.times import moment
from console.errors import UnknownSymbol
from domain.errors import InvalidRequest
from domain.wording import did_you_mean, one_line, quoted
from persistence.queries.listing.row_filter import RowFilter
from persistence.queries.open_orders import symbol_was_named
from persistence.queries.row_lists import LedgerReader


def require_known_names(reader: LedgerReader, wanted: RowFilter) -> None:
    """Require that there are rows of the filter's strategy and symbol at all; it may read whole tables.

    Raises:
        InvalidRequest: no decision has the strategy.
        UnknownSymbol: nothing is known of the symbol.
    """
    if wanted.strategy is not None and wanted.strategy not in (strategies := reader.strategies()):
        others = f"; known: {', '.join(map(one_line, strategies)) or 'none yet'}"
        hint = did_you_mean(wanted.strategy, strategies) or others
        raise InvalidRequest(f"there is no strategy {quoted(wanted.strategy)}{hint}")
    if wanted.symbol is not None and not symbol_was_named(reader, wanted.symbol):
        raise UnknownSymbol(f"no decision, order, position or price of {quoted(wanted.symbol)} is known")


def no_rows(name: str, wanted: RowFilter) -> str:
    """Return the sentence that there are no such rows, such as ``No open orders of BTC/USDT in portfolio default``."""
    is_named = wanted.status is None or name.startswith(wanted.status)
    parts = [f"No {name}" if is_named else f"No {wanted.status} {name}"]
    if wanted.symbol is not None:
        parts.append(f"of {one_line(wanted.symbol)}")
    if wanted.strategy is not None:
        parts.append(f"of strategy {one_line(wanted.strategy)}")
    if wanted.portfolio is not None:
        parts.append(f"in portfolio {one_line(wanted.portfolio)}")
    if wanted.since is not None:
        parts.append(f"since {moment(wanted.since)}")
    return f"{' '.join(parts)}."
