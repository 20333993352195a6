"""The exit code of a command follows from its error."""

from __future__ import annotations

import pytest

from console.errors import AlertFailed, Refused, exit_code_of
from domain.errors import (
    DatabaseUnavailable,
    InvalidDecision,
    InvalidRequest,
    LeaseBlocked,
    LeaseHeld,
    NotRunning,
    PaperTradingError,
    SettingsError,
    UnknownPortfolio,
)
from persistence.embedded.errors import BackupFailed, BackupRefused, EmbeddedServerError

CODES = {
    1: (
        PaperTradingError,
        DatabaseUnavailable,
        EmbeddedServerError,
        BackupFailed,
        AlertFailed,
        LeaseBlocked,
        ValueError,
    ),
    2: (SettingsError, InvalidDecision, InvalidRequest, UnknownPortfolio, BackupRefused, Refused),
    3: (NotRunning, LeaseHeld),
}


@pytest.mark.parametrize(("code", "kind"), [(code, kind) for code, kinds in CODES.items() for kind in kinds])
def test_the_exit_code_of_an_error(code: int, kind: type[Exception]) -> None:
    assert code == exit_code_of(kind("a reason"))
