"""The sentences that explain a decision, an order or a fill."""

from __future__ import annotations

import json
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from console.display.format import document
from console.display.resting import facts, order_terms
from console.service.explanation import explained
from domain.trading import execution
from domain.types import PriceRule
from tests.support.values.builders import NOON, instrument
from tests.support.values.evidence import TERMS, Evidence, met, met_evidence

ORDER = "48f7999a-5f9f-5144-ae7d-1ffc9d69469f"


@pytest.fixture(autouse=True)
def even_draw(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every draw is 1."""
    monkeypatch.setattr(execution, "slippage_draw", lambda _: Decimal(1))


def decision(**changes: Any) -> dict[str, Any]:
    row = {
        "id": 19, "portfolio": "default", "symbol": "BTC/USDT", "decision": " buy", "confidence": Decimal("0.80"),
        "quantity": None, "created_at": NOON - timedelta(milliseconds=128), "expires_at": None,
        "processed_at": NOON + timedelta(milliseconds=2), "status": "executed", "outcome_reason": "bought 5 BTC/USDT",
        **dict.fromkeys(TERMS),
    }  # fmt: skip
    return {**row, **changes}


def rows(*evidence: Evidence, **changes: Any) -> dict[str, Any]:
    at_once = {"currency": "USDT", "events": [], "exits": [], "settlements": [], "seen": None}
    orders = [{"order": one.order, "fills": [one.fill], "rules": one.rules, **at_once} for one in evidence]
    return {"kind": "decision", "fill_no": None, "decision": decision(), "orders": orders, "waiting": None, **changes}


def five_of_two() -> Evidence:
    evidence = met_evidence(met("BUY", 5, 10_000, 9_999, 10_001, offered=2))
    evidence.fill["price_seen_at"] -= timedelta(milliseconds=5)
    evidence.fill["price_time"] -= timedelta(seconds=12)
    return evidence


def test_a_buy_of_five_where_two_are_offered() -> None:
    explanation = explained(rows(five_of_two()))
    assert [
        "Decision 19: BUY BTC/USDT, confidence 0.8, portfolio default",
        "  created     2026-01-05 11:59:59.872 UTC",
        "  executed    2026-01-05 12:00:00.002 UTC, 130 ms later: bought 5 BTC/USDT",
        "",
        f"Order {ORDER}: market BUY 5 BTC/USDT",
        "  sized       2026-01-05 12:00:00.000 UTC, 128 ms after the decision; revision 1",
        "              of the rules of portfolio default",
        "  fill 1      2026-01-05 12:00:00.000 UTC, as taker",
        "  quote       bid 9,999 (size 2), ask 10,001 (size 2), last 10,000",
        "  source      test; seen 5 ms before the fill, its own time is 12 s before it",
        "  rule        quote, version 3 of the rules: a BUY meets the ask",
        "  base price  10,001, for up to 2",
        "  slippage    0.0005 × 2 (market) × 1.30003 (surcharge on 30,003) × 1 (random) =",
        "              0.00130003",
        "  price       10,001 × (1 + 0.00130003) = 10,014.00160003; rounded up to the",
        "              tick 0.01: 10,014.01",
        "  commission  0.001 of 50,070.05: 50.07005",
        "  cost        5 spread + 50.04699985 slippage + 15.00300015 size surcharge + 0",
        "              random part + 50.07005 commission = 120.12005 USDT",
        "  bought      5 BTC/USDT: 50,070.05 + 50.07005 commission = 50,120.12005 USDT",
        "  recomputed  the same to the last digit",
    ] == explanation["lines"]
    assert explanation["same"] is True


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        (
            {"side": "BUY", "quantity": 5, "last": 10_000, "bid": 9_999, "ask": 10_001, "offered": 2, "taken": "0.5"},
            ["  base price  10,001, for up to 1.5: earlier orders took 0.5 of this quote"],
        ),
        (
            {"side": "BUY", "quantity": 1, "last": 100, "ask": "100.5"},
            [
                "  quote       ask 100.5, last 100; spread unknown",
                "  rule        quote, version 3 of the rules: bid and ask are not both known, so",
                "              the base price is the last trade",
                "  base price  100; the quantity offered there is unknown",
            ],
        ),
        (
            {"side": "BUY", "quantity": 1, "last": 100, "bid": 101, "ask": "100.5"},
            [
                "  quote       bid 101, ask 100.5, last 100; spread unknown",
                "  rule        quote, version 3 of the rules: the bid is above the ask, so the",
                "              base price is the last trade",
            ],
        ),
        (
            {"side": "SELL", "quantity": 1, "last": "0.5", "bid": "0.4", "ask": "0.6"},
            [
                "  rule        quote, version 3 of the rules: a SELL meets the bid",
                "  price       0.4 × (1 − 0.001000004) = 0.3995999984; rounded down to the tick",
                "              0.01: 0.39",
                "  commission  0.001 of 0.39, at least 1, at most the proceeds: 0.39",
                "  sold        1 BTC/USDT: 0.39 − 0.39 commission = 0 USDT",
            ],
        ),
        (
            {"side": "BUY", "quantity": 100, "last": "0.50", "bid": "0.90", "ask": "0.92", "rule": PriceRule.LAST},
            [
                "  rule        last, version 3 of the rules: the base price is the last trade",
                "  base price  0.5, whatever quantity is offered",
                "  price       0.5 × (1 + 0.0010005) = 0.50050025; rounded to the nearest tick",
                "              0.01: 0.5",
                "  commission  0.001 of 50, at least 1: 1",
                "  cost        0 spread − 0.000025 slippage + 0.000025 size surcharge + 0 random",
                "              part + 1 commission = 1 USDT",
            ],
        ),
        (
            {"side": "SELL", "quantity": 1_000_000, "last": "5e-8", "of": instrument(tick="1e-8")},
            [
                "  price       0.00000005 × (1 − 0.0010000005) = 0.000000049949999975; rounded",
                "              down to the tick 0.00000001: 0.00000004",
            ],
        ),
        (
            {"side": "SELL", "quantity": 1_000, "last": "0.01"},
            [
                "  price       0.01 × (1 − 0.0010001) = 0.009989999; rounded down to the tick",
                "              0.01, but at least one: 0.01",
            ],
        ),
    ],
)
def test_the_sentences_of_a_fill(order: dict[str, Any], expected: list[str]) -> None:
    explanation = explained(rows(met_evidence(met(**order))))
    assert expected == [line for line in explanation["lines"] if line in expected]
    assert "  recomputed  the same to the last digit" == explanation["lines"][-1]
    assert [] == [line for line in explanation["lines"] if len(line) > 80]


def test_a_changed_row_is_named() -> None:
    evidence = five_of_two()
    evidence.fill["price"] += Decimal("0.01")
    explanation = explained(rows(evidence))
    assert "  differs     price of the fill 1: stored 10,014.02, recomputed 10,014.01" == explanation["lines"][-1]
    assert explanation["same"] is False


def test_an_order_of_an_earlier_version_is_explained_but_not_recomputed() -> None:
    evidence = five_of_two()
    evidence.order.update(rules_version=1, price_rule=None, tick=None)
    names = ("last_price", "bid_size", "ask_size", "touch_size", "spread_cost", "slippage_cost", "size_cost")
    evidence.fill.update(dict.fromkeys([*names, "random_cost"]), base_price=Decimal(10_000), liquidity="unknown")
    explanation = explained(rows(evidence))
    assert [
        "  fill 1      2026-01-05 12:00:00.000 UTC",
        "  quote       bid 9,999, ask 10,001, last 10,000",
        "  source      test; seen 5 ms before the fill, its own time is 12 s before it",
        "  rule        last, version 1 of the rules: the base price is the last trade",
        "  price       10,000, moved by the slippage rate 0.00130003: 10,014.01",
        "  cost        65.05 slippage + 50.07005 commission USDT",
        "  bought      5 BTC/USDT: 50,070.05 + 50.07005 commission = 50,120.12005 USDT",
        "  recomputed  not possible: it was made by version 1 of the rules, which stored",
        "              neither the price rule nor the tick",
    ] == explanation["lines"][-9:]
    assert explanation["same"] is None


def test_missing_rules_are_a_failure() -> None:
    evidence = rows(five_of_two())
    evidence["orders"][0]["rules"] = None
    explanation = explained(evidence)
    assert [
        "  recomputed  not possible: the rules of revision 1 of portfolio default are",
        "              missing",
    ] == explanation["lines"][-2:]
    assert explanation["same"] is False


def test_a_decision_without_an_order_has_its_reason() -> None:
    refused = decision(status="rejected", outcome_reason="too small: 0.00001 at 100 is worth 0.001, the minimum is 10")
    explanation = explained(rows(decision=refused))
    assert [
        "Decision 19: BUY BTC/USDT, confidence 0.8, portfolio default",
        "  created     2026-01-05 11:59:59.872 UTC",
        "  rejected    2026-01-05 12:00:00.002 UTC, 130 ms later: too small: 0.00001 at",
        "              100 is worth 0.001, the minimum is 10",
    ] == explanation["lines"]
    assert explanation["same"] is None


@pytest.mark.parametrize(
    ("place", "waiting", "expected"),
    [
        (
            None,
            {"not_running": "The service is not running, and nothing has served this database yet"},
            [
                "  waits       in the table: The service is not running, and nothing has served",
                "              this database yet",
                "  waits       no price of 'BTC/USDT' is stored",
            ],
        ),
        (
            "waits in the Sizer for a price of BTC/USDT",
            {"halted": "too many losses", "served_by": "host:1"},
            [
                "  waits       in the Sizer for a price of BTC/USDT",
                "  waits       trading is halted in its portfolio: too many losses",
                "  waits       no price of 'BTC/USDT' is stored",
            ],
        ),
        (
            None,
            {
                "served_by": "host:1",
                "portfolio_exists": False,
                "last_price": {"price": Decimal(100), "source": "kraken", "time": NOON, "now": NOON.replace(minute=5)},
            },
            [
                "  waits       in the table or in the service (host:1): for a fresh price of",
                "              BTC/USDT, or for its turn in its portfolio; in the debug console",
                "              `explain 19` says for which",
                "  waits       there is no portfolio 'default'",
                "  waits       the last stored price of BTC/USDT is 100 from kraken, 5 min old",
            ],
        ),
    ],
)
def test_a_decision_without_an_outcome_says_where_it_waits(
    place: str | None, waiting: dict[str, Any], expected: list[str]
) -> None:
    usual = {"not_running": None, "served_by": None, "portfolio_exists": True, "halted": None, "last_price": None}
    pending = decision(status="pending", processed_at=None, outcome_reason=None)
    explanation = explained(rows(decision=pending, waiting={**usual, **waiting}), place)
    assert ["  pending     it has no outcome yet", *expected] == explanation["lines"][2:]


def test_the_json_document_has_amounts_as_strings() -> None:
    (order,) = json.loads(document(explained(rows(five_of_two()))))["orders"]
    (fill,) = order["fills"]
    assert {
        "spread": "5", "slippage": "50.04699985", "size": "15.00300015", "random": "0", "commission": "50.07005",
        "total": "120.12005",
    } == fill["costs"]  # fmt: skip
    assert {
        "base_rate": "0.0005", "type_factor": "2", "size_factor": "1.30003", "random_factor": "1", "offered": "2",
        "surcharged": "30003", "unrounded_price": "10014.00160003", "commission_pct": "0.001", "min_commission": "1",
        "commission_charged_before": "0", "commission_paid_before": "0", "fees": "own",
    } == fill["steps"]  # fmt: skip
    assert (True, [], None, "10014.01") == (
        fill["spread_known"], order["differences"], order["not_recomputed"], fill["fill"]["price"],
    )  # fmt: skip


SEEN = {
    "low": Decimal("99.5"), "high": Decimal(103), "ask_low": Decimal("100.02"), "bid_high": Decimal("102.5"),
    "mark_low": Decimal("99.8"), "mark_high": Decimal("102.9"), "prices": 12, "has_spread": True,
}  # fmt: skip


def resting(seen: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    order = {
        "order_type": "limit", "side": "BUY", "quantity": Decimal(5), "filled_quantity": Decimal(3),
        "symbol": "BTC/USDT", "limit_price": Decimal(100), "stop_price": None, "time_in_force": "GTC",
        "post_only": False, "status": "open", "reserved": Decimal("200.2"), "parent": None, "triggered_at": None,
        "order_expires_at": None, "calendar": None, "price_rule": "quote", "trail": None, "trail_pct": None,
        "trail_mark": None,
        **changes,
    }  # fmt: skip
    return {"order": order, "events": [{}], "seen": SEEN if seen is None else seen, "currency": "USDT"}


TRAILING = {
    "order_type": "trailing_stop", "side": "SELL", "limit_price": None, "stop_price": Decimal(95), "trail": Decimal(5),
    "trail_mark": Decimal(110), "present_stop": Decimal(105), "reserved": Decimal(0), "parent": "order 1",
}  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "limit BUY 5 BTC/USDT, limit 100, GTC"),
        ({"post_only": True, "side": "SELL"}, "limit SELL 5 BTC/USDT, limit 100, GTC, post-only"),
        (
            {"order_type": "stop_limit", "stop_price": Decimal(101), "time_in_force": "GTD"},
            "stop_limit BUY 5 BTC/USDT, stop 101, limit 100, GTD",
        ),
        ({"order_type": "market", "limit_price": None, "time_in_force": None}, "market BUY 5 BTC/USDT"),
        (
            {
                "order_type": "trailing_stop",
                "limit_price": None,
                "stop_price": Decimal(95),
                "trail_pct": Decimal("0.05"),
            },
            "trailing_stop BUY 5 BTC/USDT, stop 95, trail 5 %, GTC",
        ),
    ],
)
def test_an_order_is_described_by_its_terms(changes: dict[str, Any], expected: str) -> None:
    assert expected == order_terms(resting(**changes)["order"])


STOP = {"order_type": "stop", "side": "SELL", "limit_price": None, "stop_price": Decimal(95), "reserved": Decimal(0)}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {},
            [
                ("open", "3 of 5 is filled; it holds back 200.2 USDT"),
                ("waits", "limit 100; lowest ask since it was placed: 100.02, of 12 stored prices"),
            ],
        ),
        (
            {"price_rule": "last", "order_expires_at": NOON + timedelta(hours=1)},
            [
                ("open", "3 of 5 is filled; it holds back 200.2 USDT"),
                ("expires", "2026-01-05 13:00:00 UTC"),
                ("waits", "limit 100; lowest price since it was placed: 99.5, of 12 stored prices"),
            ],
        ),
        (
            {"time_in_force": "DAY", "calendar": "XLON", "order_expires_at": NOON + timedelta(hours=4.5)},
            [
                ("open", "3 of 5 is filled; it holds back 200.2 USDT"),
                ("expires", "2026-01-05 16:30:00 UTC, the close of XLON"),
                ("waits", "limit 100; lowest ask since it was placed: 100.02, of 12 stored prices"),
            ],
        ),
        (
            {"seen": {**SEEN, "has_spread": False}},
            [
                ("open", "3 of 5 is filled; it holds back 200.2 USDT"),
                ("waits", "limit 100; lowest price since it was placed: 100.02, of 12 stored prices"),
            ],
        ),
        (
            {"side": "SELL", "reserved": Decimal(0)},
            [
                ("open", "3 of 5 is filled; it holds back 2 BTC/USDT"),
                ("waits", "limit 100; highest bid since it was placed: 102.5, of 12 stored prices"),
            ],
        ),
        (
            TRAILING,
            [
                ("open", "3 of 5 is filled"),
                ("waits", "for its trigger at 105; highest mark since it was placed: 110"),
            ],
        ),
        (
            {**STOP, "parent": "order 1"},
            [
                ("open", "3 of 5 is filled"),
                ("waits", "for its trigger at 95; lowest mark since it was placed: 99.8, of 12 stored prices"),
            ],
        ),
        (
            {**STOP, "parent": "order 1", "status": "cancelled"},
            [
                ("filled", "3 of 5 is filled"),
                ("market", "its trigger was at 95; lowest mark since it was placed: 99.8, of 12 stored prices"),
            ],
        ),
        ({"status": "filled"}, []),
    ],
)
def test_what_an_order_waits_for_and_how_near_the_market_came(
    changes: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    assert expected == list(facts(resting(**changes)))


def test_no_stored_price_is_said() -> None:
    empty = dict.fromkeys(SEEN, None) | {"prices": 0}
    assert ("waits", "limit 100; no price is stored since it was placed") == list(facts(resting(empty)))[-1]


def test_a_decision_without_an_order_names_what_it_asked_for() -> None:
    ended = decision(limit_price=Decimal(90), time_in_force="IOC", status="cancelled", outcome_reason="no fill")
    heading = "Decision 19: BUY BTC/USDT, limit 90, IOC, confidence 0.8, portfolio default"
    assert heading == explained(rows(decision=ended))["lines"][0]
