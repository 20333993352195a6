"""The command line: its commands, their help texts, and how a command ends.

Exit codes: 0 success; 1 failure; 2 wrong usage, settings or input; 3 the service is not running, or another instance
holds the lease; 4 `validate`: not ready. An error is one sentence on stderr; with ``--json`` stdout then holds
``{"error": …, "code": …, "exit_code": …}``.
"""

from __future__ import annotations

import importlib
import inspect
import json
import os
import re
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import pairwise
from typing import Any

import typer
from loguru import logger

from console import completion, logs
from console.display.times import local_times, show_utc
from console.errors import FAILURE, WRONG_INPUT, OutputFailed, exit_code_of
from console.heap import collect_from_now_on, leave_end_uncollected
from console.signals import (
    STOPPING,
    Signals,
    Stop,
    is_of_a_stop,
    leave_closed_streams,
    restore_signals,
    take_signals,
)
from console.streams import drop_full_streams, prepare_streams
from domain.errors import PaperTradingError
from domain.program import command_name
from domain.redaction.mask import mask
from domain.wording import one_line, requirement
from paper_trading_actors import NO_MEMORY, lacks_memory
from persistence.version import version

COMMANDS = {
    "start": ("console.commands.serve:start", "Run the service until SIGTERM or Ctrl-C (the default)."),
    "demo": ("console.commands.demo:demo", "Show the system at work for 30 seconds; needs no setup."),
    "decide": ("console.commands.decide:decide", "Send one decision; with --wait, wait for its outcome."),
    "portfolio": ("console.commands.portfolios:app", "Create portfolios, list them, change their rules."),
    "halt": ("console.commands.halts:halt", "Halt trading, until resume."),
    "resume": ("console.commands.halts:resume", "Resume trading."),
    "status": (
        "console.commands.status:status",
        "Show the state of the service, and whether the books balance.",
    ),
    "metrics": ("console.commands.metrics:metrics", "Print the metrics in Prometheus' text format."),
    "top": ("console.commands.top:top", "Show a live view of the system; q ends it."),
    "positions": ("console.commands.list_rows:positions", "List the open positions at the last market prices."),
    "orders": ("console.commands.orders:orders", "List the last orders, or with --open those that rest."),
    "cancel": ("console.commands.cancel:cancel", "Cancel an open order, those of a market, or all."),
    "amend": ("console.commands.amend:amend", "Give an open order new values, such as a price."),
    "protect": ("console.commands.protect:protect", "Give positions that are held a stop and targets."),
    "flatten": ("console.commands.flatten:flatten", "Close positions at market, and cancel their open orders."),
    "trades": ("console.commands.list_rows:trades", "List the last trades with their results."),
    "decisions": ("console.commands.list_rows:decisions", "List the last decisions with their outcomes."),
    "explain": ("console.commands.explain:explain", "Explain a decision, an order or a fill; recompute its price."),
    "report": ("console.commands.report:report", "Report the trading results: on the screen, as a page, as CSV."),
    "backtest": (
        "console.commands.backtest:backtest_command",
        "Execute a strategy or a file of decisions at recorded prices.",
    ),
    "sweep": (
        "console.commands.sweep:sweep_command",
        "Try a strategy with many parameters; say how much of the best is luck.",
    ),
    "replay": (
        "console.commands.replay:replay_command",
        "Compute a portfolio's events again; compare every digit.",
    ),
    "agent": ("console.commands.agent:agent", "Run a strategy live: bars from quotes, decisions to the service."),
    "console": ("console.commands.console:console", "Inspect the running service."),
    "logs": ("console.commands.logs:logs", "Print the service's log; with -f, as it is written."),
    "alert": ("console.commands.alert:alert", "Send a test alarm to every configured receiver."),
    "validate": (
        "console.commands.validate:app",
        "Judge the readiness for real money; start, stop, list runs.",
    ),
    "check": ("console.commands.check:check", "Show the settings in effect, and test the database."),
    "history": (
        "console.commands.history:app",
        "Market data of the past: import, download, list, check, export, remove.",
    ),
    "db": ("console.commands.db:app", "Back up, restore or upgrade the database; print its URL."),
    "psql": ("console.commands.psql:psql", "Open psql on the database; further arguments are psql's."),
}
CONTEXT_SETTINGS = {"psql": {"ignore_unknown_options": True}}
"""Settings of click for a command, where it has some of its own."""
OWN_OPTIONS = frozenset({"-h", "--help", "--version", *completion.OPTIONS})
"""Options of the program; any other one before a command is one of ``start``."""
WAITS = ("accepted", "open", "ended")
"""What ``decide --wait`` may wait for."""
DEFAULT_WAIT = "default"
"""The value of a ``--wait`` that stands alone."""
VALIDATE = frozenset({"show", "start", "stop", "list", "-h", "--help"})
HALF_CHARACTER = re.compile("[\ud800-\udfff]")
"""In an argument: a byte that is no UTF-8."""
NEGATIVE = re.compile(r"-[0-9.]+")
"""A number that was taken for an option: no argument of this program may be negative."""
HELP = r"""Paper trading: decisions become orders, fills and positions with realistic costs and no real money.

Without a command it runs the service. Settings, in rising precedence: defaults, paper.toml (in the working folder,
home or ~/.config/paper-trading; or --config FILE), PAPER_* variables, options. `run.py check` lists them.

\b
  run.py demo                                    a tour; needs no setup
  run.py start --prices simulated                serve; needs no database
  run.py decide BUY BTC/USDT --confidence 0.75   from another terminal
  run.py status                                  its state

Exit codes: 0 success; 1 failure; 2 wrong usage, settings or input; 3 the service is not running, or another instance
serves the database; 4 validate: not ready. An error is one sentence on stderr; with --json, stdout is then
{"error": ..., "code": ..., "exit_code": ...}.
"""


