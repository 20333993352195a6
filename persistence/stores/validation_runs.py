"""Validation runs: people begin and stop them; the program ends a run when something that it is bound to changes."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from domain.analytics.trade_stats import NO_STRATEGY
from domain.errors import InvalidRequest
from domain.program import command_name
from domain.validation.criteria import Criteria, Swept
from domain.validation.fingerprint import Change, Fingerprint, Process, UnlistedDecision, changes
from domain.validation.verdict import Run
from domain.wording import joined, quoted
from persistence.rows import from_row, named_rows, one_row
from persistence.stores.portfolios import DECIDED_IN, IDS, label, portfolio_id

MAX_REASON_LENGTH = 1_000
OPEN = "ended_at IS NULL"

RUNS = """
SELECT id, name, started_at, ended_at, end_reason, by_whom, epoch, version, settings::text, portfolios::text,
       strategies, criteria, allow_foreign,
       ARRAY(SELECT paper_portfolio_label(id) FROM jsonb_object_keys(portfolios) id ORDER BY 1) AS labels
FROM paper_validation_runs WHERE {} ORDER BY id
"""

PROCESS = "SELECT epoch, version, settings::text, started_at FROM paper_processes"
PROCESSES = f"{PROCESS} WHERE epoch > %s ORDER BY epoch"
LAST_PROCESS = f"{PROCESS} ORDER BY epoch DESC LIMIT 1"

NO_RULES = "ARRAY['portfolio', 'current_capital', 'name', 'life', 'replaced_at']"
"""Columns of a portfolio that no rule is: its name and its cash."""
PORTFOLIOS = f"SELECT portfolio, (to_jsonb(c) - {NO_RULES})::text FROM paper_trading_config c"

STRATEGY = f"coalesce(nullif(strategy, ''), '{NO_STRATEGY}')"
STRATEGIES = f"""
SELECT DISTINCT {STRATEGY} FROM trading_decisions d
WHERE {DECIDED_IN.format("ANY(%s)")} ORDER BY 1
"""

# Decisions of other strategies are rejected, but one may have been under way when the run began.
EXECUTED = f"""
SELECT DISTINCT ON (1) {STRATEGY} AS strategy, id::text, processed_at
FROM trading_decisions d
WHERE {DECIDED_IN.format("ANY(%(portfolios)s)")} AND {STRATEGY} <> ALL(%(strategies)s)
  AND status = 'executed' AND processed_at >= %(since)s
ORDER BY 1, processed_at, id
"""

FLOWS = """
SELECT format('%%s of %%s by %%s in portfolio %%s', kind, trim_scale(amount), author,
              paper_portfolio_label(portfolio)), ended_at
FROM paper_account_requests
WHERE status = 'done' AND kind IN ('deposit', 'withdrawal') AND portfolio = ANY(%(portfolios)s)
  AND ended_at >= %(since)s
ORDER BY ended_at, id
"""

INSERT = f"""
INSERT INTO paper_validation_runs (name, by_whom, epoch, version, settings, portfolios, strategies, criteria,
                                   allow_foreign)
SELECT %(name)s, %(by_whom)s, epoch, version, settings,
       (SELECT jsonb_object_agg(portfolio, to_jsonb(c) - {NO_RULES})
        FROM paper_trading_config c WHERE portfolio = ANY(%(portfolios)s)), %(strategies)s, %(criteria)s,
       %(allow_foreign)s
FROM paper_processes ORDER BY epoch DESC LIMIT 1
"""

# Not before the last day that has a verdict, and not before its beginning.
END = f"""
UPDATE paper_validation_runs r SET end_reason = %s, ended_at = least(paper_now(), greatest(
    %s::timestamptz, started_at,
    (SELECT (max(day) + 1)::timestamp AT TIME ZONE 'UTC' FROM paper_validation_verdicts WHERE run_id = r.id)))
WHERE id = %s AND {OPEN} RETURNING ended_at
"""

_loads = partial(json.loads, parse_float=Decimal)


@dataclass(frozen=True, slots=True)
class StoredRun:
    """A row of ``paper_validation_runs``.

    Attributes:
        allow_foreign: whether decisions of strategies that the run is not bound to are executed; they never count.
        labels: what people call the portfolios, sorted.
    """

    run: Run
    by_whom: str
    bound: Fingerprint
    criteria: Criteria
    allow_foreign: bool = False
    labels: tuple[str, ...] = ()

    @property
    def portfolios(self) -> tuple[str, ...]:
        """Their ids, sorted."""
        return tuple(sorted(self.bound.portfolios))


def runs(cursor: psycopg.Cursor, *, only_open: bool = False) -> list[StoredRun]:
    """Return the stored runs, oldest first."""
    return [_stored(row) for row in named_rows(cursor, RUNS.format(OPEN if only_open else "true"))]


def run_named(cursor: psycopg.Cursor, name: str) -> StoredRun:
    """Return the run of that name.

    Raises:
        InvalidRequest: there is none.
    """
    stored = next((stored for stored in runs(cursor) if stored.run.name == name), None)
    if stored is None:
        msg = f"there is no validation run {quoted(name)}; `{command_name()} validate list` shows the existing ones"
        raise InvalidRequest(msg)
    return stored


def last_process(cursor: psycopg.Cursor) -> Process | None:
    """Return the last process that served; None if none ever did."""
    return next(map(_process, named_rows(cursor, LAST_PROCESS)), None)


def changes_since_begin(cursor: psycopg.Cursor, stored: StoredRun) -> tuple[Change, ...]:
    """Return what has changed since a run began, by the database's records."""
    processes = list(map(_process, named_rows(cursor, PROCESSES, [stored.bound.process.epoch])))
    portfolios = {name: _loads(rules) for name, rules in cursor.execute(PORTFOLIOS).fetchall()}
    parameters = {
        "since": stored.run.started_at,
        "portfolios": list(stored.portfolios),
        "strategies": list(stored.bound.strategies),
    }
    executed = []
    if not stored.allow_foreign:
        executed = [UnlistedDecision(*row) for row in cursor.execute(EXECUTED, parameters).fetchall()]
    flows = [Change(*row) for row in cursor.execute(FLOWS, parameters).fetchall()]
    return (*changes(stored.bound, processes, portfolios, executed), *flows)


