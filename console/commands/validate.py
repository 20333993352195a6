"""``run.py validate``: judges validation runs, and whether a portfolio is ready for real money."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from typing import Annotated, Any

import typer

from actors.settings import Settings
from console.commands.halts import current_user
from console.completion import portfolio_names
from console.database import opened, running_url
from console.display.format import answer, sources_line, terminal
from console.display.table import full_table
from console.display.times import moment, utc_moment
from console.errors import NOT_READY
from console.options import AsJson, with_settings
from console.report.verdicts import print_verdicts, verdict_to_dict
from domain.errors import InvalidRequest
from domain.program import command_name
from domain.trading.arithmetic import plain
from domain.validation.criteria import Criteria, format_limit
from domain.validation.verdict import Verdict
from domain.wording import counted, did_you_mean, joined, one_line, quoted
from persistence.connections import Engine, pool, transaction
from persistence.queries import validation
from persistence.queries.row_lists import LedgerReader
from persistence.stores import validation_runs
from persistence.stores.validation_runs import StoredRun

RESERVED = frozenset({"show", "start", "stop", "list"})

HELP = r"""\b
  run.py validate                            judge the current run of each
  run.py validate spring                     judge a run
  run.py validate --portfolio default --json
  run.py validate --accept-underpowered WHO  accept an underpowered result
  run.py validate start spring               start a run

