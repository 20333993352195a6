"""``run.py history import``: reads files of prices in many dialects into the history."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from actors.runtime.timer import SystemClock
from actors.settings import Settings
from console.display.format import answer, terminal
from console.errors import WRONG_INPUT
from console.options import AsJson, grouped, with_home
from domain.errors import SettingsError
from domain.trading.arithmetic import exact_number
from domain.types import Symbol
from domain.wording import alternatives, did_you_mean, escape_control, one_line, quoted, requirement
from market.history.dialects.reading import MAX_BAD_ROWS, BarTime, ReadOptions
from market.history.dialects.registry import NAMES
from market.history.import_job import Imported, ImportJob, Refused, Target
from market.history.paths import price_files
from market.history.recognition.symbols import is_symbol
from market.history.storage.manifest import InstrumentValues
from market.history.store import DEFAULT_EXCHANGE, HistoryStore
from market.history.timeframe import Timeframe

MAX_PRINTED_REPORTS = 5
"""So many files of a series are described one by one."""


def _option(name: str, metavar: str, help_text: str) -> Any:
    return Annotated[str | None, typer.Option(name, metavar=metavar, help=help_text)]


def _choice(names: str, help_text: str) -> Any:
    return Annotated[bool | None, typer.Option(names, help=help_text)]


def read_options(**options: Any) -> ReadOptions:
    """Return what a person says about files of prices.

    Raises:
        SettingsError: an option has a wrong value.
    """
    values: dict[str, Any] = {}
    if (symbol := options["symbol"]) is not None:
        if not is_symbol(symbol):
            raise SettingsError(f"--symbol {quoted(symbol)}: must be one such as BTC/USDT or AAPL")
        values["symbol"] = Symbol(symbol)
    if (text := options["timeframe"]) is not None:
        try:
            values["timeframe"] = Timeframe.parse(text)
        except ValueError as error:
            raise SettingsError(f"--timeframe: {error}") from None
    if (name := options["dialect"]) is not None:
        if name not in NAMES:
            hint = did_you_mean(name, NAMES)
            raise SettingsError(f"--as {quoted(name)}: must be {alternatives(NAMES)}{hint}")
        values["dialect"] = name
    if (text := options["bar_time"]) is not None:
        moments = {moment.value: moment for moment in BarTime}
        if text not in moments:
            raise SettingsError(f"--bar-time {quoted(text)}: must be {alternatives(moments)}")
        values["bar_time"] = moments[text]
    values |= {name: options[name] for name in ("day_first", "decimal_comma") if options[name] is not None}
    if (text := options["max_bad_rows"]) is not None:
        share = _number("--max-bad-rows", text)
        if not 0 <= share <= 1:
            raise SettingsError(f"--max-bad-rows {quoted(text)}: must be a fraction from 0 to 1")
        values["max_bad_rows"] = share
    return ReadOptions(**values)


def instrument_values(**values: str | None) -> InstrumentValues:
    """Return the values of an instrument that options state.

    Raises:
        SettingsError: one is no number, or out of range.
    """
    stated: dict[str, object] = {
        name: text.strip() if name == "asset_class" else _number(_as_option(name), text)
        for name, text in values.items()
        if text is not None
    }
    try:
        return InstrumentValues.model_validate(stated)
    except ValidationError as error:
        first = error.errors()[0]
        raise SettingsError(f"{_as_option(str(first['loc'][0]))} {requirement(first)}") from None


def _as_option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _number(option: str, text: str) -> Decimal:
    try:
        value = exact_number(text)
    except ValueError as error:
        raise SettingsError(f"{option} {quoted(text)}: {error}") from None
    assert isinstance(value, Decimal)
    return value


with_read_options = grouped(
    "options",
    {
        "symbol": _option("--symbol", "S", "The symbol of all bars, if neither a column nor the file's name says it."),
        "timeframe": _option("--timeframe", "T", "The length of the bars, such as 1h; by default what the file shows."),
        "dialect": _option("--as", "DIALECT", f"Do not recognise the dialect: {', '.join(NAMES)}."),
        "bar_time": _option("--bar-time", "begin|end", "Which moment of a bar its time is [begin]."),
        "day_first": _choice("--day-first/--month-first", "What 01/02/2024 means, if the file leaves it open."),
        "decimal_comma": _choice("--decimal-comma/--decimal-point", "What 1,234 means, if the file leaves it open."),
        "max_bad_rows": _option("--max-bad-rows", "N", f"Fraction of bad rows that may be left out [{MAX_BAD_ROWS}]."),
    },
    read_options,
)
"""Gives a command its ``options``: what a person says about files of prices."""
with_instrument = grouped(
    "instrument",
    {
        "tick": _option("--tick", "N", "Prices are multiples of it; stored with the series."),
        "step": _option("--step", "N", "Quantities are multiples of it; stored with the series."),
        "min_notional": _option("--min-notional", "N", "Smallest value of an order; stored with the series."),
        "asset_class": _option("--asset-class", "C", "equity, fx, crypto, …, if the symbol does not tell it."),
    },
    instrument_values,
)


@with_home
@with_read_options
@with_instrument
def import_files(
    settings: Settings,
    options: ReadOptions,
    instrument: InstrumentValues,
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="Files, folders or patterns.")],
    exchange: Annotated[
        str, typer.Option("--exchange", metavar="E", help="Where the bars are from.")
    ] = DEFAULT_EXCHANGE,
    replace: Annotated[bool, typer.Option("--replace", help="New bars replace stored ones that differ.")] = False,
    as_json: AsJson = False,
) -> None:
    r"""Import bars from files as people have them: csv, csv.gz, zip, json, Parquet, feather.

    \b
      run.py history import BTCUSDT-1m-2025-*.zip --exchange binance
      run.py history import AAPL.csv --timeframe 1d

    What a file is, is recognised by its content, then by its name. A file that cannot be read whole is refused, and so
    is a symbol of it whose bars contradict the stored ones. The same file again changes nothing. The exit code is 2 if
    any file is refused.
    """
    paths = price_files(files)
    job = ImportJob(HistoryStore(settings.home), Target(exchange, replace, instrument), options, SystemClock().now())
    with _progress() as progress:
        sizes = [_size(path) for path in paths]
        task = progress.add_task("importing", total=sum(sizes) or 1, file="")
        for path, size in zip(paths, sizes, strict=True):
            progress.update(task, file=escape_control(path.name))
            job.add(path)
            progress.advance(task, size)
        job.finish()
    if len(paths) == 1 and job.refused and not job.imported:
        raise SettingsError(job.refused[0].reason)
    document = {
        "imported": [_to_dict(one) for one in job.imported],
        "refused": [{"file": str(one.path), "reason": one.reason} for one in job.refused],
    }
    answer(as_json, document, lambda: _print_imported(job.imported))
    if job.refused:
        _print_refused(job.refused, len(paths))
        raise typer.Exit(WRONG_INPUT)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0  # it is refused when it is read


def _progress() -> Progress:
    """Return a progress bar on stderr that disappears at its end; a disabled one if stderr is not a terminal."""
    out = terminal(stderr=True)
    columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[file]}")
    return Progress(
        *columns, TimeElapsedColumn(), TimeRemainingColumn(), console=out, transient=True,
        disable=not out.file.isatty(),
    )  # fmt: skip


def _to_dict(one: Imported) -> dict[str, Any]:
    saved, merged = one.saved, one.saved.merged
    return {
        "exchange": saved.key.exchange,
        "symbol": saved.key.symbol,
        "timeframe": saved.key.timeframe,
        "created": saved.created,
        "written": saved.written,
        "added": merged.added,
        "equal": merged.equal,
        "replaced": merged.replaced,
        "completed": merged.completed,
        "rows": saved.manifest.rows,
        "first": saved.manifest.first,
        "last": saved.manifest.last,
        "gaps": saved.manifest.gaps,
        "files": [
            {
                "file": str(report.path),
                "member": report.member,
                "sha256": report.sha256,
                "dialect": report.dialect,
                "recognised": report.recognised,
                "report": report.sentence,
                "rows": report.rows,
                "changes": report.changes,
                "notes": report.notes,
            }
            for report in one.reports
        ],
    }


def _print_imported(imported: Sequence[Imported]) -> None:
    out = terminal()
    for one in imported:
        for report in one.reports[:MAX_PRINTED_REPORTS]:
            out.print(one_line(report.sentence), style="bold", soft_wrap=True)
            out.print(f"  {one_line(f'{report.name}: {report.recognised}')}", style="dim", soft_wrap=True)
            for sentence in (*report.change_sentences, *report.notes):
                out.print(f"  {one_line(sentence)}", soft_wrap=True)
        if (more := len(one.reports) - MAX_PRINTED_REPORTS) > 0:
            out.print(f"  … and {more:,} more files of this series, see --json", style="dim", soft_wrap=True)
        out.print(f"  {one_line('; '.join(_outcome(one)))}", soft_wrap=True)


def _outcome(one: Imported) -> Iterator[str]:
    merged, manifest = one.saved.merged, one.saved.manifest
    if not one.saved.written:
        yield f"nothing new: all {merged.equal:,} bars are stored already, as {one.saved.key}"
        return
    counts = {
        "new": merged.added,
        "equal to stored ones": merged.equal,
        "replaced": merged.replaced,
        "completed": merged.completed,
    }
    yield f"stored as {one.saved.key}: " + ", ".join(f"{count:,} {what}" for what, count in counts.items() if count)
    if not one.saved.created:
        yield f"{manifest.rows:,} bars altogether, {manifest.first:%Y-%m-%d} to {manifest.last:%Y-%m-%d}"


def _print_refused(refused: Sequence[Refused], files: int) -> None:
    out = terminal(stderr=True)
    out.print(f"{len(refused):,} of {files:,} files refused:", style="bold red", soft_wrap=True)
    for one in refused:
        out.print(f"  {one_line(one.reason)}", soft_wrap=True)
