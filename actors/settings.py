"""The settings: defaults, then ``paper.toml`` in the working folder, then ``PAPER_*`` variables, then options.

Ratios are fractions: 0.001 is 0.1 %. Those about a portfolio only create the row of ``default`` in
``paper_trading_config``; from then on the row rules.
"""

from __future__ import annotations

import difflib
import errno
import json
import os
import re
import shlex
import tomllib
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from actors.introspection.settings_redaction import (
    MASK,
    masked,
    masked_command,
    secret_texts,
    shown_text,
    stored,
    without_secrets,
)
from domain.errors import SettingsError
from domain.trading.arithmetic import multiply, plain
from domain.trading.decision import Number
from domain.wording import CURRENCY, EXCHANGE, SCHEMA, allowed, quoted

FILE = Path("paper.toml")
PREFIX = "PAPER_"
GIVEN = frozenset({"PAPER_ALERT_KIND", "PAPER_ALERT_TEXT"})
"""Variables that `alert_command` finds; they are no settings, and it may call this program."""
SECRETS = frozenset({"database_url", "alert_command", "alert_url"})
URL = r"[a-z0-9+]+://[^\s'\"]+"
COUNTED = (
    "prices", "exchange", "exchange_options", "symbols", "seed", "price_interval", "price_speed", "same_currency",
    "check_interval", "snapshot_interval", "price_grace", "max_price_age", "max_decision_age", "hang_timeout",
    "audit_interval", "max_restarts", "restart_window",
)  # fmt: skip
"""Settings that can change what a decision becomes, or what is measured: what counts as stale, as a hang or as too many
restarts, and how often is looked."""
UNQUOTED = SECRETS | {"exchange_options"}
"""Settings whose value is not repeated where it is wrong: it may hold a password."""


def _list(value: object) -> object:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _table(value: object) -> object:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            value = None
    if not isinstance(value, dict):
        msg = 'must be a table, as a variable in JSON: {"timeout": 5000}'
        raise ValueError(msg)
    return value


Seconds = Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)]
Share = Annotated[Number, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1, le=1_000_000)]
Words = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_list)]
Table = Annotated[dict[str, Any], NoDecode, BeforeValidator(_table)]


