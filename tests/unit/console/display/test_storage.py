"""The size of the database for people."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime

import pytest

from console.display.storage import growth_text, size_line
from persistence.storage.growth import Storage

SIZES = {"paper_fills": 700_000_000, "market_prices": 20_000_000, "paper_trades": 8_192, "paper_orders": 0}
GROWN = {"paper_fills": 121_040_000, "market_prices": -3_000, "paper_trades": 100, "paper_orders": 0}


@pytest.mark.parametrize(
    ("per_day", "text"),
    [
        (None, "720.0 MB of tables; their growth is known after an hour"),
        (GROWN, "720.0 MB of tables, +121.0 MB a day (paper_fills +121.0 MB, paper_trades +100 bytes)"),
        (dict.fromkeys(GROWN, -1_500), "720.0 MB of tables, -6.0 kB a day"),
    ],
)
def test_size_and_growth(per_day: dict[str, int] | None, text: str) -> None:
    grown = None if per_day is None else sum(per_day.values())
    since = datetime(2026, 1, 5, tzinfo=UTC)
    storage = Storage(sum(SIZES.values()), 10**9, grown, since, SIZES, per_day or {})
    assert text == size_line(asdict(storage))


def test_no_change_has_a_sign() -> None:
    assert "+0 bytes" == growth_text(0)
