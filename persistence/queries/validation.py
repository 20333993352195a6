"""The gate over a real database: which period is judged, what is read of it, and who accepted what."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import psycopg
from sqlalchemy.engine import Engine

from domain.analytics.performance import History
from domain.errors import UnknownPortfolio
from domain.program import command_name
from domain.trading.quotes import NOT_REAL
from domain.validation.criteria import Criteria
from domain.validation.verdict import Run, Verdict, judge
from domain.wording import format_time, quoted
from persistence.queries.history import consistent_read, read_history
from persistence.queries.operational_criteria import ledger_differences, read_operations
from persistence.stores.validation_runs import StoredRun, last_process, run_named, runs

REAL = "ccxt"
PRICE_AGE = 30.0
"""Seconds, where no process told its own."""
PREVIEW = "no validation run is stored: this looks at the portfolio's whole life; `{} validate start` begins one"

# A reader who takes long blocks nobody, and computes between two statements.
PATIENT = "SET LOCAL idle_in_transaction_session_timeout = '10min'"

SOURCES = "SELECT DISTINCT price_source FROM paper_fills WHERE portfolio = %s ORDER BY 1"

# A source that was handed in from Python has a name of its own, and says itself whether it is real.
UNREAL = "SELECT DISTINCT settings ->> 'price_source' FROM paper_processes WHERE settings -> 'real_prices' = 'false'"

ACCEPTED = """
SELECT by_whom FROM paper_validation_acceptances
WHERE run_id = %s AND portfolio = %s AND at <= %s ORDER BY id DESC LIMIT 1
"""

ACCEPT = "INSERT INTO paper_validation_acceptances (run_id, portfolio, by_whom, psr) VALUES (%s, %s, %s, %s)"


def current(engine: Engine, portfolio: str, criteria: Criteria) -> Verdict:
    """Return the verdict on a portfolio up to now: over the run that it is in, else over its whole life.

    Args:
        engine: of the database.
        portfolio: its name.
        criteria: of a preview; a run has its own.

    Raises:
        UnknownPortfolio: there is none of that name.
        DatabaseUnavailable: the database does not answer.
    """
    (verdict,) = verdicts(engine, criteria, portfolios=[portfolio])
    return verdict


def verdicts(
    engine: Engine, criteria: Criteria, *, name: str | None = None, portfolios: Sequence[str] = ()
) -> list[Verdict]:
    """Return the verdicts on portfolios up to now, all as of one moment.

    Args:
        engine: of the database.
        criteria: of previews; a run has its own.
        name: of a run, whose portfolios are meant; up to its end, if it has ended.
        portfolios: their names; all, unless some are given.

    Raises:
        InvalidRequest: there is no run of that name.
        UnknownPortfolio: there is no portfolio of that name, or the run has none.
        DatabaseUnavailable: the database does not answer.
    """
    with consistent_read(engine) as cursor:
        cursor.execute(PATIENT)
        ledger = ledger_differences(cursor)
        if name is not None:
            stored = run_named(cursor, name)
            for portfolio in portfolios:
                if portfolio not in stored.portfolios:
                    its = ", ".join(stored.portfolios)
                    msg = f"validation run {name} has no portfolio {quoted(portfolio)}; it has {its}"
                    raise UnknownPortfolio(msg)
            return [_of_run(cursor, each, stored, criteria, ledger) for each in portfolios or stored.portfolios]
        there = runs(cursor)
        names = portfolios or [
            row[0] for row in cursor.execute("SELECT portfolio FROM paper_trading_config ORDER BY 1").fetchall()
        ]
        return [_up_to_now(cursor, portfolio, criteria, there, ledger) for portfolio in names]


def _of_run(
    cursor: psycopg.Cursor,
    portfolio: str,
    stored: StoredRun,
    asked: Criteria,
    ledger: Sequence[str],
    whole: History | None = None,
) -> Verdict:
    """Return the verdict on a portfolio of a run, up to now or to the run's end; ``asked`` are the criteria now."""
    since = stored.run.started_at
    history = whole or read_history(cursor, portfolio, since=since, until=stored.run.ended_at, thinned=True)
    until = stored.run.ended_at or history.until
    return verdict_at(cursor, portfolio, stored, history, until, ledger, tuple(_other(stored.criteria, asked)))


