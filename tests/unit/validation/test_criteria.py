"""The verdict on a period: required values, actual values and their explanation."""

from __future__ import annotations

import math
import statistics
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from domain.analytics.performance import History
from domain.analytics.significance import Shape, deflated_probability, expected_maximum, probability, shape
from domain.failures import FailureKind
from domain.trading.arithmetic import CONTEXT
from domain.validation.criteria import Criteria, Criterion, Swept, format_percent, format_ratio, shortened
from domain.validation.operational import AuditFinding, Incident, Operations, operational
from domain.validation.statistical import Statistical, plain_criteria, sharpe_needed, statistical
from domain.validation.verdict import Run, Verdict, judge
from tests.support.values.analytics_builders import DAY, DAY_1, HOUR
from tests.support.values.periods import TRIPS, good, history

pytestmark = pytest.mark.clock

RUN = Run(1, "spring", DAY_1)
SECOND = timedelta(seconds=1)


def results_of(history: History, criteria: Criteria = Criteria()) -> dict[str, Criterion]:  # noqa: B008
    return {criterion.name: criterion for criterion in plain_criteria(history, criteria)}


def works(**changes: Any) -> Operations:
    """Return the operations of fourteen days without any problem."""
    until = DAY_1 + 14 * DAY
    fine = Operations(DAY_1, until, spans=[(DAY_1, until)], audits=10, last_audit=until, decisions=100)
    return replace(fine, **changes)


def operation(name: str, **changes: Any) -> Criterion:
    return next(criterion for criterion in operational(works(**changes), Criteria()) if criterion.name == name)


def verdict(past: History, operations: Operations | None = None, **changes: Any) -> Verdict:
    arguments = {"real_prices": True, "sources": ["kraken"], "run": RUN, **changes}
    return judge("default", past, operations or works(), Criteria(), **arguments)


def test_a_period_that_meets_everything_is_ready() -> None:
    ready = verdict(history(TRIPS, good()))
    assert Statistical.PASSED is ready.statistical
    assert (True, True, ()) == (ready.ready, ready.operational_passed, ready.missing)
    assert ("14", "20", "70 % (14 of 20)") == tuple(criterion.seen for criterion in ready.criteria[:3])
    assert all(criterion.passed for criterion in ready.criteria)
    assert () == ready.notes


def test_each_plain_criterion_fails_alone() -> None:
    fine = history(TRIPS, good())
    wrong: dict[str, tuple[History, Criteria]] = {
        "days": (fine, Criteria(min_days=15)),
        "trades": (fine, Criteria(min_trades=21)),
        "win_rate": (fine, Criteria(min_win_rate=Decimal("0.7000001"))),
        "sharpe_ratio": (fine, Criteria(min_sharpe=Decimal(100))),
        "max_drawdown": (fine, Criteria(max_drawdown=Decimal("0.001"))),
        "net_result": (fine, Criteria(min_net=Decimal(110))),
    }
    for name, (past, criteria) in wrong.items():
        findings = statistical(past, criteria)
        assert [name] == [criterion.name for criterion in findings.criteria if not criterion.passed]
        assert Statistical.FAILED is findings.result
    assert "70 % (14 of 20)" == results_of(fine, wrong["win_rate"][1])["win_rate"].seen
    assert "at least 70.00001 %" == ratio_of(wrong["win_rate"][1])


def ratio_of(criteria: Criteria) -> str:
    return results_of(history(TRIPS, good()), criteria)["win_rate"].required


def test_the_limits_themselves_are_enough() -> None:
    assert results_of(history([1] * 11 + [-1] * 9, good()))["win_rate"].passed
    assert not results_of(history([1] * 10 + [-1] * 9 + [0], good()))["win_rate"].passed  # a result of 0 is no win
    assert results_of(history(TRIPS, [1000, 900, 1001]))["max_drawdown"].passed
    assert not results_of(history(TRIPS, [1000, "899.999", 1001]))["max_drawdown"].passed
    assert "10.0001 %" == results_of(history(TRIPS, [1000, "899.999", 1001]))["max_drawdown"].seen
    assert not results_of(history([5, -5], [1001]))["net_result"].passed  # exactly 0 is not above it


def test_open_losses_count() -> None:
    net_result = results_of(history([10] * 20, [1000 - day for day in range(14)]))["net_result"]
    assert (False, "closings +200.00, value -13.00") == (net_result.passed, net_result.seen)


