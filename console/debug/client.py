"""The client side of the debug console: commands to the service and their answers. See docs/console.md."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

from rich.console import Console

from actors.introspection.inspection import nearest
from console.debug.command_spec import WORDS, Request, read
from console.debug.protocol import Line
from console.debug.render import passed, processes, show
from console.display.format import document
from console.display.table import full_table
from domain.errors import InvalidRequest, PaperTradingError

BETWEEN = 0.5
"""Seconds between the two looks that a rate is computed from."""
TOP_EVERY = 1.0


class Session:
    """A conversation with the process.

    Args:
        line: to it.
        out: where answers are shown.
        as_json: show each answer as one JSON document.
        yes: what changes something is confirmed.
        confirm: asks a person; None where there is none.
    """

    def __init__(
        self,
        line: Line,
        out: Console,
        *,
        as_json: bool = False,
        yes: bool = False,
        confirm: Callable[[str], bool] | None = None,
    ) -> None:
        self.line = line
        self.hello: Mapping[str, Any] = line.ask("hello")
        self.confirm = confirm
        self._out = out
        self._as_json = as_json
        self._yes = yes

    def do(self, request: Request) -> None:
        """Do what a line asks for.

        Raises:
            InvalidRequest: it makes no sense, or was not confirmed.
            Refused: the process does not do it.
            NotRunning: the process has ended.
        """
        name = request.word.name
        if request.word.changes:
            self._require_confirmation(request)
        own = {"help": self._help, "top": self._top, "trace": self._trace, "ps": self._ps, "repl": self._repl}
        if name in own:
            own[name](request)
        elif name != "exit":
            self._told(request, self.line.ask(name, **request.given))

    def _told(self, request: Request, result: Any) -> None:
        if self._as_json or request.as_json:
            self._out.file.write(document(result) + "\n")
        else:
            show(request.word.name, result, self._out)

    def _require_confirmation(self, request: Request) -> None:
        if self._yes or request.yes:
            return
        if self.confirm is None:
            raise InvalidRequest(f"{request.told!r} changes something; confirm it with --yes")
        if not self.confirm(f"{request.told}: {request.word.summary}. Really?"):
            raise InvalidRequest("nothing was done")

    def _ps(self, request: Request) -> None:
        if self._as_json or request.as_json:
            self._told(request, self.line.ask("ps"))
            return
        before = self.line.ask("ps")
        time.sleep(BETWEEN)
        self._out.print(processes(self.line.ask("ps"), before))

    def _top(self, request: Request) -> None:
        from rich.live import Live  # noqa: PLC0415

        before = self.line.ask("ps")
        if self._as_json or request.as_json or not self._out.is_terminal:
            self._ps(request)
            return
        try:
            with Live(console=self._out, auto_refresh=False, screen=True) as live:
                while True:
                    time.sleep(TOP_EVERY)
                    now = self.line.ask("ps")
                    live.update(processes(now, before), refresh=True)
                    before = now
        except KeyboardInterrupt:
            return

    def _trace(self, request: Request) -> None:
        count = 0
        for message in self.line.stream("trace", **request.given):
            count += 1
            if self._as_json or request.as_json:
                self._out.file.write(document(message, indent=False) + "\n")
                self._out.file.flush()
            else:
                passed(message, self._out)
        if not (self._as_json or request.as_json):
            self._out.print(f"the trace has ended: {count} messages")

    def _repl(self, _: Request) -> None:
        if not sys.stdin.isatty():
            raise InvalidRequest("repl is for a terminal")
        self.line.ask("repl", source="")  # refused here where it is not allowed
        self._out.print("Python in the running process: system, inspector. An empty line at >>> ends it.")
        source = ""
        while True:
            typed = input("... " if source else ">>> ")
            if not typed and not source:
                return
            source = f"{source}\n{typed}" if source else typed
            told = self.line.ask("repl", source=source)
            if not told["more"]:
                source = ""
                self._out.file.write(told["output"])

    def _help(self, request: Request) -> None:
        wanted = request.given.get("command")
        if wanted is not None:
            word = WORDS[nearest(str(wanted), WORDS, "command")]
            self._out.print(f"{word.usage}\n  {word.help}")
            return
        lines = [[word.name, word.help, "changes something" if word.changes else ""] for word in WORDS.values()]
        self._out.print(full_table(["command", "", ""], lines))


def tried(session: Session, line: str, out: Console) -> bool:
    """Do a line of a person's; say what is wrong with it. Return whether the conversation goes on."""
    try:
        request = read(line)
        if request.word.name == "exit":
            return False
        session.do(request)
    except InvalidRequest as error:
        out.print(str(error), style="yellow", soft_wrap=True)
    except PaperTradingError as error:
        out.print(str(error), style="red", soft_wrap=True)
        return error.exit_code != 3
    except KeyboardInterrupt:
        out.print("interrupted", style="yellow")
    return True
