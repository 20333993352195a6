"""``run.py report``: how well it traded, on the screen, as a page, as CSV, as JSON."""

from __future__ import annotations

import difflib
import gc
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import typer
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from actors.settings import Settings
from console.database import ledger_reader
from console.display.format import answer, escape_control, size, terminal
from console.options import AsJson, DatabaseUrl, Home, LogLevel, Portfolio, quiet_settings
from console.report import files
from console.report.json_document import report_to_dict
from console.report.period import period
from console.report.terminal.page import print_reports
from domain.analytics.report import Report
from domain.errors import InvalidRequest
from domain.validation.criteria import Criteria
from domain.validation.verdict import Verdict
from domain.wording import counted, quoted
from persistence.connections import Engine, engine_for
from persistence.queries import export, reports
from persistence.queries.row_lists import LedgerReader

Strategy = Annotated[
    str | None, typer.Option("--strategy", metavar="NAME", help="Only this strategy; (none): decisions without one.")
]
Since = Annotated[
    str | None, typer.Option("--from", metavar="DAY", help="From this day on, or moment: 2026-01-31T12:00 (UTC).")
]
Until = Annotated[str | None, typer.Option("--to", metavar="DAY", help="Up to this day, all of it; or moment.")]
HtmlFile = Annotated[
    str | None, typer.Option("--html", metavar="FILE", help="Write it as one page, which needs nothing else.")
]
CsvFolder = Annotated[
    str | None,
    typer.Option("--csv", metavar="FOLDER", help="Write decisions, orders, fills, trades and snapshots as CSV."),
]
Force = Annotated[bool, typer.Option("--force", help="With --csv: replace files that are there already.")]


@dataclass(frozen=True, slots=True)
class Asked:
    """What a report is to be about."""

    portfolio: str | None
    strategy: str | None
    since: datetime | None
    until: datetime | None
    html: Path | None
    csv: Path | None
    force: bool


def report(
    portfolio: Portfolio = None,
    strategy: Strategy = None,
    since: Since = None,
    until: Until = None,
    html: HtmlFile = None,
    csv: CsvFolder = None,
    force: Force = False,
    as_json: AsJson = False,
    home: Home = None,
    database_url: DatabaseUrl = None,
    log_level: LogLevel = None,
) -> None:
    r"""Value, figures, months, results by symbol and strategy, costs, positions, decisions, and the gate.

    \b
      run.py report
      run.py report --portfolio default --from 2026-01-01 --to 2026-01-31
      run.py report --html report.html
      run.py report --csv exported

    Of every portfolio unless one is named. It works with nothing running, and disturbs nothing that runs.
    docs/report.md says what each part means, and what the files hold.
    """
    settings = quiet_settings(home=home, database_url=database_url, log_level=log_level)
    now = datetime.now(UTC)
    begin, end = period(since, until, now)
    asked = Asked(
        portfolio, strategy, begin, end,
        Path(html).expanduser() if html is not None else None,
        Path(csv).expanduser() if csv is not None else None,
        force,
    )  # fmt: skip
    _require_sense(asked, html, csv)
    with ledger_reader(settings) as reader, _uncollected():
        _require_known(reader, asked)
        engine = engine_for(reader.url, "report")
        try:
            if asked.html is None and asked.csv is None:
                _show(engine, settings, asked, as_json, now)
            else:
                _write(engine, settings, asked, as_json, now)
        finally:
            engine.dispose()


def _require_sense(asked: Asked, html: str | None, csv: str | None) -> None:
    """Refuse what contradicts itself, and places where nothing can be written, before a year is read."""
    if asked.force and asked.csv is None:
        raise InvalidRequest("--force counts with --csv only; --html replaces a file that is there")
    if asked.csv is not None and asked.strategy is not None:
        msg = "--csv writes whole portfolios: leave --strategy out, and choose rows by the files' column strategy"
        raise InvalidRequest(msg)
    if html == "" or csv == "":
        # An empty variable of a shell, which must not mean the working folder.
        option, what = ("--html", "file") if html == "" else ("--csv", "folder")
        raise InvalidRequest(f"{option} is empty: name a {what}")
    if asked.html is not None:
        files.require_writable_file(asked.html)
    if asked.csv is not None:
        names = [f"{table.file}.csv" for table in export.TABLES]
        files.require_writable_folder(asked.csv, names, force=asked.force)


