"""What the role of a database URL can see."""

from __future__ import annotations

from persistence.queries.row_lists import LedgerReader

SEES_RESULTS = "SELECT has_table_privilege('v_paper_ledger_check', 'SELECT') AS sees_results"


def sees_results(ledger_reader: LedgerReader) -> bool:
    """Return whether the role sees results, and not only decisions of its own and what became of them."""
    (row,) = ledger_reader.rows(SEES_RESULTS)
    return bool(row["sees_results"])
