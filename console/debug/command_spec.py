"""Specification of the debug console's commands, and the parser of a command line.

A line is split as a shell splits it: ``state Sizer projections.default --json``. Any unambiguous beginning of a name
stands for the name.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from actors.introspection.inspection import nearest
from console.display.terms import FILL, TRADE
from domain.errors import InvalidRequest
from domain.trading.open_orders.terms import AMENDABLE, EXIT_FIELDS
from domain.types import DEFAULT_PORTFOLIO

ACTOR, SYMBOL, DECISION, PORTFOLIO, LEVEL, ANY = "actor", "symbol", "decision", "portfolio", "level", "any"
"""Kinds of arguments; the prompt completes a value by its kind."""
COMMON = ("json", "yes")
SHORT_NAMES = {"limit_price": "limit", "stop_price": "stop"}
"""Fields whose options have a shorter name, as in ``run.py decide``; the field's own name is understood, too."""


@dataclass(frozen=True, slots=True)
class Argument:
    """Argument of a command.

    Attributes:
        name: the field's name in the request; an option is ``--name`` on the line.
        kind: one of the kinds above.
        required: whether the command needs it.
        option: True for ``--name VALUE``, False for a positional argument.
        rest: takes the rest of the line.
    """

    name: str
    kind: str = ANY
    required: bool = True
    option: bool = False
    rest: bool = False

    @property
    def typed(self) -> str:
        """The name of an option on the line, which is that of the command line: ``limit`` for ``limit_price``."""
        return SHORT_NAMES.get(self.name, self.name).replace("_", "-")


@dataclass(frozen=True, slots=True)
class CommandSpec:
    """Command of the debug console.

    Attributes:
        changes: whether it changes something. It then asks for confirmation in a terminal and needs ``--yes`` in a
            script.
        example: a sample line, if the usage alone is not clear enough.
    """

    name: str
    summary: str
    arguments: tuple[Argument, ...] = ()
    changes: bool = False
    example: str = ""

    @property
    def help(self) -> str:
        """Return the summary, with the example if there is one."""
        return f"{self.summary}: {self.example}" if self.example else self.summary

    @property
    def usage(self) -> str:
        """Return the syntax: ``trace [OF] [--max N]``."""
        parts = [self.name]
        for argument in self.arguments:
            syntax = f"--{argument.typed} {argument.kind.upper()}" if argument.option else argument.name.upper()
            parts.append(syntax if argument.required else f"[{syntax}]")
        return " ".join([*parts, "[--json]", *(["[--yes]"] if self.changes else [])])


def _actor(*more: Argument) -> tuple[Argument, ...]:
    return (Argument("actor", ACTOR), *more)


