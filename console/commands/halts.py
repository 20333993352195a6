"""``run.py halt`` and ``run.py resume``: stop and resume trading in one portfolio or in all."""

from __future__ import annotations

import getpass

from actors.settings import Settings
from console.database import opened
from console.display.format import answer
from console.options import AsJson, Portfolio, Reason, with_settings
from persistence.stores import halts


@with_settings
def halt(settings: Settings, reason: Reason, portfolio: Portfolio = None, as_json: AsJson = False) -> None:
    r"""Halt trading in one portfolio, or in all: decisions are rejected as *halted*, with the reason.

    \b
      run.py halt --reason "exchange under attack"
      run.py halt --portfolio aggressive --reason "reviewing its losses"

    It applies from the next decision sized, also after restarts. Open positions stay open; run.py resume ends it.
    """
    _insert(settings, portfolio, reason, as_json, halted=True)


@with_settings
def resume(settings: Settings, reason: Reason, portfolio: Portfolio = None, as_json: AsJson = False) -> None:
    r"""Resume trading in one portfolio, or in all.

    \b
      run.py resume --reason "all clear"

    Decisions that were rejected in the meantime stay rejected.
    """
    _insert(settings, portfolio, reason, as_json, halted=False)


def _insert(settings: Settings, portfolio: str | None, reason: str, as_json: bool, *, halted: bool) -> None:
    who = current_user()
    with opened(settings) as url:
        halts.insert(url, portfolio, reason, who, halted=halted)
    done = {"portfolio": portfolio, "halted": halted, "reason": reason, "by_whom": who}
    target = f"portfolio {portfolio}" if portfolio is not None else "every portfolio"
    answer(as_json, done, lambda: print(f"{target} {'is halted' if halted else 'is resumed'}: {reason}"))  # noqa: T201


def current_user() -> str:
    """Return the name of the user who runs the command."""
    try:
        return getpass.getuser()[:100]
    except (KeyError, OSError):  # no entry for this uid, as in some containers
        return "unknown user"
