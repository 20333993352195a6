"""The words of the debug console: its commands, what each takes, and how a line is read.

A line is read as a shell reads it: ``state Sizer projections.default --json``. Names may be shortened as long as it is
clear which one is meant.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from actors.introspection.inspection import nearest
from domain.errors import InvalidRequest

ACTOR, SYMBOL, DECISION, PORTFOLIO, LEVEL, ANY = "actor", "symbol", "decision", "portfolio", "level", "any"
"""What an argument is: what is offered when it is completed."""
COMMON = ("json", "yes")


@dataclass(frozen=True, slots=True)
class Argument:
    """Something that a command takes.

    Attributes:
        name: of the field in the request; for an option ``--name`` on the line.
        kind: what it is, see above.
        needed: whether the command makes no sense without it.
        option: ``--name VALUE``, else by its place.
        rest: takes the rest of the line.
    """

    name: str
    kind: str = ANY
    needed: bool = True
    option: bool = False
    rest: bool = False


@dataclass(frozen=True, slots=True)
class Word:
    """A command.

    Attributes:
        changes: it changes something: asks back in a terminal, needs ``--yes`` in a script.
        example: a line with it, where its usage alone is not clear enough.
    """

    name: str
    summary: str
    arguments: tuple[Argument, ...] = ()
    changes: bool = False
    example: str = ""

    @property
    def help(self) -> str:
        """Return what it does, and how, for a list of commands."""
        return f"{self.summary}: {self.example}" if self.example else self.summary

    @property
    def usage(self) -> str:
        """Return how a line with it looks: ``trace [OF] [--max N]``."""
        words = [self.name]
        for each in self.arguments:
            shown = f"--{each.name} {each.kind.upper()}" if each.option else each.name.upper()
            words.append(shown if each.needed else f"[{shown}]")
        return " ".join([*words, "[--json]", *(["[--yes]"] if self.changes else [])])


def _actor(*more: Argument) -> tuple[Argument, ...]:
    return (Argument("actor", ACTOR), *more)


_LIMIT = Argument("n", needed=False)
_PORTFOLIO = Argument("portfolio", PORTFOLIO, needed=False, option=True)
_REASON = Argument("reason", rest=True)
WORDS: Mapping[str, Word] = {
    word.name: word
    for word in (
        Word("ps", "what each actor does: state, mailbox, messages handled and a second, restarts"),
        Word("top", "the same, again and again; Ctrl-C ends it"),
        Word("tree", "supervision: who is restarted with whom, and how many restarts are left"),
        Word("state", "what an actor has in memory", _actor(Argument("path", needed=False))),
        Word("inbox", "what waits in an actor's mailbox", _actor(_LIMIT)),
        Word(
            "trace",
            "messages as they pass: of an actor, of a type, about a decision, or all",
            (
                Argument("of", needed=False),
                Argument("max", needed=False, option=True),
                Argument("rate", needed=False, option=True),
                Argument("seconds", needed=False, option=True),
            ),
        ),
        Word("chain", "everything that followed from a decision", (Argument("id", DECISION),)),
        Word("stack", "where an actor's thread is now", _actor()),
        Word("failures", "the last crashes and hangs of this process", (_LIMIT,)),
        Word("dead", "messages to actors that have ended", ()),
        Word("quarantine", "what made its actor crash twice", (_LIMIT,)),
        Word("positions", "what is held", (_PORTFOLIO,)),
        Word("orders", "the last orders", (_LIMIT, _PORTFOLIO)),
        Word("decisions", "the last decisions and what became of each", (_LIMIT,)),
        Word("prices", "the newest prices with their age"),
        Word("portfolio", "pots of money: cash, worth, result"),
        Word("lease", "who serves the database, since when"),
        Word("audit", "compare memory with the database, and the books with the fills"),
        Word("status", "what the command status knows of this process"),
        Word(
            "decide",
            "send a decision, and wait for its outcome",
            (
                Argument("decision"),
                Argument("symbol", SYMBOL),
                Argument("confidence", option=True),
                *(
                    Argument(name, PORTFOLIO if name == "portfolio" else ANY, needed=False, option=True)
                    for name in ("quantity", "portfolio", "risk_score", "reasoning", "strategy")
                ),
            ),
            changes=True,
            example="decide BUY BTC/USDT --confidence 0.8",
        ),
        Word("retry", "send a decision once more that got no order", (Argument("id", DECISION),), changes=True),
        Word("suspend", "let an actor's messages wait", _actor(), changes=True),
        Word("resume-actor", "let a suspended actor go on", _actor(), changes=True),
        Word("restart", "give up an actor's thread, whatever it does, and start another", _actor(), changes=True),
        Word("crash", "make an actor crash at its next message", _actor(), changes=True),
        Word(
            "send",
            "put a message into a mailbox",
            _actor(Argument("type"), Argument("json", needed=False, rest=True)),
            changes=True,
            example='send PriceTracker Subscribe {"symbol": "BTC/USDT"}',
        ),
        Word(
            "halt",
            "trade nothing more",
            (_PORTFOLIO, _REASON),
            changes=True,
            example="halt --portfolio default too many losses",
        ),
        Word("resume", "trade again", (_PORTFOLIO, _REASON), changes=True),
        Word("loglevel", "log from another level on", (Argument("level", LEVEL),), changes=True),
        Word("repl", "a Python prompt in the process, if it was started with --allow-repl"),
        Word("help", "this, or one command", (Argument("command", needed=False),)),
        Word("exit", "leave the console; the process goes on"),
    )
}


@dataclass(frozen=True, slots=True)
class Request:
    """A line that was read.

    Attributes:
        given: what goes with the request.
        as_json: whether JSON was asked for.
        yes: whether what changes something was confirmed on the line.
    """

    word: Word
    given: Mapping[str, Any]
    as_json: bool = False
    yes: bool = False

    @property
    def told(self) -> str:
        """Return the line as it was understood: ``decide BUY SOL/USDT --confidence 0.7``."""
        words = [self.word.name]
        for each in sorted(self.word.arguments, key=lambda argument: argument.option):
            if each.name in self.given:
                option = f"--{each.name.replace('_', '-')} " if each.option else ""
                words.append(f"{option}{self.given[each.name]}")
        return " ".join(words)


def read(line: str) -> Request:
    """Read a line.

    Raises:
        InvalidRequest: one sentence on what is wrong with it, and how it should look.
    """
    try:
        words = shlex.split(line) if "{" not in line else _split_before_brace(line)
    except ValueError as error:
        raise InvalidRequest(f"that line cannot be read: {str(error).lower()}") from None
    if not words:
        raise InvalidRequest("help lists the commands")
    word = WORDS[nearest(words[0], WORDS, "command")]
    options, places = _options(word, words[1:])
    given: dict[str, Any] = {name: value for name, value in options.items() if name not in COMMON}
    takes = [argument for argument in word.arguments if not argument.option]
    for position, argument in enumerate(takes):
        if argument.rest:
            given[argument.name] = " ".join(places[position:])
            places = places[:position]
            break
        if position < len(places):
            given[argument.name] = places[position]
    if len(places) > len(takes):
        raise InvalidRequest(f"{word.name} does not take {places[len(takes)]!r}; usage: {word.usage}")
    for argument in word.arguments:
        if argument.needed and not given.get(argument.name):
            raise InvalidRequest(f"{word.name} needs {argument.name}; usage: {word.usage}")
    cleaned = {name: value for name, value in given.items() if value != ""}
    return Request(word, cleaned, as_json="json" in options and options["json"] is True, yes="yes" in options)


def _split_before_brace(line: str) -> list[str]:
    """Leave an object of JSON whole: a shell would take its quotes away."""
    head, brace, tail = line.partition("{")
    body, close, after = tail.rpartition("}")
    return [*shlex.split(head), f"{brace}{body}{close}", *shlex.split(after)]


def _options(word: Word, words: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    known = {argument.name.replace("_", "-"): argument.name for argument in word.arguments if argument.option}
    options: dict[str, Any] = {}
    places: list[str] = []
    rest = iter(words)
    for each in rest:
        if not each.startswith("--"):
            places.append(each)
            continue
        name, equals, value = each[2:].partition("=")
        if name in COMMON and not equals:
            options[name] = True
            continue
        name = nearest(name, known, f"option of {word.name}") if known else name
        if name not in known:
            raise InvalidRequest(f"{word.name} has no option --{name}; usage: {word.usage}")
        taken = value if equals else next(rest, None)
        if taken is None:
            raise InvalidRequest(f"--{name} needs a value; usage: {word.usage}")
        options[known[name]] = taken
    return options, places