class Settings(BaseSettings):
    """What a user may set. Amounts and ratios are Decimals, times are seconds.

    Raises:
        SettingsError: with one sentence that names the setting, its value and what is allowed.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True, env_ignore_empty=True)

    home: Path = Field(Path("~/.paper-trading"), description="folder of the embedded database and the logs")
    database_url: SecretStr | None = Field(None, description="PostgreSQL or TimescaleDB; none: an embedded PostgreSQL")
    database_schema: Annotated[str, Field(pattern=SCHEMA)] = Field("public", description="where the tables live")
    prices: str = Field(
        "ccxt", description="where prices come from: ccxt, simulated, or the path of a CSV or Parquet file"
    )
    exchange: Annotated[str, Field(pattern=EXCHANGE)] = Field("kraken", description="ccxt's id of the exchange")
    exchange_options: Table = Field(
        default_factory=dict, repr=False, description="what ccxt's exchange is made with, such as proxies; no keys"
    )
    symbols: Words | None = Field(
        None, description="separated by commas; simulated: none means five usual ones; ccxt: watched from the start"
    )
    seed: int = Field(1, description="of the simulated market")
    price_interval: Seconds = Field(1.0, description="simulated: seconds between two prices")
    price_speed: Annotated[float, Field(gt=0, le=1_000_000, allow_inf_nan=False)] = Field(
        1.0, description="simulated and file: how much faster than the wall clock market time runs"
    )
    price_retention_days: Annotated[int, Field(gt=0, le=36_500)] = Field(
        30, description="market_prices are kept so long"
    )
    same_currency: Words = Field(("USD", "USDT", "USDC"), description="currencies that count 1:1")

    initial_capital: Annotated[Number, Field(gt=0, lt=Decimal("1e20"))] = Field(Decimal(10_000))
    currency: Annotated[str, Field(pattern=CURRENCY)] = Field("USDT")
    commission_pct: Annotated[Number, Field(ge=0, le=Decimal("0.1"))] = Field(Decimal("0.001"), description="fraction")
    min_commission: Annotated[Number, Field(ge=0, lt=Decimal("1e20"))] = Field(Decimal(1), description="of an order")
    slippage_pct: Annotated[Number, Field(ge=0, le=Decimal("0.05"))] = Field(Decimal("0.0005"), description="fraction")
    max_position_size: Annotated[Number, Field(gt=0, le=1)] = Field(Decimal("0.20"), description="fraction of equity")
    decision_confidence_threshold: Annotated[Number, Field(ge=0, le=1)] = Field(Decimal("0.6"))
    min_notional: Annotated[Number, Field(ge=0, lt=Decimal("1e20"))] = Field(Decimal(10), description="of an order")
    default_risk_score: Annotated[Number, Field(ge=0, le=1)] = Field(Decimal("0.3"))

    check_interval: Seconds = Field(60.0, description="seconds between two polls; wake-ups come at once")
    snapshot_interval: Annotated[int, Field(ge=1, le=86_400)] = Field(60, description="seconds, on the UTC grid")
    price_grace: Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)] = Field(
        1.0, description="a price seen up to so many seconds before a decision was received will do"
    )
    max_price_age: Seconds = Field(30.0, description="without a price in so many seconds a decision is rejected")
    max_decision_age: Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)] = Field(
        300.0, description="a decision that waits longer before it is sized, as over a downtime, expires; 0: never"
    )
    hang_timeout: Seconds = Field(30.0, description="an actor that is busy so long with one message is replaced")
    audit_interval: Seconds = Field(300.0, description="seconds between two comparisons of memory with the database")
    max_restarts: Annotated[int, Field(ge=0, le=1_000)] = Field(
        5, description="of actors, within restart_window; one more ends the process"
    )
    restart_window: Seconds = Field(30.0, description="seconds in which max_restarts are allowed")
    validation_min_days: Count = Field(14, description="whole days of a run")
    validation_min_win_rate: Share = Field(Decimal("0.55"), description="of round trips, a fraction")
    validation_min_sharpe: Annotated[Number, Field(ge=-1000, le=1000)] = Field(Decimal("1.5"), description="annualised")
    validation_max_drawdown: Share = Field(Decimal("0.10"), description="fraction")
    validation_min_trades: Count = Field(20, description="round trips of a run")
    validation_min_net: Annotated[Number, Field(ge=0, lt=Decimal("1e20"))] = Field(Decimal(0), description="an amount")
    validation_min_psr: Annotated[Number, Field(gt=Decimal("0.5"), lt=1)] = Field(Decimal("0.95"), description="PSR(0)")
    validation_min_uptime: Share = Field(Decimal("0.99"), description="fraction of a run in which a process served")
    validation_max_restarts: Annotated[int, Field(ge=0, le=1_000_000)] = Field(5, description="crashes and hangs")
    validation_max_no_price: Share = Field(Decimal("0.05"), description="fraction of decisions without a price in time")
    validation_outcome_grace: Annotated[int, Field(ge=0, le=86_400)] = Field(
        300, description="seconds after a deadline"
    )
    alert_command: SecretStr | None = Field(
        None, description="told of alarms: run without a shell, the alarm as JSON on its stdin; see docs/alerts.md"
    )
    alert_url: SecretStr | None = Field(None, description="told of alarms: each is POSTed to it as JSON")
    metrics_port: Annotated[int, Field(ge=1, le=65_535)] | None = Field(
        None, description="numbers for Prometheus at http://127.0.0.1:PORT/metrics; none: no port is opened"
    )
    log_level: str = Field("INFO", description="TRACE, DEBUG, INFO, WARNING or ERROR")

    if not TYPE_CHECKING:

        def __init__(self, **options: Any) -> None:
            _refuse_unknown_variables()
            try:
                super().__init__(**options)
            except ValidationError as error:
                raise SettingsError(_sentence(error, options)) from None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Order the sources, the strongest first."""
        return init_settings, env_settings, InitSettingsSource(settings_cls, _read_file())

    @field_validator("*", mode="before")
    @classmethod
    def _no_truth(cls, value: object) -> object:
        if isinstance(value, bool):  # which would count as 1 or 0
            msg = "must not be true or false"
            raise ValueError(msg)
        return value

    @field_validator("home", "prices", "alert_command", "alert_url", mode="before")
    @classmethod
    def _something(cls, value: object) -> object:
        if isinstance(value, str) and not value.strip():  # as a path, this would be the working folder
            msg = "must not be empty"
            raise ValueError(msg)
        return value

    @field_validator("database_schema")
    @classmethod
    def _own_schema(cls, schema: str) -> str:
        if schema.startswith("pg_") or schema == "information_schema":
            msg = "must not be a schema of PostgreSQL's own, such as this one"
            raise ValueError(msg)
        return schema

    @field_validator("home")
    @classmethod
    def _absolute(cls, home: Path) -> Path:
        try:
            home = home.expanduser().absolute()
        except RuntimeError:
            msg = "must be a folder, and there is no such user"
            raise ValueError(msg) from None
        try:
            home.resolve()
            no_folder = home.exists() and not home.is_dir()
        except (RuntimeError, OSError) as error:
            other = error.strerror if isinstance(error, OSError) and error.errno != errno.ELOOP else None
            msg = f"must be a folder, and {other or 'its links lead in a circle'}"
            raise ValueError(msg) from None
        if no_folder:
            msg = "must be a folder, and is a file"
            raise ValueError(msg)
        return home

    @field_validator("database_url")
    @classmethod
    def _one_at_sign(cls, url: SecretStr | None) -> SecretStr | None:
        authority = url.get_secret_value().partition("://")[2] if url is not None else ""
        if authority.partition("?")[0].count("@") > 1:
            # Whatever stands behind the first one would be taken for the host, and shown.
            msg = "an @ in user or password must be written as %40"
            raise ValueError(msg)
        return url

    @field_validator("alert_command")
    @classmethod
    def _words(cls, command: SecretStr | None) -> SecretStr | None:
        if command is not None:
            try:
                words = shlex.split(command.get_secret_value())
            except ValueError as error:
                msg = f"must be words as in a shell: {str(error).lower()}"
                raise ValueError(msg) from None
            if not words or not words[0] or any("\0" in word for word in words):
                msg = "must be a program and its arguments, without NUL characters"
                raise ValueError(msg)
        return command

    @field_validator("alert_url")
    @classmethod
    def _web_address(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None and not _is_web_address(url.get_secret_value()):
            msg = "must be an address of http or https without blanks, such as https://example.com/alerts"
            raise ValueError(msg)
        return url

    @field_validator("log_level")
    @classmethod
    def _known_level(cls, level: str) -> str:
        if level.upper() not in {"TRACE", "DEBUG", "INFO", "WARNING", "ERROR"}:
            msg = "must be TRACE, DEBUG, INFO, WARNING or ERROR"
            raise ValueError(msg)
        return level.upper()

    @model_validator(mode="after")
    def _something_can_be_bought(self) -> Self:
        most = multiply(self.initial_capital, self.max_position_size)
        if self.min_notional > most:
            msg = (
                f"settings contradict each other: an order must be worth min_notional = {plain(self.min_notional)}, and"
                f" a position may cost initial_capital × max_position_size = {plain(most)}, so nothing could be bought"
            )
            raise ValueError(msg)
        return self

    @classmethod
    def isolated(cls, **options: Any) -> Self:
        """Return settings from ``options`` and defaults alone: no file, no environment."""
        try:
            values = {
                name: options.get(name, field.get_default(call_default_factory=True))
                for name, field in cls.model_fields.items()
            }
            validated = cls.__pydantic_validator__.validate_python(
                {**values, **options}, self_instance=cls.__new__(cls)
            )
        except ValidationError as error:
            raise SettingsError(_sentence(error, options)) from None
        assert isinstance(validated, cls)
        return validated

    @property
    def url(self) -> str | None:
        """The configured database URL in clear; never to be shown."""
        return None if self.database_url is None else self.database_url.get_secret_value()

    def portfolio_values(self) -> Mapping[str, object]:
        """Return what a new ``default`` portfolio starts with."""
        names = (
            "initial_capital", "currency", "commission_pct", "min_commission", "slippage_pct", "max_position_size",
            "decision_confidence_threshold", "min_notional", "default_risk_score",
        )  # fmt: skip
        return {name: getattr(self, name) for name in names}

    def that_count(self) -> dict[str, object]:
        """Return what can change what a decision becomes, or what is measured, as JSON can hold it; no secrets.

        Values of a portfolio only create its row, and are left out; so is where things are, and who is told of them.
        """
        return {
            name: without_secrets(self.exchange_options) if name == "exchange_options" else stored(getattr(self, name))
            for name in COUNTED
        }

    def urls(self) -> Iterator[str]:
        """Yield whatever may be a URL with a password in it; never to be shown."""
        yield self.url or ""
        yield from re.findall(URL, str(self.exchange_options))

    def addresses(self) -> Iterator[str]:
        """Yield the web addresses that are told of alarms, each a secret as a whole; never to be shown."""
        for secret in (self.alert_url, self.alert_command):
            yield from re.findall(URL, secret.get_secret_value() if secret is not None else "")

    def secret_texts(self) -> Iterator[str]:
        """Yield what in exchange_options may be a secret; never to be shown."""
        yield from secret_texts(self.exchange_options)

    def alert_words(self) -> list[str]:
        """Return the program that is told of alarms, with its arguments, which may hold secrets; empty for none."""
        return shlex.split(self.alert_command.get_secret_value()) if self.alert_command is not None else []

    def shown(self) -> dict[str, str | None]:
        """Return every setting for a person's eyes, secrets masked."""
        shown = {name: MASK for name in SECRETS if getattr(self, name) is not None}
        shown["exchange_options"] = str(masked(self.exchange_options))
        if words := self.alert_words():
            shown["alert_command"] = masked_command(words)
        return {name: shown.get(name, shown_text(getattr(self, name))) for name in type(self).model_fields}


def _read_file() -> dict[str, Any]:
    """Return what the file in the working folder says, nothing if there is none.

    Raises:
        SettingsError: it cannot be read, or is no TOML.
    """
    try:
        content = FILE.read_bytes()
        return tomllib.loads(content.decode("utf-8-sig"))  # some editors write a mark first
    except FileNotFoundError:
        return {}
    except OSError as error:
        msg = f"{FILE} cannot be read: {error.strerror}"
    except UnicodeDecodeError as error:
        line, column = content.count(b"\n", 0, error.start) + 1, error.start - content.rfind(b"\n", 0, error.start)
        msg = f"{FILE} cannot be read as TOML: it is not UTF-8 (at line {line}, column {column})"
    except ValueError as error:  # also an integer of thousands of digits
        msg = f"{FILE} cannot be read as TOML: {error}"
    except RecursionError:
        msg = f"{FILE} cannot be read as TOML: it is nested too deeply"
    raise SettingsError(msg)


def _is_web_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        known = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # no port, or no IPv6 address
        return False
    return known and url.isprintable() and not re.search(r"\s", url)


def _refuse_unknown_variables() -> None:
    known = {f"{PREFIX}{name}".upper() for name in Settings.model_fields}
    for variable in os.environ:
        if variable.upper().startswith(PREFIX) and variable.upper() not in known | GIVEN:
            msg = f"the environment variable {variable} is no setting{_nearest(variable.upper(), known)}"
            raise SettingsError(msg)


def _nearest(name: str, known: set[str]) -> str:
    near = difflib.get_close_matches(name, sorted(known), n=1)
    return f"; did you mean {near[0]}?" if near else ""


def _sentence(error: ValidationError, options: Mapping[str, object]) -> str:
    first = error.errors()[0]
    if not first["loc"]:
        return allowed(first)
    location = str(first["loc"][0]) if first["loc"] else "settings"
    name = location.lower().removeprefix(PREFIX.lower())
    if first["type"] == "extra_forbidden":
        where = "" if name in options else f" in {FILE}"
        return f"{name!r}{where} is no setting{_nearest(name, set(Settings.model_fields))}"
    variable = f"{PREFIX}{name}".upper()
    where = "" if name in options else f" (from {variable})" if variable in os.environ else f" (from {FILE})"
    given = MASK if name in UNQUOTED else quoted(first["input"])
    return f"setting {name} = {given}{where}: {allowed(first)}"
