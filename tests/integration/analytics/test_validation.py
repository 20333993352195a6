"""The validation on a real database: known answers on sixty days of three portfolios, and the verdicts of each day."""

from __future__ import annotations

import random
import statistics
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import psycopg
import pytest

from domain.analytics.returns import max_drawdown
from domain.errors import DatabaseError
from domain.trading.snapshot import day_of
from domain.validation.criteria import Criteria
from domain.validation.operational import operational
from domain.validation.statistical import Statistical, statistical
from domain.validation.verdict import Verdict
from persistence.connections import engine_for
from persistence.lease import Lease
from persistence.queries.history import consistent_read, read_history
from persistence.queries.operational_criteria import read_operations
from persistence.stores import portfolios
from persistence.stores.verdicts import VerdictStore
from tests.support.database.servers import Server
from tests.support.system.histories import CAPITAL, DAYS, MIDNIGHT, NOW, as_of, write
from tests.support.system.validation_runs import KEEPER, begun_at, criterion, execute, process, reading, verdicts

pytestmark = pytest.mark.clock

# In the middle of a day, with positions open, so that the first day of the run is no whole one.
SINCE = MIDNIGHT - timedelta(days=DAYS - 10, hours=8, minutes=30)


@pytest.fixture(scope="module")
def lived(embedded_server: Server) -> Iterator[str]:
    """A database with a history, and a run that began in the middle of it."""
    url = embedded_server.create_database()
    write(url, seed=6)
    process(url)
    begun_at(url, SINCE)
    spans = [(SINCE, SINCE + timedelta(days=3)), (SINCE + timedelta(days=3, hours=6), NOW)]
    for since, end in spans:
        execute(url, "INSERT INTO paper_uptime VALUES (100, %s, %s)", since, end, writer="Supervisor")
    execute(
        url,
        "INSERT INTO paper_audits (at, epoch, portfolios, differences) VALUES (%s, 100, 4, '[]')",
        SINCE + timedelta(days=1),
        writer=KEEPER,
    )
    with as_of():
        yield url
    embedded_server.drop_database(url)


@pytest.fixture(scope="module")
def judged(lived: str) -> dict[str, Verdict]:
    return verdicts(lived)


@pytest.mark.parametrize("name", list(CAPITAL))
def test_the_figures_of_a_run_are_those_computed_by_hand(lived: str, judged: dict[str, Verdict], name: str) -> None:
    """Compute from the rows with the standard library, without the program's code."""
    verdict = judged[name]
    trips = execute(
        lived,
        "SELECT position_id, sum(net_pnl), bool_or(closes), min(entry_time), max(exit_time) FROM paper_trades"
        " WHERE portfolio = %s GROUP BY 1 HAVING bool_or(closes) AND max(exit_time) >= %s",
        name, SINCE,
    )  # fmt: skip
    mine = [net for _, net, _, entered, _ in trips if entered >= SINCE]
    wins = sum(net > 0 for net in mine)
    assert str(len(mine)) == criterion(verdict, "trades").seen
    assert (len(mine) < len(trips)) == any("before the run" in text for text in criterion(verdict, "trades").evidence)
    if mine:
        assert criterion(verdict, "win_rate").seen.endswith(f"({wins} of {len(mine)})")
        assert (wins / len(mine) >= 0.55) == criterion(verdict, "win_rate").passed

    snapshots = execute(
        lived, "SELECT time, total_value FROM paper_portfolio_snapshots WHERE portfolio = %s ORDER BY time", name
    )
    before = [value for time, value in snapshots if time <= SINCE]
    opening = before[-1] if before else Decimal(CAPITAL[name])
    later = [(time, value) for time, value in snapshots if time > SINCE]
    sharpe = criterion(verdict, "sharpe_ratio")
    if before:
        returns, last = [], opening
        day = day_of(SINCE) + timedelta(days=1)
        while day <= verdict.until:
            value = ([opening] + [value for time, value in later if time <= day])[-1]
            returns.append(float(value / last) - 1)
            last, day = value, day + timedelta(days=1)
        year = 252 if name == "shares" else 365
        expected = statistics.mean(returns) / statistics.stdev(returns) * year**0.5
        assert f"{expected:.2f}" == f"{float(sharpe.seen):.2f}"
        assert (f"of {len(returns)} daily returns, a year of {year}",) == sharpe.evidence
        assert DAYS - 9 == len(returns)
    else:  # younger than ten days
        assert sharpe.seen.endswith("of at least 10 daily returns")

    peak, deepest = opening, Decimal(0)
    for _, value in later:
        peak = max(peak, value)
        deepest = max(deepest, (peak - value) / peak)
    if later:
        assert f"{deepest * 100:.2f}" == f"{Decimal(criterion(verdict, 'max_drawdown').seen.split()[0]):.2f}"
    else:
        assert "no snapshot yet" == criterion(verdict, "max_drawdown").seen
    closed = sum(
        net for (net,) in execute(
            lived, "SELECT net_pnl FROM paper_trades WHERE portfolio = %s AND exit_time >= %s", name, SINCE
        )
    )  # fmt: skip
    if later and closed:
        gained = later[-1][1] - opening
        assert f"closings {closed:+,.2f}, value {gained:+,.2f}" == criterion(verdict, "net_result").seen
    start = SINCE if before or not later else later[0][0]
    first = day_of(start - timedelta(seconds=1)) + timedelta(days=1)
    there = {(time - timedelta(seconds=1)).date() for time, _ in later}
    complete = {day for day in there if first.date() <= day < verdict.until.date()}
    assert str(len(complete)) == criterion(verdict, "days").seen