def test_the_drawdown_has_its_dates() -> None:
    drawdown = results_of(history(TRIPS, [1000, 1200, 900, 1300]))["max_drawdown"]
    assert ("25 %", False) == (drawdown.seen, drawdown.passed)
    assert ("from the peak at 2026-01-03 00:00:00 to the trough at 2026-01-04 00:00:00 UTC",) == drawdown.evidence


def test_days_are_whole_and_have_snapshots() -> None:
    values: list[Any] = [*good(6), None, *good(14)[7:]]
    days = results_of(history(TRIPS, values))["days"]
    assert ("13", False) == (days.seen, days.passed)
    assert ("from 2026-01-01 to 2026-01-14", "2026-01-07 has no snapshot") == days.evidence
    # The first whole day of a run that begins at noon is the next day.
    part = history(TRIPS, good()).during(DAY_1 + 12 * HOUR)
    assert ("13", 14) == (results_of(part)["days"].seen, len(part.returns.values))


def test_round_trips_from_before_a_run_do_not_count() -> None:
    part = history(TRIPS, good()).during(DAY_1 + 90 * timedelta(minutes=1))
    results = results_of(part)
    assert ("18", "66.67 % (12 of 18)") == (results["trades"].seen, results["win_rate"].seen)
    assert "1 that was opened before the run and does not count" == results["trades"].evidence[1]


@pytest.mark.parametrize(
    ("past", "expected"),
    [
        (history([], [], days=0), {
            "days": "0", "trades": "0", "win_rate": "no round trip yet",
            "sharpe_ratio": "0 of at least 10 daily returns", "max_drawdown": "no snapshot yet",
            "net_result": "no snapshot yet",
        }),
        (history([5], [1005], days=1), {
            "days": "1", "trades": "1", "win_rate": "100 % (1 of 1)",
            "sharpe_ratio": "1 of at least 10 daily returns", "max_drawdown": "0 %",
            "net_result": "closings +5.00, value +5.00",
        }),
        (history([-5] * 20, [1000 - day for day in range(1, 15)]), {
            "days": "14", "trades": "20", "win_rate": "0 % (0 of 20)", "max_drawdown": "1.4 %",
            "net_result": "closings -100.00, value -14.00",
        }),
        (history([5] * 20, [1000] * 14), {
            "win_rate": "100 % (20 of 20)", "sharpe_ratio": "the daily returns do not differ enough",
            "net_result": "closings +100.00, value +0.00",
        }),
    ],
    ids=["empty", "one trade", "all losers", "no losers, no change"],
)  # fmt: skip
def test_missing_values_have_reasons(past: History, expected: dict[str, str]) -> None:
    results = results_of(past)
    assert expected == {name: results[name].seen for name in expected}
    assert Statistical.FAILED is statistical(past, Criteria()).result
    judged = verdict(past, works(since=past.opening.time, until=past.until))
    assert (False, ()) == (judged.ready, judged.notes)


def weak() -> History:
    """Return a history that meets all six criteria with a PSR below 95 %."""
    worth, values = 1000, []
    for day in range(14):
        worth += 20 if day % 2 == 0 else -17
        values.append(worth)
    return history(TRIPS, values)


def test_a_result_that_may_be_luck_is_underpowered_with_notes_on_what_it_needs() -> None:
    underpowered = verdict(weak())
    assert Statistical.UNDERPOWERED is underpowered.statistical
    assert underpowered.psr.value is not None
    assert underpowered.psr.value < Decimal("0.95")
    assert (
        "statistically underpowered: all criteria are met, but the result may still be luck",
    ) == underpowered.missing
    first, second = underpowered.notes
    assert first.startswith(
        "with 14 normally distributed daily returns, an annualised Sharpe ratio of about 9.21 is needed to be 95 % sure"
    )
    returns = [float(value) for value in weak().returns.values]
    daily = statistics.mean(returns) / statistics.stdev(returns)
    assert f"the Sharpe ratio here is {daily * 365**0.5:.2f}, which gives {underpowered.psr.value * 100:.2f} %" in first
    # The formula of the minimum track record, by hand.
    m2, m3, m4 = (statistics.mean([(r - statistics.mean(returns)) ** k for r in returns]) for k in (2, 3, 4))
    shape = 1 - m3 / m2**1.5 * daily + (m4 / m2**2 - 1) / 4 * daily**2
    days = math.ceil(1 + shape * (1.6448536 / daily) ** 2)
    last = DAY_1 + (days - 1) * DAY
    assert (
        f"at this rate, the strategy needs {days} daily returns in total to be that sure: {days - 14} more, "
        f"until the end of {last:%Y-%m-%d}"
    ) == second


