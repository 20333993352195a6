"""Points at which a test may make a process die, raise or hang; outside tests nothing happens there.

They lie before and after everything on the way of a decision that another actor, the database or a restart could see::

    takes / handled      an actor, each message                    `actors.runtime.cell`
    sends / sent         an actor, each message that it tells      `actors.runtime.address`
    commits / committed  a transaction that writes, by its name    `persistence.connections`

What an actor remembers changes only between two of them, so dying at each of them is dying around each change, too.
"""

from __future__ import annotations

from collections.abc import Callable

Hook = Callable[[str, str], None]
"""Called with the moment (``sends``, …) and what it is about (``Execute``, …), in the thread that has come there."""

hook: Hook | None = None


def reach(moment: str, what: str) -> None:
    """Tell the hook, if a test has set one."""
    if hook is not None:
        hook(moment, what)
