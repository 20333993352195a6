"""What the database has refused in this process because its disk is full."""

from __future__ import annotations

import threading

DISK_FULL = "53100"
"""SQLSTATE of a write for which there is no space."""

_lock = threading.Lock()
_count = 0
_message = ""


def record_refusal(sqlstate: str, message: str) -> None:
    """Count an error of the database, if it is about a full disk."""
    global _count, _message
    if sqlstate == DISK_FULL:
        with _lock:
            _count, _message = _count + 1, message


def disk_refusals() -> tuple[int, str]:
    """Return how many there were, and the message of the last one."""
    with _lock:
        return _count, _message
