"""``run.py logs``: the log of the service, as lines for people."""

from __future__ import annotations

import sys
import time
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from actors.configuration.settings_types import LOG_LEVELS
from actors.runtime.timer import SystemClock
from actors.settings import Settings
from console.completion import one_of
from console.display.format import print_exactly, terminal
from console.display.times import local_times, moment, zone_of
from console.errors import LogUnreadable
from console.listing.since import parse_since
from console.log_lines.entries import Entry, EntryFilter, level_number
from console.log_lines.files import LogFiles
from console.logs import FILE, WARNINGS_FILE
from console.options import with_home
from console.signals import stoppable
from domain.errors import InvalidRequest, NotRunning
from domain.program import command_name
from domain.wording import alternatives, escape_control, one_line, printable_json, quoted
from persistence.rows import uuid_in

DEFAULT_LINES, LINES_BEFORE_FOLLOWING = 100, 10
POLL_SECONDS = 0.25
LEVEL_STYLES = {"TRACE": "cyan", "DEBUG": "blue", "WARNING": "yellow", "ERROR": "red", "CRITICAL": "bold red"}


@with_home
def logs(
    settings: Settings,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Print new lines as they are written, until Ctrl-C.")
    ] = False,
    decision: Annotated[
        str | None, typer.Option("--decision", metavar="ID", help="Only lines about this decision.")
    ] = None,
    level: Annotated[
        str | None,
        typer.Option(
            "--level",
            metavar="LEVEL",
            help="Only lines of this level or a higher one.",
            autocompletion=one_of(LOG_LEVELS),
        ),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(
            "--since", metavar="WHEN", help="Only lines since then: 30m, 12h, 7d, yesterday, a day, or a time."
        ),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(
            "--limit",
            metavar="N",
            min=1,
            max=1_000_000,
            help=f"Number of lines, the last ones [{DEFAULT_LINES}; with -f {LINES_BEFORE_FOLLOWING}; with --decision "
            "or --since all].",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print each line as it is stored, a JSON object.")] = False,
) -> None:
    r"""Print the last lines of the service's log, the newest last, from the files in logs under home.

    \b
      run.py logs -f
      run.py logs --decision 17
      run.py logs --level warning --since yesterday

    Of warnings and errors there is a longer log, which --level warning reads. --json also has the traceback of a crash.
    """
    wanted = EntryFilter(
        _decision(decision) if decision is not None else None,
        _level(level) if level is not None else None,
        parse_since(since, SystemClock().now(), zone_of(sys.stdout)) if since is not None else None,
    )
    if limit is None and wanted.decision is None and wanted.since is None:
        limit = LINES_BEFORE_FOLLOWING if follow else DEFAULT_LINES
    out = terminal()
    with _opened(settings, wanted) as files, stoppable() as signals:
        entries = files.last(wanted, limit)
        for entry in entries:
            _print(out, entry, as_json)
        if not entries and not follow and not as_json:
            out.print(_nothing(settings, wanted), soft_wrap=True)
        while follow and not signals.requested:
            for line in files.new_lines():
                entry = Entry.parse(line)
                if wanted.accepts(entry):
                    _print(out, entry, as_json)
            time.sleep(POLL_SECONDS)


def _decision(text: str) -> str:
    id_ = text.strip().removeprefix("#")
    if id_.isdecimal() and id_.isascii():
        return str(int(id_))
    if (uid := uuid_in(id_)) is not None:  # the ids of an adopted table may be some
        return str(uid)
    raise InvalidRequest(f"--decision {quoted(text)}: must be the id of a decision, such as 17")


def _level(text: str) -> str:
    level = text.strip().upper()
    if level not in LOG_LEVELS:
        raise InvalidRequest(f"--level {quoted(text)}: must be {alternatives(LOG_LEVELS)}")
    return level


def _opened(settings: Settings, wanted: EntryFilter) -> LogFiles:
    folder = settings.home / "logs"
    path = folder / FILE
    warnings = folder / WARNINGS_FILE
    if wanted.level is not None and level_number(wanted.level) >= level_number("WARNING") and warnings.exists():
        path = warnings
    try:
        return LogFiles(path)
    except FileNotFoundError:
        msg = f"there is no log in {folder}; the service writes it: `{command_name()} start`, with the same home"
        raise NotRunning(msg) from None
    except OSError as error:
        raise LogUnreadable(f"cannot read the log in {folder}: {error.strerror or error}") from error


def _print(out: Console, entry: Entry, as_json: bool) -> None:
    if as_json:
        print_exactly(f"{printable_json(entry.text) if sys.stdout.isatty() else entry.text}\n")
        return
    message = one_line(entry.values.get("message", ""))
    line = Text.assemble(
        (f"{moment(entry.time)} " if entry.time is not None else "", "dim"),
        (f"{escape_control(entry.level):<7} ", LEVEL_STYLES.get(entry.level, "bold")),
        (f"#{escape_control(entry.decision)} " if entry.decision is not None else "", "cyan"),
        local_times(message),
    )
    out.print(line)


def _nothing(settings: Settings, wanted: EntryFilter) -> str:
    level = f" of level {wanted.level} or higher" if wanted.level is not None else ""
    since = f" since {moment(wanted.since)}" if wanted.since is not None else ""
    if wanted.decision is None:
        return f"No lines{level}{since} in {settings.home / 'logs'}."
    explain = f"`{command_name()} explain {wanted.decision}` tells what became of it"
    return f"No lines about decision {wanted.decision}{level}{since} in {settings.home / 'logs'}; {explain}."
