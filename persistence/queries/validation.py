"""Validation verdicts from the database: the period, the rows that the criteria need, and the acceptances."""

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
from domain.validation.criteria import Criteria
from domain.validation.progress import Progress, progress_of
from domain.validation.verdict import Run, Verdict, judge
from domain.wording import format_time, joined, quoted
from persistence.queries.history import consistent_read, read_history
from persistence.queries.operational_criteria import ledger_differences, read_operations
from persistence.stores.portfolios import IDS, label, portfolio_id
from persistence.stores.validation_runs import StoredRun, last_process, run_named, runs

EXCHANGE, SIMULATED = "ccxt", "simulated"
DEFAULT_PRICE_AGE_S = 30.0
"""`max_price_age` if no process has stored its own."""
PREVIEW = "no validation run is stored: this covers the portfolio's whole history; `{} validate start` begins a run"

# A long read blocks no other session, and the program computes between two statements.
IDLE_TIMEOUT = "SET LOCAL idle_in_transaction_session_timeout = '10min'"

SOURCES = "SELECT price_source, bool_and(real_prices) FROM v_paper_fill_sources WHERE portfolio_id = %s GROUP BY 1"

ACCEPTED = """
SELECT by_whom FROM paper_validation_acceptances
WHERE run_id = %s AND portfolio = %s AND at <= %s ORDER BY id DESC LIMIT 1
"""

EXISTING = "SELECT portfolio FROM paper_trading_config"
ACCEPT = """
INSERT INTO paper_validation_acceptances (run_id, portfolio, by_whom, psr)
VALUES (%s, paper_portfolio_id(%s), %s, %s)
"""


def verdicts(
    engine: Engine, criteria: Criteria, *, name: str | None = None, portfolios: Sequence[str] = ()
) -> list[Verdict]:
    """Return the verdicts on portfolios up to now, all from one snapshot of the database.

    Args:
        engine: of the database.
        criteria: of previews; a run has its own.
        name: of a run, to get the verdicts on its portfolios, up to its end if it has ended.
        portfolios: their names; empty: all.

    Raises:
        InvalidRequest: there is no run of that name.
        UnknownPortfolio: there is no portfolio of that name, or the run has none.
        DatabaseUnavailable: the database does not answer.
    """
    with consistent_read(engine) as cursor:
        cursor.execute(IDLE_TIMEOUT)
        ledger = ledger_differences(cursor)
        ids = [portfolio_id(cursor, portfolio) for portfolio in portfolios]
        if name is not None:
            stored = run_named(cursor, name)
            for portfolio, id_ in zip(portfolios, ids, strict=True):
                if id_ not in stored.portfolios:
                    names_in_run = ", ".join(label(cursor, one) for one in stored.portfolios)
                    msg = f"validation run {name} has no portfolio {quoted(portfolio)}; it has {names_in_run}"
                    raise UnknownPortfolio(msg)
            return [_of_run(cursor, id_, stored, criteria, ledger) for id_ in ids or stored.portfolios]
        all_runs = runs(cursor)
        present = [row[1] for row in cursor.execute(IDS).fetchall()]
        return [_up_to_now(cursor, id_, criteria, all_runs, ledger) for id_ in ids or present]


def open_progress(engine: Engine) -> list[Progress]:
    """Return how far each open run is with each of its portfolios.

    Raises:
        DatabaseUnavailable: the database does not answer.
    """
    with consistent_read(engine) as cursor:
        open_runs = runs(cursor, only_open=True)
        if not open_runs:
            return []
        cursor.execute(IDLE_TIMEOUT)
        ledger, existing = ledger_differences(cursor), {row[0] for row in cursor.execute(EXISTING)}
        return [
            progress_of(_of_run(cursor, portfolio, stored, stored.criteria, ledger))
            for stored in open_runs
            for portfolio in stored.portfolios
            if portfolio in existing
        ]


def _of_run(
    cursor: psycopg.Cursor,
    portfolio: str,
    stored: StoredRun,
    current_criteria: Criteria,
    ledger: Sequence[str],
    full_history: History | None = None,
) -> Verdict:
    """Return the verdict on a portfolio of a run, up to now or to the run's end."""
    since = stored.run.started_at
    history = full_history or read_history(cursor, portfolio, since=since, until=stored.run.ended_at, thinned=True)
    until = stored.run.ended_at or history.until
    return verdict_at(
        cursor, portfolio, stored, history, until, ledger, tuple(_changed_criteria(stored.criteria, current_criteria))
    )


