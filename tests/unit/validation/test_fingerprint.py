"""Changes that end a validation run, and their sentences."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from domain.validation.fingerprint import Change, Fingerprint, Process, UnlistedDecision, changes
from tests.support.values.analytics_builders import DAY, DAY_1

SETTINGS = {"prices": "ccxt", "max_price_age": Decimal(30), "symbols": None, "same_currency": ["USD", "USDT"]}
RULES = {"commission_pct": Decimal("0.0010"), "min_notional": Decimal(10), "revision": 1, "created_at": "2026-01-01"}
PROCESS = Process(4, "1.2.3", SETTINGS, DAY_1)
BOUND = Fingerprint(PROCESS, {"default": RULES, "other": RULES}, ("trend",))


def later(epoch: int = 5, version: str = "1.2.3", **settings: Any) -> Process:
    return Process(epoch, version, {**SETTINGS, **settings}, DAY_1 + epoch * DAY)


def sentences(*processes: Process, **portfolios: dict[str, Any]) -> list[str]:
    now = {"default": RULES, "other": RULES, **portfolios}
    return [change.sentence for change in changes(BOUND, processes, now, [])]


def test_the_same_is_no_change() -> None:
    assert [] == sentences()
    assert [] == sentences(later(), later(6), default={**RULES, "commission_pct": Decimal("0.001")})


def test_a_setting_that_changed_is_named_with_the_first_epoch_that_had_it() -> None:
    ended_by = changes(BOUND, [later(), later(6, max_price_age=Decimal(60)), later(7)], BOUND.portfolios, [])
    assert (Change("max_price_age 30 → 60 since epoch 6", DAY_1 + 6 * DAY),) == ended_by
    assert ["symbols none → BTC/USDT, ETH/USDT since epoch 5"] == sentences(later(symbols=["BTC/USDT", "ETH/USDT"]))
    assert ["same_currency USD, USDT → USD since epoch 5"] == sentences(later(same_currency=["USD"]))


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("1.2.4", []),
        ("1.3.0", ["program 1.2.3 → 1.3.0 since epoch 5"]),
        ("2.2.3", ["program 1.2.3 → 2.2.3 since epoch 5"]),
    ],
)
def test_a_patch_of_the_program_is_no_change(version: str, expected: list[str]) -> None:
    assert expected == sentences(later(version=version, new_in_this_version=True))


def test_a_rule_that_changed_is_named() -> None:
    changed = {**RULES, "commission_pct": Decimal("0.002"), "revision": 2}
    assert ["commission_pct of portfolio default 0.001 → 0.002"] == sentences(default=changed)
    assert ["the rules of portfolio other were changed and changed back (revision 1 → 3)"] == sentences(
        other={**RULES, "revision": 3}
    )
    # Changes of other portfolios do not matter.
    assert [] == sentences(third={**RULES, "revision": 9})


def test_a_portfolio_that_is_gone_or_another_one() -> None:
    (gone,) = changes(BOUND, [], {"default": RULES}, [])
    assert "portfolio other was deleted" == gone.sentence
    assert ["portfolio default was deleted and created again"] == sentences(
        default={**RULES, "created_at": "2026-02-01"}
    )


def test_a_strategy_that_is_not_of_the_run() -> None:
    sent = UnlistedDecision("manual", "1234", DAY_1 + DAY)
    reason = "decision 1234 of strategy manual was executed"
    assert (Change(reason, DAY_1 + DAY),) == changes(BOUND, [], BOUND.portfolios, [sent])


def test_all_changes_are_listed() -> None:
    sent = [UnlistedDecision("manual", "1234", DAY_1)]
    rules = {**BOUND.portfolios, "default": {**RULES, "min_notional": Decimal(5)}}
    assert 3 == len(changes(replace(BOUND), [later(prices="simulated")], rules, sent))