def test_an_underpowered_result_can_be_accepted_and_nothing_else() -> None:
    weakest = weak()
    assert verdict(weakest).acceptable
    assert verdict(weakest, accepted_by="anna").ready
    for changes in (
        {"real_prices": False, "sources": ["simulated"]},
        {"run": None},
        {"run": replace(RUN, ended_at=DAY_1 + DAY, end_reason="x")},
    ):
        judged = verdict(weakest, accepted_by="anna", **changes)
        assert (False, False) == (judged.ready, judged.acceptable)
    broken = verdict(weakest, works(ledger=["cash differs"]), accepted_by="anna")
    assert (False, False, ("operationally failed (books)",)) == (broken.ready, broken.acceptable, broken.missing)
    failed = verdict(history(TRIPS[:3], good()), accepted_by="anna")
    assert (False, False, None) == (failed.ready, failed.acceptable, failed.accepted_by)


def test_prices_that_are_not_real_are_never_ready() -> None:
    judged = verdict(history(TRIPS, good()), real_prices=False, sources=["simulated"])
    assert (False, ("simulated prices prove nothing",)) == (judged.ready, judged.missing)
    judged = verdict(history(TRIPS, good()), real_prices=False, sources=[])
    assert (False, ("no price source is known",)) == (judged.ready, judged.missing)


@pytest.mark.parametrize(("count", "days", "needed"), [(14, 365, "9.21"), (14, 252, "7.65"), (112, 365, "3.00")])
def test_the_sharpe_ratio_that_so_many_returns_need(count: int, days: int, needed: str) -> None:
    ratio = sharpe_needed(count, days, Decimal("0.95"))
    assert ratio is not None
    assert Decimal(needed) == round(ratio, 2)
    # In the formula of PSR, it gives the confidence that it was computed for.
    daily = ratio / CONTEXT.sqrt(Decimal(days))
    assert Decimal("0.95") == round(probability(Shape(count, daily)).value or 0, 9)


def test_too_few_returns_are_never_enough() -> None:
    assert sharpe_needed(2, 365, Decimal("0.95")) is None


def test_uptime_counts_what_was_served_and_names_the_longest_gap_first() -> None:
    until = DAY_1 + 14 * DAY
    assert ("all of it", True, ()) == summary(operation("uptime"))
    spans = [(DAY_1 - DAY, DAY_1 + HOUR), (DAY_1 + 2 * HOUR, DAY_1 + DAY), (DAY_1 + DAY + 3 * HOUR, until + DAY)]
    uptime = operation("uptime", spans=spans)
    assert ("98.81 % of 14 d", False) == (uptime.seen, uptime.passed)  # 332 of 336 hours
    assert "no process served for 3 h, from 2026-01-02 00:00:00 to 2026-01-02 03:00:00 UTC" == uptime.evidence[0]
    assert 2 == len(uptime.evidence)
    # A renewal that is not due yet is no gap; one that is overdue is.
    assert operation("uptime", spans=[(DAY_1, until - 10 * SECOND)]).seen == "all of it"
    assert operation("uptime", spans=[(DAY_1, until - 11 * SECOND)]).evidence
    assert (False, "0 % of 14 d") == (operation("uptime", spans=[]).passed, operation("uptime", spans=[]).seen)
    # Spans that overlap count once.
    assert operation("uptime", spans=[(DAY_1, DAY_1 + 7 * DAY), (DAY_1, DAY_1 + 7 * DAY)]).seen == "50 % of 14 d"
    assert operation("uptime", until=DAY_1).seen == "no time has passed"


def summary(criterion: Criterion) -> tuple[str, bool, tuple[str, ...]]:
    return criterion.seen, criterion.passed, criterion.evidence


def incident(kind: FailureKind, number: int, at: datetime = DAY_1) -> Incident:
    return Incident(f"3-{number}", at, kind, "Sizer")


