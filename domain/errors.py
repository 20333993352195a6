"""Every error that this program raises on purpose.

The tree, with the exit code that each gives a command::

    PaperTradingError                  1
    ├── SettingsError                  2   a setting is wrong, missing or contradicts another
    ├── InvalidDecision                2   a decision that no door lets in
    ├── UnknownPortfolio               2   no portfolio of that name
    ├── InvalidRequest                 2   the console was asked what it does not know
    ├── DatabaseError                  1
    │   ├── DatabaseUnavailable        1   cannot be reached, or went away; try again
    │   ├── DatabaseUnsuitable         1   reached, but cannot serve: newer schema, missing rights, wrong version
    │   ├── EmbeddedServerError        1   the embedded PostgreSQL could not be started
    │   ├── DatabaseBusy               1   somebody else's lock or a deadlock; the same again may succeed
    │   ├── WriteRefused               1   the database will not store these values
    │   ├── DecisionsEnded             1   decisions that were to be ended are ended or gone; nothing was written
    │   └── Fenced                     1   another epoch or generation writes now; nothing was written
    ├── SubmissionInDoubt              1   COMMIT's answer was lost; the uid says how to find out
    ├── DecisionGone                   1   the decision's row was deleted, so it has no outcome
    ├── OrderRejected                  1   `execute_order` got no fill; the reason says why
    ├── BackupRefused                  2   no backup may be made there, or this file not be restored; nothing changed
    ├── BackupFailed                   1   a backup could not be written to its end; nothing is left of it
    ├── NotRunning                     3   nothing serves this database
    ├── LeaseHeld                      3   another process serves this database
    ├── PriceSourceError               1   a price source cannot do its work
    ├── AlertFailed                    1   an alarm could not be told to who is to be told
    └── RestartLimitReached            1   actors crash faster than they can be restarted

Messages are one sentence for a person: what is wrong, where, how to mend it. They never hold a secret.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any, ClassVar
from uuid import UUID


class PaperTradingError(Exception):
    """Base of every deliberate error; ``exit_code`` is what a command ends with.

    Attributes:
        code: for programs: the class in snake case, such as ``lease_held``; `InvalidDecision` says more.
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
    """A decision that no door lets in, with the sentence that says why.

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
    """The console was asked for something that does not exist, or in a way that makes no sense."""

    exit_code = 2


class DatabaseError(PaperTradingError):
    """Something about the database."""


class DatabaseUnavailable(DatabaseError):
    """The database cannot be reached, or went away in the middle; it may come back.

    Attributes:
        in_doubt: COMMIT was sent and its answer lost, so it may have happened.
    """

    def __init__(self, message: str, *, in_doubt: bool = False) -> None:
        super().__init__(message)
        self.in_doubt = in_doubt


class DatabaseUnsuitable(DatabaseError):
    """The database answers but cannot serve: newer schema, missing rights, wrong version."""


class EmbeddedServerError(DatabaseError):
    """The embedded PostgreSQL could not be set up or started."""


class DatabaseBusy(DatabaseError):
    """A lock was not to be had in time, or a deadlock was broken; the same transaction may succeed later."""


class WriteRefused(DatabaseError):
    """The database will not store these values; writing them again will not help."""


class DecisionsEnded(DatabaseError):
    """Decisions that were to be ended are ended already, or gone; nothing was written.

    Attributes:
        ids: of those decisions.
    """

    def __init__(self, ids: Collection[Any]) -> None:
        super().__init__(f"decisions {', '.join(sorted(map(str, ids)))} have ended already, or are gone")
        self.ids = frozenset(ids)


class Fenced(DatabaseError):
    """Another epoch or generation writes now; the transaction wrote nothing."""


class SubmissionInDoubt(PaperTradingError):
    """COMMIT's answer was lost, and whether the decision is in is not known yet."""

    def __init__(self, uid: UUID) -> None:
        super().__init__(
            f"no answer came, so whether decision {uid} is in is not known: submit the same object again, "
            "its uid keeps it from being taken twice"
        )


class DecisionGone(PaperTradingError):
    """The decision's row was deleted, so it will never have an outcome."""


class OrderRejected(PaperTradingError):
    """An order that a caller asked for got no fill; the message is the outcome's reason."""


class BackupRefused(PaperTradingError):
    """No backup may be written there, or this file cannot be restored here; nothing was changed."""

    exit_code = 2


class BackupFailed(PaperTradingError):
    """A backup could not be written to its end; nothing is left of it."""


class NotRunning(PaperTradingError):
    """Nothing serves this database."""

    exit_code = 3


class LeaseHeld(PaperTradingError):
    """Another process serves this database."""

    exit_code = 3


class PriceSourceError(PaperTradingError):
    """A price source cannot do its work."""


class AlertFailed(PaperTradingError):
    """An alarm could not be told to who is to be told.

    Attributes:
        again: the same may succeed later.
    """

    def __init__(self, message: str, *, again: bool = True) -> None:
        super().__init__(message)
        self.again = again


class RestartLimitReached(PaperTradingError):
    """Actors crash faster than they can usefully be restarted."""
