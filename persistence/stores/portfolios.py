"""Portfolios, created and changed by people: rows of ``paper_trading_config``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

import psycopg
from psycopg import sql

from domain.errors import InvalidDecision, UnknownPortfolio, WriteRefused
from domain.program import command_name
from domain.wording import did_you_mean, quoted
from persistence.connections import session
from persistence.rows import KEEP_EXISTING, insert_rows, one_row
from persistence.stores.books.lives import begin_life

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

NAMES = "SELECT name AS portfolio FROM paper_trading_config WHERE replaced_at IS NULL ORDER BY 1"
IDS = "SELECT name, portfolio FROM paper_trading_config WHERE replaced_at IS NULL AND closed_at IS NULL ORDER BY 1"


DECIDED_IN = """EXISTS (
    SELECT FROM paper_trading_config c WHERE c.portfolio = {} AND c.name = d.portfolio
      AND (c.life = 1 OR least(d.created_at, d.received_at) >= c.created_at)
      AND (c.replaced_at IS NULL OR least(d.created_at, d.received_at) < c.replaced_at))"""
"""Condition: a decision ``d`` was made in the life of that id, or in one of them where it is ``ANY(…)``.

`trading_decisions` has the names that people write. The time at which it was made says in which of its lives the
portfolio was; no decision is made later than the database got it.
"""


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


def clone(database_url: str, name: str, new: str, capital: Decimal | None) -> None:
    """Create a portfolio with the rules of another one, without its history.

    Args:
        database_url: of the database.
        name: of the other one; ``name@life`` for an earlier life.
        new: name of the new one.
        capital: its initial capital; None: that of the other one.

    Raises:
        UnknownPortfolio: there is none of that name.
        WriteRefused: the new name is taken or not possible, or the capital is not.
    """
    with session(database_url, "portfolio") as cursor:
        begin_life(cursor, portfolio_id(cursor, name), new, 1, capital)


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
    statement = sql.SQL("UPDATE paper_trading_config SET {} WHERE portfolio = paper_portfolio_id(%s)").format(
        assignments
    )
    with session(database_url, "portfolio") as cursor:
        if cursor.execute(statement, [*values.values(), name]).rowcount == 0:
            msg = f"there is no portfolio {name!r}; `{command_name()} portfolio create {name}` makes one"
            raise UnknownPortfolio(msg)


def names(cursor: psycopg.Cursor) -> list[str]:
    """Return the names of all portfolios, sorted."""
    return [name for (name,) in cursor.execute(NAMES).fetchall()]


def portfolio_id(cursor: psycopg.Cursor, name: str) -> str:
    """Return the id of the portfolio that people name: its present life, or an earlier one as ``name@life``.

    Raises:
        UnknownPortfolio: there is none; with the most similar name in its message.
    """
    (id_,) = one_row(cursor, "SELECT paper_portfolio_id(%s)", [name])
    if id_ is None:
        raise unknown(name, names(cursor))
    return str(id_)


def unknown(name: str, existing: Iterable[str] = ()) -> UnknownPortfolio:
    """Return the error for a name that no portfolio has; it suggests the existing name that is most like it."""
    hint = did_you_mean(name, existing) or f"; `{command_name()} portfolio list` shows those that exist"
    return UnknownPortfolio(f"there is no portfolio {quoted(name)}{hint}")


def label(cursor: psycopg.Cursor, portfolio_id: str) -> str:
    """Return what people call the portfolio of an id."""
    return str(one_row(cursor, "SELECT paper_portfolio_label(%s)", [portfolio_id])[0])


def violated_constraint(error: WriteRefused) -> str | None:
    """Return the name of the constraint that refused a row; constraint names read as messages."""
    cause = getattr(error.__cause__, "orig", error.__cause__)
    return cause.diag.constraint_name if isinstance(cause, psycopg.Error) else None
