"""The errors that this program raises on purpose.

The tree::

    PaperTradingError
    ├── SettingsError                  a setting is wrong, missing or contradicts another
    ├── InvalidDecision                a decision that is not valid
    │   └── IdempotencyConflict        its idempotency key was used for another decision
    ├── UnknownPortfolio               no portfolio of that name
    ├── InvalidRequest                 the console does not know the request
    ├── DatabaseError
    │   ├── DatabaseUnavailable        cannot be reached, or the connection was lost; try again
    │   ├── DatabaseUnsuitable         reached, but not usable: newer schema, missing rights, wrong version
    │   │   └── RightMissing           the role may not do that; its owner, or a role with the right, may
    │   ├── DatabaseBusy               a lock of another session, or a deadlock; a retry may succeed
    │   ├── WriteRefused               the database rejects these values
    │   ├── DecisionsEnded             decisions to be ended have ended or are gone; nothing was written
    │   └── Fenced                     another epoch or generation writes now; nothing was written
    ├── SubmissionInDoubt              the answer to COMMIT was lost; submit the same uid again
    ├── DecisionGone                   the decision's row was deleted, so it has no outcome
    ├── WouldEndValidation             the action would end a validation run, so it was not done
    ├── OrderRejected                  `execute_order` got no fill; the reason says why
    ├── FileNotWritten                 a file cannot be written, as on a full disk
    ├── ExchangeUnreachable            the exchange of the prices does not answer
    ├── NotRunning                     no process serves this database
    ├── LeaseHeld                      another process serves this database
    │   └── LeaseBlocked               another session has the lease, and no service runs
    └── RestartLimitReached            actors crash faster than they can be restarted

Errors of one package alone are there: those of the embedded database in `persistence/embedded/errors.py`, those of the
command line in `console/errors.py`, which also has the exit codes.

A message is one sentence for a person: what is wrong, where, and how to mend it. It never holds a secret.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any
from uuid import UUID


class PaperTradingError(Exception):
    """Base of every deliberate error.

    Attributes:
        code: for programs: the class's name in snake case, such as ``lease_held``; `InvalidDecision` has finer ones.
    """

    code: str

    def __init_subclass__(cls) -> None:
        cls.code = re.sub("(?<!^)(?=[A-Z])", "_", cls.__name__).lower()


PaperTradingError.code = "failed"


class SettingsError(PaperTradingError):
    """A setting is wrong, missing or contradicts another."""


class InvalidDecision(PaperTradingError):
    """A decision that is not valid, with the message that says why.

    Attributes:
        code: ``invalid_confidence``, ``missing_confidence``, ``unknown_field``, ``invalid_terms``, or
            ``invalid_decision`` in general.
    """

    def __init__(self, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.code = code or type(self).code


class IdempotencyConflict(InvalidDecision):
    """The sender has used the idempotency key, or the uid, of a decision for one with other content.

    Attributes:
        decision_id: of the first decision.
        fields: in which the two differ.
    """

    def __init__(self, what: str, value: str, decision_id: Any, fields: Collection[str]) -> None:
        super().__init__(
            f"{what} {value} is that of decision {decision_id}, which differs in {', '.join(fields)}; another decision "
            f"needs another {what}"
        )
        self.decision_id = decision_id
        self.fields = tuple(fields)


class UnknownPortfolio(PaperTradingError):
    """No portfolio of that name exists."""


class InvalidRequest(PaperTradingError):
    """A request to the console names something that does not exist, or has a wrong form."""


class DatabaseError(PaperTradingError):
    """Base of the errors of the database.

    Attributes:
        reason: the server's own words, in its language; empty where the error is the program's.
    """

    reason = ""


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


class RightMissing(DatabaseUnsuitable):
    """The role of the database lacks a right that the statement needs; the owner has it."""


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


class WouldEndValidation(PaperTradingError):
    """The action would end a validation run, so it was not done."""


class OrderRejected(PaperTradingError):
    """A caller's order got no fill; the message is the outcome's reason."""


class FileNotWritten(PaperTradingError):
    """A file could not be written; one that existed is unchanged."""


class ExchangeUnreachable(PaperTradingError):
    """The exchange of the prices does not answer."""


class NotRunning(PaperTradingError):
    """No process serves this database."""


class LeaseHeld(PaperTradingError):
    """Another process serves this database."""


class LeaseBlocked(LeaseHeld):
    """A session that is no running service has the lease: it starts, upgrades, restores or hangs."""


class RestartLimitReached(PaperTradingError):
    """Actors crash faster than they can usefully be restarted."""
