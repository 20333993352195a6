"""The commands, and how they end.

Exit codes: 0 done; 1 failed; 2 wrong usage, settings or input; 3 nothing running, or another instance holds the lease;
4 `validate`: not ready. Whatever goes wrong is one sentence on stderr; with ``--json`` stdout then holds
``{"error": …, "code": …, "exit_code": …}``.
"""

from __future__ import annotations

import importlib
import inspect
import json
import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any

import typer
from loguru import logger

from console.logs import secrets_hidden
from console.signals import STOPPING, Signals, Stop, leave_closed_streams, restore_signals, take_signals
from domain.errors import PaperTradingError
from domain.program import command_name
from persistence.version import version

COMMANDS = {
    "start": ("console.commands.serve:start", "Serve until SIGTERM or Ctrl-C; run.py alone does it too."),
    "demo": ("console.commands.demo:demo", "Show the system at work for 30 seconds; needs nothing."),
    "decide": ("console.commands.decide:decide", "Send one decision, and wait for its outcome if you like."),
    "portfolio": ("console.commands.portfolios:app", "Create, list and set portfolios."),
    "halt": ("console.commands.halts:halt", "Trade nothing more, until resume."),
    "resume": ("console.commands.halts:resume", "Trade again."),
    "status": ("console.commands.status:status", "Say what runs, and how its books stand."),
    "metrics": ("console.commands.metrics:metrics", "Print the numbers for machines, as Prometheus takes them."),
    "top": ("console.commands.top:top", "Show all of it as it changes; q ends it."),
    "positions": ("console.commands.list_rows:positions", "Show what is held, at the last market prices."),
    "orders": ("console.commands.list_rows:orders", "Show the last orders."),
    "trades": ("console.commands.list_rows:trades", "Show the last trades with their results."),
    "decisions": ("console.commands.list_rows:decisions", "Show the last decisions and what became of each."),
    "report": ("console.commands.report:report", "Tell how well it traded: on the screen, as a page, as CSV."),
    "console": ("console.commands.console:console", "Look into the running process."),
    "alert": ("console.commands.alert:alert", "Send a test alarm to whoever is told of alarms."),
    "validate": ("console.commands.validate:app", "Judge whether it is ready for real money; start, stop, list runs."),
    "check": ("console.commands.check:check", "Show the settings in effect, and try the database."),
    "db": ("console.commands.db:app", "Back up and restore the embedded database; upgrade a database, print its URL."),
}
VALIDATE = frozenset({"show", "start", "stop", "list", "-h", "--help"})
HELP = r"""Paper trading: decisions become orders, fills and positions at real costs, with no real money.

Without a command it serves. Settings: defaults, then paper.toml in the working folder, then PAPER_* variables, then
options; `run.py check` shows them.

\b
  run.py demo                                      a tour, nothing to set up
  run.py start --prices simulated                  serve; needs no database of yours
  run.py decide BUY BTC/USDT --confidence 0.75     from another terminal
  run.py status                                    how it stands

Exit codes: 0 done; 1 failed; 2 wrong usage, settings or input; 3 nothing running, or another instance serves the
database; 4 validate: not ready. What goes wrong is one sentence on stderr; with --json, stdout is then
{"error": ..., "code": ..., "exit_code": ...}.
"""


def main(args: Sequence[str] | None = None) -> int:
    """Run one command; return the exit code.

    Args:
        args: the command line without the program's name; unless given, this process's own.
    """
    words = list(sys.argv[1:] if args is None else args)
    if _no_command(words):
        words.insert(0, "start")
    if words[0] == "portfolio" and _no_command(words[1:]):
        words.insert(1, "list")
    if words[0] == "validate" and (_no_command(words[1:]) or words[1] not in VALIDATE):
        words.insert(1, "show")  # what stands there is the name of a run, or nothing
    # By default SIGTERM ends Python on the spot, and an embedded server started for the moment would stay.
    before = take_signals(dict.fromkeys(STOPPING, Signals().handle))
    try:
        return _run(words)
    finally:
        # The process is done, and nothing may disturb Python while it cleans up; a caller gets back what it had.
        restore_signals(before if args is not None else dict.fromkeys(before, signal.SIG_IGN))
        if args is None:
            leave_closed_streams()


