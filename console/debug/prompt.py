"""Prompt of the debug console: completion, history, and a toolbar with the health of the process."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.history import FileHistory
from prompt_toolkit.shortcuts import confirm

from actors.settings import Settings
from console.debug.client import Session, run_line
from console.debug.command_spec import ACTOR, COMMAND_SPECS, COMMON, DECISION, LEVEL, PORTFOLIO, SYMBOL
from console.debug.protocol import ConsoleConnection, socket_path
from console.display.format import terminal
from domain.errors import PaperTradingError
from domain.files.private_files import open_own_file
from domain.types import Action
from domain.wording import one_line

LEVELS = ("TRACE", "DEBUG", "INFO", "WARNING", "ERROR")


class CommandCompleter(Completer):
    """Completer of commands, options, actors, symbols, portfolios and ids."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:  # noqa: ARG002
        """Yield the completions at the cursor."""
        tokens = document.text_before_cursor.split(" ")
        prefix = tokens[-1]
        for text, meta in self._candidates(tokens[:-1]):
            if text.casefold().startswith(prefix.casefold()):
                yield Completion(text, start_position=-len(prefix), display_meta=meta)

    def _candidates(self, before: list[str]) -> Iterator[tuple[str, str]]:
        if not before:
            yield from ((spec.name, spec.summary) for spec in COMMAND_SPECS.values())
            return
        spec = COMMAND_SPECS.get(before[0])
        if spec is None:
            return
        options = [argument for argument in spec.arguments if argument.option]
        if before[-1].startswith("--"):
            kinds = [argument.kind for argument in options if before[-1] == f"--{argument.typed}"]
            yield from self._of_kind(kinds[0] if kinds else "")
            return
        positionals = [argument for argument in spec.arguments if not argument.option]
        position = len([token for token in before[1:] if not token.startswith("--")])
        if position < len(positionals):
            argument = positionals[position]
            if spec.name == "help":
                yield from ((spec.name, spec.summary) for spec in COMMAND_SPECS.values())
            elif spec.name == "decide" and argument.name == "decision":
                yield from ((action.value, "") for action in Action)
            else:
                yield from self._of_kind(ACTOR if spec.name == "trace" else argument.kind)
        yield from ((f"--{argument.typed}", "") for argument in options)
        yield from ((f"--{name}", "") for name in COMMON if name != "yes" or spec.changes)

    def _of_kind(self, kind: str) -> Iterator[tuple[str, str]]:
        values = {
            ACTOR: self._session.hello["actors"],
            SYMBOL: self._session.hello["symbols"],
            PORTFOLIO: self._session.hello["portfolios"],
            DECISION: self._session.hello["decisions"],
            LEVEL: LEVELS,
        }
        # What cannot be shown as it is cannot be typed either.
        yield from ((str(name), "") for name in values.get(kind, ()) if str(name).isprintable())


def run_prompt(session: Session, settings: Settings) -> None:
    """Run the prompt until the user leaves it or the service ends."""
    out = terminal()
    hello = session.hello
    session.confirm = confirm
    history = settings.home / "console-history"
    os.close(open_own_file(history, os.O_WRONLY | os.O_APPEND | os.O_CREAT))  # the library opens it by its path
    prompt: PromptSession[str] = PromptSession(
        history=FileHistory(str(history)),
        completer=CommandCompleter(session),
        complete_while_typing=True,
        bottom_toolbar=partial(status_line, socket_path(settings)),
        refresh_interval=2.0,
    )
    out.print(f"process {hello['pid']} on {hello['database']}, prices: {hello['prices']}")
    out.print("help lists the commands, Tab completes, Ctrl-D leaves.")
    # Ctrl-C ends the current output, not the console.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    while True:
        try:
            typed = prompt.prompt("paper> ")
        except KeyboardInterrupt:
            continue
        except EOFError:
            return
        if typed.strip() and not run_line(session, typed, out):
            return


def status_line(path: Path) -> str:
    """Return the health of the process in one line; on a connection of its own, to wait for no command."""
    try:
        with ConsoleConnection(path, timeout=0.5) as connection:
            status = connection.ask("status")
    except PaperTradingError as error:
        return f" {one_line(error)}"
    problems = [f"{a['actor']} {a['state']}" for a in status["actors"] if a["state"] in {"ended", "suspended"}]
    problems += [f"{a['actor']} busy for {a['busy_for']:.0f} s" for a in status["actors"] if (a["busy_for"] or 0) > 2]
    if status["intake_paused_since"] is not None:
        problems.append("database unreachable")
    if status["quarantined"]:
        problems.append(f"{status['quarantined']} in quarantine")
    waiting = sum(actor["mailbox"] for actor in status["actors"])
    handled = sum(actor["handled"] for actor in status["actors"])
    wait = "1 message waits" if waiting == 1 else f"{waiting:,} messages wait"
    return f" {', '.join(problems) or 'all well'} · {wait} · {handled:,} handled"
