"""Log messages of states that last: a failure is logged once, and its end once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Any


class LogOnce:
    """The failing states of one component. From any thread.

    Args:
        log_failure: logs a message about a failure.
        log_recovery: logs a message about its end.

    Attributes:
        count: failures so far, logged or not.

    >>> log = LogOnce(print, print)
    >>> log.failed("kraken gives no prices: timeout")
    kraken gives no prices: timeout
    >>> log.failed("kraken gives no prices: timeout")
    >>> log.recovered("kraken gives prices again")
    kraken gives prices again
    """

    def __init__(self, log_failure: Callable[[str], object], log_recovery: Callable[[str], object]) -> None:
        self.count = 0
        self._log_failure = log_failure
        self._log_recovery = log_recovery
        self._lock = threading.Lock()
        self._messages: dict[Hashable, str] = {}

    @staticmethod
    def to(logger: Any, level: str = "warning") -> LogOnce:
        """Return one that logs failures to loguru's ``logger`` at ``level``, as of the caller's line; ends as info."""
        at_caller = logger.opt(depth=1)
        return LogOnce(getattr(at_caller, level), at_caller.info)

    def failed(self, message: str, key: Hashable = "") -> None:
        """Log a failure, unless the state ``key`` fails already."""
        if self.begins(message, key):
            self._log_failure(message)

    def recovered(self, message: str | None = None, key: Hashable = None) -> None:
        """Log that a failure is over, if there was one.

        Args:
            message: the log message; without one nothing is logged.
            key: the state that is well again; None: all of them.
        """
        if self.ends(key) and message is not None:
            self._log_recovery(message)

    def begins(self, message: str, key: Hashable = "") -> bool:
        """Count a failure without logging it; return whether the state ``key`` was well before."""
        with self._lock:
            self.count += 1
            new = key not in self._messages
            self._messages[key] = message
            return new

    def ends(self, key: Hashable = None) -> bool:
        """End a failure without logging it; return whether there was one. None ends all states."""
        with self._lock:
            if key is not None:
                return self._messages.pop(key, None) is not None
            failing = bool(self._messages)
            self._messages.clear()
            return failing

    def is_failing(self, key: Hashable) -> bool:
        """Return whether the state ``key`` fails at this moment."""
        with self._lock:
            return key in self._messages

    @property
    def messages(self) -> tuple[str, ...]:
        """The newest message of each state that fails at this moment."""
        with self._lock:
            return tuple(self._messages.values())