def verdict_at(
    cursor: psycopg.Cursor,
    portfolio: str,
    stored: StoredRun,
    history: History,
    until: datetime,
    ledger: Sequence[str],
    notes: Sequence[str] = (),
) -> Verdict:
    """Return the verdict on a portfolio of a run as of ``until``, which is a function of what the database holds.

    Args:
        cursor: of a transaction that sees one moment.
        portfolio: its name.
        stored: the run.
        history: of the portfolio, at least from the run's beginning to ``until``.
        until: up to when.
        ledger: differences in the books.
        notes: sentences for people, before those on the figures.
    """
    since, settings = stored.run.started_at, stored.bound.process.settings
    age = float(settings.get("max_price_age") or PRICE_AGE)
    operations = read_operations(cursor, portfolio, since, until, age, stored.criteria.outcome_grace, ledger)
    sources, real = prices_of(cursor, portfolio, settings)
    run = stored.run
    if run.ended_at is not None and run.ended_at > until:
        run = replace(run, ended_at=None, end_reason=None)  # it went on then
    accepted = cursor.execute(ACCEPTED, [stored.run.id, portfolio, until]).fetchone()
    return judge(
        portfolio,
        history.during(since, until),
        operations,
        stored.criteria,
        real_prices=real,
        sources=sources,
        run=run,
        accepted_by=accepted[0] if accepted else None,
        notes=notes,
    )


def verdict_now(
    cursor: psycopg.Cursor, portfolio: str, criteria: Criteria, whole: History, ledger: Sequence[str]
) -> Verdict:
    """Return what `current` returns, of a history that has been read already.

    Args:
        cursor: of the transaction that it was read in.
        portfolio: its name.
        criteria: of a preview; a run has its own.
        whole: the portfolio's whole life.
        ledger: differences in the books.
    """
    return _up_to_now(cursor, portfolio, criteria, runs(cursor), ledger, whole)


def accept(cursor: psycopg.Cursor, verdict: Verdict, by_whom: str) -> None:
    """Record who takes an underpowered result as enough; it counts for the rest of the run.

    Raises:
        WriteRefused: the name is empty or too long.
    """
    assert verdict.run is not None
    cursor.execute(ACCEPT, [verdict.run.id, verdict.portfolio, by_whom, verdict.psr.value])


def _up_to_now(
    cursor: psycopg.Cursor,
    portfolio: str,
    criteria: Criteria,
    there: Sequence[StoredRun],
    ledger: Sequence[str],
    whole: History | None = None,
) -> Verdict:
    mine = [stored for stored in there if portfolio in stored.portfolios]
    for stored in mine:
        if stored.run.ended_at is None:
            return _of_run(cursor, portfolio, stored, criteria, ledger, whole)
    history = whole or read_history(cursor, portfolio, thinned=True)
    process = last_process(cursor)
    settings = process.settings if process is not None else {}
    age = float(settings.get("max_price_age") or PRICE_AGE)
    grace = criteria.outcome_grace
    sources, real = prices_of(cursor, portfolio, settings)
    return judge(
        portfolio,
        history,
        read_operations(cursor, portfolio, history.opening.time, history.until, age, grace, ledger),
        criteria,
        real_prices=real,
        sources=sources,
        notes=(PREVIEW.format(command_name()), *_ended(mine[-1].run if mine else None)),
    )


def _ended(run: Run | None) -> tuple[str, ...]:
    if run is None or run.ended_at is None:
        return ()
    return (f"the last run, {run.name}, ended at {format_time(run.ended_at)} UTC: {run.end_reason}",)


def _other(kept: Criteria, asked: Criteria) -> Iterator[str]:
    """Say which criteria are others than those of the settings now."""
    for name, value in kept.to_dict().items():
        if value != (now := asked.to_dict()[name]):
            yield f"validation_{name} is {now} in the settings now; the run keeps the {value} that it began with"


def prices_of(cursor: psycopg.Cursor, portfolio: str, settings: Mapping[str, Any]) -> tuple[tuple[str, ...], bool]:
    """Return where prices come from, by the fills and by what is set, and whether somebody could have got all of them.

    Args:
        cursor: of a transaction.
        portfolio: whose fills.
        settings: of a process.
    """
    sources = {row[0] for row in cursor.execute(SOURCES, [portfolio]).fetchall()}
    unreal = NOT_REAL | {row[0] for row in cursor.execute(UNREAL).fetchall()}
    kind, used = settings.get("prices"), settings.get("price_source")
    if used is not None:
        sources.add(str(used))
    elif kind == REAL:
        sources = sources or {str(settings.get("exchange"))}
    elif kind is not None:
        sources.add(kind if kind in NOT_REAL else "file")
    real = settings.get("real_prices") is not False
    return tuple(sorted(sources)), bool(sources) and real and not sources & unreal
