"""The types of settings: bounds, unit, form, and the checks of values that are more than a number or a word."""

from __future__ import annotations

import errno
import json
import math
import os
import re
import shlex
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_settings import NoDecode

from actors.configuration.settings_reference import Form, Unit
from domain.files.owners import exposure
from domain.trading.decision import Number
from domain.trading.sessions.calendar import CALENDARS
from domain.trading.sessions.expected_decisions import FORM, parse_expected
from domain.types import FeeRule, PriceRule
from domain.wording import SCHEMA

MAX_FACTOR = 1_000_000
MAX_SOCKET_PATH_BYTES = 103
"""macOS accepts 103 bytes, Linux 107."""
HOST = r"[A-Za-z0-9._-]+(:\d{1,5})?|\[[0-9A-Fa-f:.]+\](:\d{1,5})?"
"""A host, or an IPv6 address in brackets, perhaps with a port."""
LOG_LEVELS = ("TRACE", "DEBUG", "INFO", "WARNING", "ERROR")


def _split_list(value: object) -> object:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _parse_table(value: object) -> object:
    return _table(value, '{"timeout": 5000}')


def _parse_calendars(value: object) -> object:
    table = _table(value, '{"AAPL": "XNYS"}')
    if any(calendar not in CALENDARS for calendar in table.values()):
        msg = f"must name one of these exchanges for each symbol: {', '.join(CALENDARS)}"
        raise ValueError(msg)
    return table


def _table(value: object, example: str) -> dict[str, object]:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            value = None
    if not isinstance(value, dict):
        msg = f"must be a table, as a variable in JSON: {example}"
        raise ValueError(msg)
    return value


def _absolute_folder(home: Path) -> Path:
    try:
        home = home.expanduser().absolute()
    except RuntimeError:
        msg = "must be a folder, and there is no such user"
        raise ValueError(msg) from None
    try:
        home.resolve()
        not_a_folder = home.exists() and not home.is_dir()
        reason = exposure(home)
    except (RuntimeError, OSError) as error:
        text = error.strerror if isinstance(error, OSError) and error.errno != errno.ELOOP else None
        msg = f"must be a folder, and {text or 'its links lead in a circle'}"
        raise ValueError(msg) from None
    if not_a_folder:
        msg = "must be a folder, and is a file"
        raise ValueError(msg)
    if reason is not None:
        msg = f"must be a folder of your own, and {reason}"
        raise ValueError(msg)
    return home


def _socket_path(path: Path | None) -> Path | None:
    if path is None:
        return None
    try:
        path = path.expanduser().absolute()
    except RuntimeError:
        msg = "must be a path, and there is no such user"
        raise ValueError(msg) from None
    if len(os.fsencode(path)) > MAX_SOCKET_PATH_BYTES:
        msg = f"must have at most {MAX_SOCKET_PATH_BYTES} bytes, as the system allows no more for a socket"
        raise ValueError(msg)
    return path


def _program_folder(folder: Path | None) -> Path | None:
    return None if folder is None else _absolute_folder(folder)


def _own_schema(schema: str) -> str:
    if schema.startswith("pg_") or schema == "information_schema":
        msg = "must not be a schema of PostgreSQL's own, such as this one"
        raise ValueError(msg)
    return schema


def _database_url(url: SecretStr | None) -> SecretStr | None:
    authority = url.get_secret_value().partition("://")[2] if url is not None else ""
    if authority.partition("?")[0].count("@") > 1:
        # What follows the first one would be taken for the host, and printed.
        msg = "an @ in user or password must be written as %40"
        raise ValueError(msg)
    return url


def _alert_command(command: SecretStr | None) -> SecretStr | None:
    if command is not None:
        try:
            arguments = shlex.split(command.get_secret_value())
        except ValueError as error:
            msg = f"must be words as in a shell: {str(error).lower()}"
            raise ValueError(msg) from None
        if not arguments or not arguments[0] or any("\0" in argument for argument in arguments):
            msg = "must be a program and its arguments, without NUL characters"
            raise ValueError(msg)
    return command


def _alert_url(url: SecretStr | None) -> SecretStr | None:
    if url is not None and not _is_web_address(url.get_secret_value()):
        msg = "must be an address of http or https without blanks, such as https://example.com/alerts"
        raise ValueError(msg)
    return url


def _split_addresses(value: object) -> object:
    # By blanks: an address may hold commas.
    return tuple(value.split()) if isinstance(value, str) else value


