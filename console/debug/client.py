"""The client side of the debug console: commands to the service and their answers. See docs/console.md."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

from rich.console import Console

from actors.introspection.inspection import nearest
from console.debug.command_spec import COMMAND_SPECS, Request, parse
from console.debug.protocol import ConsoleConnection
from console.debug.render import actor_table, render, render_message
from console.display.format import print_document, print_exactly
from console.display.table import full_table
from console.errors import NOT_RUNNING, exit_code_of
from domain.errors import InvalidRequest, PaperTradingError

LocalCommand = Callable[[Mapping[str, Any], bool], None]
"""Runs in the console's own process: takes the arguments, and whether to print JSON, and prints the answer."""
RATE_INTERVAL_S = 0.5
"""Time between the two answers from which `ps` computes a rate."""
TOP_INTERVAL_S = 1.0


class Session:
    """Session of a client with the running service.

    Args:
        connection: to the service.
        out: where answers are printed.
        as_json: print each answer as one JSON document.
        yes: confirm every change.
        confirm: asks the user for confirmation; None without a terminal.
        local_commands: by name, commands that read the database themselves, so that the service does no work for them.
    """

    def __init__(
        self,
        connection: ConsoleConnection,
        out: Console,
        *,
        as_json: bool = False,
        yes: bool = False,
        confirm: Callable[[str], bool] | None = None,
        local_commands: Mapping[str, LocalCommand] | None = None,
    ) -> None:
        self.connection = connection
        self.hello: Mapping[str, Any] = connection.ask("hello")
        self.confirm = confirm
        self._out = out
        self._as_json = as_json
        self._yes = yes
        self.local_commands = local_commands or {}

    def do(self, request: Request) -> None:
        """Run a command and print its answer.

        Raises:
            InvalidRequest: the request is wrong, or was not confirmed.
            Refused: the service refused it.
            NotRunning: the service has ended.
        """
        name = request.spec.name
        if request.spec.changes:
            self._require_confirmation(request)
        local = {"help": self._help, "top": self._top, "trace": self._trace, "ps": self._ps, "repl": self._repl}
        if name in local:
            local[name](request)
        elif name in self.local_commands:
            self.local_commands[name](request.arguments, self._as_json or request.as_json)
        elif name != "exit":
            self._print(request, self.connection.ask(name, **request.arguments))

    def _print(self, request: Request, result: Any) -> None:
        if self._as_json or request.as_json:
            print_document(result, stream=self._out.file)
        else:
            render(request.spec.name, result, self._out)

    def _require_confirmation(self, request: Request) -> None:
        if self._yes or request.yes:
            return
        if self.confirm is None:
            raise InvalidRequest(f"{request.command_line!r} changes something; confirm it with --yes")
        if not self.confirm(f"{request.question}. Really?"):
            raise InvalidRequest("nothing was done")

    def _ps(self, request: Request) -> None:
        if self._as_json or request.as_json:
            self._print(request, self.connection.ask("ps"))
            return
        before = self.connection.ask("ps")
        time.sleep(RATE_INTERVAL_S)
        self._out.print(actor_table(self._out, self.connection.ask("ps"), before))

    def _top(self, request: Request) -> None:
        from rich.live import Live  # noqa: PLC0415

        before = self.connection.ask("ps")
        if self._as_json or request.as_json or not self._out.is_terminal:
            self._ps(request)
            return
        try:
            with Live(console=self._out, auto_refresh=False, screen=True) as live:
                while True:
                    time.sleep(TOP_INTERVAL_S)
                    now = self.connection.ask("ps")
                    live.update(actor_table(self._out, now, before), refresh=True)
                    before = now
        except KeyboardInterrupt:
            return

    def _trace(self, request: Request) -> None:
        count = 0
        for message in self.connection.stream("trace", **request.arguments):
            count += 1
            if self._as_json or request.as_json:
                print_document(message, indent=False, stream=self._out.file)
            else:
                render_message(message, self._out)
        if not (self._as_json or request.as_json):
            self._out.print(f"the trace has ended: {count} messages")

    def _repl(self, _: Request) -> None:
        if not sys.stdin.isatty():
            raise InvalidRequest("repl is for a terminal")
        self.connection.ask("repl", source="")  # fails here if the service does not allow it
        self._out.print("Python in the running process; names: system, inspector. An empty line at >>> ends it.")
        source = ""
        while True:
            typed = input("... " if source else ">>> ")
            if not typed and not source:
                return
            source = f"{source}\n{typed}" if source else typed
            answer = self.connection.ask("repl", source=source)
            if not answer["more"]:
                source = ""
                print_exactly(answer["output"], self._out.file)

    def _help(self, request: Request) -> None:
        wanted = request.arguments.get("command")
        if wanted is not None:
            spec = COMMAND_SPECS[nearest(str(wanted), COMMAND_SPECS, "command")]
            self._out.print(f"{spec.usage}\n  {spec.help}")
            return
        lines = [[spec.name, spec.help, "changes something" if spec.changes else ""] for spec in COMMAND_SPECS.values()]
        self._out.print(full_table(self._out, ["command", "help", "note"], lines))


def run_line(session: Session, line: str, out: Console) -> bool:
    """Run a typed line, print its errors, and return whether the session goes on."""
    try:
        request = parse(line)
        if request.spec.name == "exit":
            return False
        session.do(request)
    except InvalidRequest as error:
        out.print(str(error), style="yellow", soft_wrap=True)
    except PaperTradingError as error:
        out.print(str(error), style="red", soft_wrap=True)
        return exit_code_of(error) != NOT_RUNNING
    except KeyboardInterrupt:
        out.print("interrupted", style="yellow")
    return True
