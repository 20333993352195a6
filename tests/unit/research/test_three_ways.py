"""The live actors, a backtest and a replay give the same digits; `make faults` tries twenty times as many cases."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from decimal import Decimal

from hypothesis import given, settings

from persistence.replay.replaying import replay
from research.strategy import Intent
from tests.support.research.ledger_tables import RecordingDatabase, ledger_rows
from tests.support.research.markets import market, ticks, wish
from tests.support.research.three_ways import BEGIN, SECOND, Case, cases, live, replayed, require_same
from tests.support.values.builders import BTC, BY_QUOTE, rules

PLAIN = Case(
    market(ticks(
        [(100, 99, 101, 5, 5), (102, 101, 103, 5, 5), (95, 94, 96, 5, 5)], BTC,
        [BEGIN, BEGIN + 10 * SECOND, BEGIN + 20 * SECOND],
    )),
    [wish(Intent.buy(stop_loss_pct=Decimal("0.05")), BEGIN + 2 * SECOND)],
    rules(execution=BY_QUOTE), 1, (),
)  # fmt: skip


@settings(max_examples=50, deadline=None)
@given(cases())
def test_generated_cases_give_the_same_digits_three_ways(case: Case) -> None:
    require_same(case)


def test_a_plain_case_is_what_it_should_be() -> None:
    outcome, again = require_same(PLAIN)
    assert [("BUY", Decimal(103)), ("SELL", Decimal(94))] == [(row["side"], row["base_price"]) for row in outcome.fills]
    assert ({1: ("executed", "")}, 1) == (outcome.decisions, len(outcome.trades))
    assert Counter(fills=2, orders=2, trades=1) | Counter({"order events": 2}) == again.counts


def test_a_difference_is_found() -> None:
    _, database = live(PLAIN)
    other = RecordingDatabase()
    other.groups = [list(group) for group in database.groups]
    result = other.groups[0][0]
    object.__setattr__(result, "cash_delta", result.cash_delta + 1)
    present = database.portfolios[PLAIN.rules.portfolio]
    other.portfolios[present.name] = present
    difference = replayed(PLAIN, other).difference
    assert difference is not None
    assert (1, "cash_delta") == (difference.version, difference.column)
    rows = ledger_rows(database.groups, PLAIN.rules, present)
    missing = replay(replace(rows, events=list(rows.events)[1:])).difference
    assert missing is not None
    assert (1, "event", "version", 2) == missing[:4]