def _service_addresses(addresses: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
    for address in addresses:
        text = address.get_secret_value()
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*://\S+", text) or not text.isprintable():
            msg = "must be addresses of Apprise, such as ntfy://my-topic"
            raise ValueError(msg)
    return addresses


def _is_web_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        complete = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # the port is not a number, or the IPv6 address is incomplete
        return False
    return complete and url.isprintable() and not re.search(r"\s", url)


def _speed(value: object) -> float:
    if value == "max":
        return math.inf
    try:
        number = float(value) if isinstance(value, int | float | str) else math.nan
    except ValueError:
        number = math.nan
    if not (0 < number <= MAX_FACTOR or (isinstance(value, float) and value == math.inf)):
        msg = f"must be a number above 0, at most {MAX_FACTOR}, or max"
        raise ValueError(msg)
    return number


def _expected_text(value: object) -> object:
    if isinstance(value, str) and value.strip():
        parse_expected(value)
        return " ".join(value.split())
    if isinstance(value, int) and not isinstance(value, bool):  # in paper.toml: seconds
        parse_expected(str(value))
        return str(value)
    if value is not None:
        msg = f"must be {FORM}"
        raise ValueError(msg)
    return None


def _moment(value: object) -> datetime | None:
    if value is None:
        return None
    try:
        text = value.isoformat() if isinstance(value, date) else str(value)
        moment = datetime.fromisoformat(text.strip())
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        msg = "must be a date or a time such as 2025-01-31 or 2025-01-31T12:00:00Z; without a zone it is in UTC"
        raise ValueError(msg) from None


def _log_level(level: str) -> str:
    if level.upper() not in LOG_LEVELS:
        msg = "must be TRACE, DEBUG, INFO, WARNING or ERROR"
        raise ValueError(msg)
    return level.upper()


def _price_rule(name: str) -> str:
    if name not in set(PriceRule):
        msg = "must be quote or last"
        raise ValueError(msg)
    return name


def _fee_rule(name: str) -> str:
    if name not in set(FeeRule):
        msg = "must be own or venue"
        raise ValueError(msg)
    return name


Seconds = Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False), Unit("s")]
SecondsOrZero = Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False), Unit("s")]
Speed = Annotated[float, BeforeValidator(_speed), Form(f"number above 0, at most {MAX_FACTOR}, or max"), Unit("factor")]
Moment = Annotated[datetime | None, BeforeValidator(_moment), Form("date or time, ISO 8601")]
ExpectedText = Annotated[str | None, BeforeValidator(_expected_text), Form(FORM)]
Fraction = Annotated[Number, Field(ge=0, le=1), Unit("fraction")]
Amount = Annotated[Number, Field(ge=0, lt=Decimal("1e20")), Unit("money")]
Count = Annotated[int, Field(ge=1, le=1_000_000)]


def _symbols(symbols: tuple[str, ...]) -> tuple[str, ...]:
    for symbol in symbols:
        if ";" in symbol or any(character.isspace() for character in symbol):
            msg = f"must be separated by commas, such as BTC/USDT, ETH/USDT; {symbol!r} is no symbol"
            raise ValueError(msg)
    return symbols


def _hosts(hosts: tuple[str, ...]) -> tuple[str, ...]:
    for host in hosts:
        if not re.fullmatch(HOST, host):
            msg = f"must be hosts, perhaps with a port, such as mirror.example.com or 127.0.0.1:8080; {host!r} is none"
            raise ValueError(msg)
    return tuple(host.lower() for host in hosts)


TextList = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split_list), Form("list, or text with commas")]
SymbolList = Annotated[
    tuple[str, ...], NoDecode, BeforeValidator(_split_list), AfterValidator(_symbols), Form("list, or text with commas")
]
HostList = Annotated[
    tuple[str, ...], NoDecode, BeforeValidator(_split_list), AfterValidator(_hosts), Form("list, or text with commas")
]
Table = Annotated[dict[str, Any], NoDecode, BeforeValidator(_parse_table), Form("table; in a variable, JSON")]
CalendarTable = Annotated[
    dict[str, str],
    NoDecode,
    BeforeValidator(_parse_calendars),
    Form(f"table of symbols, each with one of {', '.join(CALENDARS)}; in a variable, JSON"),
]
Folder = Annotated[Path, AfterValidator(_absolute_folder), Form("folder")]
SocketPath = Annotated[
    Path | None, AfterValidator(_socket_path), Form(f"path of at most {MAX_SOCKET_PATH_BYTES} bytes")
]
ProgramFolder = Annotated[Path | None, AfterValidator(_program_folder), Form("folder")]
SchemaName = Annotated[str, Field(pattern=SCHEMA), AfterValidator(_own_schema)]
DatabaseUrl = Annotated[SecretStr | None, AfterValidator(_database_url), Form("URL of PostgreSQL")]
AlertCommand = Annotated[SecretStr | None, AfterValidator(_alert_command), Form("program and arguments")]
AlertUrl = Annotated[SecretStr | None, AfterValidator(_alert_url), Form("http or https URL")]
AlertServices = Annotated[
    tuple[SecretStr, ...],
    NoDecode,
    BeforeValidator(_split_addresses),
    AfterValidator(_service_addresses),
    Form("list of addresses, or text with blanks"),
]
LogLevel = Annotated[str, AfterValidator(_log_level), Form("TRACE, DEBUG, INFO, WARNING or ERROR")]
FeeRuleName = Annotated[str, AfterValidator(_fee_rule), Form("own or venue")]
PriceRuleName = Annotated[str, AfterValidator(_price_rule), Form("quote or last")]
