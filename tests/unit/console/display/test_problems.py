"""What is wrong with a running service, by its status."""

from __future__ import annotations

from typing import Any

from console.service.problems import problems_of_process

AT = "2026-01-05T21:14:03+00:00"


def prices(**changes: Any) -> dict[str, Any]:
    fine = {
        "source": "kraken", "real": True, "ended": False, "instruments": 900, "silent": [], "frozen": [],
        "troubles": [], "last_seen": {"BTC/USDT": AT, "ETH/USDT": "2026-01-05T21:10:00+00:00"},
    }  # fmt: skip
    return fine | changes


def problems(needed: bool = True, **changes: Any) -> list[tuple[str, str]]:
    fine = {"intake_paused_since": None, "lease_held": True, "prices": prices(), "no_decision_since": None}
    return [(one.code, one.text) for one in problems_of_process(fine | changes, prices_needed=needed)]


def test_a_price_feed_that_is_dead_is_no_health() -> None:
    assert [] == problems()
    dead = prices(silent=["BTC/USDT", "ETH/USDT"], troubles=["DNS lookup failed"])
    text = "no prices from kraken since 21:14 UTC (DNS lookup failed), retrying"
    assert [("no_prices", text)] == problems(prices=dead)
    one = prices(silent=["ETH/USDT"])
    assert [("no_prices", "no price of ETH/USDT from kraken, retrying")] == problems(prices=one)
    never = prices(silent=["BTC/USDT"], last_seen={})
    assert [("no_prices", "no prices from kraken, retrying")] == problems(prices=never)
    unknown = prices(instruments=None, troubles=["no route"])
    text = "no prices from kraken, whose markets are not known yet (no route), retrying"
    assert ([("no_prices", text)], []) == (problems(prices=unknown), problems(False, prices=unknown))
    assert [] == problems(prices=prices(ended=True, silent=["BTC/USDT"]))
    assert [] == problems(prices=None)  # the PriceTracker is busy
    assert ["frozen_prices"] == [code for code, _ in problems(prices=prices(frozen=["ETH/USDT"]))]


def test_the_reason_of_a_silent_symbol_is_no_trouble_of_another_one() -> None:
    of_another = "kraken sends only earlier prices of BTC/USDT than before"
    mine = "kraken sent no valid price of ETH/USDT (BadSymbol)"
    for troubles, reason in (
        ([of_another], ""),
        ([of_another, mine], f" ({mine})"),
        ([of_another, "no route"], " (no route)"),
        (["of BTC/USD, which is another one"], " (of BTC/USD, which is another one)"),
        (["Cannot get prices from kraken (DNS lookup failed); retrying"], " (DNS lookup failed)"),
        (["Cannot get prices from kraken (BadResponse: a (b)); retrying"], " (BadResponse: a (b))"),
    ):
        (problem,) = problems(prices=prices(silent=["ETH/USDT"], troubles=troubles))
        assert ("no_prices", f"no price of ETH/USDT from kraken{reason}, retrying") == problem


def test_a_clock_that_is_wrong_is_a_reason() -> None:
    text = "this machine's clock is 5 s ahead of the database's"
    assert ([("clock", text)], []) == (problems(clock_problem=text), problems(clock_problem=None))


def test_all_reasons_are_listed() -> None:
    many = problems(intake_paused_since=AT, lease_held=False, no_decision_since=AT)
    assert ["intake_paused", "lease_lost", "agent_silent"] == [code for code, _ in many]
    assert "no decision since 2026-01-05 21:14:03 UTC" == many[-1][1]
