"""How `explain` says what a decision asked for beside its quantity."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from console.display.resting import requested_terms
from tests.support.values.builders import NOON
from tests.support.values.evidence import TERMS


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"limit_price": Decimal(90_000), "time_in_force": "IOC"}, "limit 90,000, IOC"),
        (
            {"stop_price": Decimal(95), "limit_price": Decimal(94), "time_in_force": "GTD", "order_expires_at": NOON},
            "stop 95, limit 94, GTD, until 2026-01-05 12:00:00 UTC",
        ),
        ({"limit_price": Decimal(90), "post_only": True}, "limit 90, post-only"),
        (
            {"trail_pct": Decimal("0.02"), "reduce_only": True},
            "trail 2 %, reduce-only",
        ),
        (
            {"stop_loss_pct": Decimal("0.05"), "take_profit": Decimal(110)},
            "stop-loss 5 %, take-profit 110",
        ),
        (
            {"trailing_stop": Decimal(7), "take_profits": [{"pct": Decimal("0.1"), "share": Decimal("0.5")}]},
            "trailing-stop 7, take-profits 10%:0.5",
        ),
        ({"post_only": False}, ""),
    ],
)
def test_what_was_requested_names_the_terms_of_the_order(changes: dict[str, Any], expected: str) -> None:
    assert expected == ", ".join(requested_terms({**dict.fromkeys(TERMS), **changes}))
