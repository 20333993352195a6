"""The explanation of a decision, an order or a fill: its evidence, its recomputation, and both in sentences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from console.display.explanation import lines
from domain.recomputation import Recomputation, not_recomputable, recompute_fills, recompute_order
from domain.trading.arithmetic import total
from domain.trading.orders import Fill
from domain.trading.prices import spread_known
from domain.types import FeeRule, Liquidity
from persistence.queries.evidence import evidence
from persistence.queries.row_lists import LedgerReader

COST_PARTS = ("spread", "slippage", "size", "random")


def explain(ledger_reader: LedgerReader, reference: str, place: str | None = None) -> dict[str, Any]:
    """Return the explanation of what ``reference`` names, for JSON.

    Args:
        ledger_reader: reads the rows.
        reference: a decision's id, uid or ``idempotency_key``; an order's id; or ``ORDER/FILL_NO``.
        place: where a decision without an outcome waits, where the caller knows it, as the end of a sentence.

    Returns:
        The rows of `persistence.queries.evidence.evidence`; each fill also with ``spread_known``, ``steps`` and
        ``costs``, each order with ``differences`` and ``not_recomputed``; ``same``: whether each value that was
        computed again is the stored one, None where nothing was computed; ``lines``: all of it in sentences.

    Raises:
        InvalidRequest: there is nothing of that reference.
    """
    return explained(evidence(ledger_reader, reference), place)


def explained(rows: Mapping[str, Any], place: str | None = None) -> dict[str, Any]:
    """Return the explanation of rows; see `explain`.

    Args:
        rows: the result of `persistence.queries.evidence.evidence`.
        place: see `explain`.
    """
    orders = [_order(part, rows["fill_no"]) for part in rows["orders"]]
    verdicts = [part["same"] for part in orders if part["same"] is not None]
    document = {**rows, "orders": orders, "place": place, "same": all(verdicts) if verdicts else None}
    return {**document, "lines": lines(document)}


def _order(part: Mapping[str, Any], fill_no: int | None) -> dict[str, Any]:
    order, fills, rules = part["order"], part["fills"], part["rules"]
    reason = not_recomputable(order)
    missing_rules = reason is None and bool(fills) and rules is None
    if missing_rules:
        reason = f"the rules of revision {order['config_revision']} of portfolio {order['portfolio']} are missing"
    results: list[Recomputation | None] = [None] * len(fills)
    differences: list[dict[str, Any]] = []
    if reason is None and fills:
        computed = recompute_fills(order, fills, rules, part["events"])
        made = [result.fill for result in computed if isinstance(result.fill, Fill)]
        named = [one for result in computed for one in result.differences]
        if len(made) == len(computed):
            named += recompute_order(order, made, rules)
        differences = [one._asdict() for one in named]
        results = list(computed)
    same = not differences if reason is None and fills else False if missing_rules else None
    detail = [
        {"fill": fill, **_fill(order, fill, result, rules)}
        for fill, result in zip(fills, results, strict=True)
        if fill_no in {None, fill["fill_no"]}
    ]
    return {**part, "fills": detail, "differences": differences, "not_recomputed": reason, "same": same}


def _fill(
    order: Mapping[str, Any], fill: Mapping[str, Any], result: Recomputation | None, rules: Mapping[str, Any] | None
) -> dict[str, Any]:
    parts = {name: fill[f"{name}_cost"] for name in COST_PARTS} if fill["spread_cost"] is not None else None
    return {
        "spread_known": spread_known(fill["bid"], fill["ask"]),
        "steps": None if result is None or rules is None else _steps(order, fill, result, rules),
        "costs": None
        if parts is None
        else {**parts, "commission": fill["commission"], "total": total([*parts.values(), fill["commission"]])},
    }


def _steps(
    order: Mapping[str, Any], fill: Mapping[str, Any], result: Recomputation, rules: Mapping[str, Any]
) -> dict[str, Any]:
    """Return how price and commission were found; a maker's price has no steps."""
    fee = order["maker_fee" if fill["liquidity"] == Liquidity.MAKER else "taker_fee"]
    costs = {
        "commission_pct": rules["commission_pct"] if fee is None else fee,
        "fees": FeeRule.OWN.value if fee is None else FeeRule.VENUE.value,
        "min_commission": rules["min_commission"],
        "commission_charged_before": result.part.charged,
        "commission_paid_before": result.part.paid,
    }
    if (steps := result.steps) is None:
        return costs
    return {
        "base_rate": steps.factors.base_rate,
        "type_factor": steps.factors.type,
        "size_factor": steps.factors.size,
        "random_factor": steps.factors.random,
        "offered": steps.offered,
        "surcharged": steps.surcharged,
        "unrounded_price": steps.unrounded,
        **costs,
    }