def test_the_data_cover_each_case(judged: dict[str, Verdict]) -> None:
    assert dict.fromkeys(CAPITAL, Statistical.FAILED) == {name: verdict.statistical for name, verdict in judged.items()}
    assert any("has no snapshot" in text for text in criterion(judged["default"], "days").evidence)
    assert all(int(criterion(judged[name], "trades").seen) > 5 for name in ("default", "shares"))
    assert criterion(judged["losers"], "win_rate").seen.startswith("0 % (0 of ")
    assert ("0", "no round trip yet") == tuple(criterion(judged["empty"], name).seen for name in ("trades", "win_rate"))
    assert {None} == {verdict.psr.value for name, verdict in judged.items() if name == "empty"}


def test_uptime_is_the_time_served(judged: dict[str, Verdict]) -> None:
    uptime = criterion(judged["default"], "uptime")
    elapsed = (judged["default"].until - SINCE) / timedelta(hours=1)
    assert f"{round(100 - Decimal(600 / elapsed), 2).normalize()} % of" == " ".join(uptime.seen.split()[:3])
    assert [f"no process served for 6 h, from {SINCE + timedelta(days=3):%Y-%m-%d %H:%M:%S}"] == [
        text.partition(" to ")[0] for text in uptime.evidence
    ]
    assert "1 audit, no difference" == criterion(judged["default"], "audits").seen


def test_a_period_that_begins_between_two_renewals_is_served_from_its_beginning(lived: str) -> None:
    renewed = SINCE + timedelta(days=3)
    engine = engine_for(lived, "test")

    def uptime(begun: float, ended: float) -> str:
        since, until = (renewed + timedelta(seconds=later) for later in (begun, ended))
        return operational(read_operations(cursor, "default", since, until, 30, 300, ()), Criteria())[0].seen

    try:
        with consistent_read(engine) as cursor:
            assert "all of it" == uptime(3, 5)
            assert "0 % of 10 s" == uptime(3, 13)  # the next renewal is overdue by then
    finally:
        engine.dispose()


def test_prices_of_the_fills_count_whatever_is_set(judged: dict[str, Verdict]) -> None:
    # The builders' quotes are real.
    assert (("test",), True) == (judged["default"].sources, judged["default"].real_prices)
    assert (("kraken",), True) == (judged["empty"].sources, judged["empty"].real_prices)


def test_a_clock_that_is_ahead_of_the_databases_ends_no_day_early(lived: str) -> None:
    lease = Lease.take(lived)
    lease.begin_epoch()
    store = VerdictStore(lived, lease)
    try:
        store.fill(NOW + timedelta(days=2))
        newest = execute(lived, "SELECT max(day) FROM paper_validation_verdicts")
        assert [(MIDNIGHT.date() - timedelta(days=1),)] == newest
    finally:
        execute(lived, "DELETE FROM paper_validation_verdicts", writer="Validation")
        store.close()
        lease.release()


