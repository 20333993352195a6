"""Validation runs: their settings, their end, and the evidence that counts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from threading import Barrier, Thread
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from domain.errors import InvalidRequest, UnknownPortfolio, WriteRefused
from domain.validation.criteria import Criteria
from persistence import schema
from persistence.connections import transaction
from persistence.stores import portfolios, validation_runs
from tests.support.database.upgraded import embedded_url
from tests.support.system.histories import NOW, as_of
from tests.support.system.validation_runs import (
    KEEPER,
    NONE,
    begin,
    begun_at,
    criterion,
    decide,
    end_changed,
    execute,
    executed,
    process,
    reading,
    url,
    verdicts,
)

__all__ = ["embedded_url", "url"]  # fixtures
pytestmark = pytest.mark.clock


def end_of(url: str, name: str = "spring") -> str | None:
    (row,) = execute(url, "SELECT end_reason FROM paper_validation_runs WHERE name = %s", name)
    return row[0]


def test_a_run_is_bound_to_what_is_there(url: str) -> None:
    with pytest.raises(InvalidRequest, match=r"no decision was sent to default and other yet.*--strategy NAME"):
        begin(url, strategies=())
    decide(url, "trend")
    decide(url, portfolio="other")
    stored = begin(url, None, strategies=())
    assert ("run-1", ("default", "other"), ("(none)", "trend")) == (
        stored.run.name, stored.portfolios, stored.bound.strategies
    )  # fmt: skip
    assert (100, "0.1.0", Criteria()) == (stored.bound.process.epoch, stored.bound.process.version, stored.criteria)
    assert Decimal("0.001") == stored.bound.portfolios["other"]["commission_pct"]
    assert [] == end_changed(url)


def test_an_empty_name_of_a_strategy_is_none(url: str) -> None:
    assert (NONE,) == begin(url, strategies=("", NONE)).bound.strategies
    for strategy in (None, "", NONE):
        executed(url, decide(url, strategy))
    assert [] == end_changed(url)
    executed(url, decide(url, " "))
    assert ["validation run spring has ended: decision 4 of strategy   was executed"] == end_changed(url)


def test_one_run_a_portfolio(url: str) -> None:
    begin(url, "spring", "default")
    begin(url, "autumn", "other")
    with pytest.raises(InvalidRequest, match="portfolio other is in run autumn already, which must end first"):
        begin(url, "winter", "other")
    with pytest.raises(InvalidRequest, match="portfolio default is in run spring and portfolio other is in run autumn"):
        begin(url, "winter")
    execute(url, "UPDATE paper_validation_runs SET ended_at = clock_timestamp(), end_reason = 'by hand'")
    with pytest.raises(InvalidRequest, match="there was a run 'spring' already"):
        begin(url, "spring")
    with pytest.raises(UnknownPortfolio, match="there is no portfolio 'nope'"):
        begin(url, "winter", "nope")
    assert "winter" == begin(url, "winter").run.name


def test_of_two_who_begin_at_once_one_waits_and_is_refused(url: str) -> None:
    outcomes: list[object] = []
    both = Barrier(2)

    def one(name: str) -> None:
        with reading(url) as engine:
            try:
                with transaction(engine) as cursor:
                    validation_runs.runs(cursor)
                    both.wait(10)
                    validation_runs.begin(cursor, name, ["default"], [NONE], Criteria(), "tester")
                outcomes.append(name)
            except (InvalidRequest, WriteRefused) as refused:
                outcomes.append(str(refused))

    threads = [Thread(target=one, args=(name,), daemon=True) for name in ("a", "b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert 1 == len([outcome for outcome in outcomes if outcome in {"a", "b"}])
    assert any("portfolio default is in" in str(outcome) for outcome in outcomes)


def test_nothing_ever_served_this_database(embedded_url: str) -> None:
    schema.upgrade(embedded_url)
    with pytest.raises(InvalidRequest, match="nothing has served this database yet"):
        begin(embedded_url)
    assert {} == verdicts(embedded_url)


RULE = "UPDATE paper_trading_config SET commission_pct = %s WHERE portfolio = %s"
SENT = (
    "INSERT INTO trading_decisions (symbol, decision, confidence, strategy, portfolio, created_at)"
    " VALUES ('A', 'BUY', 1, %s, %s, coalesce(%s::timestamptz, now()))"
)


def test_a_change_ends_a_run_and_says_what_it_was(url: str) -> None:
    cases: list[tuple[str, tuple[Any, ...], str | None]] = [
        (RULE, ("0.002", "default"), "commission_pct of portfolio default 0.001 → 0.002"),
        (RULE, ("0.003", "other"), None),
        (SENT, (None, "default", None), None),
        (SENT, ("manual", "other", None), None),
        (SENT, (None, "default", "9999-12-29"), None),
        (SENT, ("manual", "default", None), None),  # it will be rejected
        ("DELETE FROM paper_trading_config WHERE portfolio = 'default'", (), "portfolio default was deleted"),
    ]
    for number, (statement, values, reason) in enumerate(cases):
        begin(url, name := f"run {number}", "default")
        execute(url, statement, *values)
        assert ([f"validation run {name} has ended: {reason}"] if reason else []) == end_changed(url)
        assert reason == end_of(url, name)
        assert [] == end_changed(url)  # once
        execute(
            url, "UPDATE trading_decisions SET status = 'cancelled', processed_at = now() WHERE processed_at IS NULL"
        )
        execute(
            url,
            "UPDATE paper_validation_runs SET ended_at = clock_timestamp(), end_reason = 'next' WHERE ended_at IS NULL",
        )


def test_a_portfolio_of_the_same_name_is_another_one(url: str) -> None:
    begin(url)
    execute(url, "DELETE FROM paper_trading_config WHERE portfolio = 'default'")
    portfolios.create(url, "default", {"initial_capital": 1000})
    assert ["validation run spring has ended: portfolio default was deleted and created again"] == end_changed(url)


def test_a_later_process_with_other_settings_ends_a_run_from_its_start_on(url: str) -> None:
    begin(url)
    process(url, 101)
    process(url, 102, version="0.1.9")
    assert [] == end_changed(url)
    process(url, 103, max_price_age=60.0)
    process(url, 104)
    assert ["validation run spring has ended: max_price_age 30 → 60 since epoch 103"] == end_changed(url)
    (row,) = execute(
        url, "SELECT r.ended_at = p.started_at FROM paper_validation_runs r JOIN paper_processes p ON p.epoch = 103"
    )
    assert (True,) == row


def test_a_run_only_ends_and_what_was_accepted_stands(url: str) -> None:
    stored = begin(url)
    execute(
        url, "INSERT INTO paper_validation_acceptances (run_id, portfolio, by_whom) VALUES (%s, 'default', 'a')",
        stored.run.id,
    )  # fmt: skip
    again = (
        "INSERT INTO paper_validation_runs (name, epoch, version, settings, portfolios, strategies, criteria)"
        " SELECT 'second', epoch, version, settings, portfolios, strategies, criteria FROM paper_validation_runs"
    )
    verdict = (
        "INSERT INTO paper_validation_verdicts (run_id, day, portfolio, operational, statistical, ready, criteria,"
        " notes) VALUES (1, now(), 'default', 'passed', 'passed', true, '[]', '[]')"
    )
    for statement in (
        "UPDATE paper_validation_runs SET name = 'other'",
        "UPDATE paper_validation_runs SET criteria = '{}', ended_at = now(), end_reason = 'x'",
        "DELETE FROM paper_validation_runs",
        "TRUNCATE paper_validation_runs CASCADE",
        "UPDATE paper_validation_acceptances SET by_whom = 'b'",
        "DELETE FROM paper_validation_acceptances",
        again,
        verdict,
    ):
        with pytest.raises(psycopg.errors.CheckViolation):
            execute(url, statement)
    assert end_of(url) is None


def test_a_decision_is_late_by_its_deadline(url: str) -> None:
    now = NOW
    hour = timedelta(hours=1)
    begun_at(url, now - timedelta(days=10))

    def ended(id_: str, at: datetime, reason: str = "hold: nothing to do", status: str = "ignored") -> None:
        execute(
            url,
            "UPDATE trading_decisions SET status = %s, processed_at = %s, outcome_reason = %s WHERE id = %s",
            status, at, reason, int(id_),
        )  # fmt: skip

    missing = decide(url, created_at=now - hour)
    late = decide(url, created_at=now - 2 * hour)
    ended(late, now - hour)
    in_time = decide(url, created_at=now - 2 * hour)
    ended(in_time, now - 2 * hour + timedelta(seconds=330))
    decide(url, created_at=now - timedelta(seconds=300))  # has half a minute left
    decide(url, created_at=now - hour, expires_at=now + hour)
    overdue = decide(url, created_at=now - 3 * hour, expires_at=now - 2 * hour)
    ended(overdue, now - hour)
    decide(url, created_at=datetime(9999, 12, 29, tzinfo=UTC))
    ancient = decide(url, created_at=datetime(1, 2, 1, tzinfo=UTC))
    stale = decide(url, created_at=now - hour)
    ended(stale, now - hour, "no price in time: none of BTC/USDT was seen within 30 s", "rejected")
    decide(url, portfolio="other", created_at=now - hour)

    with as_of(now):
        verdict = verdicts(url)["default"]
    outcomes = criterion(verdict, "outcomes")
    assert "7 decisions, 4 too late" == outcomes.seen
    assert {missing, late, overdue, ancient} == {text.split(",")[0].split()[1] for text in outcomes.evidence}
    assert f"decision {ancient}, due at 0001-02-01 00:05:30 UTC: no outcome yet" == outcomes.evidence[0]
    prices = criterion(verdict, "prices")
    assert (f"missing for {100 / 7:.2f} % (1 of 7)", (f"decision {stale}",), False) == (
        prices.seen, prices.evidence, prices.passed
    )  # fmt: skip


ACCEPTED = """
INSERT INTO paper_orders (order_id, decision_id, portfolio, asset_class, leg, seq, symbol, side, order_type, quantity,
                          limit_price, status, filled_quantity, commission, slippage, config_revision, equity,
                          created_at, price_rule, rules_version, tick, since)
