"""What `run.py explain` says of the time of a fill's price."""

from __future__ import annotations

from datetime import timedelta

import pytest

from console.service.explanation import explained
from tests.support.values.builders import NOON
from tests.support.values.evidence import met, met_evidence

OWN = "its own time is 12 s before it"


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({}, OWN),
        (
            {"exchange_time": NOON - timedelta(milliseconds=4), "exchange_clock": "exchange"},
            f"{OWN} and 11 s behind the exchange's clock, asked for",
        ),
        (
            {"exchange_time": NOON - timedelta(seconds=13), "exchange_clock": "http_date"},
            f"{OWN} and 1,000 ms ahead of the exchange's clock, by its HTTP header",
        ),
        ({"time_mark": "no exchange time", "exchange_time": NOON, "exchange_clock": "own"}, "no exchange time"),
        ({"time_mark": "impossible time"}, "its own time 2026-01-05 11:59:48 UTC cannot be"),
    ],
)
def test_the_source_says_what_is_known_of_the_time_of_a_price(changes: dict[str, object], text: str) -> None:
    evidence = met_evidence(met("BUY", 5, 10_000, 9_999, 10_001, offered=2))
    evidence.fill["price_time"] -= timedelta(seconds=12)
    evidence.fill.update(changes)
    at_once = {"currency": "USDT", "events": [], "exits": [], "settlements": [], "seen": None}
    order = {"order": evidence.order, "fills": [evidence.fill], "rules": evidence.rules, **at_once}
    rows = {"kind": "fill", "fill_no": 1, "decision": None, "orders": [order], "waiting": None}
    lines = " ".join(line.strip() for line in explained(rows)["lines"])
    assert f" source      test; seen 0 ms before the fill, {text} rule " in lines