def _require_known(reader: LedgerReader, asked: Asked) -> None:
    if asked.portfolio is not None:
        reader.require_portfolio(asked.portfolio)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Keep Python from looking for garbage: half a million rows make it look at all of them again and again."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _read(engine: Engine, settings: Settings, asked: Asked) -> tuple[list[Report], dict[str, Verdict]]:
    """Read the reports that are asked for, the portfolio that traded most first, and the gate's verdicts."""
    found, verdicts = [], {}
    chosen = _chosen(engine, asked)
    # The database goes over all books while this process reads and computes.
    with ThreadPoolExecutor(1) as beside, _progress() as shown:
        ledger = beside.submit(reports.differences, engine)
        for name in chosen:
            task = shown.add_task(escape_control(name), total=None, doing="reading")

            def told(done: int, whole: int, task: Any = task) -> None:
                doing = "computing" if done >= whole else f"reading {done:,} of {whole:,} rows"
                # One more than there are: a task that is complete tells no time any more.
                shown.update(task, completed=done, total=whole + 1, doing=doing)

            each, verdicts[name] = reports.read_report_and_verdict(
                engine, name, Criteria.from_settings(settings), ledger.result, since=asked.since, until=asked.until,
                strategy=asked.strategy, progress=told,
            )  # fmt: skip
            shown.update(task, escape_control=False)
            # A database that was put together by hand may have trades that are older than their portfolio.
            if asked.until is None or each.until > each.since or each.trade_stats.traded or each.funnel.received:
                found.append(each)
    if chosen and not found:
        which = f"portfolio {asked.portfolio}" if asked.portfolio is not None else "any portfolio asked for"
        raise InvalidRequest(f"the period ends before {which} began; leave --to out, or take a later one")
    return found, verdicts


def _chosen(engine: Engine, asked: Asked) -> list[str]:
    names = [asked.portfolio] if asked.portfolio is not None else reports.names(engine)
    if asked.strategy is None:
        return names
    known = {name: reports.strategies(engine, name) for name in names}
    chosen = [name for name in names if asked.strategy in known[name]]
    if not chosen:
        everywhere = sorted({each for each_known in known.values() for each in each_known})
        near = difflib.get_close_matches(asked.strategy, everywhere, n=1)
        where = f" in portfolio {asked.portfolio}" if asked.portfolio is not None else ""
        hint = f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(everywhere) or 'none yet'}"
        raise InvalidRequest(f"there is no strategy {quoted(asked.strategy)}{where}{hint}")
    return chosen


def _progress() -> Progress:
    """Return a bar on stderr, which goes when it is done; none where stderr is no terminal."""
    out = terminal(stderr=True)
    columns = SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[doing]}")
    return Progress(*columns, TimeElapsedColumn(), console=out, transient=True, disable=not out.file.isatty())


def _show(engine: Engine, settings: Settings, asked: Asked, as_json: bool, now: datetime) -> None:
    found, verdicts = _read(engine, settings, asked)
    document = {"made_at": now, "portfolios": [report_to_dict(each, verdicts.get(each.portfolio)) for each in found]}

    def said() -> None:
        if not found:
            terminal().print("No portfolios yet; the first start creates the portfolio default.")
        print_reports(found, verdicts, terminal(), now=now, ends=asked.until)

    answer(as_json, document, said)


def _write(engine: Engine, settings: Settings, asked: Asked, as_json: bool, now: datetime) -> None:
    written: list[dict[str, Any]] = []
    if asked.html is not None:
        written.append(_write_page(engine, settings, asked, asked.html, now))
    if asked.csv is not None:
        written += _write_csv(engine, asked, asked.csv)

    def said() -> None:
        for each in written:
            rows = f", {each['rows']:,} rows" if "rows" in each else ""
            terminal().print(f"{each['file']}: {size(each['bytes'])}{rows}", soft_wrap=True)
        risky = sum(each.get("formulas", 0) for each in written)
        if risky:
            rows = counted(risky, "row has", "rows have")
            msg = f"{rows} a text that a spreadsheet takes for a formula: import these columns as text"
            terminal(stderr=True).print(msg, style="yellow", soft_wrap=True)

    answer(as_json, {"made_at": now, "written": written}, said)


def _write_page(engine: Engine, settings: Settings, asked: Asked, file: Path, now: datetime) -> dict[str, Any]:
    from console.report.html.page import page  # noqa: PLC0415 - what draws it takes half a second to load

    found, verdicts = _read(engine, settings, asked)
    if not found:
        raise InvalidRequest("there is no portfolio yet, so there is nothing to report; the first start creates one")
    with _progress() as shown:
        shown.add_task(escape_control(file.name), total=None, doing="drawing")
        text = page(found, verdicts, made_at=now)
    return {"file": str(file), "bytes": files.write_atomically(file, text)}


def _write_csv(engine: Engine, asked: Asked, folder: Path) -> list[dict[str, Any]]:
    """Write the tables, all of them or none."""
    written: Mapping[str, export.Rows] = {}
    with files.folder_written_atomically(folder) as aside, _progress() as shown, ExitStack() as opened:
        task = shown.add_task("CSV", total=None, doing="counting")

        def begin(name: str) -> export.Write:
            file: BinaryIO = opened.enter_context((aside / f"{name}.csv").open("xb"))
            shown.update(task, doing=f"writing {name}")
            return file.write

        def told(done: int, whole: int) -> None:
            shown.update(task, completed=done, total=whole or None)

        written = {
            f"{rows.table.file}.csv": rows
            for rows in export.export(
                engine, begin, portfolio=asked.portfolio, since=asked.since, until=asked.until, progress=told
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
