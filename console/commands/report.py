"""``run.py report``: reports the trading results on the screen, as a page, as CSV, as JSON."""

from __future__ import annotations

import gc
import webbrowser
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from actors.runtime.timer import SystemClock
from actors.settings import Settings
from console.database import ledger_reader
from console.display.format import answer, size, terminal
from console.listing.csv_rows import warn_of_formulas
from console.options import AsJson, Portfolio, with_settings
from console.report import files
from console.report.json_document import report_to_dict
from console.report.monte_carlo import MonteCarloRequest, monte_carlo_request, with_monte_carlo
from console.report.period import period
from console.report.terminal.page import print_reports
from domain.analytics.report import Report
from domain.errors import InvalidRequest
from domain.files.private_files import make_home
from domain.validation.criteria import Criteria
from domain.validation.verdict import Verdict
from domain.wording import did_you_mean, escape_control, quoted
from persistence.connections import Engine, pool
from persistence.queries import export, reports

Strategy = Annotated[
    str | None, typer.Option("--strategy", metavar="NAME", help="Only this strategy; (none) for decisions without one.")
]
Since = Annotated[
    str | None, typer.Option("--from", metavar="DAY", help="Start, a day or a time: 2026-01-31T12:00 (UTC).")
]
Until = Annotated[str | None, typer.Option("--to", metavar="DAY", help="End, a day (inclusive) or a time.")]
HtmlFile = Annotated[
    str | None, typer.Option("--html", metavar="FILE", help="Write the report as one self-contained page.")
]
Open = Annotated[
    bool, typer.Option("--open", help="Write the page, to report.html in home unless --html names a file, and open it.")
]
Benchmarks = Annotated[
    list[str] | None,
    typer.Option(
        "--benchmark", metavar="SYMBOL", help="Compare with holding this symbol, not BTC and ETH; may be repeated."
    ),
]
CsvFolder = Annotated[
    str | None,
    typer.Option(
        "--csv", metavar="FOLDER", help="Write decisions, orders, fills, trades, snapshots and results as CSV."
    ),
]
PAGE = "report.html"
MonteCarloPaths = Annotated[
    int | None,
    typer.Option(
        "--monte-carlo",
        metavar="N",
        min=100,
        max=100_000,
        help="Resample the daily returns in so many paths, for bands of value and drawdown.",
    ),
]
Seed = Annotated[
    int | None,
    typer.Option(
        "--seed", metavar="N", min=0, max=2**63 - 1, help="Seed of --monte-carlo; the same one, the same bands [1]."
    ),
]
Force = Annotated[bool, typer.Option("--force", help="With --csv: replace existing files.")]


@dataclass(frozen=True, slots=True)
class ReportRequest:
    """Selection and outputs of a report."""

    portfolio: str | None
    strategy: str | None
    since: datetime | None
    until: datetime | None
    benchmarks: tuple[str, ...] = ()
    html: Path | None = None
    csv: Path | None = None
    force: bool = False
    opened: bool = False
    monte_carlo: MonteCarloRequest | None = None


@with_settings
def report(
    settings: Settings,
    portfolio: Portfolio = None,
    strategy: Strategy = None,
    since: Since = None,
    until: Until = None,
    benchmark: Benchmarks = None,
    html: HtmlFile = None,
    csv: CsvFolder = None,
    force: Force = False,
    open_page: Open = False,
    monte_carlo: MonteCarloPaths = None,
    seed: Seed = None,
    as_json: AsJson = False,
) -> None:
    r"""Report value, performance, months, results by symbol and strategy, costs, positions, decisions, and validation.

    \b
      run.py report
      run.py report --portfolio default --from 2026-01-01 --to 2026-01-31
      run.py report --html report.html
      run.py report --open
      run.py report --csv exported

    It covers every portfolio unless one is named. The service need not run; a running one is not disturbed.
    docs/report.md explains each part and the files.
    """
    now = SystemClock().now()
    begin, end = period(since, until, now)
    request = ReportRequest(
        portfolio, strategy, begin, end, tuple(benchmark or ()),
        _page_file(settings, html, open_page),
        Path(csv).expanduser() if csv is not None else None,
        force,
        open_page,
        monte_carlo_request(monte_carlo, seed),
    )  # fmt: skip
    _require_valid(request, html, csv)
    _report(settings, request, as_json, now)


