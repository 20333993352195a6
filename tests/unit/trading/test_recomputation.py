"""The recomputation of fills from their rows: golden cases, a mixed run of 10 000, and rows that were changed."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from domain.recomputation import Difference, not_recomputable, recompute_fill, recompute_fills, recompute_order
from domain.trading import execution
from domain.trading.arithmetic import divide, money, multiply, subtract, total
from domain.trading.events import Filled
from domain.trading.orders import Fill
from domain.trading.prices import mark
from domain.types import PriceRule, Side
from tests.support.values.builders import costs, instrument
from tests.support.values.evidence import Evidence, evidence_of, met, met_evidence, orders_with_fills
from tests.support.values.mixed_orders import mixed_orders_run
from tests.support.values.mixed_run import mixed_run

QUOTE, LAST = PriceRule.QUOTE, PriceRule.LAST
GOLDEN_PRICE = "110485.85"
TINY = instrument(tick="0.00000001")
NO_COSTS = costs(0, 0, 0)


def differences(evidence: Evidence) -> tuple[Difference, ...]:
    """Return what differs between the rows and what is computed from them."""
    result = recompute_fill(evidence.order, evidence.fill, evidence.rules)
    assert isinstance(result.fill, Fill)
    return (*result.differences, *recompute_order(evidence.order, [result.fill], evidence.rules))


def changed(evidence: Evidence, table: str, **values: Any) -> Evidence:
    """Return the evidence with other values in the row of one table."""
    return replace(evidence, **{table: {**getattr(evidence, table), **values}})


@pytest.fixture
def even_draw(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every draw is 1."""
    monkeypatch.setattr(execution, "slippage_draw", lambda _: Decimal(1))


