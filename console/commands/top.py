"""``run.py top``: live view of the service and its database."""

from __future__ import annotations

import os
import select
import shutil
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from typing import Annotated, Any

import typer
from rich.text import Text

from actors.runtime.timer import SystemClock
from actors.settings import Settings
from console.database import ledger_reader, opened, require_database
from console.debug.protocol import ConsoleConnection, socket_path
from console.display.format import answer, duration, terminal
from console.errors import Refused
from console.live.foot import ENDS, foot
from console.live.keys import KeyDecoder
from console.live.layout import frame
from console.live.poller import ViewPoller
from console.live.scroll import Scroll, next_portfolio
from console.live.state import ViewReader, ViewState, check_ledger
from console.live.terminal import Terminal, can_show
from console.options import AsJson, Portfolio, with_settings
from console.signals import restore_signals, take_signals
from domain.errors import DatabaseUnavailable, NotRunning
from domain.types import Clock
from persistence.queries.row_lists import LedgerReader

PRINTED = os.terminal_size((100, 60))
"""Size of a frame without a terminal; lines that stay empty are not printed."""
STALE_AFTER_S = 3.0
"""Age of the newest state from which the view reports that the database hangs."""
STOP, CHANGED = b"s", b"c"


@with_settings
def top(
    settings: Settings,
    interval: Annotated[
        float, typer.Option("--interval", min=0.1, max=3600, metavar="SECONDS", help="Time between two updates [1].")
    ] = 1.0,
    portfolio: Portfolio = None,
    as_json: AsJson = False,
) -> None:
    r"""Show equity, positions, last decisions, prices, actors and throughput, live; q or Ctrl-C ends it.

    \b
      run.py top
      run.py top --portfolio default
      run.py top --interval 5
      run.py top --json          one document
      run.py top | cat           one frame

    Arrows, j and k, PgUp and PgDn scroll a list that has more rows than fit; left and right choose the list. Tab or a
    digit chooses a portfolio, a shows all. The last line of the screen says so.

    It reads a few rows of the database, and asks the service on this machine with this home for the state of its
    actors; trading never waits for it. While one of the two is unreachable, the view says so and retries. If stdout is
    not a terminal, it prints one frame. The exit code is that of `run.py status` for the last frame: 0 if all is well,
    1 if the books do not balance or the database is unreachable, 3 if the service is not running.
    """
    require_database(settings)
    status_client = _StatusClient(settings)
    view_reader = ViewReader(lambda: opened(settings), status_client.status, SystemClock())
    if portfolio is not None:
        with ledger_reader(settings) as reader:
            reader.require_portfolio(portfolio)
    view_reader.portfolio = portfolio
    try:
        if not as_json and can_show(sys.stdout):
            state = _live(view_reader, interval)
        else:
            state = _once(view_reader)
            answer(as_json, to_dict(state), lambda: _print(state))
    finally:
        view_reader.close()
        status_client.close()
    if state.exit_code:
        raise typer.Exit(state.exit_code)