Exits 0 if both verdicts passed for every requested portfolio, else 4. Options of judging: run.py validate show --help.
"""

app = typer.Typer(rich_markup_mode=None, help=HELP)
Names = Annotated[
    list[str] | None,
    typer.Option(
        "--portfolio", metavar="NAME", help="Only this portfolio; repeatable.", autocompletion=portfolio_names
    ),
]
RunName = Annotated[str | None, typer.Argument(metavar="NAME", help="The name of a run.", show_default=False)]


@app.command()
@with_settings
def show(
    settings: Settings,
    name: RunName = None,
    portfolio: Names = None,
    accept_underpowered: Annotated[
        str | None,
        typer.Option("--accept-underpowered", metavar="WHO", help="Record who accepts an underpowered result."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    r"""Judge each portfolio up to now, over its current run; the word show is optional.

    \b
      run.py validate
      run.py validate spring --portfolio aggressive

    Exits 0 if both verdicts passed for every requested portfolio, else 4. docs/validation.md explains the criteria.
    """
    with _opened(settings) as engine:
        if name is not None:
            _require_run(engine, name)
        verdicts = _verdicts(engine, settings, name, portfolio or [])
        if accept_underpowered is not None:
            _accept(engine, verdicts, accept_underpowered)
            verdicts = _verdicts(engine, settings, name, portfolio or [])
    ready = bool(verdicts) and all(verdict.ready for verdict in verdicts)
    document = {"ready": ready, "portfolios": [verdict_to_dict(verdict) for verdict in verdicts]}
    answer(as_json, document, lambda: print_verdicts(verdicts))
    if not ready:
        raise typer.Exit(NOT_READY)


def _require_run(engine: Engine, name: str) -> None:
    """Require a run of that name; it may be a mistyped command, too."""
    with transaction(engine) as cursor:
        names = [stored.run.name for stored in validation_runs.runs(cursor)]
    if name not in names:
        meant = did_you_mean(name, [*RESERVED, *names]) or f"; `{command_name()} validate list` shows the others"
        raise InvalidRequest(f"there is no validation run {quoted(name)}{meant}")


@app.command()
@with_settings
def start(
    settings: Settings,
    name: RunName = None,
    portfolio: Names = None,
    strategy: Annotated[
        list[str] | None,
        typer.Option(
            "--strategy",
            metavar="NAME",
            help="A strategy that may send decisions; repeatable. Default: those that have; (none): no strategy.",
        ),
    ] = None,
    allow_foreign: Annotated[
        bool,
        typer.Option("--allow-foreign", help="Execute decisions of other strategies, too; they do not count."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    r"""Start a run of these portfolios with their rules, these strategies and the settings in effect.

    \b
      run.py validate start spring
      run.py validate start --portfolio aggressive --strategy momentum

    A change of rules or settings, a deposit or a withdrawal ends the run; decisions of other strategies are rejected,
    unless --allow-foreign is given. Its criteria are those of the settings now (run.py check shows them).
    """
    if name is not None and (name := name.strip()) in RESERVED:
        msg = f"a run cannot be named {name}, because that is a command of validate; choose another name"
        raise InvalidRequest(msg)
    from console.sweep.stored_sweeps import swept_before  # noqa: PLC0415 - numpy takes time to load

    with _opened(settings) as engine, transaction(engine) as cursor:
        url = running_url(settings)
        assert url is not None  # it is open
        begun = validation_runs.begin(
            cursor,
            name,
            portfolio or [],
            strategy or [],
            Criteria.from_settings(settings),
            current_user(),
            allow_foreign=allow_foreign,
            swept=partial(swept_before, settings.home, url),
        )
        used = [validation.prices_of(cursor, name, begun.bound.process.settings) for name in begun.portfolios]
    with closing(LedgerReader(url)) as ledger_reader:
        unknown = sorted(set(begun.bound.strategies) - set(ledger_reader.strategies()))
    sources = {name for by_name in used for name in by_name}
    not_real = {name for by_name in used for name, real in by_name.items() if not real}
    real_prices = all(map(validation.all_real, used))
    document = {"run": _row(begun), "price_sources": sorted(sources), "real_prices": real_prices}
    answer(as_json, document, lambda: _print_begun(begun, not_real, unknown))


@app.command()
@with_settings
def stop(
    settings: Settings,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="The reason, stored with the run.")],
    name: RunName = None,
    as_json: AsJson = False,
) -> None:
    r"""Stop a run; its results stay.

    \b
      run.py validate stop spring --reason "the model is retrained"
    """
    if not reason.strip():
        raise InvalidRequest("--reason must not be empty")
    with _opened(settings) as engine, transaction(engine) as cursor:
        stored = _run_to_stop(validation_runs.runs(cursor), name)
        validation_runs.end(cursor, stored, f"stopped by {current_user()}: {reason.strip()}")
        ended = validation_runs.run_named(cursor, stored.run.name)
    message = f"validation run {ended.run.name} has ended: {ended.run.end_reason}"
    answer(as_json, {"run": _row(ended)}, message)


@app.command("list")
@with_settings
def runs(settings: Settings, as_json: AsJson = False) -> None:
    """List the validation runs: portfolios, strategies, start, and the reason of the end."""
    with _opened(settings) as engine, transaction(engine) as cursor:
        stored_runs = validation_runs.runs(cursor)
    answer(as_json, {"runs": [_row(stored) for stored in stored_runs]}, lambda: _print_runs(stored_runs))


@contextmanager
def _opened(settings: Settings) -> Iterator[Engine]:
    """Yield an engine, after the end of runs that have changed; the service may not be running to notice a change."""
    with opened(settings) as url, pool(url, "validate") as engine:
        with transaction(engine) as cursor:
            validation_runs.end_changed(cursor)
        yield engine


def _verdicts(engine: Engine, settings: Settings, name: str | None, portfolios: list[str]) -> list[Verdict]:
    names = list(dict.fromkeys(portfolios))
    return validation.verdicts(engine, Criteria.from_settings(settings), name=name, portfolios=names)


def _accept(engine: Engine, verdicts: list[Verdict], who: str) -> None:
    """Record an acceptance for each portfolio that is ready apart from an underpowered result.

    Raises:
        InvalidRequest: there is no such portfolio.
    """
    acceptable = [verdict for verdict in verdicts if verdict.acceptable and verdict.accepted_by != who]
    if not who.strip():
        raise InvalidRequest("--accept-underpowered needs the name of the person who accepts it")
    if not acceptable and not any(verdict.acceptable for verdict in verdicts):
        reasons = "; ".join(f"portfolio {verdict.portfolio}: {_obstacle(verdict)}" for verdict in verdicts)
        raise InvalidRequest(f"--accept-underpowered has no effect: {reasons or 'there is no portfolio'}")
    with transaction(engine) as cursor:
        for verdict in acceptable:
            validation.accept(cursor, verdict, who.strip())


def _obstacle(verdict: Verdict) -> str:
    return joined(verdict.missing) if verdict.missing else "it is ready already"


def _run_to_stop(stored_runs: list[StoredRun], name: str | None) -> StoredRun:
    """Return the run to stop.

    Raises:
        InvalidRequest: it has ended, or the name is missing and several runs are open.
    """
    open_runs = [stored for stored in stored_runs if stored.run.ended_at is None]
    names = ", ".join(stored.run.name for stored in open_runs)
    if name is None:
        if len(open_runs) == 1:
            return open_runs[0]
        raise InvalidRequest(f"name the run to stop: {names}" if open_runs else "no validation run is open")
    for stored in stored_runs:
        if stored.run.name == name:
            if stored.run.ended_at is None:
                return stored
            msg = f"validation run {name} ended at {utc_moment(stored.run.ended_at)}: {stored.run.end_reason}"
            raise InvalidRequest(msg)
    msg = f"there is no validation run {name!r}; " + (f"open runs: {names}" if open_runs else "no run is open")
    raise InvalidRequest(msg)


def _row(stored: StoredRun) -> dict[str, Any]:
    run = stored.run
    return {
        "id": run.id,
        "name": run.name,
        "started_at": run.started_at,
        "by_whom": stored.by_whom,
        "portfolios": list(stored.labels),
        "strategies": list(stored.bound.strategies),
        "criteria": stored.criteria.to_dict(),
        "allow_foreign": stored.allow_foreign,
        "epoch": stored.bound.process.epoch,
        "version": stored.bound.process.version,
        "ended_at": run.ended_at,
        "end_reason": run.end_reason,
    }


def _print_begun(stored: StoredRun, not_real: set[str], unknown: Sequence[str]) -> None:
    out = terminal()
    names, strategies = stored.labels, stored.bound.strategies
    bound = (
        f"{'portfolio' if len(names) == 1 else 'portfolios'} {joined(names)}, "
        f"{'strategy' if len(strategies) == 1 else 'strategies'} {joined(strategies)}"
    )
    out.print(one_line(f"validation run {stored.run.name} has started: {bound}"), soft_wrap=True)
    out.print(f"required: {_required(stored.criteria)}", soft_wrap=True)
    if unknown:
        warning = f"No decision of {joined(unknown)} is known yet: is that the strategy that your agent states?"
        out.print(one_line(warning), style="yellow", soft_wrap=True)
    out.print("A change of settings or of a portfolio's rules, a deposit or a withdrawal ends it.")
    if stored.criteria.swept is not None:
        out.print(
            f"Sweeps of {joined(strategies)} had {counted(stored.criteria.swept.trials, 'trial')}, so the deflated "
            "Sharpe ratio counts in place of PSR(0).",
            soft_wrap=True,
        )
    foreign = "executed and do not count" if stored.allow_foreign else "rejected"
    out.print(f"Decisions of other strategies are {foreign}.")
    if (unreal := sources_line(not_real)) is not None:
        out.print(f"{unreal}, so this run cannot become ready", style="yellow", soft_wrap=True)


def _required(criteria: Criteria) -> str:
    return (
        f"{criteria.min_days} days, {criteria.min_trades} round trips, win rate {format_limit(criteria.min_win_rate)}, "
        f"Sharpe ratio {plain(criteria.min_sharpe)}, drawdown at most {format_limit(criteria.max_drawdown)}, "
        f"PSR(0) {format_limit(criteria.min_psr)}"
    )


def _print_runs(stored_runs: list[StoredRun]) -> None:
    out = terminal()
    if not stored_runs:
        out.print(f"no validation run yet; start one with `{command_name()} validate start`")
        return
    rows = [
        (
            stored.run.name, moment(stored.run.started_at), moment(stored.run.ended_at), ", ".join(stored.labels),
            ", ".join(stored.bound.strategies), stored.by_whom, stored.run.end_reason or "open",
        )
        for stored in stored_runs
    ]  # fmt: skip
    columns = ["run", "started", "ended", "portfolios", "strategies", "by", "end reason"]
    out.print(full_table(out, columns, rows, gives_way=["by", "strategies", "portfolios", "ended"]))
