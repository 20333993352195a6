"""The log of outcomes: ten lines a second, and one for the others."""

from __future__ import annotations

from typing import Any

from loguru import logger

from actors.introspection.outcome_log import MAX_LINES_PER_SECOND, OutcomeLog
from domain.trading.decision import Outcome
from domain.types import OutcomeStatus


def outcome(number: int, status: OutcomeStatus = OutcomeStatus.EXECUTED, reason: str = "bought 1 BTC/USDT") -> Outcome:
    return Outcome(number, status, reason)


def test_above_ten_outcomes_a_second_there_is_one_line_for_the_others() -> None:
    lines: list[tuple[str, object]] = []

    def log(message: str, *values: object, **fields: object) -> None:
        lines.append((message.format(*values), fields.get("decision")))

    outcomes = OutcomeLog(log)
    for number in range(MAX_LINES_PER_SECOND):
        outcomes.write(outcome(number))
    outcomes.flush()
    assert [("executed: bought 1 BTC/USDT", number) for number in range(MAX_LINES_PER_SECOND)] == lines
    lines.clear()
    for number in range(322):
        rejected = number >= MAX_LINES_PER_SECOND and number % 26 == 0
        outcomes.write(outcome(number, OutcomeStatus.REJECTED if rejected else OutcomeStatus.EXECUTED))
    assert MAX_LINES_PER_SECOND == len(lines)
    outcomes.flush()
    assert ("312 more outcomes in a second: 300 executed, 12 rejected", None) == lines[-1]
    outcomes.flush()
    outcomes.write(outcome(7, OutcomeStatus.OPEN, "open: BUY 1 BTC/USDT, limit 100"))
    assert [("open: BUY 1 BTC/USDT, limit 100", 7)] == lines[MAX_LINES_PER_SECOND + 1 :]


def test_a_line_names_its_decision_and_where_it_comes_from() -> None:
    records: list[Any] = []
    sink = logger.add(lambda message: records.append(message.record), level="INFO")
    try:
        OutcomeLog().write(outcome(7, reason="executed: <b>{x}</b>"))
    finally:
        logger.remove(sink)
    (record,) = records
    assert ("executed: <b>{x}</b>", {"decision": 7}) == (record["message"], record["extra"])
    assert "test_outcome_log" in record["name"]