def print_report(
    settings: Settings,
    portfolio: str | None = None,
    strategy: str | None = None,
    since: str | None = None,
    until: str | None = None,
    *,
    as_json: bool,
) -> None:
    """Print a report as the command without files does, for the debug console; the options are those of the command."""
    now = SystemClock().now()
    begin, end = period(since, until, now)
    _report(settings, ReportRequest(portfolio, strategy, begin, end), as_json, now)


def _report(settings: Settings, request: ReportRequest, as_json: bool, now: datetime) -> None:
    with ledger_reader(settings) as reader, _garbage_collection_off():
        if request.portfolio is not None:
            reader.require_portfolio(request.portfolio)
        with pool(reader.url, "report") as engine:
            if request.html is None and request.csv is None:
                _show(engine, settings, request, as_json, now)
            else:
                _write(engine, settings, request, as_json, now)


def _page_file(settings: Settings, html: str | None, open_page: bool) -> Path | None:
    """Return the file of the page; None where none is to be written."""
    if html is not None:
        return Path(html).expanduser()
    if not open_page:
        return None
    try:
        make_home(settings.home)
    except OSError as error:
        raise InvalidRequest(
            f"--open: cannot create {settings.home}: {error.strerror}; name a file with --html"
        ) from error
    return settings.home / PAGE


def _require_valid(request: ReportRequest, html: str | None, csv: str | None) -> None:
    """Refuse contradictory options and places that cannot be written, before the slow read begins."""
    if request.force and request.csv is None:
        raise InvalidRequest("--force applies to --csv only; --html replaces an existing file")
    if request.csv is not None and request.strategy is not None:
        msg = "--csv writes complete portfolios: omit --strategy, and filter the files by their column strategy"
        raise InvalidRequest(msg)
    if request.benchmarks and request.strategy is not None:
        msg = "--benchmark compares the value of a portfolio, and a strategy has none: omit --strategy or --benchmark"
        raise InvalidRequest(msg)
    if request.monte_carlo is not None and request.strategy is not None:
        msg = (
            "--monte-carlo resamples the daily returns of a portfolio, and a strategy has none: omit --strategy or "
            "--monte-carlo"
        )
        raise InvalidRequest(msg)
    if request.monte_carlo is not None and request.csv is not None and request.html is None:
        raise InvalidRequest("--monte-carlo has no file in --csv: omit one of them, or name a page with --html")
    if any(not symbol.strip() for symbol in request.benchmarks):
        raise InvalidRequest("--benchmark is empty: name a symbol, such as BTC/USDT")
    if html == "" or csv == "":
        # An empty shell variable must not mean the working folder.
        option, kind = ("--html", "file") if html == "" else ("--csv", "folder")
        raise InvalidRequest(f"{option} is empty: name a {kind}")
    if request.html is not None:
        files.require_writable_file(request.html)
    if request.csv is not None:
        names = [f"{name}.csv" for name in export.FILES]
        files.require_writable_folder(request.csv, names, force=request.force)


@contextmanager
def _garbage_collection_off() -> Iterator[None]:
    """Switch off garbage collection: with half a million rows it would scan all of them again and again."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _read(engine: Engine, settings: Settings, request: ReportRequest) -> tuple[list[Report], dict[str, Verdict]]:
    """Read the requested reports, the portfolio with the most trades first, and the validation's verdicts."""
    collected, verdicts = [], {}
    names = _portfolio_names(engine, request)
    part = reports.ReportPart(request.since, request.until, request.strategy, request.benchmarks)
    # The database checks the ledger while this process reads and computes.
    with ThreadPoolExecutor(1) as executor, _progress() as progress:
        ledger = executor.submit(reports.differences, engine)
        for name in names:
            task = progress.add_task(escape_control(name), total=None, doing="reading")

            def show_progress(done: int, total: int, task: Any = task) -> None:
                doing = "computing" if done >= total else f"reading {done:,} of {total:,} rows"
                # One more than the total, because rich shows no time for a complete task.
                progress.update(task, completed=done, total=total + 1, doing=doing)

            report, verdicts[name] = reports.read_report_and_verdict(
                engine, name, Criteria.from_settings(settings), ledger.result, part, show_progress
            )
            progress.update(task, visible=False)
            # In a database with hand-written rows, trades may be older than their portfolio.
            in_period = request.until is None or report.until > report.since
            if in_period or report.trade_stats.traded or report.funnel.received:
                collected.append(with_monte_carlo(report, request.monte_carlo))
    if names and not collected:
        which = f"portfolio {request.portfolio}" if request.portfolio is not None else "every requested portfolio"
        raise InvalidRequest(f"the period ends before {which} began; omit --to, or choose a later one")
    return collected, verdicts


