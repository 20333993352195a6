"""How commands name a deposit, a withdrawal or an adjustment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from console.display.format import number


def described(row: Mapping[str, Any]) -> str:
    """Return what a request or an event is: *split 10:1 of NVDA/USD*.

    Args:
        row: of ``paper_account_requests`` or ``paper_account_events``.
    """
    what = str(row["kind"]).replace("_", " ")
    if row["ratio_new"] is not None:
        what += f" {number(row['ratio_new'])}:{number(row['ratio_old'])}"
    if row["amount"] is None and row["symbol"] is None:
        return what
    if row["symbol"] is None:
        return f"{what} of {number(row['amount'])}"
    what += f" of {row['symbol']}"
    what += f" to {row['new_symbol']}" if row["new_symbol"] is not None else ""
    what += f": {number(row['amount'])} a unit" if row["amount"] is not None else ""
    return what + (f" at {number(row['price'])}" if row["price"] is not None else "")
