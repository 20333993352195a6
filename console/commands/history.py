"""``run.py history``: the bars that a user keeps: downloads, imports, lists, checks, exports and removes them."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from actors.settings import Settings
from console.commands.history_download import download
from console.commands.history_import import import_files
from console.display.format import answer, confirmed, size, terminal
from console.display.table import full_table
from console.errors import FAILURE
from console.options import AsJson, with_home
from console.report.period import LATEST, period
from domain.errors import InvalidRequest, PaperTradingError
from domain.program import command_name
from domain.wording import counted, did_you_mean, one_line, quoted
from market.history import checking
from market.history.storage import exporting
from market.history.storage.names import symbol_name, timeframe_name
from market.history.store import HistoryStore, StoredSeries, key_of
from market.history.timeframe import Timeframe

app = typer.Typer(rich_markup_mode=None)
app.command()(download)
app.command("import")(import_files)

Symbol = Annotated[str, typer.Argument(metavar="SYMBOL", help="Such as BTC/USDT.")]
ByTimeframe = Annotated[str | None, typer.Option("--timeframe", metavar="T", help="Only bars of this length.")]
ByExchange = Annotated[str | None, typer.Option("--exchange", metavar="E", help="Only series of this exchange.")]


@app.command("list")
@with_home
def show(settings: Settings, as_json: AsJson = False) -> None:
    """List the stored series: bars, first and last day, gaps, size."""
    store = HistoryStore(settings.home)
    series = list(store.stored())
    document = {"folder": str(store.folder), "series": [_to_dict(one) for one in series]}
    answer(as_json, document, lambda: _print_series(series))


@app.command()
@with_home
def check(settings: Settings, as_json: AsJson = False) -> None:
    """Check every stored series: hashes, order, gaps and manifest; the exit code is 1 where there is a fault."""
    store = HistoryStore(settings.home)
    checked = list(checking.check(store))
    left_over, unfinished = [list(map(str, paths)) for paths in (store.left_over(), store.unfinished())]
    foreign = list(map(str, checking.foreign_files(store)))
    faulty = [one for one in checked if one.faults]
    document = {
        "ok": not faulty,
        "series": [{**_to_dict(one.stored), "faults": one.faults} for one in checked],
        "left_over": left_over,
        "unfinished_downloads": unfinished,
        "other_files": foreign,
    }

    def print_text() -> None:
        out = terminal()
        for one in faulty:
            for fault in one.faults:
                out.print(one_line(f"{one.stored.path}: {fault}"), style="bold red", soft_wrap=True)
        for path in left_over:
            out.print(one_line(f"{path}: left by an interrupted write; harmless"), style="dim", soft_wrap=True)
        for path in unfinished:
            out.print(one_line(f"{path}: a download that has not ended"), style="dim", soft_wrap=True)
        for path in foreign:
            out.print(one_line(f"{path}: no file of the history"), style="dim", soft_wrap=True)
        rows = sum(one.stored.manifest.rows for one in checked if one.stored.manifest is not None)
        out.print(f"{counted(len(checked), 'series', 'series')}, {rows:,} bars: {_verdict(len(faulty))}")

    answer(as_json, document, print_text)
    if faulty:
        raise typer.Exit(FAILURE)


@app.command()
@with_home
def export(
    settings: Settings,
    symbol: Symbol,
    file: Annotated[str, typer.Argument(metavar="FILE", help="Its name ends with .csv, .csv.gz or .parquet.")],
    timeframe: ByTimeframe = None,
    exchange: ByExchange = None,
    since: Annotated[str | None, typer.Option("--from", metavar="TIME", help="From here on.")] = None,
    until: Annotated[str | None, typer.Option("--to", metavar="TIME", help="Up to here; a day is included.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace FILE if it exists.")] = False,
    as_json: AsJson = False,
) -> None:
    r"""Write a stored series to a file that other programs read, and that `history import` reads back.

    \b
      run.py history export BTC/USDT btc.csv --timeframe 1h --from 2025-01-01

    The column timestamp is the begin of a bar, close_time when its close was published. Numbers are exact.
    """
    path = Path(file).expanduser()
    exporting.format_of(path)
    if path.is_dir():
        raise InvalidRequest(f"{path} is a folder; name a file")
    if path.exists() and not force:
        raise InvalidRequest(f"{path} exists already; choose another name or use --force")
    if not path.absolute().parent.is_dir():
        raise InvalidRequest(f"there is no folder {path.absolute().parent}; create it first")
    begin, end = period(since, until, LATEST)
    store = HistoryStore(settings.home)
    one = _only_one(_matching(store, symbol, timeframe, exchange))
    if one.manifest is None:
        raise PaperTradingError(one.fault)
    key = key_of(one.manifest)
    candles = exporting.between(store.read(key), begin, end)
    if not len(candles):
        raise InvalidRequest(f"no bar of {key} is in that period")
    exporting.export(candles, path)
    document = {"file": str(path), "bars": len(candles), "bytes": path.stat().st_size, **_name(one)}
    answer(as_json, document, f"{path}: {len(candles):,} bars of {key}, {size(document['bytes'])}")


@app.command()
@with_home
def remove(
    settings: Settings,
    symbol: Symbol,
    timeframe: ByTimeframe = None,
    exchange: ByExchange = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask; a script needs it.")] = False,
    as_json: AsJson = False,
) -> None:
    r"""Remove the stored series of a symbol. Asks first.

    \b
      run.py history remove BTC/USDT --timeframe 1h --exchange kraken
    """
    store = HistoryStore(settings.home)
    series = _matching(store, symbol, timeframe, exchange)
    if not yes:
        _confirm(series)
    for one in series:
        store.remove_file(one.path)
    document = {"removed": [_name(one) for one in series]}
    answer(as_json, document, f"removed: {', '.join(map(_label, series))}")


def _confirm(series: Sequence[StoredSeries]) -> None:
    """Ask the user to confirm that series will be lost.

    Raises:
        InvalidRequest: there is no terminal to ask.
        PaperTradingError: the user does not confirm.
    """
    names = ", ".join(map(_label, series))
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise InvalidRequest(f"this removes {names}, and there is no terminal to ask; add --yes to confirm")
    if not confirmed(f"{names} will be removed. Go on?"):
        raise PaperTradingError("nothing was removed")


def _matching(store: HistoryStore, symbol: str, timeframe: str | None, exchange: str | None) -> list[StoredSeries]:
    """Return the stored series of a symbol, also those that cannot be read.

    Raises:
        InvalidRequest: there is none, or the timeframe is none.
    """
    wanted = None if timeframe is None else timeframe_name(_timeframe(timeframe))
    every = list(store.stored())
    of_symbol = [one for one in every if one.path.parent.name == symbol_name(symbol)]
    if not of_symbol:  # as people type it
        letters = _letters(symbol)
        of_symbol = [one for one in every if one.manifest is not None and _letters(one.manifest.symbol) == letters]
    matching = [
        one for one in of_symbol if wanted in {None, one.path.stem} and exchange in {None, one.path.parent.parent.name}
    ]
    if matching:
        return matching
    if of_symbol:
        alternatives = f"; stored: {', '.join(map(_label, of_symbol))}"
        options = [text for text in (timeframe, exchange and f"from {exchange}") if text]
        raise InvalidRequest(f"there is no history of {quoted(symbol)} {' '.join(options)}{alternatives}")
    symbols = sorted({one.manifest.symbol for one in every if one.manifest is not None})
    hint = did_you_mean(symbol, symbols) or f"; `{command_name()} history list` shows what is stored"
    raise InvalidRequest(f"there is no history of {quoted(symbol)}{hint}")


def _only_one(series: Sequence[StoredSeries]) -> StoredSeries:
    if len(series) > 1:
        names = ", ".join(map(_label, series))
        raise InvalidRequest(f"this could be any of {names}; choose one by --timeframe and --exchange")
    return series[0]


def _timeframe(text: str) -> str:
    try:
        return str(Timeframe.parse(text))
    except ValueError as error:
        raise InvalidRequest(f"--timeframe: {error}") from None


def _letters(symbol: str) -> str:
    return "".join(character for character in symbol.upper() if character not in "/-_: ")


def _label(one: StoredSeries) -> str:
    if one.manifest is None:
        return str(one.path)
    return f"{key_of(one.manifest)} ({one.manifest.rows:,} bar{'' if one.manifest.rows == 1 else 's'})"


def _name(one: StoredSeries) -> dict[str, Any]:
    manifest = one.manifest
    parts = None if manifest is None else (manifest.exchange, manifest.symbol, manifest.timeframe)
    return {**dict(zip(("exchange", "symbol", "timeframe"), parts or (None,) * 3, strict=True)), "path": str(one.path)}


def _to_dict(one: StoredSeries) -> dict[str, Any]:
    manifest = {} if one.manifest is None else one.manifest.to_dict()
    return {**_name(one), "bytes": one.bytes, "fault": one.fault or None, **manifest}


def _verdict(faulty: int) -> str:
    return "no faults" if not faulty else f"{counted(faulty, 'series is', 'series are')} faulty"


def _print_series(series: Iterable[StoredSeries]) -> None:
    out = terminal()
    rows, faults = [], []
    for one in series:
        if one.manifest is None:
            faults.append(one.fault)
            continue
        about = one.manifest
        days = [f"{moment:%Y-%m-%d}" for moment in (about.first, about.last)]
        numbers = [f"{about.rows:,}", *days, f"{about.gaps:,}", size(one.bytes)]
        rows.append((about.symbol, about.timeframe, about.exchange, *numbers))
    if rows:
        columns = ["symbol", "timeframe", "exchange", "bars", "first", "last", "gaps", "size"]
        out.print(full_table(out, columns, rows, right=["bars", "gaps", "size"], gives_way=["size", "gaps"]))
    elif not faults:
        out.print(f"No history yet; `{command_name()} history import FILE` brings some.")
    for fault in faults:
        out.print(one_line(fault), style="bold red", soft_wrap=True)