class _StatusClient:
    """Client that asks the service for its status; it keeps its connection."""

    def __init__(self, settings: Settings) -> None:
        self._path = socket_path(settings)
        self._connection: ConsoleConnection | None = None

    def status(self) -> Mapping[str, Any] | None:
        """Return the status of the service; None if no service of this home and database runs here."""
        for _ in range(2):  # an old connection may have been closed
            is_new = self._connection is None
            try:
                self._connection = self._connection or ConsoleConnection(self._path, timeout=STALE_AFTER_S)
                status: Mapping[str, Any] = self._connection.ask("status")
            except (NotRunning, Refused):
                self.close()
                if is_new:
                    return None
            else:
                return status
        return None

    def close(self) -> None:
        """Close the connection; the next question opens one again."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def _once(view_reader: ViewReader) -> ViewState:
    state = view_reader.read()
    if state.database_error is not None and state.process is None:
        raise DatabaseUnavailable(state.database_error)  # there is nothing to show
    if view_reader.url is None or state.database_error is not None:
        return state
    with closing(LedgerReader(view_reader.url)) as reader:
        return view_reader.read(check_ledger(reader, view_reader.clock))


def _print(state: ViewState) -> None:
    out = terminal()
    if out.file.isatty():
        columns, lines = out.size
    else:
        columns, lines = (
            shutil.get_terminal_size(PRINTED).columns if "COLUMNS" in os.environ else PRINTED.columns,
            PRINTED.lines,
        )
    for line in frame(state, columns, lines):
        out.print(line, soft_wrap=True)


def _live(view_reader: ViewReader, interval: float) -> ViewState:
    reading, writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def wake(event: bytes) -> None:
        with suppress(OSError):  # the pipe is full, so the loop wakes up anyway
            os.write(writing, event)

    try:
        with (
            _signals(wake),
            ViewPoller(view_reader, interval, lambda: wake(CHANGED)) as poller,
            Terminal(sys.stdout) as screen,
        ):
            reader = _Reader(view_reader.portfolio)
            while not _ended(screen, reading, poller, reader):
                _show(screen, poller, interval, reader, view_reader.clock)
    finally:
        os.close(writing)
        os.close(reading)
    return poller.newest


class _Reader:
    """What the person at the terminal has chosen.

    Attributes:
        portfolio: shown alone; None: all.
        scroll: the place in each list.
        keys: what was typed.
    """

    def __init__(self, portfolio: str | None) -> None:
        self.portfolio = portfolio
        self.scroll = Scroll()
        self.keys = KeyDecoder()


def _show(screen: Terminal, poller: ViewPoller, interval: float, reader: _Reader, clock: Clock) -> None:
    if poller.failure is not None:
        raise poller.failure
    # The rows of a choice are there at once, its curve and its older decisions after the next reading.
    state, size = replace(poller.newest, portfolio=reader.portfolio), screen.size
    age = clock.now() - state.at

    def last_line() -> Text:
        if age.total_seconds() > STALE_AFTER_S + interval:
            text = f"no update for {duration(age)}: the database does not respond; {ENDS}"
            return Text(text, style="bold red", end="")
        return foot(state, reader.scroll, size.columns)

    screen.paint(frame(state, *size, last_line, reader.scroll), size)


def _ended(screen: Terminal, reading: int, poller: ViewPoller, reader: _Reader) -> bool:
    """Wait for an event and handle the keys; return whether one of them ends the view."""
    descriptors = [reading] if screen.keys is None else [reading, screen.keys]
    select.select(descriptors, [], [], 1.0)
    events = b""
    with suppress(BlockingIOError):
        events = os.read(reading, 4096)
    for key in reader.keys.feed(screen.pressed()):
        if key == "q":
            return True
        if not reader.scroll.press(key):
            database = poller.newest.database
            names = [row["portfolio"] for row in database.portfolios] if database is not None else []
            chosen = next_portfolio(key, names, reader.portfolio)
            if chosen != reader.portfolio:
                reader.portfolio = chosen
                poller.choose(chosen)
    return STOP in events


@contextmanager
def _signals(wake: Any) -> Iterator[None]:
    """Turn signals into events: a stop ends the view between two frames, and a new size of the terminal redraws it."""
    events = {signal.SIGINT: STOP, signal.SIGTERM: STOP, signal.SIGHUP: STOP, signal.SIGWINCH: CHANGED}
    before = take_signals(dict.fromkeys(events, lambda number, _: wake(events[signal.Signals(number)])))
    try:
        yield
    finally:
        restore_signals(before)


def to_dict(state: ViewState) -> dict[str, Any]:
    """Return the state as a JSON document."""
    database, checked = state.database, state.ledger_check
    return {
        "at": state.at,
        "running": state.running,
        "database_away": state.database_error,
        "price_sources_not_real": state.unreal_sources,
        "portfolio": state.portfolio,
        "served": database.served if database else None,
        "portfolios": state.portfolios,
        "equity": [{"time": at, "worth": value} for at, value in state.equity_curve],
        "positions": state.positions,
        "decisions": state.decisions,
        "decisions_per_second": database.rate if database else None,
        "waiting": database.waiting if database else None,
        "prices": database.prices if database else [],
        "outcomes": checked.outcomes if checked else None,
        "ledger_ok": not checked.differences if checked else None,
        "ledger_differences": checked.differences if checked else None,
        "process": state.process,
    }