def test_crashes_are_counted_and_giving_up_fails() -> None:
    crashes = [incident(FailureKind.CRASH, n) for n in range(5)]
    assert operation("restarts", failures=crashes).passed
    assert "3-0: crash of Sizer at 2026-01-01 00:00:00 UTC" == operation("restarts", failures=crashes).evidence[0]
    assert not operation("restarts", failures=[*crashes, incident(FailureKind.HANG, 6)]).passed
    gave_up = operation("restarts", failures=[incident(FailureKind.GAVE_UP, 1)])
    assert ("no crash, no hang; the program gave up once", False) == (gave_up.seen, gave_up.passed)
    many = operation("restarts", failures=[incident(FailureKind.CRASH, n) for n in range(32)])
    assert (21, "and 12 more") == (len(many.evidence), many.evidence[-1])


def test_a_quarantine_fails_and_is_no_restart() -> None:
    poisoned = [incident(FailureKind.QUARANTINE, 4)]
    assert ("1", False, ("3-4 at 2026-01-01 00:00:00 UTC, in Sizer",)) == summary(
        operation("quarantine", failures=poisoned)
    )
    assert operation("restarts", failures=poisoned).passed


def test_audits_must_be_made_and_find_nothing() -> None:
    assert operation("audits").passed
    assert ("no audit yet", False, ()) == summary(operation("audits", audits=0, last_audit=None))
    audits = operation("audits", findings=[AuditFinding(7, DAY_1, ("cash is 1 in memory and 2 in the database",))])
    assert not audits.passed
    assert ("audit 7 at 2026-01-01 00:00:00 UTC: cash is 1 in memory and 2 in the database",) == audits.evidence


def test_decisions_without_outcome_or_price_are_named() -> None:
    late = operation("outcomes", late=["decision 5"], late_count=32)
    assert ("100 decisions, 32 too late", False) == (late.seen, late.passed)
    assert ("decision 5", "and 31 more") == late.evidence
    assert operation("prices", no_price=list("12345"), no_price_count=5).passed
    stale = operation("prices", no_price=list("123456"), no_price_count=6)
    assert ("missing for 6 % (6 of 100)", False, "decision 1") == (stale.seen, stale.passed, stale.evidence[0])
    assert ("no decision yet", False, ()) == summary(operation("prices", decisions=0))


def test_numbers_are_rounded_unless_that_would_mislead() -> None:
    assert ("58.33 %", "55 %", "100 %") == (
        format_percent(Decimal("0.58333")),
        format_percent(Decimal("0.55")),
        format_percent(Decimal(1)),
    )
    assert "54.9999 %" == format_percent(Decimal("0.549999"), Decimal("0.55"))
    assert ("1.499999", "1.5") == (
        format_ratio(Decimal("1.499999"), Decimal("1.5")),
        format_ratio(Decimal("1.5"), Decimal("1.5")),
    )
    assert ("a",) == shortened(["a"])


def test_criteria_are_stored_and_come_back() -> None:
    criteria = Criteria(min_days=30, max_drawdown=Decimal("0.2"))
    assert criteria == Criteria.from_dict(criteria.to_dict())
    assert Criteria() == Criteria.from_dict({"of a later version": 1})


def test_a_strategy_of_many_trials_needs_more() -> None:
    past = history(TRIPS, good())
    swept = replace(Criteria(), swept=Swept(500, Decimal("0.15")))
    alone, best = (statistical(past, criteria) for criteria in (Criteria(), swept))
    assert (Statistical.PASSED, Statistical.UNDERPOWERED) == (alone.result, best.result)
    series = shape(past.returns)
    assert isinstance(series, Shape)
    assert deflated_probability(series, 500, Decimal("0.15")) == best.psr
    judged = judge("default", past, works(), swept, real_prices=True, run=RUN)
    assert judged.notes[0].startswith(
        "the strategy came from sweeps of 500 trials; the best of so many without skill is "
    )
    # The ratio that the next note names is the one at which the probability is as required.
    needed = sharpe_needed(14, 365, Decimal("0.95"), expected_maximum(500, Decimal("0.15")))
    assert needed is not None
    assert format_ratio(needed) in judged.notes[1]
    daily = CONTEXT.divide(needed, CONTEXT.sqrt(Decimal(365)))
    value = deflated_probability(Shape(14, daily), 500, Decimal("0.15")).value
    assert value is not None
    assert math.isclose(0.95, value, abs_tol=1e-9)


def test_the_sweeps_of_a_run_are_stored_with_its_criteria() -> None:
    swept = replace(Criteria(), swept=Swept(12, Decimal("0.05")))
    assert {"trials": 12, "deviation": "0.05"} == swept.to_dict()["swept"]
    assert swept == Criteria.from_dict(swept.to_dict())
    assert Criteria() == Criteria.from_dict(Criteria().to_dict())
