"""``run.py console``: looks into a running process, from another one. See docs/console.md."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from console.debug.client import Session
from console.debug.command_spec import read
from console.debug.protocol import Line, socket_path
from console.display.format import terminal
from console.options import AsJson, DatabaseUrl, Home, LogLevel, quiet_settings


def console(
    command: Annotated[
        list[str] | None, typer.Option("-c", "--command", metavar="COMMAND", help="Do this and end; may be repeated.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Confirm what changes something, in a script.")] = False,
    as_json: AsJson = False,
    home: Home = None,
    database_url: DatabaseUrl = None,
    log_level: LogLevel = None,
) -> None:
    r"""Look into the process that serves: what does each actor do, and why did this decision end so.

    \b
      run.py console                            a prompt; help lists its commands
      run.py console -c ps
      run.py console -c "chain 42" --json
      run.py console -c "restart Sizer" --yes

    It attaches over a Unix socket that only the owner of the process can open. Nothing that it asks can block an actor.
    What changes something asks back, needs --yes in a script, and is written to logs/console.jsonl.
    """
    settings = quiet_settings(home=home, database_url=database_url, log_level=log_level)
    with Line(socket_path(settings)) as line:
        session = Session(line, terminal(), as_json=as_json, yes=yes)
        if command is not None:
            for each in command:
                session.do(read(each))
        elif sys.stdin.isatty() and sys.stdout.isatty():
            from console.debug.prompt import converse  # noqa: PLC0415 - the prompt's libraries take a moment to load

            converse(session, settings)
        else:
            for each in sys.stdin:
                if each.strip():
                    session.do(read(each))
