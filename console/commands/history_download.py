"""``run.py history download``: fetches the past bars of an exchange into the history."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotDone
from contextlib import suppress
from datetime import timedelta
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from actors.settings import Settings
from console.display.format import answer, terminal
from console.display.times import span
from console.options import AsJson, with_home
from console.report.period import parse_moment
from console.signals import stoppable
from domain.errors import InvalidRequest
from domain.program import command_name
from domain.types import Symbol
from domain.wording import counted, format_duration, one_line
from domain.worker_thread import call_in_thread
from market.exchange.provenance import Access, provenance
from market.exchange.venue import check as check_options
from market.history.download import Downloaded, Downloader, DownloadProgress, DownloadRequest
from market.history.store import HistoryStore
from market.history.timeframe import Timeframe

STOP_TIMEOUT_S = 5.0
"""Longest wait for the end of the request that a stop has interrupted."""
PRINTED_STEPS = 10
"""So many lines show the progress of a symbol where the output is no terminal."""


@with_home
def download(
    settings: Settings,
    symbols: Annotated[str, typer.Option("--symbols", metavar="LIST", help="Separated by commas.")],
    since: Annotated[str, typer.Option("--since", metavar="DAY", help="A day or a time: 2026-01-31T12:00 (UTC).")],
    until: Annotated[
        str | None, typer.Option("--until", metavar="DAY", help="A day (inclusive) or a time [now].")
    ] = None,
    exchange: Annotated[
        str | None, typer.Option("--exchange", metavar="ID", help="ccxt's id [the setting exchange: kraken].")
    ] = None,
    timeframe: Annotated[str, typer.Option("--timeframe", metavar="T", help="Length of a bar: 1m, 1h, 1d.")] = "1m",
    as_json: AsJson = False,
) -> None:
    r"""Fetch the past bars of an exchange into the history.

    \b
      run.py history download --exchange binance --symbols BTC/USDT,ETH/USDT \
        --timeframe 1m --since 2025-01-01

    After a stop or a failure the same command goes on where it was. Each missing bar is fetched a second time, and 1 %
    of the answers is compared with a second one. The bar that has not ended yet is left out.
    """
    request = DownloadRequest(
        exchange or settings.exchange,
        _symbols(symbols),
        _timeframe(timeframe),
        parse_moment("--since", since),
        None if until is None else parse_moment("--until", until, whole_day=True),
    )
    if request.until is not None and request.since >= request.until:
        raise InvalidRequest(f"--since {since} must be before --until {until}")
    out = terminal(stderr=True)
    _warn_of_other_hosts(settings, request.exchange, out)
    progress = _Bars(out) if out.file.isatty() else _Lines(out)
    downloaded = _run(
        Downloader(HistoryStore(settings.home), _options(settings, request.exchange), progress), request, progress.close
    )
    document = {
        "exchange": request.exchange,
        "timeframe": str(request.timeframe),
        "series": [_to_dict(one) for one in downloaded],
    }
    answer(as_json, document, lambda: _print(request, downloaded))


def _run(downloader: Downloader, request: DownloadRequest, close: Callable[[], None]) -> Sequence[Downloaded]:
    """Download in another thread, so that a signal ends it at once."""
    with stoppable() as signals:
        running = call_in_thread("download", lambda: downloader.run(request))
        try:
            signals.until(lambda seconds: _wait(running, seconds))
        finally:
            downloader.stop()
            _wait(running, STOP_TIMEOUT_S)
            close()
    if signals.requested:
        terminal(stderr=True).print("What has arrived is kept: the same command goes on from here.")
        raise typer.Abort
    return running.result()


def _wait(running: Future[Any], seconds: float) -> bool | None:
    """Wait for an end; return True if it has come, else None."""
    with suppress(NotDone):
        running.exception(seconds)
        return True
    return None


class _Bars(DownloadProgress):
    """Progress bars on a terminal, which disappear at the end.

    Args:
        out: the terminal.
    """

    def __init__(self, out: Console) -> None:
        columns = (
            TextColumn("{task.description}"), BarColumn(),
            TextColumn("{task.completed:,.0f} of {task.total:,.0f} bars"), TimeRemainingColumn(), TextColumn("left"),
        )  # fmt: skip
        self._progress = Progress(*columns, console=out, transient=True)
        self._tasks: dict[Symbol, TaskID] = {}
        self._progress.start()

    def begins(self, symbol: Symbol, bars: int, present: int) -> None:
        self._tasks[symbol] = self._progress.add_task(one_line(symbol), total=bars, completed=present)

    def advances(self, symbol: Symbol, present: int) -> None:
        self._progress.update(self._tasks[symbol], completed=present)

    def ends(self, symbol: Symbol) -> None:
        self._progress.remove_task(self._tasks.pop(symbol))

    def close(self) -> None:
        """Remove the bars from the screen."""
        self._progress.stop()


class _Lines(DownloadProgress):
    """A line at each tenth of a symbol's bars, where the output is no terminal.

    Args:
        out: where to print.
        seconds: returns seconds of a clock that never jumps.
    """

    def __init__(self, out: Console, seconds: Callable[[], float] = time.monotonic) -> None:
        self._out = out
        self._seconds = seconds
        self._begun, self._bars, self._present, self._printed = 0.0, 0, 0, 0

    def begins(self, symbol: Symbol, bars: int, present: int) -> None:
        self._begun, self._bars, self._present = self._seconds(), bars, present
        self._printed = PRINTED_STEPS * present // bars
        already = f", {present:,} of them are there already" if present else ""
        self._out.print(one_line(f"{symbol}: {bars:,} bars{already}"))

    def advances(self, symbol: Symbol, present: int) -> None:
        step = PRINTED_STEPS * present // self._bars
        if self._printed < step < PRINTED_STEPS:
            self._printed = step
            left = (self._seconds() - self._begun) / max(present - self._present, 1) * (self._bars - present)
            duration = format_duration(timedelta(seconds=left))
            self._out.print(one_line(f"{symbol}: {present:,} of {self._bars:,} bars, about {duration} left"))

    def ends(self, symbol: Symbol) -> None:
        self._out.print(one_line(f"{symbol}: done"))

    def close(self) -> None:
        """Do nothing: each line is complete."""


def _warn_of_other_hosts(settings: Settings, exchange: str, out: Console) -> None:
    """Print where the bars come from, if not from the exchange itself."""
    check_options(exchange, _options(settings, exchange))
    access = Access(_options(settings, exchange), frozenset(settings.exchange_trusted_hosts))
    if not (origin := provenance(exchange, access)).real:
        for note in origin.notes:
            out.print(note, style="yellow")


def _options(settings: Settings, exchange: str) -> Mapping[str, Any]:
    """Return the options of an exchange: those of another one, such as its addresses, must not reach it."""
    return settings.exchange_options if settings.exchange == exchange else {}


def _symbols(text: str) -> tuple[Symbol, ...]:
    symbols = tuple(Symbol(part.strip()) for part in text.split(",") if part.strip())
    if not symbols:
        raise InvalidRequest("--symbols must name at least one, such as BTC/USDT")
    return symbols


def _timeframe(text: str) -> Timeframe:
    try:
        return Timeframe.parse(text)
    except ValueError as error:
        raise InvalidRequest(f"--timeframe: {error}") from None


def _to_dict(one: Downloaded) -> Mapping[str, Any]:
    return {
        "symbol": one.symbol, "file": str(one.file), "bars": one.bars, "first": one.first, "last": one.last,
        "added": one.added, "gaps": [{"begin": begin, "end": end} for begin, end in one.gaps], "missing": one.missing,
        "unproven": one.unproven,
        "fetched_again": one.comparison.fetched_again, "pages_compared": one.comparison.pages,
        "bars_different": one.comparison.different, "dropped": one.dropped, "clock": one.clock,
    }  # fmt: skip


def _print(request: DownloadRequest, downloaded: Sequence[Downloaded]) -> None:
    out = terminal()
    for one in downloaded:
        out.print(one_line(f"{one.symbol}: {_sentence(request, one)}"), soft_wrap=True)
        out.print(f"  {one.file}", soft_wrap=True)
    out.print(f"`{command_name()} history list` shows all that is stored.")


def _sentence(request: DownloadRequest, one: Downloaded) -> str:
    parts = [f"{one.bars:,} bars of {request.timeframe.label} from {span(one.first, one.last)}"]
    parts.append(f"{one.added:,} of them are new" if one.added else "none of them is new")
    if one.gaps:
        spans = counted(len(one.gaps), "span")
        parts.append(f"{request.exchange} has no bars in {spans} ({one.missing:,} bars), asked at least twice")
    if one.unproven:
        parts.append(f"about {one.unproven:,} of these its answers were empty: compare another source")
    if one.comparison.fetched_again:
        parts.append(f"{one.comparison.fetched_again:,} bars were missing in a first answer")
    if one.comparison.pages:
        differences = counted(one.comparison.different, "difference")
        parts.append(f"{counted(one.comparison.pages, 'answer')} compared with a second one: {differences}")
    return "; ".join(parts)
