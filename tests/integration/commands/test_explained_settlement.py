"""`explain` of what happened while no process ran, by the stores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from console.service.explanation import explain
from domain.trading.open_orders.settlement import Advance, SettledSpan, Settlement
from domain.trading.quotes import History
from domain.types import DEFAULT_PORTFOLIO, Symbol
from tests.integration.orders.test_open_orders import Market
from tests.integration.persistence.test_stores import FIRST, Stores, real, stores
from tests.support.settlement.settled import FIRST_NO, history
from tests.support.values.builders import BTC, NOON

__all__ = ["real", "stores"]  # fixtures

UNTIL_S = 3_600


def settle(market: Market, pieces: Sequence[tuple[float, str]], span: SettledSpan | None) -> None:
    """Write what the market did from noon on, as a process that starts an hour later does."""
    histories = {Symbol(BTC): history(pieces) if pieces else History(unknown="the venue has no older trades")}
    until = NOON + timedelta(seconds=UNTIL_S)
    settlement = Settlement(market.state, histories, until, FIRST_NO)
    for moment in settlement.moments():
        market.stores.ledger.commit(FIRST, [replace(result, recovered=True) for result in moment.results])
    if span is not None:
        market.stores.ledger.save_advance(FIRST, Advance(spans=(span,)))


def span(**changes: Any) -> SettledSpan:
    since, until = NOON + timedelta(seconds=2), NOON + timedelta(seconds=UNTIL_S)
    made = SettledSpan(DEFAULT_PORTFOLIO, Symbol(BTC), since, until, "test", trades=0, bars=1, gap=None)
    return replace(made, **changes)


def text(explanation: dict[str, Any]) -> str:
    return " ".join(" ".join(explanation["lines"]).split())


@pytest.mark.slow
def test_a_fill_of_a_bar_says_that_it_was_found_out_afterwards_and_that_the_bar_is_ambiguous(real: Stores) -> None:
    market = Market(real)
    market.price("100", "99.9", "100.1")
    entry = market.send("BUY", "4", stop_loss="90", take_profit="110")
    settle(market, [(600, "bar 100 111 89 95 x40")], span())
    explanation = explain(real.ledger_reader, str(entry))
    stop = explanation["orders"][1]
    recovered = "found out after a downtime, from 0 trades and 1 bar of test, between 2026-01-05 12:00:02 and"
    assert f"recovered {recovered} 2026-01-05 13:00:00 UTC" in text(explanation)
    assert f"seen 0 ms before; {recovered} 2026-01-05 13:00:00 UTC" in text(explanation)
    assert "ambiguous its data allow another order of things; the worse one was assumed" in text(explanation)
    assert (True, True) == (stop["fills"][0]["fill"]["recovered"], stop["fills"][0]["fill"]["ambiguous"])
    assert [("test", 0, 1, None)] == [
        (row["price_source"], row["trades"], row["bars"], row["gap"]) for row in stop["settlements"]
    ]
    assert explanation["same"] is True


def test_an_end_in_a_gap_says_that_nobody_knows_what_the_market_did(real: Stores) -> None:
    market = Market(real)
    market.price("100", "99.9", "100.1")
    ends = NOON + timedelta(seconds=60)
    order = market.send("BUY", "4", order_type="limit", limit_price="90", time_in_force="GTD", order_expires_at=ends)
    settle(market, [], span(bars=0, gap="the venue has no older trades"))
    lines = text(explain(real.ledger_reader, str(order)))
    between = "between 2026-01-05 12:00:02 and 2026-01-05 13:00:00 UTC"
    assert f"expired: at 2026-01-05 12:01:00 UTC; found out after a downtime, {between}" in lines
    assert f"gap {between} nobody knows what the market did: the venue has no older trades" in lines


def test_before_the_settlement_has_ended_it_is_not_known_from_what(real: Stores) -> None:
    market = Market(real)
    market.price("100", "99.9", "100.1")
    order = market.send("BUY", "4", order_type="limit", limit_price="90")
    settle(market, [(600, "print 89 x9")], None)
    lines = text(explain(real.ledger_reader, str(order)))
    assert "recovered found out after a downtime; from what, is recorded when the settlement ends" in lines
