"""The address of a database: a URL in libpq's form, read by libpq's own parser.

No message here repeats a part of the URL, because a wrongly written password may stand in any part.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from urllib.parse import quote, unquote, urlencode

import psycopg
from psycopg.conninfo import conninfo_to_dict

from domain.errors import SettingsError

PUBLIC = "public"
SCHEME = re.compile(r"(?P<database>[A-Za-z0-9]+)(?:\+[A-Za-z0-9_]+)?://")
"""Of libpq, and with a driver's name, as SQLAlchemy has it."""
SECRETS = ("password", "sslpassword")
WRITTEN_PASSWORDS = (
    re.compile(r"://[^:/@]*:(.*)@"),
    re.compile(r"://[^:/@]*:([^@]*)@"),
    re.compile(r"password=([^&\s]+)"),
)
"""Where a password stands in a URL, also in one that is wrongly written."""
NOT_A_URL = "database_url is not a URL; it must look like postgresql://user:password@host:5432/database"
ENCODE = "in a user or password write @ as %40, / as %2F, : as %3A, ? as %3F, % as %25 and a blank as %20"
SEARCH_PATH = re.compile(r"^(?:-c\s*|--)search_path\s*=\s*\"?([^,\"\s]+)")
SETTING = re.compile(r"^(?:-c|--)([A-Za-z_][\w.-]*)\s*=(.*)$", re.DOTALL)


def parse_url(database_url: str) -> dict[str, str]:
    """Return libpq's parameters in a URL, decoded: ``host``, ``port``, ``user``, ``password``, ``dbname``, ``options``.

    Raises:
        SettingsError: it is no PostgreSQL URL.
    """
    scheme = SCHEME.match(database_url)
    if scheme is None:
        raise SettingsError(NOT_A_URL)
    if scheme["database"] not in {"postgresql", "postgres"}:
        raise SettingsError(f"database_url names {scheme['database']!r}; only postgresql:// databases work")
    rest = database_url[scheme.end() :]
    try:
        parameters = {name: str(value) for name, value in conninfo_to_dict(f"postgresql://{rest}").items()}
    except psycopg.ProgrammingError as error:
        message = str(error).strip()
        # With no @ in or after the query it holds no password, and a wrong parameter may be named.
        if not re.fullmatch(r'invalid URI query parameter: "\w+"', message) or "@" in rest.partition("?")[2]:
            message = _without_values(message)
        raise SettingsError(f"database_url cannot be used: {message}; {ENCODE}") from None
    user, separator, place = rest.partition("@")
    if "@" in (place if separator and "/" not in user else rest).partition("?")[0]:
        raise SettingsError(f"database_url cannot be used: it has a second @; {ENCODE}")
    if not all(port.isdecimal() or not port for port in parameters.get("port", "").split(",")):
        raise SettingsError(f"database_url cannot be used: a port is not a number; {ENCODE}")
    return parameters


def _without_values(message: str) -> str:
    """Return the first words of libpq's message, without what it quotes from the URL."""
    return re.split(r'[":]', message, maxsplit=1)[0].strip(" ,") or "it is not in libpq's form"


def make_url(parameters: Mapping[str, str]) -> str:
    """Return parameters as a URL for libpq, psql and SQLAlchemy; a socket or several hosts stand in its query."""
    rest = dict(parameters)
    user, password, name = rest.pop("user", ""), rest.pop("password", ""), rest.pop("dbname", "")
    login = quote(user, safe="") + (f":{quote(password, safe='')}" if password else "")
    place = ""
    if rest.get("host") and not any(character in rest["host"] for character in "/,@"):
        host, port = rest.pop("host"), rest.pop("port", "")
        place = (f"[{host}]" if ":" in host else host) + (f":{port}" if port else "")
    query = f"?{urlencode(rest, quote_via=quote, safe='/')}" if rest else ""
    return f"postgresql://{login}{'@' if login else ''}{place}/{quote(name, safe='')}{query}"


def dsn(database_url: str) -> str:
    """Return the URL in libpq's spelling; it may hold a password."""
    return make_url(parse_url(database_url))


def secrets_of(database_url: str) -> set[str]:
    """Return the passwords in a URL or connection string, decoded, and as they are written.

    A text that libpq cannot read has no parameters, but its password must not be shown either.
    """
    passwords = {match for pattern in WRITTEN_PASSWORDS for match in pattern.findall(database_url)}
    passwords |= set(map(unquote, passwords))
    scheme = SCHEME.match(database_url)  # with a driver's name, libpq would not take it for a URL
    try:
        parameters = conninfo_to_dict(f"postgresql://{database_url[scheme.end() :]}" if scheme else database_url)
    except psycopg.ProgrammingError:
        parameters = {}
    return {password for name in SECRETS if (password := str(parameters.get(name) or ""))} | (passwords - {""})


def display_address(database_url: str) -> str:
    """Return the address of the database without user and password: ``host:5432/database``."""
    parameters = parse_url(database_url)
    hosts = (parameters.get("host") or parameters.get("hostaddr") or "local socket").split(",")
    ports = parameters.get("port", "").split(",")
    if len(ports) == 1:
        ports *= len(hosts)
    places = [host + (f":{port}" if port else "") for host, port in zip(hosts, ports, strict=False)]
    return f"{','.join(places)}/{parameters.get('dbname', '')}"


def schema_of(database_url: str) -> str:
    """Return the schema in a URL's ``options=-csearch_path=…``; ``public`` if there is none."""
    options = server_options(database_url)
    schemas = [match[1] for option in options if (match := SEARCH_PATH.match(option))]
    return schemas[-1] if schemas else PUBLIC


def with_schema(database_url: str, schema: str) -> str:
    """Return the URL with ``schema`` first in its search path, in a form that psql takes; ``public`` adds nothing."""
    if schema == PUBLIC:
        return database_url
    others = [option for option in server_options(database_url) if not SEARCH_PATH.match(option)]
    options = joined_options([*others, f"-csearch_path={schema},{PUBLIC}"])
    return make_url(parse_url(database_url) | {"options": options})


def server_options(database_url: str) -> list[str]:
    """Return the server options of a URL, split as the server does; ``-c name=value`` becomes one item."""
    arguments = re.findall(r"(?:\\.|[^\s\\])+", parse_url(database_url).get("options", ""), re.DOTALL)
    words = [re.sub(r"\\(.)", r"\1", argument, flags=re.DOTALL) for argument in arguments]
    return re.sub("(^|\0)-c\0", r"\1-c", "\0".join(words)).split("\0") if words else []


def joined_options(options: Iterable[str]) -> str:
    """Return options as libpq's parameter ``options``, the reverse of `server_options`."""
    return " ".join(re.sub(r"([\\\s])", r"\\\1", option) for option in options)


def url_settings(database_url: str) -> dict[str, str]:
    """Return the settings in a URL's options but the search path, by name; other options are left out."""
    settings = [SETTING.match(option) for option in server_options(database_url) if not SEARCH_PATH.match(option)]
    return {match[1]: match[2] for match in settings if match is not None}
