"""Portfolios, created and changed by people: rows of ``paper_trading_config``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import psycopg
from psycopg import sql

from domain.errors import InvalidDecision, SettingsError, UnknownPortfolio, WriteRefused
from domain.program import command_name
from domain.wording import did_you_mean, quoted
from persistence.connections import session
from persistence.rows import KEEP_EXISTING, insert_rows

CHANGEABLE = (
    "commission_pct",
    "min_commission",
    "slippage_pct",
    "max_position_size",
    "decision_confidence_threshold",
    "min_notional",
    "default_risk_score",
    "default_stop_loss",
    "default_take_profit",
    "max_touch_share",
    "max_bar_share",
    "price_rule",
    "fill_on_touch",
    "fees",
)
"""The rules that can be changed: fractions, but for ``min_commission``, ``min_notional``, ``price_rule``,
``fill_on_touch`` and ``fees``."""

NAMES = "SELECT portfolio FROM paper_trading_config ORDER BY 1"


def create(database_url: str, name: str, values: Mapping[str, object], *, if_missing: bool = False) -> bool:
    """Create a portfolio.

    Args:
        database_url: of the database.
        name: of the portfolio.
        values: ``initial_capital``, ``currency`` and any of `CHANGEABLE`; the table has defaults for the rest.
        if_missing: leave an existing portfolio as it is.

    Returns:
        Whether the portfolio was created.

    Raises:
        WriteRefused: a value is not allowed, or the name is taken.
    """
    row = {"portfolio": name, **values, "current_capital": values.get("initial_capital")}
    with session(database_url, "portfolio") as cursor:
        return insert_rows(cursor, "paper_trading_config", [row], KEEP_EXISTING if if_missing else "") == 1


def exists(database_url: str, name: str) -> bool:
    """Return whether there is a portfolio of that name."""
    with session(database_url, "portfolio") as cursor:
        return name in names(cursor)


def change(database_url: str, name: str, values: Mapping[str, object]) -> None:
    """Change rules of a portfolio, from the next sized decision on.

    Raises:
        UnknownPortfolio: there is none of that name.
        WriteRefused: a value is not allowed.
    """
    unknown = set(values) - set(CHANGEABLE)
    if unknown or not values:
        msg = f"{', '.join(sorted(unknown)) or 'nothing'} cannot be changed; these can: {', '.join(CHANGEABLE)}"
        raise InvalidDecision(msg)
    assignments = sql.SQL(", ").join(sql.SQL("{} = %s").format(sql.Identifier(column)) for column in values)
    statement = sql.SQL("UPDATE paper_trading_config SET {} WHERE portfolio = %s").format(assignments)
    with session(database_url, "portfolio") as cursor:
        if cursor.execute(statement, [*values.values(), name]).rowcount == 0:
            msg = f"there is no portfolio {name!r}; `{command_name()} portfolio create {name}` makes one"
            raise UnknownPortfolio(msg)


def names(cursor: psycopg.Cursor) -> list[str]:
    """Return the names of all portfolios, sorted."""
    return [name for (name,) in cursor.execute(NAMES).fetchall()]


def unknown(name: str, existing: Iterable[str] = ()) -> UnknownPortfolio:
    """Return the error for a name that no portfolio has; it suggests the existing name that is most like it."""
    hint = did_you_mean(name, existing) or f"; `{command_name()} portfolio list` shows those that exist"
    return UnknownPortfolio(f"there is no portfolio {quoted(name)}{hint}")


def require_source(database_url: str, source: str) -> None:
    """Raise unless ``source`` is the source of the prices of all fills so far.

    Raises:
        SettingsError: a portfolio has fills at prices of another source.
    """
    with session(database_url, "portfolio") as cursor:
        sources = cursor.execute(
            "SELECT portfolio, (SELECT price_source FROM paper_fills f WHERE f.portfolio = c.portfolio LIMIT 1)"
            " FROM paper_trading_config c ORDER BY portfolio"
        ).fetchall()
    for name, stored_source in sources:
        if stored_source not in {None, source}:
            raise SettingsError(
                f"portfolio {name} has fills at {stored_source} prices, but the setting prices is {source} now: one "
                "portfolio cannot mix two sources; use the first source, or another database or home"
            )


def violated_constraint(error: WriteRefused) -> str | None:
    """Return the name of the constraint that refused a row; constraint names read as messages."""
    cause = getattr(error.__cause__, "orig", error.__cause__)
    return cause.diag.constraint_name if isinstance(cause, psycopg.Error) else None
