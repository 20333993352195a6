"""The translation of the driver's errors."""

from __future__ import annotations

import psycopg
import pytest

from domain.errors import (
    DatabaseBusy,
    DatabaseError,
    DatabaseUnavailable,
    DatabaseUnsuitable,
    RightMissing,
    SettingsError,
    WriteRefused,
)
from persistence.error_translation import domain_error
from persistence.sessions.address import display_address, parse_url


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (psycopg.OperationalError("connection refused"), DatabaseUnavailable),
        (psycopg.InterfaceError("the connection is closed"), DatabaseUnavailable),
        (psycopg.errors.AdminShutdown("terminating connection"), DatabaseUnavailable),
        (psycopg.errors.TooManyConnections("too many"), DatabaseUnavailable),
        (psycopg.errors.DiskFull("no space"), DatabaseUnavailable),
        (psycopg.errors.ReadOnlySqlTransaction("read-only"), DatabaseUnavailable),
        (psycopg.errors.IdleInTransactionSessionTimeout("idle"), DatabaseUnavailable),
        (psycopg.errors.IoError("could not read block"), DatabaseUnavailable),
        (psycopg.errors.InternalError_("tuple concurrently updated"), DatabaseUnavailable),
        (psycopg.errors.FeatureNotSupported("cached plan must not change result type"), DatabaseBusy),
        (psycopg.errors.InvalidSqlStatementName('prepared statement "_pg3_0" does not exist'), DatabaseBusy),
        (psycopg.errors.ExternalRoutineException("a trigger in another language"), WriteRefused),
        (psycopg.errors.CardinalityViolation("a trigger's subquery"), WriteRefused),
        (psycopg.errors.AmbiguousColumn("a trigger's statement"), DatabaseUnsuitable),
        (psycopg.errors.ObjectNotInPrerequisiteState("no replica identity"), DatabaseUnsuitable),
        (psycopg.errors.LockNotAvailable("lock timeout"), DatabaseBusy),
        (psycopg.errors.DeadlockDetected("deadlock"), DatabaseBusy),
        (psycopg.errors.SerializationFailure("could not serialize"), DatabaseBusy),
        (psycopg.errors.NumericValueOutOfRange("overflow"), WriteRefused),
        (psycopg.errors.CheckViolation("violates"), WriteRefused),
        (psycopg.DataError("cannot contain NUL"), WriteRefused),
        (psycopg.errors.InsufficientPrivilege("permission denied"), RightMissing),
        (psycopg.ProgrammingError("invalid URI query parameter"), DatabaseUnsuitable),
        (psycopg.errors.UndefinedColumn("no such column"), DatabaseUnsuitable),
        (psycopg.errors.UndefinedTable("no such table"), DatabaseUnsuitable),
        (psycopg.errors.QueryCanceled("statement timeout"), DatabaseBusy),
        (psycopg.errors.SyntaxError("syntax error"), DatabaseUnsuitable),
        (psycopg.errors.InvalidCursorName("no such cursor"), DatabaseError),
    ],
)
def test_domain_error(error: psycopg.Error, kind: type[DatabaseError]) -> None:
    assert kind is type(domain_error(error, error))
    assert str(error) in str(domain_error(error, error))


def test_the_address_has_no_user_and_no_password() -> None:
    assert "db.example:5433/paper" == display_address("postgresql://me:s3cret@db.example:5433/paper")


@pytest.mark.parametrize("url", ["nonsense", "mysql://me:s3cret@host/db", "http://me:s3cret@host"])
def test_an_invalid_url_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(SettingsError) as refusal:
        parse_url(url)
    assert "s3cret" not in str(refusal.value)
    assert "postgresql://" in str(refusal.value)