ORDER_TERMS = (
    "order_type", "limit_price", "stop_price", "time_in_force", "order_expires_at", "post_only", "reduce_only",
    "trail", "trail_pct", *EXIT_FIELDS,
)  # fmt: skip
"""Fields of a decision that say how its order is executed."""
_LIMIT = Argument("n", required=False)
_PORTFOLIO = Argument("portfolio", PORTFOLIO, required=False, option=True)
_SYMBOL = Argument("symbol", SYMBOL, required=False, option=True)
_STRATEGY = Argument("strategy", required=False, option=True)
_REASON = Argument("reason", rest=True)
COMMAND_SPECS: Mapping[str, CommandSpec] = {
    spec.name: spec
    for spec in (
        CommandSpec("ps", "list the actors: state, mailbox, messages handled in total and per second, restarts"),
        CommandSpec("top", "the same list, refreshed every second; Ctrl-C ends it"),
        CommandSpec("tree", "show supervision: which actors restart together, and how many restarts are left"),
        CommandSpec("state", "show the state that an actor has in memory", _actor(Argument("path", required=False))),
        CommandSpec("inbox", "show the messages that wait in an actor's mailbox", _actor(_LIMIT)),
        CommandSpec(
            "trace",
            "show messages as actors handle them: of one actor, one type, one decision, or all",
            (
                Argument("of", required=False),
                Argument("max", required=False, option=True),
                Argument("rate", required=False, option=True),
                Argument("seconds", required=False, option=True),
            ),
        ),
        CommandSpec("chain", "show everything that followed from a decision", (Argument("id", DECISION),)),
        CommandSpec(
            "explain",
            "explain a decision, an order or a fill, and compute each fill again",
            (Argument("id", DECISION),),
        ),
        CommandSpec("stack", "show the stack of an actor's thread", _actor()),
        CommandSpec("failures", "list the last crashes and hangs of this process", (_LIMIT,)),
        CommandSpec("dead", "list dead letters: messages to actors that have ended", ()),
        CommandSpec("quarantine", "list what is in quarantine: each made its actor crash twice", (_LIMIT,)),
        CommandSpec("positions", "list the open positions", (_PORTFOLIO,)),
        CommandSpec("orders", f"list the last orders; {FILL}", (_LIMIT, _PORTFOLIO)),
        CommandSpec("open-orders", "list the orders that rest in the market", (_PORTFOLIO,)),
        CommandSpec("decisions", "list the last decisions with their outcomes", (_LIMIT,)),
        CommandSpec("trades", f"list the last trades; {TRADE}", (_LIMIT, _PORTFOLIO, _SYMBOL, _STRATEGY)),
        CommandSpec(
            "report",
            "report value, performance, costs and validation of the portfolios",
            (_PORTFOLIO, _STRATEGY, *(Argument(name, required=False, option=True) for name in ("from", "to"))),
        ),
        CommandSpec("prices", "list the newest prices with their age"),
        CommandSpec("portfolio", "list the portfolios: cash, value, result"),
        CommandSpec("lease", "show which process serves the database, and since when"),
        CommandSpec("audit", "compare memory with the database, and the books with the fills"),
        CommandSpec("status", "show this process: what is wrong, prices, actors, last failures"),
        CommandSpec(
            "decide",
            "send a decision and wait for its outcome",
            (
                Argument("decision"),
                Argument("symbol", SYMBOL),
                Argument("confidence", option=True),
                *(
                    Argument(name, PORTFOLIO if name == "portfolio" else ANY, required=False, option=True)
                    for name in ("quantity", "portfolio", "risk_score", "reasoning", "strategy", *ORDER_TERMS)
                ),
            ),
            changes=True,
            example="decide BUY BTC/USDT --confidence 0.8 --order-type limit --limit 95000",
        ),
        CommandSpec(
            "cancel",
            "cancel the order of a decision, an order, or all of a portfolio; with --symbol those of a market",
            (
                Argument("target", DECISION, required=False),
                Argument("symbol", SYMBOL, required=False, option=True),
                _PORTFOLIO,
            ),
            changes=True,
            example="cancel 17",
        ),
        CommandSpec(
            "amend",
            "give an open order a new quantity, price, trail or end",
            (
                Argument("target", DECISION),
                *(Argument(name, required=False, option=True) for name in AMENDABLE),
                _PORTFOLIO,
            ),
            changes=True,
            example="amend 17 --limit 95500",
        ),
        CommandSpec(
            "protect",
            "give a position exits; without any, those of its portfolio",
            (
                Argument("symbol", SYMBOL),
                *(Argument(name, required=False, option=True) for name in EXIT_FIELDS),
                _PORTFOLIO,
            ),
            changes=True,
            example="protect BTC/USDT --stop-loss-pct 0.05",
        ),
        CommandSpec("retry", "send a copy of a decision that got no order", (Argument("id", DECISION),), changes=True),
        CommandSpec("suspend", "suspend an actor; its messages wait", _actor(), changes=True),
        CommandSpec("resume-actor", "resume a suspended actor", _actor(), changes=True),
        CommandSpec(
            "restart", "abandon an actor's thread, whatever it does, and start a replacement", _actor(), changes=True
        ),
        CommandSpec("crash", "make an actor crash at its next message", _actor(), changes=True),
        CommandSpec(
            "send",
            "put a message into an actor's mailbox",
            _actor(Argument("type"), Argument("json", required=False, rest=True)),
            changes=True,
            example='send PriceTracker Subscribe {"symbol": "BTC/USDT"}',
        ),
        CommandSpec(
            "accept-price",
            "let a price count that is held back because it looks like a split: it is none",
            (Argument("symbol", SYMBOL),),
            changes=True,
        ),
        CommandSpec(
            "halt",
            "halt trading in one portfolio, or in all",
            (_PORTFOLIO, _REASON),
            changes=True,
            example="halt --portfolio default too many losses",
        ),
        CommandSpec("resume", "resume trading", (_PORTFOLIO, _REASON), changes=True),
        CommandSpec("loglevel", "set the log level", (Argument("level", LEVEL),), changes=True),
        CommandSpec("repl", "open a Python prompt in the process, if it was started with --allow-repl"),
        CommandSpec("help", "list the commands, or explain one", (Argument("command", required=False),)),
        CommandSpec("exit", "leave the console; the process goes on"),
    )
}


