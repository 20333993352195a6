"""Halts of portfolios: rows that people and the audit insert."""

from __future__ import annotations

from contextlib import closing

from domain.errors import WriteRefused
from domain.trading.portfolio import AUDIT_HALT
from persistence.connections import session
from persistence.queries.row_lists import LedgerReader
from persistence.rows import insert_rows


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
        WriteRefused: a text is empty or too long, or the halt looks like one by the audit, which stops even exits.
    """
    if halted and reason.startswith(AUDIT_HALT):
        raise WriteRefused(f"a reason that begins with {AUDIT_HALT.strip()} is for halts by the audit")
    if portfolio is not None:
        with closing(LedgerReader(database_url)) as ledger_reader:
            ledger_reader.require_portfolio(portfolio)
    row = {"portfolio": portfolio, "halted": halted, "reason": reason, "by_whom": by_whom}
    with session(database_url, "halts") as cursor:
        insert_rows(cursor, "paper_halts", [row])