def verdict_at(
    cursor: psycopg.Cursor,
    portfolio: str,
    stored: StoredRun,
    history: History,
    until: datetime,
    ledger: Sequence[str],
    notes: Sequence[str] = (),
) -> Verdict:
    """Return the verdict on a portfolio of a run as of ``until``; it depends on the database alone.

    Args:
        cursor: of `consistent_read`.
        portfolio: its id.
        stored: the run.
        history: of the portfolio, at least from the run's beginning to ``until``.
        until: end of the period.
        ledger: differences in the books.
        notes: messages for people, before those on the metrics.
    """
    since, settings = stored.run.started_at, stored.bound.process.settings
    age = float(settings.get("max_price_age") or DEFAULT_PRICE_AGE_S)
    strategies = stored.bound.strategies
    grace = stored.criteria.outcome_grace
    operations = read_operations(cursor, portfolio, since, until, age, grace, ledger, strategies)
    sources = prices_of(cursor, portfolio, settings)
    run = stored.run
    if run.ended_at is not None and run.ended_at > until:
        run = replace(run, ended_at=None, end_reason=None)  # the run went on at that time
    accepted = cursor.execute(ACCEPTED, [stored.run.id, portfolio, until]).fetchone()
    return judge(
        label(cursor, portfolio),
        history.during(since, until),
        operations,
        stored.criteria,
        real_prices=all_real(sources),
        sources=sorted(sources),
        run=run,
        accepted_by=accepted[0] if accepted else None,
        notes=(*notes, *_trusted_hosts(settings)),
        strategies=strategies,
    )


def verdict_now(
    cursor: psycopg.Cursor, portfolio: str, criteria: Criteria, history: History, ledger: Sequence[str]
) -> Verdict:
    """Return the verdict on a portfolio up to now, from a history that was read already.

    Args:
        cursor: of the transaction in which it was read.
        portfolio: its id.
        criteria: of a preview; a run has its own.
        history: of the portfolio's whole life.
        ledger: differences in the books.
    """
    return _up_to_now(cursor, portfolio, criteria, runs(cursor), ledger, history)


def accept(cursor: psycopg.Cursor, verdict: Verdict, by_whom: str) -> None:
    """Store that a person accepts an underpowered result; it holds for the rest of the run.

    Raises:
        WriteRefused: the name is empty or too long.
    """
    assert verdict.run is not None
    cursor.execute(ACCEPT, [verdict.run.id, verdict.portfolio, by_whom, verdict.psr.value])


def _up_to_now(
    cursor: psycopg.Cursor,
    portfolio: str,
    criteria: Criteria,
    all_runs: Sequence[StoredRun],
    ledger: Sequence[str],
    full_history: History | None = None,
) -> Verdict:
    own_runs = [stored for stored in all_runs if portfolio in stored.portfolios]
    for stored in own_runs:
        if stored.run.ended_at is None:
            return _of_run(cursor, portfolio, stored, criteria, ledger, full_history)
    history = full_history or read_history(cursor, portfolio, thinned=True)
    process = last_process(cursor)
    settings = process.settings if process is not None else {}
    age = float(settings.get("max_price_age") or DEFAULT_PRICE_AGE_S)
    grace = criteria.outcome_grace
    sources = prices_of(cursor, portfolio, settings)
    return judge(
        label(cursor, portfolio),
        history,
        read_operations(cursor, portfolio, history.opening.time, history.until, age, grace, ledger),
        criteria,
        real_prices=all_real(sources),
        sources=sorted(sources),
        notes=(
            PREVIEW.format(command_name()),
            *_ended(own_runs[-1].run if own_runs else None),
            *_trusted_hosts(settings),
        ),
    )


def _ended(run: Run | None) -> tuple[str, ...]:
    if run is None or run.ended_at is None:
        return ()
    return (f"the last run, {run.name}, ended at {format_time(run.ended_at)} UTC: {run.end_reason}",)


def _trusted_hosts(settings: Mapping[str, Any]) -> Iterator[str]:
    """Yield a message where prices of other hosts count as those of the exchange, because a person said so."""
    if (hosts := settings.get("exchange_trusted_hosts")) and settings.get("prices") == EXCHANGE:
        exchange = settings.get("exchange")
        yield f"prices from {joined(hosts)} count as those of {exchange}: exchange_trusted_hosts says so"


def _changed_criteria(kept: Criteria, current: Criteria) -> Iterator[str]:
    """Yield a message for each criterion of a run that differs from the current settings."""
    for name, value in kept.to_dict().items():
        if value != (now := current.to_dict()[name]):
            yield f"validation_{name} is {now} in the settings now; the run keeps the {value} that it began with"


def prices_of(cursor: psycopg.Cursor, portfolio: str, settings: Mapping[str, Any]) -> dict[str, bool]:
    """Return the sources of the prices, by fills and settings, each with whether its prices are real.

    Args:
        cursor: of a transaction.
        portfolio: of the fills.
        settings: of a process; an early version recorded only the setting ``prices``, not the source in use.
    """
    sources: dict[str, bool] = dict(cursor.execute(SOURCES, [portfolio]).fetchall())
    kind, used, real = settings.get("prices"), settings.get("price_source"), settings.get("real_prices") is not False
    if used is None and kind == EXCHANGE:
        used = None if sources else settings.get("exchange")
    elif used is None and kind is not None:
        used, real = kind if kind == SIMULATED else "file", False
    if used is not None:
        sources[str(used)] = sources.get(str(used), True) and real
    return sources


def all_real(sources: Mapping[str, bool]) -> bool:
    """Return whether all prices are real; False where no source is known.

    Args:
        sources: see `prices_of`.
    """
    return bool(sources) and all(sources.values())
