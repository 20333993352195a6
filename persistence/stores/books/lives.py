"""The lives of portfolios: one ends, and the next begins under its name."""

from __future__ import annotations

import psycopg

from domain.errors import Fenced
from domain.trading.account.applying import AccountResult
from domain.trading.account.requests import AccountKind
from domain.trading.events import Closed
from persistence.rows import one_row

CLOSE = """
UPDATE paper_trading_config SET closed_at = coalesce(closed_at, %(at)s)
WHERE portfolio = %(portfolio)s AND replaced_at IS NULL
"""

REPLACE = """
UPDATE paper_trading_config SET closed_at = coalesce(closed_at, %(at)s), replaced_at = paper_now()
WHERE portfolio = %(portfolio)s AND replaced_at IS NULL
"""

# Of a database that is older than lives, another portfolio may have the name that a next life would get.
NEXT_LIFE = """
SELECT c.name, n FROM paper_trading_config c CROSS JOIN generate_series(c.life + 1, c.life + 1000) n
WHERE c.portfolio = %(portfolio)s
  AND NOT EXISTS (SELECT FROM paper_trading_config o WHERE c.name || '@' || n IN (o.portfolio, o.name))
ORDER BY n LIMIT 1
"""

# All columns that are rules, by their names, so that a rule that is added later is taken over, too. A life begins when
# the one before it was replaced: what was made earlier belongs to that one.
BEGIN = """
INSERT INTO paper_trading_config
SELECT n.* FROM paper_trading_config c
CROSS JOIN LATERAL (SELECT coalesce(%(capital)s::numeric, c.initial_capital) AS capital) k
CROSS JOIN LATERAL jsonb_populate_record(NULL::paper_trading_config, to_jsonb(c) || jsonb_build_object(
    'portfolio', %(next)s::text, 'name', %(name)s::text, 'life', %(life)s::integer, 'initial_capital', k.capital,
    'current_capital', k.capital, 'closed_at', NULL, 'replaced_at', NULL,
    'created_at', CASE WHEN %(life)s::integer = 1 THEN paper_now() ELSE c.replaced_at END)) n
WHERE c.portfolio = %(portfolio)s
"""


def write_end(cursor: psycopg.Cursor, change: AccountResult) -> None:
    """Write the end of a portfolio's life if the change is one; with a reset the next life begins with the same rules.

    Raises:
        Fenced: it has ended already.
    """
    if not isinstance(change.event, Closed):
        return
    portfolio, resets = change.state.name, change.request.kind is AccountKind.RESET
    parameters = {"portfolio": portfolio, "at": change.event.at}
    if not cursor.execute(REPLACE if resets else CLOSE, parameters).rowcount:
        raise Fenced(f"portfolio {change.state.label} has ended already")
    if resets:
        name, life = one_row(cursor, NEXT_LIFE, {"portfolio": portfolio})
        begin_life(cursor, portfolio, name, life, change.request.amount)


def begin_life(cursor: psycopg.Cursor, source: str, name: str, life: int, capital: object) -> None:
    """Insert a portfolio with the rules of another one.

    Args:
        cursor: of a transaction.
        source: id of the portfolio whose rules it gets.
        name: of the new one.
        life: its number; the first life has the name as its id.
        capital: None: the same as of the source.
    """
    next_id = name if life == 1 else f"{name}@{life}"
    cursor.execute(BEGIN, {"portfolio": source, "name": name, "life": life, "next": next_id, "capital": capital})