@pytest.mark.parametrize(
    ("side", "rule", "price", "notional", "commission", "cash", "parts"),
    [
        (
            "BUY", QUOTE, "110617.15", "1106.1715", "1.1061715", "-1107.2776715",
            ("0", "1.104958459026", "0.01220712305", "0.195834417924"),
        ),
        (
            "SELL", QUOTE, "110354.55", "1103.5455", "1.1035455", "1102.4419545",
            ("0", "1.104958459026", "0.01220712305", "0.195834417924"),
        ),
        (
            "BUY", LAST, "110617.14", "1106.1714", "1.1061714", "-1107.2775714",
            ("0", "1.104858459026", "0.01220712305", "0.195834417924"),
        ),
    ],
)  # fmt: skip
def test_the_golden_cases_are_computed_again_from_their_rows(
    side: str,
    rule: PriceRule,
    price: str,
    notional: str,
    commission: str,
    cash: str,
    parts: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    draw = divide(Decimal("0.001188297"), Decimal("0.001011048585"))
    monkeypatch.setattr(execution, "slippage_draw", lambda _: draw)
    evidence = met_evidence(met(side, "0.01", GOLDEN_PRICE, GOLDEN_PRICE, GOLDEN_PRICE, rule=rule))
    fill = evidence.fill
    assert tuple(map(Decimal, (price, notional, commission, cash, "0.001188297"))) == (
        fill["price"], fill["notional"], fill["commission"], fill["cash_delta"], fill["slippage_rate"],
    )  # fmt: skip
    names = ("spread_cost", "slippage_cost", "size_cost", "random_cost")
    assert tuple(map(Decimal, parts)) == tuple(fill[name] for name in names)
    assert () == differences(evidence)


@pytest.mark.usefixtures("even_draw")
@pytest.mark.parametrize(
    ("made", "base", "touch", "price", "commission", "parts"),
    [
        # last 0.50, bid 0.90, ask 0.92: a BUY meets the ask, a SELL the bid, and the mark is the bid
        (met("BUY", 100, "0.50", "0.90", "0.92", costs=NO_COSTS), "0.92", None, "0.92", "0", ("2", "0", "0", "0")),
        (met("SELL", 100, "0.50", "0.90", "0.92", costs=NO_COSTS), "0.90", None, "0.90", "0", ("0", "0", "0", "0")),
        (met("BUY", 100, "0.50", "0.90", "0.92", costs=NO_COSTS, rule=LAST), "0.50", None, "0.50", "0", ("0",) * 4),
        # a spread that is not known, or that makes no sense: the last trade
        (met("BUY", 100, "0.50", None, "0.92", costs=NO_COSTS), "0.50", None, "0.50", "0", ("0", "0", "0", "0")),
        (met("BUY", 100, "0.50", "0.93", "0.92", costs=NO_COSTS), "0.50", None, "0.50", "0", ("0", "0", "0", "0")),
    ],
)
def test_the_price_without_costs_is_the_base_price(
    made: Any, base: str, touch: str | None, price: str, commission: str, parts: tuple[str, ...]
) -> None:
    _assert_stored(met_evidence(made), base, touch, price, commission, parts)


@pytest.mark.usefixtures("even_draw")
@pytest.mark.parametrize(
    ("order", "base", "touch", "price", "commission", "parts"),
    [
        # 5e-8 with tick 1e-8: slippage is one tick at least, and a SELL's commission takes no more than its proceeds
        (
            {"side": "BUY", "quantity": 1_000_000, "last": "5e-8", "of": TINY},
            "5e-8", None, "6e-8", "1", ("0", "0.009999999975", "0.000000000025", "0"),
        ),
        (
            {"side": "SELL", "quantity": 1_000_000, "last": "5e-8", "of": TINY},
            "5e-8", None, "4e-8", "0.04", ("0", "0.009999999975", "0.000000000025", "0"),
        ),
        (
            {"side": "BUY", "quantity": 1_000_000, "last": "5e-8", "of": TINY, "rule": LAST},
            "5e-8", None, "5e-8", "1", ("0", "-0.000000000025", "0.000000000025", "0"),
        ),
        # 5 where 2 are offered: 3 × 10 001 have a surcharge
        (
            {"side": "BUY", "quantity": 5, "last": 10_000, "bid": 9_999, "ask": 10_001, "offered": 2},
            "10001", "2", "10014.01", "50.07005", ("5", "50.04699985", "15.00300015", "0"),
        ),
        (
            {"side": "BUY", "quantity": 5, "last": 10_000, "bid": 9_999, "ask": 10_001, "offered": 2, "taken": "1.5"},
            "10001", "0.5", "10015.51", "50.07755", ("5", "50.045499775", "22.504500225", "0"),
        ),
        (
            {"side": "BUY", "quantity": 5, "last": 10_000, "bid": 9_999, "ask": 10_001},
            "10001", None, "10016.01", "50.08005", ("5", "50.04499975", "25.00500025", "0"),
        ),
        # worth 0.39, the minimum commission is 1
        (
            {"side": "SELL", "quantity": 1, "last": "0.5", "bid": "0.4", "ask": "0.6"},
            "0.4", None, "0.39", "0.39", ("0.1", "0.0099999984", "0.0000000016", "0"),
        ),
    ],
)  # fmt: skip
def test_named_cases_are_computed_again_from_their_rows(
    order: dict[str, Any], base: str, touch: str | None, price: str, commission: str, parts: tuple[str, ...]
) -> None:
    _assert_stored(met_evidence(met(**order)), base, touch, price, commission, parts)


def _assert_stored(
    evidence: Evidence, base: str, touch: str | None, price: str, commission: str, parts: tuple[str, ...]
) -> None:
    fill = evidence.fill
    assert (Decimal(base), None if touch is None else Decimal(touch), Decimal(price), Decimal(commission)) == (
        fill["base_price"], fill["touch_size"], fill["price"], fill["commission"],
    )  # fmt: skip
    names = ("spread_cost", "slippage_cost", "size_cost", "random_cost")
    assert tuple(map(Decimal, parts)) == tuple(fill[name] for name in names)
    assert () == differences(evidence)


@pytest.mark.usefixtures("even_draw")
@pytest.mark.parametrize(
    ("table", "values", "expected"),
    [
        ("fill", {"price": "10014.02"}, {(1, "price", "10014.02", "10014.01")}),
        ("fill", {"commission": "50.070051"}, {(1, "commission", "50.070051", "50.07005")}),
        ("fill", {"slippage_rate": "0.001300030001"}, {(1, "slippage_rate", "0.001300030001", "0.00130003")}),
        ("fill", {"notional": "50070.050000000001"}, {(1, "notional", "50070.050000000001", "50070.05")}),
        ("fill", {"base_price": "10000"}, {(1, "base_price", "10000", "10001")}),
        ("fill", {"spread_cost": "5.1"}, {(1, "spread_cost", "5.1", "5")}),
        ("fill", {"touch_size": "2.000000000000000001"}, {(1, "touch_size", "2.000000000000000001", "2")}),
        ("fill", {"touch_size": None}, {(1, "touch_size", None, "2")}),
        ("fill", {"touch_size": "-1"}, {(1, "touch_size", "-1", "2")}),
        ("fill", {"liquidity": "maker"}, {(1, "liquidity", "maker", "taker")}),
        ("fill", {"side": "SELL"}, {(1, "side", "SELL", "BUY")}),
        # the last trade lies below the new bid, so the mark is the bid
        (
            "fill", {"bid": "10000.5"},
            {(1, "spread_cost", "5", "2.5")},
        ),
        # the bid lies above the ask: the last trade is the base price, and the size at the touch is unknown
        (
            "fill", {"bid": "10001.01"},
            {
                (1, "base_price", "10001", "10000"), (1, "touch_size", "2", None),
                (1, "slippage_rate", "0.00130003", "0.0015"), (1, "price", "10014.01", "10015"),
                (1, "notional", "50070.05", "50075"), (1, "commission", "50.07005", "50.075"),
                (1, "cash_delta", "-50120.12005", "-50125.075"), (1, "spread_cost", "5", "0"),
                (1, "slippage_cost", "50.04699985", "50"), (1, "size_cost", "15.00300015", "25"),
                (None, "commission", "50.07005", "50.075"), (None, "slippage", "65.05", "75"),
                (None, "average_fill_price", "10014.01", "10015"),
            },
        ),
        ("order", {"average_fill_price": "10014.02"}, {(None, "average_fill_price", "10014.02", "10014.01")}),
        ("order", {"slippage": "65.06"}, {(None, "slippage", "65.06", "65.05")}),
        ("order", {"quantity": "6"}, {(None, "quantity", "6", "5")}),
        ("order", {"filled_quantity": "4"}, {(None, "filled_quantity", "4", "5")}),
        ("rules", {"price_rule": "last"}, {(None, "price_rule", "quote", "last")}),
        (
            "rules", {"commission_pct": "0.002"},
            {
                (1, "commission", "50.07005", "100.1401"), (1, "cash_delta", "-50120.12005", "-50170.1901"),
                (None, "commission", "50.07005", "100.1401"),
            },
        ),
    ],
)  # fmt: skip
def test_a_changed_row_is_named_with_both_values(
    table: str, values: dict[str, str | None], expected: set[tuple[int | None, str, str | None, str | None]]
) -> None:
    texts = {"liquidity", "side", "price_rule"}

    def value(name: str, text: str | None) -> Decimal | str | None:
        return text if text is None or name in texts else Decimal(text)

    evidence = met_evidence(met("BUY", 5, 10_000, 9_999, 10_001, offered=2))
    named = differences(changed(evidence, table, **{name: value(name, text) for name, text in values.items()}))
    assert {(no, name, value(name, old), value(name, new)) for no, name, old, new in expected} == set(named)
    assert len(expected) == len(named)


def test_a_price_that_slippage_takes_to_zero_is_named() -> None:
    made = met("SELL", 1000, "0.01", rule=LAST, of=instrument(tick="0.01"))
    evidence = changed(met_evidence(made), "fill", last_price=Decimal("0.004"))
    result = recompute_fill(evidence.order, evidence.fill, evidence.rules)
    assert (Difference(1, "price", Decimal("0.01"), "slippage takes the price 0.004 to 0"),) == result.differences


@pytest.mark.usefixtures("even_draw")
def test_an_order_of_version_2_took_yen_for_dollars() -> None:
    made = met("BUY", 5, 10_000, 9_999, 10_001, offered=2)  # 3 are more than what is offered
    evidence = met_evidence(made)
    in_yen = changed(evidence, "rules", currency="JPY")
    rates = [
        recompute_fill({**evidence.order, "rules_version": version}, evidence.fill, in_yen.rules).fill.slippage_rate  # type: ignore[union-attr]
        for version in (2, 3)
    ]
    assert [Decimal("0.00130003"), Decimal("0.0010030003")] == rates


@pytest.mark.parametrize(
    ("expected", "version"),
    [
        ("it was made by version 1 of the rules, which stored neither the price rule nor the tick", 1),
        (None, 2),
        (None, 3),
        ("it was made by version 4 of the rules, and this program knows up to 3", 4),
    ],
)
def test_orders_of_other_versions_of_the_rules_cannot_be_recomputed(expected: str | None, version: int) -> None:
    assert expected == not_recomputable({"rules_version": version})


def test_10_000_fills_of_a_mixed_run_are_computed_again_to_the_last_digit() -> None:
    kinds: Counter[str] = Counter()
    for result in mixed_run(seed=15, fills=10_000):
        order, fill = result.order, result.fill
        evidence = evidence_of(result)
        assert () == differences(evidence), evidence
        parts = total((fill.costs.spread, fill.costs.slippage, fill.costs.size, fill.costs.random))
        rule = order.execution.price_rule
        at_mark = money(multiply(order.quantity, mark(rule, *fill.quote.point)))
        pair = (fill.notional, at_mark) if order.side is Side.BUY else (at_mark, fill.notional)
        assert subtract(*pair) == parts
        kinds.update([
            rule.value, order.side.value, "size known" if fill.touch_size is not None else "size unknown",
            *(["touch used up"] if fill.touch_size == 0 else []),
            *(["surcharge"] if fill.costs.size > 0 else []),
            *(["capped"] if fill.commission == fill.notional else []),
        ])  # fmt: skip
    rare = {name for name, number in kinds.items() if number < 20}
    assert {"quote", "last", "BUY", "SELL", "size known", "size unknown", "touch used up", "surcharge"} <= set(kinds)
    assert set() == rare - {"capped"}, kinds


def test_10_000_fills_of_all_order_types_are_computed_again_to_the_last_digit() -> None:
    results = list(mixed_orders_run(seed=15, fills=10_000))
    kinds: Counter[str] = Counter()
    count = 0
    for order, fills, rules, events in orders_with_fills(results):
        computed = recompute_fills(order, fills, rules, events)
        assert [()] * len(fills) == [one.differences for one in computed], order
        made = [one.fill for one in computed if isinstance(one.fill, Fill)]
        assert () == recompute_order(order, made, rules)
        count += len(made)
        kinds.update(f"{order['order_type']} {fill['liquidity']}" for fill in fills)
        kinds.update([
            order["status"], *(["several fills"] if len(fills) > 1 else []),
            *(["exit"] if order["parent"] is not None else []), *(["amended"] if order["amended"] else []),
            *(["fees of the venue"] if order["maker_fee"] is not None else []),
            *(["several limits"] if len({event["limit_price"] for event in events}) > 1 else []),
            *(["at its limit"] if any(one.steps is not None and one.fill.price == order["limit_price"]
                                      for one in computed if isinstance(one.fill, Fill)) else []),
        ])  # fmt: skip
    made_in_the_run = sum(isinstance(result.event, Filled) for result in results)
    assert count == made_in_the_run >= 10_000  # the last quote may fill several orders
    expected = {
        "market taker", "limit taker", "limit maker", "stop taker", "stop_limit taker", "stop_limit maker",
        "several fills", "exit", "at its limit", "filled", "cancelled", "amended", "several limits",
        "fees of the venue",
    }  # fmt: skip
    assert set() == expected - {name for name, number in kinds.items() if number >= 20}, kinds


def test_the_commission_minimum_counts_once_over_several_fills() -> None:
    """Three SELL fills worth 0.30, 500 and 600 at 0.001, minimum 1, pay 0.30, 0.70 and 0.1003."""
    evidence = met_evidence(met("SELL", 1, 100, of=instrument(tick="0.01")))
    order = {**evidence.order, "order_type": "limit", "limit_price": Decimal(1), "quantity": Decimal(2000)}
    part = {"liquidity": "maker", "base_price": Decimal(1), "price": Decimal(1), "slippage_rate": Decimal(0)}
    fills = [
        {**evidence.fill, **part, "fill_no": number, "quantity": Decimal(value), "notional": Decimal(value),
         "commission": Decimal(paid)}
        for number, (value, paid) in enumerate([("0.30", "0.30"), ("500", "0.70"), ("600", "0.1003")], start=1)
    ]  # fmt: skip
    rules = {**evidence.rules, "commission_pct": Decimal("0.001"), "min_commission": Decimal(1)}
    computed = [one.fill for one in recompute_fills(order, fills, rules)]
    assert [Decimal("0.30"), Decimal("0.70"), Decimal("0.1003")] == [
        fill.commission for fill in computed if isinstance(fill, Fill)
    ]


def test_a_later_fill_that_paid_the_minimum_again_is_named() -> None:
    evidence = met_evidence(met("BUY", 1, 100, of=instrument(tick="0.01")))
    again = {**evidence.fill, "fill_no": 2}
    result = recompute_fill(evidence.order, again, evidence.rules, [evidence.fill])
    assert "commission" in {difference.name for difference in result.differences}
