"""The errors that this program raises on purpose.

The tree, with the exit code of a command that fails with it::

    PaperTradingError                  1
    ├── SettingsError                  2   a setting is wrong, missing or contradicts another
    ├── InvalidDecision                2   a decision that is not valid
    ├── UnknownPortfolio               2   no portfolio of that name
    ├── InvalidRequest                 2   the console does not know the request
    ├── DatabaseError                  1
    │   ├── DatabaseUnavailable        1   cannot be reached, or the connection was lost; try again
    │   ├── DatabaseUnsuitable         1   reached, but not usable: newer schema, missing rights, wrong version
    │   ├── EmbeddedServerError        1   the embedded PostgreSQL could not be started
    │   ├── DatabaseBusy               1   a lock of another session, or a deadlock; a retry may succeed
    │   ├── WriteRefused               1   the database rejects these values
    │   ├── DecisionsEnded             1   decisions to be ended have ended or are gone; nothing was written
    │   └── Fenced                     1   another epoch or generation writes now; nothing was written
    ├── SubmissionInDoubt              1   the answer to COMMIT was lost; submit the same uid again
    ├── DecisionGone                   1   the decision's row was deleted, so it has no outcome
    ├── OrderRejected                  1   `execute_order` got no fill; the reason says why
    ├── BackupRefused                  2   no backup can be written there, or this file not restored; nothing changed
    ├── BackupFailed                   1   a backup could not be completed; its file was removed
    ├── NotRunning                     3   no process serves this database
    ├── LeaseHeld                      3   another process serves this database
    ├── PriceSourceError               1   a price source cannot do its work
    ├── AlertFailed                    1   an alert could not be sent
    └── RestartLimitReached            1   actors crash faster than they can be restarted

A message is one sentence for a person: what is wrong, where, and how to mend it. It never holds a secret.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any, ClassVar
from uuid import UUID


class PaperTradingError(Exception):
    """Base of every deliberate error; ``exit_code`` is the exit code of a command.

    Attributes:
        code: for programs: the class's name in snake case, such as ``lease_held``; `InvalidDecision` has finer ones.
    """

    exit_code: ClassVar[int] = 1
    code: str

    def __init_subclass__(cls) -> None:
        cls.code = re.sub("(?<!^)(?=[A-Z])", "_", cls.__name__).lower()


PaperTradingError.code = "failed"


class SettingsError(PaperTradingError):
    """A setting is wrong, missing or contradicts another."""

    exit_code = 2


class InvalidDecision(PaperTradingError):
    """A decision that is not valid, with the message that says why.

    Attributes:
        code: ``invalid_confidence``, ``missing_confidence``, ``unknown_field``, or ``invalid_decision`` in general.
    """

    exit_code = 2

    def __init__(self, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.code = code or type(self).code


class UnknownPortfolio(PaperTradingError):
    """No portfolio of that name exists."""

    exit_code = 2


class InvalidRequest(PaperTradingError):
    """A request to the console names something that does not exist, or has a wrong form."""

    exit_code = 2


class DatabaseError(PaperTradingError):
    """Base of the errors of the database."""


class DatabaseUnavailable(DatabaseError):
    """The database cannot be reached, or the connection was lost; it may come back.

    Attributes:
        in_doubt: True where COMMIT was sent and its answer was lost, so the commit may have happened.
    """

    def __init__(self, message: str, *, in_doubt: bool = False) -> None:
        super().__init__(message)
        self.in_doubt = in_doubt


class DatabaseUnsuitable(DatabaseError):
    """The database answers but is not usable: newer schema, missing rights, wrong version."""


class EmbeddedServerError(DatabaseError):
    """The embedded PostgreSQL could not be set up or started."""


class DatabaseBusy(DatabaseError):
    """A lock was not granted in time, or a deadlock was resolved; the same transaction may succeed later."""


class WriteRefused(DatabaseError):
    """The database rejects these values; a retry does not help."""


class DecisionsEnded(DatabaseError):
    """Decisions to be ended have ended already, or are gone; nothing was written.

    Attributes:
        ids: ids of those decisions.
    """

    def __init__(self, ids: Collection[Any]) -> None:
        super().__init__(f"decisions {', '.join(sorted(map(str, ids)))} have ended already, or are gone")
        self.ids = frozenset(ids)


class Fenced(DatabaseError):
    """Another epoch or generation writes now; the transaction wrote nothing."""


class SubmissionInDoubt(PaperTradingError):
    """The answer to COMMIT was lost, so it is not known whether the decision was stored."""

    def __init__(self, uid: UUID) -> None:
        super().__init__(
            f"the database did not answer, so it is not known whether decision {uid} was stored: submit the same "
            "object again; its uid keeps it from being stored twice"
        )


class DecisionGone(PaperTradingError):
    """The decision's row was deleted, so it will never have an outcome."""


class OrderRejected(PaperTradingError):
    """A caller's order got no fill; the message is the outcome's reason."""


class BackupRefused(PaperTradingError):
    """No backup can be written there, or this file cannot be restored here; nothing was changed."""

    exit_code = 2


class BackupFailed(PaperTradingError):
    """A backup could not be completed; its file was removed."""


class NotRunning(PaperTradingError):
    """No process serves this database."""

    exit_code = 3


class LeaseHeld(PaperTradingError):
    """Another process serves this database."""

    exit_code = 3


class PriceSourceError(PaperTradingError):
    """A price source cannot do its work."""


class AlertFailed(PaperTradingError):
    """An alert could not be sent.

    Attributes:
        again: True where a later attempt may succeed.
    """

    def __init__(self, message: str, *, again: bool = True) -> None:
        super().__init__(message)
        self.again = again


class RestartLimitReached(PaperTradingError):
    """Actors crash faster than they can usefully be restarted."""
