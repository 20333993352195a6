"""Halts of portfolios: rows that people and the audit insert."""

from __future__ import annotations

from persistence.connections import engine_for, transaction
from persistence.queries.row_lists import LedgerReader

INSERT = "INSERT INTO paper_halts (portfolio, halted, reason, by_whom) VALUES (%s, %s, %s, %s)"


def insert(database_url: str, portfolio: str | None, reason: str, by_whom: str, *, halted: bool) -> None:
    """Halt a portfolio or end its halt, from the next sized decision on.

    Args:
        database_url: of the database.
        portfolio: its name; None: all portfolios.
        reason: for people.
        by_whom: name of the person or program.
        halted: False ends the halt.

    Raises:
        UnknownPortfolio: there is none of that name.
        WriteRefused: a text is empty or too long.
    """
    if portfolio is not None:
        ledger_reader = LedgerReader(database_url)
        try:
            ledger_reader.require_portfolio(portfolio)
        finally:
            ledger_reader.close()
    engine = engine_for(database_url, "halts")
    try:
        with transaction(engine) as cursor:
            cursor.execute(INSERT, [portfolio, halted, reason, by_whom])
    finally:
        engine.dispose()
