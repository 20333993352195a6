"""Settings of a database, role, URL or shell that must have no effect on the program's sessions."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

SETTINGS: Mapping[str, str] = {
    "client_encoding": "LATIN1",
    "datestyle": "SQL, DMY",
    "intervalstyle": "sql_standard",
    "timezone": "Asia/Kolkata",
    "search_path": "nowhere",
    "idle_session_timeout": "100ms",
    "standard_conforming_strings": "off",
    "extra_float_digits": "-5",
    "default_transaction_isolation": "serializable",
}
SHELL: Mapping[str, str] = {
    "PGCLIENTENCODING": "LATIN1",
    "PGDATESTYLE": "SQL, DMY",
    "PGTZ": "Asia/Kolkata",
    "PGOPTIONS": "-c intervalstyle=sql_standard -c search_path=nowhere -c idle_session_timeout=100ms",
}
"""For a configured server, which libpq's variables may select: the styles differ from the program's."""
WRONG_SHELL: Mapping[str, str] = {
    "PGHOST": "nowhere.invalid",
    "PGHOSTADDR": "127.0.0.1",
    "PGPORT": "1",
    "PGDATABASE": "nothing",
    "PGUSER": "nobody",
    "PGPASSWORD": "wrong",
    "PGSERVICE": "none",
    "PGSERVICEFILE": "/nowhere",
    "PGSSLMODE": "nonsense",
    "PGGSSENCMODE": "nonsense",
    "PGREQUIREAUTH": "scram-sha-256",
    "PGREQUIREPEER": "nobody-of-that-name",
    "PGTARGETSESSIONATTRS": "standby",
    "PGCLIENTENCODING": "nonsense",
    "PGDATESTYLE": "nonsense",
    "PGTZ": "Nowhere/At/All",
    "PGOPTIONS": "-c nonsense=1",
}
"""For the embedded server: each of these redirects a connection or ends it."""


def set_by_database(url: str) -> str:
    """Set them for the database; return its URL."""
    _alter(url, sql.SQL("ALTER DATABASE {database} SET {name} = {value}"))
    return url


def set_by_role(url: str) -> str:
    """Set them for the role, in this database alone, because other tests use the server; return the URL."""
    _alter(url, sql.SQL("ALTER ROLE CURRENT_USER IN DATABASE {database} SET {name} = {value}"))
    return url


def set_by_url(url: str) -> str:
    """Return a URL that sets all of them but the search path, which selects the schema."""
    chosen = {name: value for name, value in SETTINGS.items() if name != "search_path"}
    options = " ".join(f"-c {name}={value.replace(' ', chr(92) + ' ')}" for name, value in chosen.items())
    mark = "&" if "?" in url else "?"
    return f"{url}{mark}client_encoding=LATIN1&options={quote(options)}"


def _alter(url: str, statement: sql.SQL) -> None:
    database = sql.Identifier(str(conninfo_to_dict(url)["dbname"]))
    with psycopg.connect(url, autocommit=True) as owner:
        for name, value in SETTINGS.items():
            literal = sql.Literal(value)
            owner.execute(statement.format(database=database, name=sql.Identifier(name), value=literal))
