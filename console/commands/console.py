"""``run.py console``: the debug console of a running service. See docs/console.md."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from actors.settings import Settings
from console.debug.client import Session
from console.debug.command_spec import parse
from console.debug.protocol import ConsoleConnection, socket_path
from console.display.format import terminal
from console.options import AsJson, with_settings


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
        session = Session(connection, terminal(), as_json=as_json, yes=yes)
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