def _portfolio_names(engine: Engine, request: ReportRequest) -> list[str]:
    names = [request.portfolio] if request.portfolio is not None else reports.names(engine)
    if request.strategy is None:
        return names
    strategies = {name: reports.strategies(engine, name) for name in names}
    matching = [name for name in names if request.strategy in strategies[name]]
    if not matching:
        all_strategies = sorted({strategy for group in strategies.values() for strategy in group})
        where = f" in portfolio {request.portfolio}" if request.portfolio is not None else ""
        alternatives = f"; known: {', '.join(all_strategies) or 'none yet'}"
        hint = did_you_mean(request.strategy, all_strategies) or alternatives
        raise InvalidRequest(f"there is no strategy {quoted(request.strategy)}{where}{hint}")
    return matching


def _progress() -> Progress:
    """Return a progress bar on stderr that disappears at its end; a disabled one if stderr is not a terminal."""
    out = terminal(stderr=True)
    columns = SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[doing]}")
    return Progress(*columns, TimeElapsedColumn(), console=out, transient=True, disable=not out.file.isatty())


def _show(engine: Engine, settings: Settings, request: ReportRequest, as_json: bool, now: datetime) -> None:
    collected, verdicts = _read(engine, settings, request)
    portfolios = [report_to_dict(report, verdicts.get(report.portfolio)) for report in collected]

    def print_text() -> None:
        if not collected:
            terminal().print("No portfolios yet; the first start of the service creates the portfolio default.")
        print_reports(collected, verdicts, terminal(), now=now, ends=request.until)

    answer(as_json, {"made_at": now, "portfolios": portfolios}, print_text)


def _write(engine: Engine, settings: Settings, request: ReportRequest, as_json: bool, now: datetime) -> None:
    written: list[dict[str, Any]] = []
    if request.html is not None:
        written.append(_write_page(engine, settings, request, request.html, now))
    if request.csv is not None:
        written += _write_csv(engine, request, request.csv)

    def print_files() -> None:
        for entry in written:
            rows = f", {entry['rows']:,} {'row' if entry['rows'] == 1 else 'rows'}" if "rows" in entry else ""
            terminal().print(f"{entry['file']}: {size(entry['bytes'])}{rows}", soft_wrap=True)
        risky = sum(entry.get("formulas", 0) for entry in written)
        if risky:
            warn_of_formulas(risky)

    result: dict[str, Any] = {"made_at": now, "written": written}
    if request.opened and request.html is not None:
        result["opened"] = _open(request.html)
    answer(as_json, result, print_files)


def _open(file: Path) -> bool:
    """Open a page in the browser of the desktop, or in that of the variable BROWSER; return whether there is one."""
    try:
        opened = webbrowser.open(file.absolute().as_uri())
    except webbrowser.Error:
        opened = False
    if not opened:
        msg = f"cannot open a browser here (BROWSER can name one): open {file} yourself"
        terminal(stderr=True).print(msg, style="yellow", soft_wrap=True)
    return opened


def _write_page(
    engine: Engine, settings: Settings, request: ReportRequest, file: Path, now: datetime
) -> dict[str, Any]:
    from console.report.html.page import page  # noqa: PLC0415 - its template engine takes time to load

    collected, verdicts = _read(engine, settings, request)
    if not collected:
        raise InvalidRequest("there is no portfolio to report; the first start of the service creates one")
    with _progress() as progress:
        progress.add_task(escape_control(file.name), total=None, doing="drawing")
        text = page(collected, verdicts, made_at=now)
    return {"file": str(file), "bytes": files.write_atomically(file, text)}


def _write_csv(engine: Engine, request: ReportRequest, folder: Path) -> list[dict[str, Any]]:
    """Write all tables, or none of them."""
    with (
        files.folder_written_atomically(folder) as create,
        _progress() as progress,
        ExitStack() as open_files,
    ):
        task = progress.add_task("CSV", total=None, doing="counting")

        def begin(name: str) -> export.Write:
            file = open_files.enter_context(create(f"{name}.csv"))
            progress.update(task, doing=f"writing {name}")
            return file.write

        def show_progress(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total or None)

        written = {
            f"{rows.file}.csv": rows
            for rows in export.export(
                engine,
                begin,
                portfolio=request.portfolio,
                since=request.since,
                until=request.until,
                named=request.benchmarks,
                progress=show_progress,
            )
        }
    return [
        {
            "file": str(folder / name),
            "bytes": (folder / name).stat().st_size,
            "rows": rows.number,
            "formulas": rows.formulas,
        }
        for name, rows in written.items()
    ]
