"""What people and other strategies do while a validation run goes on."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from domain.validation.criteria import Criteria
from persistence.connections import transaction
from persistence.stores import validation_runs
from tests.support.database.upgraded import embedded_url
from tests.support.system.validation_runs import (
    KEEPER,
    begin,
    criterion,
    decide,
    end_changed,
    execute,
    executed,
    reading,
    url,
    verdicts,
)

__all__ = ["embedded_url", "url"]  # fixtures
pytestmark = pytest.mark.clock


ENDED = "UPDATE paper_account_requests SET status = 'done', outcome = 'x', ended_at = now() WHERE id = %s"
REQUEST = (
    "INSERT INTO paper_account_requests (portfolio, kind, symbol, amount, price, reason, author)"
    " VALUES (%s, %s, %s, %s, %s, 'x', 'anna') RETURNING id"
)


def test_what_a_person_did_to_the_portfolio_ends_a_run(url: str) -> None:
    begin(url, "manual", "default")
    # Whatever moment of creation it names, it was executed in the run.
    executed(url, decide(url, "manual", created_at=datetime(1, 2, 1, tzinfo=UTC)))
    assert ["validation run manual has ended: decision 1 of strategy manual was executed"] == end_changed(url)
    cases: list[tuple[tuple[Any, ...], str | None]] = [
        (("other", "deposit", None, "5.5", None), None),
        (("default", "dividend", "A", "5.5", None), None),
        (("default", "write_off", "A", None, "0"), None),
        (("default", "deposit", None, "5.50", None), "deposit of 5.5 by anna in portfolio default"),
        (("default", "withdrawal", None, "5.5", None), "withdrawal of 5.5 by anna in portfolio default"),
    ]
    for number, (values, reason) in enumerate(cases):
        begin(url, name := f"run {number}", "default")
        ((request,),) = execute(url, REQUEST, *values)
        assert [] == end_changed(url)  # it is not done yet
        execute(url, ENDED, request, writer=KEEPER)
        assert ([f"validation run {name} has ended: {reason}"] if reason else []) == end_changed(url)
        execute(url, "UPDATE paper_validation_runs SET ended_at = now(), end_reason = 'next' WHERE ended_at IS NULL")


def test_a_run_that_allows_other_strategies_lists_their_decisions_and_counts_none(url: str) -> None:
    with reading(url) as engine, transaction(engine) as cursor:
        validation_runs.begin(cursor, "spring", [], ["trend"], Criteria(), "tester", allow_foreign=True)
    executed(url, decide(url, "trend"))
    executed(url, decide(url, "manual"))
    decide(url)
    assert [] == end_changed(url)
    verdict = verdicts(url)["default"]
    assert ("decision 2 of manual (executed)", "decision 3 of (none) (pending)") == verdict.foreign
    assert "1 decision, none late" == criterion(verdict, "outcomes").seen
    assert (
        "decisions of other strategies, which do not count: decision 2 of manual (executed), decision 3 of (none)"
        " (pending)"
    ) in verdict.notes
