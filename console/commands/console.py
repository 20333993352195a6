"""``run.py console``: the debug console of a running service. See docs/console.md."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Annotated

import typer

from actors.settings import Settings
from console.commands.list_rows import print_trades
from console.commands.report import print_report
from console.debug.client import LocalCommand, Session
from console.debug.command_spec import parse
from console.debug.protocol import ConsoleConnection, socket_path
from console.display.format import terminal
from console.options import AsJson, with_settings
from console.service.queries import DEFAULT_ROWS, MAX_ROWS
from console.service.requests import Arguments, bounded_integer, optional_text
from persistence.queries.listing.row_filter import RowFilter


@with_settings
def console(
    settings: Settings,
    command: Annotated[
        list[str] | None,
        typer.Option("-c", "--command", metavar="COMMAND", help="Run a command and exit; repeatable."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Confirm changes, in a script.")] = False,
    as_json: AsJson = False,
) -> None:
    r"""Inspect the running service: what does each actor do, and why did this decision end so?

    \b
      run.py console                            a prompt; help lists its commands
      run.py console -c ps
      run.py console -c "chain 42" --json
      run.py console -c "restart Sizer" --yes

    It connects to a Unix socket that only the owner of the process can open. No command can block an actor. Commands
    that change something ask for confirmation, need --yes in a script, and are recorded in logs/console.jsonl.
    """
    with ConsoleConnection(socket_path(settings)) as connection:
        session = Session(connection, terminal(), as_json=as_json, yes=yes, local_commands=local_commands(settings))
        if command is not None:
            for line in command:
                session.do(parse(line))
        elif sys.stdin.isatty() and sys.stdout.isatty():
            from console.debug.prompt import run_prompt  # noqa: PLC0415 - the prompt's libraries are slow to load

            run_prompt(session, settings)
        else:
            for line in sys.stdin:
                if line.strip():
                    session.do(parse(line))


def local_commands(settings: Settings) -> Mapping[str, LocalCommand]:
    """Return the commands of the console that are those of the command line, and that read the database themselves.

    Args:
        settings: name the database.
    """
    return {
        "trades": lambda args, as_json: print_trades(settings, _wanted(args), as_json),
        "report": lambda args, as_json: print_report(
            settings, *(optional_text(args, name) for name in ("portfolio", "strategy", "from", "to")), as_json=as_json
        ),
    }


def _wanted(arguments: Arguments) -> RowFilter:
    portfolio, symbol, strategy = (optional_text(arguments, name) for name in ("portfolio", "symbol", "strategy"))
    return RowFilter(portfolio, symbol, strategy, limit=bounded_integer(arguments, "n", DEFAULT_ROWS, MAX_ROWS))