def main(args: Sequence[str] | None = None) -> int:
    """Run one command; return the exit code.

    Args:
        args: the command line without the program's name; that of this process by default.
    """
    arguments = list(sys.argv[1:] if args is None else args)
    show_utc(False)
    prepare_streams(as_json="--json" in arguments, own_process=args is None)
    if args is None:
        # Until the command knows its level; loguru's own sink would show the values of variables.
        logs.to_terminal("WARNING")
        logs.log_ended_threads()
    if args is None and (words := completion.words_to_complete()) is not None:
        return _run(words)  # typer prints the completions
    if arguments and arguments[0] in completion.OPTIONS and " " in command_name():
        return _failed(
            "completion is for a command of one word, such as paper-trading", WRONG_INPUT, "usage", arguments
        )
    if _no_command(arguments):
        arguments.insert(0, "start")
    if arguments[0] == "portfolio" and _no_command(arguments[1:]):
        arguments.insert(1, "list")
    if arguments[0] == "validate" and (_no_command(arguments[1:]) or arguments[1] not in VALIDATE):
        arguments.insert(1, "show")  # the next argument is the name of a run, or there is none
    if arguments[0] == "decide":
        arguments = _with_wait_values(arguments)
    # By default SIGTERM ends Python at once; an embedded server that the command has started would keep running.
    before = take_signals(dict.fromkeys(STOPPING, Signals().handle))
    try:
        return _run(arguments)
    finally:
        # No signal may interrupt Python's clean-up at the end of the process; another caller gets its handlers back.
        restore_signals(before if args is not None else dict.fromkeys(before, signal.SIG_IGN))
        if args is None:
            leave_closed_streams()
            drop_full_streams()
            leave_end_uncollected()


def _run(arguments: list[str]) -> int:
    try:
        command_line = _command_line(arguments[0])
        collect_from_now_on()
        code = command_line.main(args=arguments, prog_name=command_name(), standalone_mode=False)
        sys.stdout.flush()
    except PaperTradingError as error:
        return _interrupted(arguments) if is_of_a_stop(error) else _expected(error, arguments)
    except (Stop, KeyboardInterrupt, typer.Abort):
        return _interrupted(arguments)
    except BrokenPipeError:
        # The reader of the output has ended, as `head` does; Python must not report an error at its last flush.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILURE
    except Exception as error:  # noqa: BLE001 - the user gets a sentence, the log file has the traceback
        if isinstance(error, typer.BadParameter.__mro__[1]):
            return _failed(_usage(error), WRONG_INPUT, "usage", arguments)
        return _unexpected(error, arguments)
    return code if isinstance(code, int) else 0


def _expected(error: PaperTradingError, arguments: Sequence[str]) -> int:
    sentence = f"{error}; {NO_MEMORY}" if lacks_memory(error) else str(error)
    return _failed(sentence, exit_code_of(error), error.code, arguments)


def _unexpected(error: Exception, arguments: Sequence[str]) -> int:
    if isinstance(error, UnicodeEncodeError) and (bad := next(filter(HALF_CHARACTER.search, arguments), None)):
        return _failed(f"{bad!r} is no text that UTF-8 can encode", WRONG_INPUT, "usage", arguments)
    logger.bind(file_only=True).opt(exception=error).error("unexpected {}", type(error).__name__)
    if lacks_memory(error):
        return _failed(NO_MEMORY, FAILURE, "failed", arguments)
    if isinstance(error, OSError) and error.filename is not None:  # such as a folder that may not be entered
        return _failed(f"cannot use {error.filename}: {error.strerror}", FAILURE, "failed", arguments)
    return _failed(f"unexpected {type(error).__name__}: {error}", FAILURE, "unexpected", arguments)


def _interrupted(arguments: Sequence[str]) -> int:
    # A service that is stopped before it has started has done what the user asked.
    return 0 if arguments[0] == "start" else _failed("interrupted", 128 + signal.SIGINT, "interrupted", arguments)