SELECT gen_random_uuid(), id, portfolio, 'crypto', 1, id, symbol, 'BUY', 'limit', 1, 1, 'open', 0, 0, 0, 1, 1, %s,
       'quote', 2, 1, 1 FROM trading_decisions WHERE id = %s RETURNING order_id
"""


def test_a_decision_whose_order_rests_is_in_time_where_the_order_was_accepted_in_time(url: str) -> None:
    hour = timedelta(hours=1)
    begun_at(url, NOW - timedelta(days=10))
    in_time, late = decide(url, created_at=NOW - 5 * hour), decide(url, created_at=NOW - 5 * hour)
    for id_, after in ((in_time, timedelta(seconds=1)), (late, hour)):
        ((order_id,),) = execute(url, ACCEPTED, NOW - 5 * hour + after, int(id_), writer=KEEPER)
        execute(
            url,
            "UPDATE trading_decisions SET status = 'open', order_id = %s, outcome_reason = 'open: BUY' WHERE id = %s",
            order_id, int(id_), writer=KEEPER,
        )  # fmt: skip
    with as_of(NOW):
        outcomes = criterion(verdicts(url)["default"], "outcomes")
    assert "2 decisions, 1 too late" == outcomes.seen
    assert [late] == [text.split(",")[0].split()[1] for text in outcomes.evidence]


def test_an_order_of_a_symbol_with_sessions_may_wait_for_the_next_one(url: str) -> None:
    begun_at(url, NOW - timedelta(days=10))
    execute(url, """UPDATE paper_processes SET settings = settings || '{"calendars": {"AAPL/USD": "XNYS"}}'""",
            writer="Supervisor")  # fmt: skip
    terms = {"order_type": "limit", "limit_price": 90, "time_in_force": "DAY", "symbol": "aapl-usd"}
    decide(url, created_at=NOW - timedelta(days=6), **terms)
    market = decide(url, created_at=NOW - timedelta(days=6), symbol="AAPL/USD")
    too_late = decide(url, created_at=NOW - timedelta(days=6, minutes=6), **terms)
    without = decide(url, created_at=NOW - timedelta(days=6), **(terms | {"symbol": "BTC/USDT"}))
    with as_of(NOW):
        outcomes = criterion(verdicts(url)["default"], "outcomes")
    assert "4 decisions, 3 too late" == outcomes.seen
    assert {market, too_late, without} == {text.split(",")[0].split()[1] for text in outcomes.evidence}


AUDIT = "INSERT INTO paper_audits (epoch, portfolios, differences) VALUES (100, 2, %s)"


def test_failures_and_audits_of_the_run_count_and_none_before(url: str) -> None:
    def failed(number: int, at: str, kind: str) -> None:
        execute(
            url,
            "INSERT INTO paper_failures VALUES (100, %s, now() + %s::interval, %s, 1, 'Sizer', '', NULL, 'x', 'x')",
            number, at, kind, writer="Supervisor",
        )  # fmt: skip

    failed(1, "-1 hour", "quarantine")
    execute(
        url,
        AUDIT,
        Jsonb(["x"]),
        writer=KEEPER,
    )
    begin(url)
    verdict = verdicts(url)["default"]
    assert (True, "no audit yet") == (criterion(verdict, "quarantine").passed, criterion(verdict, "audits").seen)
    failed(2, "0", "quarantine")
    failed(3, "0", "gave up")
    failed(4, "0", "replaced")
    execute(
        url, AUDIT, Jsonb(["cash differs"]),
        writer=KEEPER,
    )  # fmt: skip
    verdict = verdicts(url)["default"]
    assert criterion(verdict, "quarantine").evidence[0].startswith("100-2 at ")
    assert "no crash, no hang; the program gave up once" == criterion(verdict, "restarts").seen
    assert ("1 of 1 audit found a difference", False) == (
        criterion(verdict, "audits").seen, criterion(verdict, "audits").passed
    )  # fmt: skip
    assert criterion(verdict, "audits").evidence[0].endswith(": cash differs")


def test_books_that_do_not_balance_fail(url: str) -> None:
    begin(url)
    assert criterion(verdicts(url)["default"], "books").passed
    execute(url, "UPDATE paper_trading_config SET current_capital = 7 WHERE portfolio = 'other'", writer=KEEPER)
    books = criterion(verdicts(url)["default"], "books")
    assert not books.passed
    assert "cash of portfolio other is 7.000000000000, its fills make it 1000.000000000000" == books.evidence[0]


def test_a_source_that_is_not_real_is_named_before_the_first_fill(url: str) -> None:
    for epoch, (prices, source) in enumerate([("simulated", "simulated"), ("/some/file.csv", "file")], 101):
        process(url, epoch, prices=prices)
        end_changed(url)
        begin(url, source)
        verdict = verdicts(url)["default"]
        assert ((source,), False) == (verdict.sources, verdict.real_prices)
        assert f"{source} prices prove nothing" in verdict.missing


def test_a_source_that_was_handed_in_is_not_real_unless_it_says_so(url: str) -> None:
    process(url, 101, price_source="mine", real_prices=True)
    begin(url)
    assert (("mine",), True) == (verdicts(url)["default"].sources, verdicts(url)["default"].real_prices)
    process(url, 102, price_source="made up", real_prices=False)
    process(url, 103, price_source="mine", real_prices=True)
    (reason,) = end_changed(url)
    assert reason.endswith("price_source mine → made up since epoch 102; real_prices true → false since epoch 102")
    execute(url, "DELETE FROM paper_processes WHERE epoch = 103", writer="Supervisor")
    begin(url, "autumn")
    verdict = verdicts(url)["default"]
    assert (("made up",), False) == (verdict.sources, verdict.real_prices)
    assert "made up prices prove nothing" in verdict.missing


def test_without_a_run_it_is_a_preview(url: str) -> None:
    begin(url, "spring", "default")
    execute(url, "UPDATE paper_validation_runs SET ended_at = clock_timestamp(), end_reason = 'by hand'")
    by_portfolio = verdicts(url)
    assert by_portfolio["default"].run is by_portfolio["other"].run is None
    assert "no validation run is stored" in by_portfolio["default"].missing
    assert (2, 1) == (len(by_portfolio["default"].notes), len(by_portfolio["other"].notes))
    assert by_portfolio["default"].notes[1].endswith("UTC: by hand")
    ended = verdicts(url, name="spring")
    assert ["default"] == list(ended)
    assert "run spring has ended" in ended["default"].missing
    with pytest.raises(UnknownPortfolio, match="validation run spring has no portfolio 'other'; it has default"):
        verdicts(url, name="spring", portfolios=["other"])
    with pytest.raises(InvalidRequest, match="there is no validation run 'sprng'"):
        verdicts(url, name="sprng")
