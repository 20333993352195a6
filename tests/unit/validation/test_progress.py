"""Three states of a criterion, and how far a run is."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from domain.failures import FailureKind
from domain.validation.criteria import Criteria
from domain.validation.operational import Incident, Operations
from domain.validation.progress import Course, progress_of
from domain.validation.verdict import Run, Verdict, judge
from tests.support.values.analytics_builders import DAY, DAY_1, HOUR
from tests.support.values.periods import TRIPS, good, history

pytestmark = pytest.mark.clock

RUN = Run(1, "spring", DAY_1)


def verdict(nets: list[int], values: list[Any], run: Run = RUN, **changes: Any) -> Verdict:
    past = history(nets, values)
    operations = replace(
        Operations(DAY_1, past.until, spans=[(DAY_1, past.until)], audits=10, last_audit=past.until, decisions=9),
        **changes,
    )
    return judge("default", past, operations, Criteria(), real_prices=True, sources=["kraken"], run=run)


def states(judged: Verdict) -> dict[str, str]:
    return {one.name: str(one.state) for one in (*judged.operational, *judged.criteria) if not one.passed}


def test_what_cannot_be_judged_yet_is_not_yet_and_says_what_is_missing() -> None:
    begun = verdict([], [], audits=0, last_audit=None, decisions=0, until=DAY_1)
    assert {"not yet"} == set(states(begun).values())
    assert (("not yet", "not yet"), False) == ((begun.operational_state, begun.statistical_state), begun.ready)
    assert "not yet" == begun.readiness
    waiting = {one.name: one.waits_for for one in (*begun.operational, *begun.criteria) if not one.passed}
    assert {
        "uptime": "time to pass",
        "audits": "the first audit, within the audit interval",
        "prices": "the first decision",
        "days": "14 days, until 2026-01-15 00:00 UTC",
        "trades": "20 round trips",
        "win_rate": "the first round trip",
        "sharpe_ratio": "2 whole days more",
        "max_drawdown": "the first snapshot",
        "net_result": "the first snapshot",
    } == waiting
    assert (
        "operationally not decided yet (uptime, audits and prices in time)",
        "statistically not decided yet (whole days, round trips, win rate, Sharpe ratio, max drawdown and net result)",
    ) == begun.missing
    ended = verdict([], [], replace(RUN, ended_at=DAY_1, end_reason="x"), audits=0, last_audit=None)
    assert ("failed", "failed") == (ended.operational_state, ended.statistical_state)
    assert "not ready" == ended.readiness
    lost = verdict([-5] * 2, [995])
    assert ("not yet", "not met") == (states(lost)["days"], states(lost)["win_rate"])
    assert ("failed", "statistically failed (win rate and net result)") == (lost.statistical_state, lost.missing[-1])
    assert "not ready" == lost.readiness


def test_how_far_a_run_is() -> None:
    crashes = [Incident(f"1-{n}", DAY_1, FailureKind.CRASH, "Sizer") for n in range(6)]
    cases: list[tuple[Verdict, Course, str]] = [
        (verdict(TRIPS, good()), Course.READY, "14 whole days, 20 of 20 round trips, ready"),
        (verdict(TRIPS[:19], good(12)), Course.ON_COURSE, "day 13 of 14, 19 of 20 round trips, on course"),
        (
            verdict(TRIPS[:5], good(12)), Course.BEHIND,
            "day 13 of 14, 5 of 20 round trips, behind: at this rate 5 round trips in 14 days",
        ),
        (
            verdict([10, -20, -5], good(12)), Course.BEHIND,
            "not met so far: win rate: 33.33 % (1 of 3) and net result: closings -15.00, value +60.00",
        ),
        (
            verdict(TRIPS[:19], good()), Course.BEHIND,
            "14 whole days, 19 of 20 round trips, behind: 1 round trip missing",
        ),
        (
            verdict(TRIPS, good(12), failures=crashes), Course.LOST,
            "day 13 of 14, 20 of 20 round trips, cannot pass any more because crashes and hangs: 6 crashes or hangs",
        ),
    ]  # fmt: skip
    for judged, course, text in cases:
        progress = progress_of(judged)
        assert (course, True) == (progress.course, progress.text.endswith(text)), progress.text
    progress = progress_of(cases[1][0])
    assert f"validation spring of portfolio default: {progress.text}" == progress.sentence
    assert DAY_1 + 14 * DAY == progress.ends
    simulated = replace(cases[1][0], real_prices=False, sources=("simulated",))
    assert "cannot pass any more because simulated prices prove nothing" in progress_of(simulated).text


def test_the_days_of_a_run_end_14_midnights_after_the_first() -> None:
    past = history(TRIPS, good(3), days=3).during(DAY_1 + HOUR)
    operations = Operations(DAY_1 + HOUR, past.until + timedelta(hours=5))
    judged = judge("default", past, operations, Criteria(), real_prices=True, run=RUN)
    assert DAY_1 + 15 * DAY == progress_of(judged).ends