def end_changed(cursor: psycopg.Cursor) -> list[str]:
    """End the runs that are bound to something that has changed; return a message on each."""
    messages = []
    for stored in runs(cursor, only_open=True):
        found_changes = changes_since_begin(cursor, stored)
        if found_changes:
            reason = "; ".join(change.sentence for change in found_changes)
            # The run ends at the first change whose time is known; the verdict is on the time before.
            times = [change.at for change in found_changes if change.at is not None]
            if end(cursor, stored, reason, min(times, default=None)):
                messages.append(f"validation run {stored.run.name} has ended: {reason}")
    return messages


def end(cursor: psycopg.Cursor, stored: StoredRun, reason: str, at: datetime | None = None) -> bool:
    """End a run; return whether this call ended it.

    Args:
        cursor: of a transaction that writes.
        stored: the run.
        reason: for people.
        at: time of the end; None: now.
    """
    shortened = reason if len(reason) <= MAX_REASON_LENGTH else reason[: MAX_REASON_LENGTH - 1] + "…"
    ended_at = at if at is not None else now(cursor)
    return cursor.execute(END, [shortened, ended_at, stored.run.id]).fetchone() is not None


def begin(
    cursor: psycopg.Cursor,
    name: str | None,
    portfolios: Sequence[str],
    strategies: Sequence[str],
    criteria: Criteria,
    by_whom: str,
    *,
    allow_foreign: bool = False,
    swept: Callable[[Sequence[str]], Swept | None] = lambda _strategies: None,
) -> StoredRun:
    """Begin a run, bound to the current settings, rules and strategies.

    Args:
        cursor: of a transaction that writes.
        name: of the run; None: ``run-1`` and so on.
        portfolios: their names; empty: all.
        strategies: that may send decisions; empty: those that have sent some.
        criteria: of the run.
        by_whom: name of the person.
        allow_foreign: execute decisions of other strategies, without counting them.
        swept: returns the sweeps from which strategies of these names came.

    Raises:
        InvalidRequest: nothing has served the database yet, no strategy is known, the name was used, or a portfolio is
            in a run already.
        UnknownPortfolio: there is none of that name.
    """
    present = [row[1] for row in cursor.execute(IDS).fetchall()]
    chosen = list(dict.fromkeys(portfolio_id(cursor, name) for name in portfolios)) or present
    if closed := [label(cursor, id_) for id_ in chosen if id_ not in present]:
        raise InvalidRequest(f"portfolio {joined(closed)} is closed")
    if last_process(cursor) is None or not chosen:
        raise InvalidRequest(
            "nothing has served this database yet, so there are no settings to bind a run to; "
            f"run `{command_name()} start` first"
        )
    existing_runs = runs(cursor)
    run_names = {
        name: stored.run.name for stored in existing_runs if stored.run.ended_at is None for name in stored.portfolios
    }
    busy = [portfolio for portfolio in chosen if portfolio in run_names]
    if busy:
        reasons = joined(f"portfolio {label(cursor, id_)} is in run {run_names[id_]}" for id_ in busy)
        stop = f"{command_name()} validate stop {run_names[busy[0]]} --reason TEXT"
        raise InvalidRequest(f"{reasons} already, which must end first: {stop}")
    allowed = list(dict.fromkeys(strategy or NO_STRATEGY for strategy in strategies)) or [
        row[0] for row in cursor.execute(STRATEGIES, [chosen]).fetchall()
    ]
    if not allowed:
        raise InvalidRequest(
            f"no decision was sent to {joined(label(cursor, id_) for id_ in chosen)} yet, so name the strategies that "
            "will: --strategy NAME, "
            f"once for each ({NO_STRATEGY!r} for decisions that name none)"
        )
    names = {stored.run.name for stored in existing_runs}
    first = len(names) + 1
    numbered = (f"run-{number}" for number in range(first, first + first))
    name = name or next(candidate for candidate in numbered if candidate not in names)
    if name in names:
        raise InvalidRequest(f"there was a run {quoted(name)} already; choose another name")
    criteria = replace(criteria, swept=swept(allowed))
    values = {"name": name, "by_whom": by_whom, "portfolios": chosen, "strategies": allowed}
    cursor.execute(INSERT, {**values, "allow_foreign": allow_foreign, "criteria": Jsonb(criteria.to_dict())})
    return run_named(cursor, name)


def now(cursor: psycopg.Cursor) -> datetime:
    """Return the time of the database's clock."""
    time: datetime = one_row(cursor, "SELECT paper_now()")[0]
    return time


def _process(row: dict[str, Any]) -> Process:
    return from_row(Process, row, settings=_loads(row["settings"]))


def _stored(row: dict[str, Any]) -> StoredRun:
    bound = Fingerprint(_process(row), _loads(row["portfolios"]), tuple(row["strategies"]))
    return StoredRun(
        from_row(Run, row),
        row["by_whom"],
        bound,
        Criteria.from_dict(row["criteria"]),
        row["allow_foreign"],
        tuple(row["labels"]),
    )
