"""Sessions of others on the embedded server, such as a person's psql."""

from __future__ import annotations

import psycopg

from persistence.rows import one_row
from persistence.sessions.session import open_privileged_session

OWN_PROGRAM = "run.py"
"""The ``application_name`` of a program that a command runs, such as psql: the command is attached as long as it runs.

The server lists its session for a moment after the program has ended.
"""

# A client that was given the URL is not attached, and depends on the server all the same.
SESSIONS = f"""
SELECT count(*) FROM pg_catalog.pg_stat_activity
WHERE backend_type = 'client backend' AND pid <> pg_catalog.pg_backend_pid()
  AND (application_name NOT LIKE 'paper-trading %%' OR application_name = 'paper-trading attached')
  AND application_name <> '{OWN_PROGRAM}'
"""


def foreign_sessions(conninfo: str) -> int:
    """Return the number of sessions of others; 0 where the server does not answer.

    Args:
        conninfo: of the superuser.
    """
    try:
        with open_privileged_session(conninfo, "embedded", autocommit=True) as connection:
            return int(one_row(connection, SESSIONS, {})[0])
    except psycopg.Error:
        return 0
