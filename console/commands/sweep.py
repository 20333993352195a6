"""``run.py sweep``: tries a strategy with many values of its parameters, and says how much of the best one is luck."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from shutil import rmtree
from typing import Annotated, Any

import typer

from actors.runtime.timer import SystemClock
from actors.settings import Settings
from console.commands.backtest import (
    FILLS,
    Files,
    FillAt,
    History,
    RulesFile,
    Since,
    Symbols,
    TimeframeName,
    Until,
    chosen_symbols,
    first_moment,
    rule_values,
)
from console.completion import one_of
from console.display.format import answer, size, terminal
from console.listing.since import parse_duration
from console.options import AsJson, with_settings
from console.report import files
from console.report.period import period
from console.sweep.document import sweep_document
from console.sweep.outcome import PricesUsed, SweepOutcome
from console.sweep.running import FOLDER, PRICES, EndedRun, begun, file_of, run_sweep, trial_store
from console.sweep.terminal import print_outcome
from domain.errors import InvalidRequest
from domain.files.private_files import make_home
from domain.sweeps.trial import Sweep
from domain.trading.arithmetic import plain
from domain.types import DEFAULT_PORTFOLIO
from domain.wording import counted, one_line, quoted
from persistence.version import version
from research.backtest.pieces import Market
from research.loading import SUFFIX, is_strategy
from research.market_data import MarketRequest, OpenedMarket, open_market
from research.portfolio_rules import portfolio_rules
from research.statistics.objectives import OBJECTIVES, objective_named
from research.sweeps import samplers
from research.sweeps.backtest_trial import Workplace
from research.sweeps.cluster import RayWorkers
from research.sweeps.folds import NO_TIME
from research.sweeps.preparation import FoldOptions, SweepRequest, Variants, prepared
from research.sweeps.shared_prices import store_prices
from research.sweeps.workers import LocalWorkers, LocatedWorkers, Workers

MAX_WORKERS = 1_000
MAX_SEED = 2**63 - 1

Strategy = Annotated[
    str, typer.Argument(metavar="STRATEGY", help="module:Class, or a file.py of a strategy.", show_default=False)
]
Param = Annotated[
    list[str] | None,
    typer.Option("--param", metavar="K=VALUES", help="5:50:5 (from:to:step), 5,10,20 or long,both; repeatable."),
]
Trials = Annotated[int | None, typer.Option("--trials", min=1, metavar="N", help="Number of trials at most.")]
SamplerName = Annotated[
    str | None,
    typer.Option(
        "--sampler",
        metavar="grid|random|tpe",
        help="Which points are tried [grid; with --trials: random].",
        autocompletion=one_of(samplers.NAMES),
    ),
]
Objective = Annotated[
    str,
    typer.Option(
        "--objective",
        metavar="NAME",
        help="sharpe, sortino, calmar, return or drawdown.",
        autocompletion=one_of(OBJECTIVES),
    ),
]
Folds = Annotated[int, typer.Option("--folds", metavar="N", help="Folds of the walk through the history.")]
Embargo = Annotated[
    str, typer.Option("--embargo", metavar="TIME", help="Left out between training and test, such as 1d; 0: nothing.")
]
Purge = Annotated[
    str,
    typer.Option("--purge", metavar="TIME", help="Left out besides: the longest time that a position is held [0]."),
]
TrainDays = Annotated[
    int | None, typer.Option("--train-days", metavar="N", help="Train on the last N days before each test [all].")
]
WorkerCount = Annotated[
    int | None,
    typer.Option("--workers", min=1, max=MAX_WORKERS, metavar="N", help="Processes of this machine [one a processor]."),
]
RayAddress = Annotated[
    str | None, typer.Option("--ray", metavar="ADDRESS", help="Run on a Ray cluster: auto, or host:port of its head.")
]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with the same sweep, which was stopped or killed.")]
Seed = Annotated[
    int, typer.Option("--seed", min=0, max=MAX_SEED, metavar="N", help="Seed of the draws of the sampler.")
]
InDatabase = Annotated[
    bool, typer.Option("--database", help="Keep the trials in the database, not in home/sweeps/trials.db.")
]
HtmlFile = Annotated[
    str | None, typer.Option("--html", metavar="FILE", help="Write the result as one self-contained page.")
]


@dataclass(frozen=True, slots=True)
class _Opened:
    """What a sweep is made of, once its prices are read."""

    sweep: Sweep
    variants: Variants
    market: Market
    prices: PricesUsed


@with_settings
def sweep_command(
    settings: Settings,
    strategy: Strategy,
    prices: Files = None,
    history: History = False,
    symbols: Symbols = None,
    timeframe: TimeframeName = None,
    exchange: Annotated[
        str | None,
        typer.Option("--exchange", metavar="E", help="Take this one where the history has a symbol from several."),
    ] = None,
    since: Since = None,
    until: Until = None,
    param: Param = None,
    trials: Trials = None,
    sampler: SamplerName = None,
    objective: Objective = "sharpe",
    folds: Folds = 5,
    embargo: Embargo = "1d",
    purge: Purge = "0",
    train_days: TrainDays = None,
    rules_file: RulesFile = None,
    fill_at: FillAt = "open",
    workers: WorkerCount = None,
    ray: RayAddress = None,
    resume: Resume = False,
    seed: Seed = 1,
    database: InDatabase = False,
    html: HtmlFile = None,
    as_json: AsJson = False,
) -> None:
    r"""Try a strategy with many values of its parameters, and say how much of the best one is luck.

    \b
      run.py sweep dip.py --history --param bars=12:72:12 \
        --param depth=0.01,0.02,0.03
      run.py sweep dip.py prices.csv --param depth=0.005:0.05 \
        --trials 200 --sampler tpe

    Each trial is backtested on the training days and on the test days of each fold, and stored before it runs: it
    counts as an attempt whatever becomes of it. A sweep that was stopped or killed goes on with --resume.
    docs/sweeps.md explains the verdict.
    """
    clock = SystemClock()
    now = clock.now()
    begin, end = period(since, until, now)
    page = _page(html)
    if fill_at not in FILLS:
        raise InvalidRequest(f"--fill-at {quoted(fill_at)}: must be open or close")
    if history and prices:
        raise InvalidRequest(f"--history and {quoted(prices[0])} are two sources of prices; name one of them")
    if workers is not None and ray is not None:
        raise InvalidRequest(f"--workers {workers} and --ray {ray} are two places to run; name one of them")
    if not is_strategy(strategy):
        raise InvalidRequest(f"{strategy} is no strategy: name module:Class, or a file such as dip.py")
    # What is wrong is known before the prices are read.
    variants = Variants.of(strategy, param or [])
    chosen = sampler or (samplers.GRID if trials is None else samplers.RANDOM)
    samplers.sampler(chosen, variants.space, trials, seed)
    if not resume:  # one that was begun before such grids were refused goes on
        samplers.refuse_spans(chosen, variants.space, trials)
    objective_named(objective)
    values = rule_values(settings, rules_file)
    portfolio_rules(DEFAULT_PORTFOLIO, values)
    source = MarketRequest(
        prices or (), settings.home, now, chosen_symbols(symbols), timeframe, exchange or settings.exchange, end,
        settings.quote_currency,
    )  # fmt: skip
    division = FoldOptions(folds, _duration("--embargo", embargo), _duration("--purge", purge), train_days)
    portfolio = {
        "rules": {name: _storable(value) for name, value in values.items()},
        "same_currency": sorted(settings.same_currency),
        "fill_at_close": FILLS[fill_at],
    }

    def request(market: OpenedMarket) -> SweepRequest:
        first = first_moment(market, begin, since)
        return SweepRequest(strategy, tuple(param or ()), chosen, trials, seed, objective, division, first, portfolio)

    opened = _opened(source, request, variants, now)
    place = _place(strategy, source, opened.sweep.data_manifest)
    make_home(settings.home)
    with trial_store(settings, in_database=database) as store:
        sweep = begun(store, opened.sweep, resume=resume)
        _print_notes(opened, workers, ray)
        store_prices(place.prices.parent, opened.market, sweep.data_manifest)
        try:
            run = run_sweep(
                sweep, store, variants.sampler(sweep.plan), lambda: _workers(place, workers, ray), clock.now
            )
        finally:
            # They are written again where they are missing, as by another process that works on the same sweep.
            rmtree(place.prices, ignore_errors=True)
    outcome = SweepOutcome.of(sweep, opened.prices, run, clock.now())
    _answer(outcome, None if database else file_of(settings.home), page, as_json=as_json)


def _opened(
    source: MarketRequest, request: Callable[[OpenedMarket], SweepRequest], variants: Variants, now: datetime
) -> _Opened:
    """Read the prices, and fix the sweep."""
    at = time.perf_counter()
    opened = open_market(source)
    market, seconds = opened.market, time.perf_counter() - at
    sweep = prepared(request(opened), variants, market, version(), now)
    used = PricesUsed([one.symbol for one in market.columns], sum(map(len, market.columns)), opened.notes, seconds)
    return _Opened(sweep, variants, market, used)


def _place(strategy: str, source: MarketRequest, manifest: str) -> Workplace:
    """Return where workers have strategy and prices: by whole paths, for they may have another working folder."""
    place, colon, name = strategy.rpartition(":") if not strategy.endswith(SUFFIX) else (strategy, "", "")
    if place.endswith(SUFFIX):
        strategy = f"{_whole(place)}{colon}{name}"
    home = _whole(str(source.home))
    elsewhere = replace(source, files=[str(_whole(name)) for name in source.files], home=home)
    return Workplace(strategy, home / FOLDER / PRICES / manifest, elsewhere)


def _whole(path: str) -> Path:
    return Path(path).expanduser().absolute()


def _workers(place: Workplace, count: int | None, ray: str | None) -> Workers:
    inner: Workers = RayWorkers(ray) if ray is not None else LocalWorkers(count or len(os.sched_getaffinity(0)))
    return LocatedWorkers(inner, {"workplace": place})


def _page(html: str | None) -> Path | None:
    """Refuse a place that cannot be written before the slow part begins."""
    if html is None:
        return None
    if html == "":
        raise InvalidRequest("--html is empty: name a file")
    page = Path(html).expanduser()
    files.require_writable_file(page)
    return page


def _duration(option: str, text: str) -> timedelta:
    return NO_TIME if text.strip() in {"0", "0d"} else parse_duration(option, text)


def _storable(value: object) -> object:
    return plain(value) if isinstance(value, Decimal) else value


def _print_notes(opened: _Opened, workers: int | None, ray: str | None) -> None:
    err = terminal(stderr=True)
    for note in opened.prices.notes:
        err.print(one_line(note), style="dim", soft_wrap=True)
    plan = opened.sweep.plan
    size = opened.variants.space.size
    tried = f"{counted(min(plan.trials or size, size), 'trial')} of {size:,} ({plan.sampler})"
    where = f"the Ray cluster {ray}" if ray is not None else counted(workers or len(os.sched_getaffinity(0)), "worker")
    err.print(
        f"{tried} on {counted(len(plan.folds), 'fold')}, the first trained from {plan.folds[0].train.begin:%Y-%m-%d} "
        f"and tested from {plan.folds[0].test.begin:%Y-%m-%d} on; {where}",
        style="dim",
        soft_wrap=True,
    )


def _answer(outcome: SweepOutcome, store: Path | None, page: Path | None, *, as_json: bool) -> None:
    document = sweep_document(outcome, store)
    written: list[Mapping[str, Any]] = []
    if page is not None:
        from console.sweep.page import sweep_page  # noqa: PLC0415 - its template engine takes time to load

        written.append({"file": str(page), "bytes": files.write_atomically(page, sweep_page(outcome))})
        document["written"] = written
    answer(as_json, document, lambda: _print(outcome, written))


def _print(outcome: SweepOutcome, written: list[Mapping[str, Any]]) -> None:
    out, err = terminal(), terminal(stderr=True)
    for note in outcome.notes[len(outcome.prices.notes) :]:
        err.print(one_line(note), style="dim", soft_wrap=True)
    err.print(_done(outcome.run), style="dim", soft_wrap=True)
    print_outcome(outcome, out)
    for entry in written:
        out.print(f"{entry['file']}: {size(entry['bytes'])}", soft_wrap=True)


def _done(run: EndedRun) -> str:
    if not run.ran:
        return f"all {counted(len(run.trials), 'run')} were stored already; nothing was run again"
    return f"{counted(run.ran, 'run')} in {run.seconds:.1f} s ({run.ran / run.seconds:.1f} a second)"
