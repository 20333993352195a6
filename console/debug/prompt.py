"""The debug console's prompt: completion, history, and a toolbar with the process's health."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable, Iterator
from pathlib import Path

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.history import FileHistory
from prompt_toolkit.shortcuts import confirm

from actors.settings import Settings
from console.debug.client import Session, tried
from console.debug.command_spec import ACTOR, COMMON, DECISION, LEVEL, PORTFOLIO, SYMBOL, WORDS
from console.debug.protocol import Line, socket_path
from console.display.format import terminal
from domain.errors import PaperTradingError

LEVELS = ("TRACE", "DEBUG", "INFO", "WARNING", "ERROR")


class Words(Completer):
    """Completes commands, options, actors, symbols, portfolios and ids."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:  # noqa: ARG002
        """Yield what may stand where the cursor is."""
        words = document.text_before_cursor.split(" ")
        begun = words[-1]
        for text, meta in self._candidates(words[:-1]):
            if text.casefold().startswith(begun.casefold()):
                yield Completion(text, start_position=-len(begun), display_meta=meta)

    def _candidates(self, before: list[str]) -> Iterator[tuple[str, str]]:
        if not before:
            yield from ((word.name, word.summary) for word in WORDS.values())
            return
        word = WORDS.get(before[0])
        if word is None:
            return
        options = [argument for argument in word.arguments if argument.option]
        if before[-1].startswith("--"):
            kinds = [argument.kind for argument in options if before[-1] == f"--{argument.name.replace('_', '-')}"]
            yield from self._of_kind(kinds[0] if kinds else "")
            return
        places = [argument for argument in word.arguments if not argument.option]
        position = len([each for each in before[1:] if not each.startswith("--")])
        if position < len(places):
            argument = places[position]
            if word.name == "help":
                yield from ((each.name, each.summary) for each in WORDS.values())
            elif word.name == "decide" and argument.name == "decision":
                yield from (("BUY", ""), ("SELL", ""), ("HOLD", ""))
            else:
                yield from self._of_kind(ACTOR if word.name == "trace" else argument.kind)
        yield from ((f"--{argument.name.replace('_', '-')}", "") for argument in options)
        yield from ((f"--{name}", "") for name in COMMON if name != "yes" or word.changes)

    def _of_kind(self, kind: str) -> Iterator[tuple[str, str]]:
        known = {
            ACTOR: self._session.hello["actors"],
            SYMBOL: self._session.hello["symbols"],
            PORTFOLIO: self._session.hello["portfolios"],
            DECISION: self._session.hello["decisions"],
            LEVEL: LEVELS,
        }
        yield from ((str(name), "") for name in known.get(kind, ()))


def converse(session: Session, settings: Settings) -> None:
    """Talk until the person leaves, or the process ends."""
    out = terminal()
    hello = session.hello
    health = Health(settings)
    session.confirm = confirm
    history = settings.home / "console-history"
    prompt: PromptSession[str] = PromptSession(
        history=FileHistory(_private(history)),
        completer=Words(session),
        complete_while_typing=True,
        bottom_toolbar=health.line,
        refresh_interval=2.0,
    )
    out.print(f"process {hello['pid']} on {hello['database']}, prices: {hello['prices']}")
    out.print("help lists the commands, Tab completes, Ctrl-D leaves.")
    # Here Ctrl-C ends what is shown, not the console.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    while True:
        try:
            typed = prompt.prompt("paper> ")
        except KeyboardInterrupt:
            continue
        except EOFError:
            return
        if typed.strip() and not tried(session, typed, out):
            return


def _private(path: Path) -> str:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.close(descriptor)
    return str(path)


class Health:
    """The toolbar: asked over a line of its own, so that it never waits behind a command."""

    def __init__(self, settings: Settings) -> None:
        self._path = socket_path(settings)

    def line(self) -> str:
        """Return one line on the process's health."""
        try:
            with Line(self._path, patience=0.5) as line:
                status = line.ask("status")
        except PaperTradingError as error:
            return f" {error}"
        troubled = [f"{a['actor']} {a['state']}" for a in status["actors"] if a["state"] in {"ended", "suspended"}]
        troubled += [
            f"{a['actor']} busy for {a['busy_for']:.0f} s" for a in status["actors"] if (a["busy_for"] or 0) > 2
        ]
        if status["intake_paused_since"] is not None:
            troubled.append("database away")
        if status["quarantined"]:
            troubled.append(f"{status['quarantined']} in quarantine")
        waiting = sum(actor["mailbox"] for actor in status["actors"])
        handled = sum(actor["handled"] for actor in status["actors"])
        wait = "1 message waits" if waiting == 1 else f"{waiting:,} messages wait"
        return f" {', '.join(troubled) or 'all well'} · {wait} · {handled:,} handled"
