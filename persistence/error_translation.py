"""Translation of the driver's errors into those of `domain.errors`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import psycopg
from sqlalchemy import exc

from domain.errors import (
    DatabaseBusy,
    DatabaseError,
    DatabaseUnavailable,
    DatabaseUnsuitable,
    PaperTradingError,
    RightMissing,
    WriteRefused,
)
from domain.redaction.mask import mask
from persistence.disk_refusals import record_refusal

ERRORS_BY_SQLSTATE: Mapping[str, tuple[type[DatabaseError], str]] = {
    "08": (DatabaseUnavailable, "the database is not available"),  # connection
    "53": (DatabaseUnavailable, "the database lacks resources"),
    "57": (DatabaseUnavailable, "the database is not available"),  # an operator intervened
    "25006": (DatabaseUnavailable, "the database is read-only"),
    "25P03": (DatabaseUnavailable, "the database ended a transaction that was idle"),
    "58": (DatabaseUnavailable, "the database's machine fails"),  # such as an input/output error
    "XX": (DatabaseUnavailable, "the database has an internal error"),
    "57014": (DatabaseBusy, "the database took too long"),  # statement_timeout, or a cancelled statement
    "40001": (DatabaseBusy, "the database is busy"),
    "40P01": (DatabaseBusy, "the database is busy"),
    "55P03": (DatabaseBusy, "the database is busy"),
    "0A000": (DatabaseBusy, "the statement does not fit the tables as they are now"),  # perhaps only a prepared one
    "26000": (DatabaseBusy, "the database has forgotten a prepared statement"),  # psycopg prepares it again
    "42501": (RightMissing, "the database role lacks a right"),
    "3F": (DatabaseUnsuitable, "the database lacks the schema"),
    "42P01": (DatabaseUnsuitable, "the tables are not as this program made them"),
    "42703": (DatabaseUnsuitable, "the tables are not as this program made them"),
    "42P10": (DatabaseUnsuitable, "the tables are not as this program made them"),
    "42804": (DatabaseUnsuitable, "the tables are not as this program made them"),
    "42883": (DatabaseUnsuitable, "the tables are not as this program made them"),
    "42": (DatabaseUnsuitable, "a table, trigger or rule is not as this program needs it"),
    "55": (DatabaseUnsuitable, "a table is not in the state that this program needs"),
    "42P06": (DatabaseUnsuitable, "a name that this program needs is taken"),
    "42P07": (DatabaseUnsuitable, "a name that this program needs is taken"),
    "42710": (DatabaseUnsuitable, "a name that this program needs is taken"),
    "42723": (DatabaseUnsuitable, "a name that this program needs is taken"),
    "21": (WriteRefused, "a trigger refused the values"),
    "27": (WriteRefused, "a trigger refused the values"),
    "38": (WriteRefused, "a trigger refused the values"),  # one in another language than PL/pgSQL
    "39": (WriteRefused, "a trigger refused the values"),
    "22": (WriteRefused, "the database refused the values"),
    "23": (WriteRefused, "the database refused the values"),
    "44": (WriteRefused, "the database refused the values"),
    "54": (WriteRefused, "the database refused the values"),
    "P0": (WriteRefused, "a trigger refused the values"),
}
"""Error class and message by SQLSTATE, or by the SQLSTATE's class (PostgreSQL's documentation, appendix A)."""
CHECK_VIOLATION = "23514"
BROKEN_CONSTRAINTS: Mapping[str, str] = {
    "one order for each leg of a decision": "an earlier decision of the same id has an order: the ids of "
    "trading_decisions have begun anew, as by TRUNCATE … RESTART IDENTITY; let them go on behind the orders "
    "(docs/database.md, Guards)",
}
"""What a violation of a constraint means where its name alone does not say it."""
ERRORS_WITHOUT_SQLSTATE: Mapping[type[psycopg.Error], tuple[type[DatabaseError], str]] = {
    psycopg.DataError: (WriteRefused, "the values cannot be sent to the database"),
    psycopg.ProgrammingError: (DatabaseUnsuitable, "database_url cannot be used"),
}
"""For errors that psycopg itself raises; any other one means that the connection is lost or was never made."""
CONNECTION_LOST: tuple[type[DatabaseError], str] = (DatabaseUnavailable, "the database is not available")
OTHER_ERROR: tuple[type[DatabaseError], str] = (DatabaseError, "the database refused the statement")


@contextmanager
def translated() -> Iterator[None]:
    """Turn the driver's errors into those of `domain.errors`."""
    try:
        yield
    except PaperTradingError:
        raise
    except exc.DBAPIError as error:
        raise domain_error(error.orig if isinstance(error.orig, psycopg.Error) else None, error) from error
    except exc.SQLAlchemyError as error:
        raise DatabaseUnavailable(f"the database gave no connection: {first_line(error)}") from error
    except psycopg.Error as error:
        raise domain_error(error, error) from error


def domain_error(error: psycopg.Error | None, outer_error: Exception) -> DatabaseError:
    """Return the program's own error for a driver's error, by its SQLSTATE, or by its class if it has none."""
    text = first_line(error or outer_error)
    state = error.sqlstate if error is not None else None
    if state is None:
        kind, message = next(
            (m for cause, m in ERRORS_WITHOUT_SQLSTATE.items() if isinstance(error, cause)), CONNECTION_LOST
        )
    else:
        name = error.diag.constraint_name if error is not None else None
        sentence = BROKEN_CONSTRAINTS.get(name or "", name if state == CHECK_VIOLATION else None)
        if sentence is not None and " " in sentence:  # this program's constraints are named by what they demand
            return WriteRefused(sentence)
        record_refusal(state, text)
        kind, message = ERRORS_BY_SQLSTATE.get(state) or ERRORS_BY_SQLSTATE.get(state[:2]) or OTHER_ERROR
    made = kind(f"{message}: {text}")
    made.reason = text
    return made


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, without secrets: a driver's may repeat a connection string."""
    return mask((str(error).strip().splitlines() or [type(error).__name__])[0])


def is_statement_error(error: Exception, connection: psycopg.Connection) -> bool:
    """Return whether the server reported ``error`` and the session goes on: the statement had no effect."""
    return (
        isinstance(error, psycopg.Error)
        and error.sqlstate is not None
        and error.diag.severity_nonlocalized == "ERROR"  # after FATAL and PANIC the session is over
        and not connection.closed
    )
