"""How many files and connections this process may have open at once: its limit of file descriptors."""

from __future__ import annotations

import resource
from contextlib import suppress

NEEDED = 512
"""A service with all consoles, metrics and connections that it admits stays below half of it."""
WANTED = 65_536
"""More is never needed, and programs that this one starts may close each number up to the limit."""
SYSTEM_LIMITS = (WANTED, 10_240)
"""Limits to try, the largest first: macOS calls its own unlimited, and refuses more than 10 240."""


def open_files_limit() -> int:
    """Return the number of files and connections that this process may have open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return WANTED if soft == resource.RLIM_INFINITY else soft


def raise_open_files_limit() -> int:
    """Raise the limit to the one that the system sets for this user, at most to `WANTED`; return what it is then.

    A limit that is higher already stays; one that cannot be raised, as under a filter of system calls, stays, too.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for wanted in SYSTEM_LIMITS:
        limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        if soft == resource.RLIM_INFINITY or limit <= soft:
            break
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
            break
    return open_files_limit()


def limit_problem(limit: int) -> str | None:
    """Return that a limit is too low and how to raise it, as a sentence; None where it is enough."""
    if limit >= NEEDED:
        return None
    return (
        f"this process may have {limit} files and connections open at once, and may need {NEEDED}: raise the limit"
        " (ulimit -Hn, or LimitNOFILE= of systemd)"
    )
