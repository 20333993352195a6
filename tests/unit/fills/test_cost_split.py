"""The parts of a fill's cost add up to all that it costs more than a fill at the mark, with the numbers by hand."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from console.service.explanation import explained
from domain.trading import execution
from domain.trading.arithmetic import plain
from tests.support.values.evidence import met, met_evidence

DRAW = Decimal("1.25")
# The fill, then spread, slippage, size surcharge, random part and fee, and what the cash changed by beside the mark.
SPLITS: list[tuple[dict[str, Any], list[str], str]] = [
    # The rate 0.0005 x 2 x 1.30003 x 1.25 makes 10 017.2520000375 of 10 001, so 10 017.26.
    # At the mark 5 cost 50 000; they cost 50 086.30 and 50.0863.
    (
        {"side": "BUY", "quantity": 5, "last": 10_000, "bid": 9_999, "ask": 10_001, "offered": 2},
        ["5", "50.0449998125", "15.00300015", "16.2520000375", "50.0863"],
        "136.3863",
    ),
    # 500 at the bid, 99.90: the rate 0.00125 gives 99.775125, so 99.77; 49 885 in place of 50 000, less 49.885
    (
        {"side": "SELL", "quantity": 500, "last": 100, "bid": "99.90", "ask": "100.10", "offered": 1000},
        ["50", "52.5125", "0", "12.4875", "49.885"],
        "164.885",
    ),
    # bid and ask are not both known: no spread
    ({"side": "BUY", "quantity": 2, "last": 100, "ask": "100.10"}, ["0", "0.2095", "0.0004", "0.0501", "1"], "1.26"),
]


@pytest.mark.parametrize(("fill", "parts", "total_cost"), SPLITS)
def test_the_parts_of_a_cost_add_up_to_the_whole_difference(
    monkeypatch: pytest.MonkeyPatch, fill: dict[str, Any], parts: list[str], total_cost: str
) -> None:
    monkeypatch.setattr(execution, "slippage_draw", lambda _: DRAW)
    evidence = met_evidence(met(**fill))
    row = evidence.fill
    names = ("spread_cost", "slippage_cost", "size_cost", "random_cost", "commission")
    assert parts == [plain(row[name]) for name in names]
    assert Decimal(total_cost) == sum(row[name] for name in names)
    at_mark = Decimal(fill["quantity"]) * Decimal(fill["last"])  # the last trade lies within the book
    assert Decimal(total_cost) == (
        -row["cash_delta"] - at_mark if fill["side"] == "BUY" else at_mark - row["cash_delta"]
    )
    # The order's slippage is without the spread and the fee.
    assert sum(map(Decimal, parts[1:4])) == evidence.order["slippage"]
    of_fill = {"kind": "fill", "fill_no": 1, "decision": None, "waiting": None}
    rested = {"currency": "USDT", "events": [], "exits": [], "settlements": [], "seen": None}
    order = {"order": evidence.order, "fills": [row], "rules": evidence.rules, **rested}
    (explained_order,) = explained({**of_fill, "orders": [order]})["orders"]
    assert total_cost == plain(explained_order["fills"][0]["costs"]["total"])