def test_daily_verdicts_are_filled_in_once_and_are_the_same_again(lived: str) -> None:
    lease = Lease.take(lived)
    lease.begin_epoch()
    store = VerdictStore(lived, lease)
    rows = "SELECT run, day, portfolio, part, criterion, seen, passed, evidence, psr, ready FROM v_paper_validation"
    try:
        until = NOW
        ended = SINCE + timedelta(days=5)
        first = store.fill(ended)
        assert 5 * len(CAPITAL) == len(first)
        rest = store.fill(until)
        days = (day_of(until) - day_of(SINCE)).days
        assert days * len(CAPITAL) == len(first) + len(rest)
        assert [] == store.fill(until)
        stored = execute(lived, rows)
        assert days * len(CAPITAL) * 13 == len(stored)
        execute(lived, "DELETE FROM paper_validation_verdicts", writer="Validation")
        store.fill(until)
        assert stored == execute(lived, rows)
        # Nor does it matter that the run has ended since: a day's verdict is of a run that went on.
        execute(lived, "UPDATE paper_validation_runs SET ended_at = clock_timestamp(), end_reason = 'by hand'")
        execute(lived, "DELETE FROM paper_validation_verdicts", writer="Validation")
        assert {None} == {verdict.run.ended_at for verdict in store.fill(until) if verdict.run is not None}
        assert stored == execute(lived, rows)
    finally:
        store.close()
        lease.release()
    # The last day's row is what is judged of that moment.
    (last,) = execute(
        lived,
        "SELECT DISTINCT day, operational, statistical, ready FROM v_paper_validation WHERE portfolio = 'default'"
        " ORDER BY day DESC LIMIT 1",
    )
    assert (day_of(until).date() - timedelta(days=1), "passed", "failed", False) == last
    parts = execute(
        lived,
        "SELECT part, string_agg(criterion, ' ') FROM (SELECT part, criterion FROM v_paper_validation WHERE portfolio ="
        " 'default' AND day = %s) one GROUP BY part ORDER BY part",
        last[0],
    )
    assert [
        ("operational", "uptime restarts audits outcomes prices quarantine books"),
        ("statistical", "days trades win_rate sharpe_ratio max_drawdown net_result"),
    ] == parts


def test_a_process_whose_epoch_is_over_stores_no_verdict(lived: str) -> None:
    lease = Lease.take(lived)
    lease.begin_epoch()
    store = VerdictStore(lived, lease)
    execute(lived, "DELETE FROM paper_validation_verdicts", writer="Validation")
    execute(lived, "UPDATE paper_lease SET epoch = epoch + 1")
    try:
        with pytest.raises(DatabaseError, match="does not write any more"):
            store.fill(NOW)
        assert [(0,)] == execute(lived, "SELECT count(*) FROM paper_validation_verdicts")
    finally:
        store.close()
        lease.release()


def test_snapshots_that_are_left_out_change_nothing(lived: str) -> None:
    """A noisy line of ten-minute snapshots, with gaps, equal peaks and equal lows, judged at every sixth hour."""
    draw, since = random.Random(5), SINCE + timedelta(days=1)
    portfolios.create(lived, "noise", {"initial_capital": 1000})
    line = [
        (since + timedelta(minutes=10 * step), Decimal(1000 + draw.randint(-9, 9) + step // 50))
        for step in range(-300, 1500)
        if draw.random() < 0.8 and not 600 < step < 900
    ]
    with psycopg.connect(lived) as connection:
        connection.execute("SET paper.writer = 'Snapshotter'")
        connection.cursor().executemany(
            "INSERT INTO paper_portfolio_snapshots VALUES (%s, 'noise', %s, 0, %s, 0, 0, 0, 0, '{}')",
            [(time, worth, worth) for time, worth in line],
        )
    with reading(lived) as engine, consistent_read(engine) as cursor:
        full = read_history(cursor, "noise", since=since)
        thinned = read_history(cursor, "noise", since=since, thinned=True)
    assert len(thinned.valuations) < len(full.valuations) / 5
    for step in range(1, 44):
        until = since + step * timedelta(hours=6)
        complete, part = full.during(since, until), thinned.during(since, until)
        assert complete.returns == part.returns
        deepest, thin = (max_drawdown(history.valuations, history.opening) for history in (complete, part))
        # Where a period ends is known from its last valuation alone; here it ends between two that were kept.
        assert replace(deepest, length=None) == replace(thin, length=None)
        if until == day_of(until):
            assert (deepest, statistical(complete, Criteria())) == (thin, statistical(part, Criteria()))