def _run(words: list[str]) -> int:
    try:
        code = _command_line(words[0]).main(args=words, prog_name=command_name(), standalone_mode=False)
        sys.stdout.flush()
    except PaperTradingError as error:
        stopped = _is_of_a_stop(error)
        return _interrupted(words) if stopped else _failed(str(error), error.exit_code, error.code, words)
    except (Stop, KeyboardInterrupt, typer.Abort):
        return _interrupted(words)
    except BrokenPipeError:
        # Who read the output has gone, as `head` does; Python must not complain about it while it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:  # noqa: BLE001 - a person gets a sentence, the log file has the rest
        if isinstance(error, typer.BadParameter.__mro__[1]):
            return _failed(_usage(error), 2, "usage", words)
        logger.bind(file_only=True).opt(exception=error).error("unexpected {}", type(error).__name__)
        return _failed(f"unexpected {type(error).__name__}: {error}", 1, "unexpected", words)
    return code if isinstance(code, int) else 0


def _interrupted(words: Sequence[str]) -> int:
    # A service that is told to stop before it has begun has done what it was told.
    return 0 if words[0] == "start" else _failed("interrupted", 128 + signal.SIGINT, "interrupted", words)


def _is_of_a_stop(error: BaseException | None) -> bool:
    """Say whether it was raised while a signal ended the command, as by a query that was broken off."""
    while error is not None and not isinstance(error, Stop):
        error = error.__cause__ or error.__context__
    return error is not None


def _no_command(words: Sequence[str]) -> bool:
    return not words or (words[0].startswith("-") and words[0] not in {"-h", "--help", "--version"})


def _command_line(wanted: str) -> Any:
    """Return the command line, of which only the command wanted is imported: help must be there at once."""
    app = typer.Typer(
        add_completion=False,
        rich_markup_mode=None,
        help=_shown(HELP),
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    )
    app.callback()(_program)
    for name, (place, summary) in COMMANDS.items():
        if name != wanted:
            app.command(name, help=_shown(summary))(_elsewhere)
            continue
        module, attribute = place.split(":")
        target = getattr(importlib.import_module(module), attribute)
        if isinstance(target, typer.Typer):
            for each in target.registered_commands:
                each.help = _shown(_help(each.callback))
            # What stands without a word of its own, such as `validate NAME`, has its options in nobody else's help.
            more = inspect.cleandoc(target.info.help) if isinstance(target.info.help, str) else ""
            app.add_typer(target, name=name, help=_shown(f"{summary}\n\n{more}".rstrip()))
        else:
            app.command(name, help=_shown(f"{summary}\n\n{_help(target)}"))(target)
    return typer.main.get_command(app)


def _help(command: Callable[..., object] | None) -> str:
    """Return a command's docstring."""
    return inspect.getdoc(command) or ""


def _shown(text: str) -> str:
    """Return a help text for click: it says ``run.py``, and calls the program as it was called.

    A backslash and b alone in a line keep the next paragraph as it is.
    """
    return text.replace("\\b\n", "\b\n").replace("run.py", command_name())


def _elsewhere() -> None:
    """Stand for a command whose module is not loaded."""


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"paper-trading {version()}")
        raise typer.Exit


def _program(
    _version: bool = typer.Option(False, "--version", callback=_show_version, is_eager=True, help="Print the version."),
) -> None:
    """Take what stands before the command."""


def _usage(error: Exception) -> str:
    message = " ".join(error.format_message().split())  # type: ignore[attr-defined]
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else command_name()
    return f"{message} See {path} --help" if message.endswith("?") else f"{message.rstrip('.')}; see {path} --help"


def complain(sentence: str) -> str:
    """Say on stderr what is wrong; return it as it was said: on one line, and without secrets."""
    sentence = secrets_hidden(" ".join(sentence.split()))
    try:
        print(f"{command_name()}: {sentence}", file=sys.stderr)  # noqa: T201
    except OSError:  # the terminal was closed: the sentence is in the exit code alone
        leave_closed_streams()
    return sentence


def _failed(sentence: str, exit_code: int, code: str, words: Sequence[str]) -> int:
    said = complain(sentence)
    if "--json" in words:
        print(json.dumps({"error": said, "code": code, "exit_code": exit_code}, ensure_ascii=False))  # noqa: T201
    return exit_code