def _no_command(arguments: Sequence[str]) -> bool:
    return not arguments or (arguments[0].startswith("-") and arguments[0] not in OWN_OPTIONS)


def _with_wait_values(arguments: Sequence[str]) -> list[str]:
    """Return a command line in which each ``--wait`` has a value: click knows no option with an optional one."""
    return [
        f"--wait={DEFAULT_WAIT}" if argument == "--wait" and following not in WAITS else argument
        for argument, following in pairwise([*arguments, ""])
    ]


def wrong_usage(message: str, command: str) -> Exception:
    """Return the error of a command whose arguments do not fit together."""
    usage_error: type[Exception] = typer.BadParameter.__mro__[1]
    return usage_error(f"{message}; see {command_name()} {command} --help")


def _command_line(command: str) -> Any:
    """Return the command line; it imports only the given command, so that help appears at once."""
    app = typer.Typer(
        # Its options import more.
        add_completion=command.startswith("-") or completion.words_to_complete() is not None,
        rich_markup_mode=None,
        help=_formatted_help(HELP),
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    )
    app.callback()(_program)
    for name, (place, summary) in COMMANDS.items():
        if name != command:
            app.command(name, help=_formatted_help(summary))(_not_imported)
            continue
        module, attribute = place.split(":")
        target = getattr(importlib.import_module(module), attribute)
        if isinstance(target, typer.Typer):
            _format_subcommands(target)
            # The help of a group also explains the command that it runs by default, such as `validate NAME`.
            more = inspect.cleandoc(target.info.help) if isinstance(target.info.help, str) else ""
            app.add_typer(target, name=name, help=_formatted_help(f"{summary}\n\n{more}".rstrip()))
        else:
            help_text = _formatted_help(f"{summary}\n\n{_docstring(target)}")
            app.command(name, help=help_text, context_settings=CONTEXT_SETTINGS.get(name))(target)
    return typer.main.get_command(app)


def _format_subcommands(group: typer.Typer) -> None:
    """Give each command of a group, and of the groups in it, its help text."""
    for subcommand in group.registered_commands:
        subcommand.help = _formatted_help(_docstring(subcommand.callback))
    for subgroup in group.registered_groups:
        if subgroup.typer_instance is not None:
            _format_subcommands(subgroup.typer_instance)


def _docstring(command: Callable[..., object] | None) -> str:
    """Return a command's docstring."""
    return inspect.getdoc(command) or ""


def _formatted_help(text: str) -> str:
    """Return a help text for click, with the name by which the program was called in place of ``run.py``.

    A line that consists of a backslash and b keeps the format of the next paragraph.
    """
    return text.replace("\\b\n", "\b\n").replace("run.py", command_name())


def _not_imported() -> None:
    """Stand in for a command whose module is not imported."""


def _show_version(requested: bool) -> None:
    if requested:
        typer.echo(f"paper-trading {version()}")
        raise typer.Exit


def _program(
    _version: bool = typer.Option(False, "--version", callback=_show_version, is_eager=True, help="Print the version."),
) -> None:
    """Take the options before the command."""


def _usage(error: Exception) -> str:
    message = one_line(error.format_message())  # type: ignore[attr-defined]
    if isinstance(error.__cause__, ValueError) and hasattr(error.__cause__, "errors"):  # pydantic's, imported only then
        first = error.__cause__.errors()[0]
        message = message.replace(first["msg"], requirement(first))
    if NEGATIVE.fullmatch(option := str(getattr(error, "option_name", ""))):
        message = f"{option} begins with a minus, and no option has that name: no number here is negative"
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else command_name()
    if message.endswith("--help"):
        return message
    return f"{message} See {path} --help" if message.endswith("?") else f"{message.rstrip('.')}; see {path} --help"


def print_error(message: str) -> str:
    """Print an error on stderr; return the text as printed: on one line, and without secrets."""
    text = one_line(mask(message))
    lines = [local_times(f"{command_name()}: {text}", sys.stderr)]
    if sys.stderr is not None and sys.stderr.isatty():
        from console.display.format import terminal_size  # noqa: PLC0415 - help needs neither
        from console.display.wrapping import wrap_plain  # noqa: PLC0415

        lines = wrap_plain(lines[0], terminal_size(sys.stderr).columns, hanging=2)
    try:
        print(*lines, sep="\n", file=sys.stderr)  # noqa: T201
    except OSError:  # the terminal was closed: the exit code alone reports the failure
        leave_closed_streams()
    return text


def _failed(message: str, exit_code: int, code: str, arguments: Sequence[str]) -> int:
    error = print_error(message)
    if "--json" in arguments:
        with suppress(OutputFailed):
            document = {"error": error, "code": code, "exit_code": exit_code}
            print(json.dumps(document, ensure_ascii=False), flush=True)  # noqa: T201
    return exit_code
