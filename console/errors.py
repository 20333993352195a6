"""The console's own errors, and the exit codes with which commands end: 0 is success.

An error that is not in `EXIT_CODES` ends a command with `FAILURE`.
"""

from __future__ import annotations

from domain.errors import (
    InvalidDecision,
    InvalidRequest,
    LeaseBlocked,
    LeaseHeld,
    NotRunning,
    PaperTradingError,
    SettingsError,
    UnknownPortfolio,
    WouldEndValidation,
)
from persistence.embedded.errors import BackupRefused

FAILURE, WRONG_INPUT, NOT_RUNNING, NOT_READY = 1, 2, 3, 4


class Refused(PaperTradingError):
    """The service refused a request; the message is the service's own."""


class UnknownSymbol(PaperTradingError):
    """A command names a symbol of which no order, position or price is known."""


class OutputFailed(PaperTradingError):
    """stdout takes no more, as where its disk is full."""


class LogUnreadable(PaperTradingError):
    """A log file cannot be read."""


class ProgramMissing(PaperTradingError):
    """Another program that a command runs is not installed, or cannot be run."""


class AlertFailed(PaperTradingError):
    """An alert could not be sent.

    Attributes:
        again: True where a later attempt may succeed.
    """

    def __init__(self, message: str, *, again: bool = True) -> None:
        super().__init__(message)
        self.again = again


EXIT_CODES = {
    LeaseBlocked: FAILURE,  # before LeaseHeld: it passes, so a service manager is to try again
    SettingsError: WRONG_INPUT,
    InvalidDecision: WRONG_INPUT,
    InvalidRequest: WRONG_INPUT,
    UnknownPortfolio: WRONG_INPUT,
    BackupRefused: WRONG_INPUT,
    Refused: WRONG_INPUT,
    WouldEndValidation: WRONG_INPUT,
    NotRunning: NOT_RUNNING,
    LeaseHeld: NOT_RUNNING,
}


def exit_code_of(error: BaseException) -> int:
    """Return the exit code of a command that fails with ``error``."""
    return next((code for kind, code in EXIT_CODES.items() if isinstance(error, kind)), FAILURE)