@dataclass(frozen=True, slots=True)
class Request:
    """Parsed command line.

    Attributes:
        spec: the command.
        arguments: the values of its arguments by name.
        as_json: whether the line has ``--json``.
        yes: whether the line confirms a change with ``--yes``.
    """

    spec: CommandSpec
    arguments: Mapping[str, Any]
    as_json: bool = False
    yes: bool = False

    @property
    def question(self) -> str:
        """Return what the line will do, for a person who confirms it."""
        arguments = self.arguments
        portfolio = f"portfolio {arguments.get('portfolio') or DEFAULT_PORTFOLIO}"
        target = str(arguments.get("target"))
        if self.spec.name == "cancel" and "symbol" in arguments:
            return f"cancel all open orders of {arguments['symbol']} in {portfolio}, stops and targets too"
        if self.spec.name == "cancel" and target.lower() == "all":
            return f"cancel all open orders of {portfolio}, stops and targets too"
        if self.spec.name == "cancel":
            return f"cancel the order of decision {target}" if target.isdigit() else f"cancel the order {target!r}"
        return f"{self.command_line}: {self.spec.summary}"

    @property
    def command_line(self) -> str:
        """Return the line with all names in full: ``decide BUY SOL/USDT --confidence 0.7``."""
        parts = [self.spec.name]
        for argument in sorted(self.spec.arguments, key=lambda argument: argument.option):
            if argument.name in self.arguments:
                option = f"--{argument.typed} " if argument.option else ""
                parts.append(f"{option}{self.arguments[argument.name]}")
        return " ".join(parts)


def parse(line: str) -> Request:
    """Parse a command line.

    Raises:
        InvalidRequest: the line is wrong; the message says why, and gives the usage.
    """
    try:
        tokens = shlex.split(line) if "{" not in line else _split_before_brace(line)
    except ValueError as error:
        raise InvalidRequest(f"cannot parse this line: {str(error).lower()}") from None
    if not tokens:
        raise InvalidRequest("help lists the commands")
    spec = COMMAND_SPECS[nearest(tokens[0], COMMAND_SPECS, "command")]
    options, positionals = _split_options(spec, tokens[1:])
    arguments: dict[str, Any] = {name: value for name, value in options.items() if name not in COMMON}
    positional_arguments = [argument for argument in spec.arguments if not argument.option]
    for position, argument in enumerate(positional_arguments):
        if argument.rest:
            arguments[argument.name] = " ".join(positionals[position:])
            positionals = positionals[:position]
            break
        if position < len(positionals):
            arguments[argument.name] = positionals[position]
    if len(positionals) > len(positional_arguments):
        surplus = positionals[len(positional_arguments)]
        raise InvalidRequest(f"{spec.name} does not take {surplus!r}; usage: {spec.usage}")
    for argument in spec.arguments:
        if argument.required and not arguments.get(argument.name):
            raise InvalidRequest(f"{spec.name} needs {argument.name}; usage: {spec.usage}")
    cleaned = {name: value for name, value in arguments.items() if value != ""}
    return Request(spec, cleaned, as_json="json" in options and options["json"] is True, yes="yes" in options)


def _split_before_brace(line: str) -> list[str]:
    """Return the tokens of a line, with a JSON object as one token: shlex would remove its quotes."""
    head, brace, tail = line.partition("{")
    body, close, after = tail.rpartition("}")
    return [*shlex.split(head), f"{brace}{body}{close}", *shlex.split(after)]


def _split_options(spec: CommandSpec, tokens: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    """Return the options by name, and the positional tokens."""
    option_names = {argument.typed: argument.name for argument in spec.arguments if argument.option}
    full_names = {argument.name.replace("_", "-"): argument.typed for argument in spec.arguments if argument.option}
    options: dict[str, Any] = {}
    positionals: list[str] = []
    rest = iter(tokens)
    for token in rest:
        if not token.startswith("--"):
            positionals.append(token)
            continue
        name, equals, inline_value = token[2:].partition("=")
        if name in COMMON and not equals:
            options[name] = True
            continue
        name = full_names.get(name, name)
        name = nearest(name, option_names, f"option of {spec.name}") if option_names else name
        if name not in option_names:
            raise InvalidRequest(f"{spec.name} has no option --{name}; usage: {spec.usage}")
        value = inline_value if equals else next(rest, None)
        if value is None:
            raise InvalidRequest(f"--{name} needs a value; usage: {spec.usage}")
        options[option_names[name]] = value
    return options, positionals
