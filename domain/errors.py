"""Every error that this program raises on purpose.

The tree, with the exit code that each gives a command::

    PaperTradingError                  1
    ├── SettingsError                  2   a setting is wrong, missing or contradicts another
    ├── InvalidDecision                2   a decision that no door lets in
    ├── UnknownPortfolio               2   no portfolio of that name
    ├── DatabaseError                  1
    │   ├── DatabaseUnavailable        1   cannot be reached, or went away; try again
    │   ├── DatabaseUnsuitable         1   reached, but cannot serve: newer schema, missing rights, wrong version
    │   ├── EmbeddedServerError        1   the embedded PostgreSQL could not be started
    │   └── Fenced                     1   another epoch or generation writes now; nothing was written
    ├── SubmissionInDoubt              1   COMMIT's answer was lost; the uid says how to find out
    ├── DecisionGone                   1   the decision's row was deleted, so it has no outcome
    ├── NotRunning                     3   nothing serves this database
    ├── LeaseHeld                      3   another process serves this database
    ├── PriceSourceError               1   a price source cannot do its work
    └── RestartLimitReached            1   actors crash faster than they can be restarted

Messages are one sentence for a person: what is wrong, where, how to mend it. They never hold a secret.
"""

from __future__ import annotations

from typing import ClassVar


class PaperTradingError(Exception):
    """Base of every deliberate error; ``exit_code`` is what a command ends with."""

    exit_code: ClassVar[int] = 1


class SettingsError(PaperTradingError):
    """A setting is wrong, missing or contradicts another."""

    exit_code = 2


class InvalidDecision(PaperTradingError):
    """A decision that no door lets in, with the sentence that says why."""

    exit_code = 2


class UnknownPortfolio(PaperTradingError):
    """No portfolio of that name exists."""

    exit_code = 2


class DatabaseError(PaperTradingError):
    """Something about the database."""


class DatabaseUnavailable(DatabaseError):
    """The database cannot be reached, or went away in the middle; it may come back."""


class DatabaseUnsuitable(DatabaseError):
    """The database answers but cannot serve: newer schema, missing rights, wrong version."""


class EmbeddedServerError(DatabaseError):
    """The embedded PostgreSQL could not be set up or started."""


class Fenced(DatabaseError):
    """Another epoch or generation writes now; the transaction wrote nothing."""


class SubmissionInDoubt(PaperTradingError):
    """COMMIT's answer was lost and the database is away, so whether the decision is in is not known yet."""


class DecisionGone(PaperTradingError):
    """The decision's row was deleted, so it will never have an outcome."""


class NotRunning(PaperTradingError):
    """Nothing serves this database."""

    exit_code = 3


class LeaseHeld(PaperTradingError):
    """Another process serves this database."""

    exit_code = 3


class PriceSourceError(PaperTradingError):
    """A price source cannot do its work."""


class RestartLimitReached(PaperTradingError):
    """Actors crash faster than they can usefully be restarted."""
