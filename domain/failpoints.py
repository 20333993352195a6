"""Failpoints: places at which a test can make a process die, raise or hang. Outside tests nothing happens there.

There is one before and one after each step of a decision that another actor, the database or a restart can see::

    takes / handled      an actor, each message                    `actors.runtime.cell`
    sends / sent         an actor, each message that it tells      `actors.runtime.address`
    commits / committed  a transaction that writes, by its name    `persistence.connections`

An actor's state changes only between two failpoints, so a death at each of them also covers a death around each change.
"""

from __future__ import annotations

from collections.abc import Callable

Hook = Callable[[str, str], None]
"""A function of the failpoint (``sends``, …) and its subject (``Execute``, …), called in the thread that reaches it."""

hook: Hook | None = None


def reach(moment: str, what: str) -> None:
    """Call the hook, if a test has set one."""
    if hook is not None:
        hook(moment, what)
