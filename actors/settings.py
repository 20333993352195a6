"""The settings: defaults, then ``paper.toml``, then ``PAPER_*`` variables, then options.

Ratios are fractions: 0.001 is 0.1 %. Settings of a portfolio only create the row of ``default`` in
``paper_trading_config``; from then on the row decides. docs/settings.md is generated from the fields of `Settings`.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource

from actors.configuration.message_settings import MessageSettings
from actors.configuration.portfolio_settings import PortfolioSettings
from actors.configuration.settings_redaction import (
    MASK,
    masked,
    masked_command,
    masked_service,
    secret_texts,
    shown_text,
    stored,
    without_secrets,
)
from actors.configuration.settings_reference import Unit
from actors.configuration.settings_sources import (
    SECRET_SETTINGS,
    read_settings_file,
    refuse_unknown_variables,
    settings_message,
)
from actors.configuration.settings_types import (
    AlertCommand,
    AlertServices,
    AlertUrl,
    Amount,
    Count,
    ExpectedText,
    Fraction,
    LogLevel,
    Seconds,
    SecondsOrZero,
    SocketPath,
)
from domain.errors import SettingsError
from domain.trading.decision import Number
from domain.trading.sessions.expected_decisions import ExpectedDecisions, parse_expected

URL = r"[a-z0-9+]+://[^\s'\"]+"
RECORDED_SETTINGS = (
    "prices", "exchange", "exchange_options", "exchange_trusted_hosts", "symbols", "seed", "price_interval",
    "price_speed", "price_from", "price_to", "price_spread", "same_currency", "quote_currency", "calendars",
    "check_interval", "snapshot_interval", "price_grace", "max_price_age", "max_quote_lag", "max_decision_age",
    "recovery_timeout", "hang_timeout", "audit_interval", "max_restarts", "restart_window", "split_hold",
)  # fmt: skip
"""Settings that can change the outcome of a decision, or what validation measures: the age limit of a price, the time
until an actor counts as hung, the permitted restarts, and the intervals of checks. A new setting belongs here, in
`Settings.portfolio_values`, or in the test's list of those that are not recorded."""


class Settings(MessageSettings, PortfolioSettings):
    """What a user may set. Amounts and ratios are Decimals, times are seconds.

    Raises:
        SettingsError: a setting is wrong; the sentence names it, its value and what is allowed.
    """

    check_interval: Seconds = Field(
        60.0,
        description="Time between two polls for decisions. A new decision usually wakes the program at once.",
        examples=[10],
    )
    snapshot_interval: Annotated[int, Field(ge=1, le=86_400), Unit("s")] = Field(
        60, description="Time between two snapshots of each portfolio, counted from midnight UTC.", examples=[300]
    )
    price_grace: SecondsOrZero = Field(
        1.0,
        description="Greatest age of a price, at the moment the decision is received, at which it is still used. "
        "With an older one, the decision waits for the next price.",
        examples=[2],
    )
    max_price_age: Seconds = Field(
        30.0, description="Longest wait for a price; then the decision is rejected: no price in time.", examples=[60]
    )
    max_quote_lag: Seconds = Field(
        60.0,
        description="A price whose own time is further behind its exchange's clock fills nothing, unless bid and ask "
        "come with it. A symbol that repeats one answer for so long, while others change, counts as frozen.",
        examples=[20],
    )
    max_decision_age: SecondsOrZero = Field(
        300.0,
        description="Longest time that a decision waits before it is sized, for instance during a downtime; then it "
        "expires. 0: no limit.",
        examples=[0],
    )
    recovery_timeout: Seconds = Field(
        60.0,
        description="After a downtime: how long the price source may take to tell what the market did meanwhile. Then "
        "open orders go on without it.",
        examples=[20],
    )
    hang_timeout: Seconds = Field(
        30.0, description="An actor that handles one message for longer is replaced.", examples=[60]
    )
    audit_interval: Seconds = Field(
        300.0, description="Time between two audits, which compare memory with the database.", examples=[60]
    )
    max_restarts: Annotated[int, Field(ge=0, le=1_000)] = Field(
        5, description="Restarts of actors permitted within `restart_window`; one more ends the process.", examples=[3]
    )
    restart_window: Seconds = Field(30.0, description="Time in which `max_restarts` are counted.", examples=[60])

    validation_min_days: Annotated[Count, Unit("days")] = Field(
        14, description="Least length of a run: whole UTC days with a snapshot.", examples=[30]
    )
    validation_min_win_rate: Fraction = Field(
        Decimal("0.55"), description="Least share of round trips that won.", examples=[Decimal("0.5")]
    )
    validation_min_sharpe: Annotated[Number, Field(ge=-1000, le=1000)] = Field(
        Decimal("1.5"), description="Least Sharpe ratio, annualised.", examples=[1]
    )
    validation_max_drawdown: Fraction = Field(
        Decimal("0.10"), description="Largest drawdown of equity.", examples=[Decimal("0.2")]
    )
    validation_min_trades: Count = Field(20, description="Least number of round trips.", examples=[50])
    validation_min_net: Amount = Field(
        Decimal(0), description="The net result of trades, and that of equity, must be above this.", examples=[100]
    )
    validation_min_psr: Annotated[Number, Field(gt=Decimal("0.5"), lt=1), Unit("probability")] = Field(
        Decimal("0.95"),
        description="Least probability that the true Sharpe ratio is above 0: PSR(0).",
        examples=[Decimal("0.9")],
    )
    validation_min_uptime: Fraction = Field(
        Decimal("0.99"),
        description="Least share of the time in which a process served.",
        examples=[Decimal("0.95")],
    )
    validation_max_restarts: Annotated[int, Field(ge=0, le=1_000_000)] = Field(
        5, description="Most crashes and hangs of actors.", examples=[0]
    )
    validation_max_no_price: Fraction = Field(
        Decimal("0.05"), description="Largest share of decisions without a price in time.", examples=[Decimal("0.01")]
    )
    validation_outcome_grace: Annotated[int, Field(ge=0, le=86_400), Unit("s")] = Field(
        300, description="Time after its deadline within which a decision must have its outcome.", examples=[60]
    )

    alert_command: AlertCommand = Field(
        None,
        description="Program that is run for each alert, without a shell; it gets the alert as JSON on stdin.",
        examples=["/usr/local/bin/page-me"],
    )
    alert_url: AlertUrl = Field(
        None, description="URL to which each alert is sent as JSON by POST.", examples=["https://example.com/alerts"]
    )
    alert_services: AlertServices = Field(
        (),
        description="Services to which each alert is sent by Apprise (`pip install apprise`), such as "
        "Telegram, ntfy, Slack, Discord, e-mail.",
        examples=[["ntfy://my-topic", "tgram://123456789:TOKEN/CHAT"]],
    )
    alert_no_decision_after: ExpectedText = Field(
        None,
        description="An alert is sent when no decision has come for this long, at any time or in a window of days and "
        "hours (of UTC, if no zone is named).",
        examples=["30m mon-fri 08:00-22:00 Europe/Berlin"],
    )
    min_free_disk: Annotated[int, Field(ge=0, le=100_000_000), Unit("MiB")] = Field(
        500,
        description="An alert is sent, and `status` exits with 1, when less is free under `home`. 0: never.",
        examples=[2_000],
    )
    metrics_port: int | None = Field(
        None,
        ge=1,
        le=65_535,
        description="Port of http://127.0.0.1:PORT/metrics for Prometheus. Without it, no port is opened.",
        examples=[9464],
    )
    metrics_socket: SocketPath = Field(
        None,
        description="Unix socket that serves the same metrics to this user alone, and in a folder with the setgid bit "
        "to its group, too. No other user may write that folder.",
        examples=["/run/paper-trading/metrics.sock"],
    )
    log_level: LogLevel = Field("INFO", description="Lowest level of log lines that are written.", examples=["DEBUG"])

    if not TYPE_CHECKING:

        def __init__(self, **options: Any) -> None:
            refuse_unknown_variables(type(self).model_fields)
            try:
                super().__init__(**options)
            except ValidationError as error:
                raise SettingsError(settings_message(error, options, type(self).model_fields)) from None

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
        home = init_settings.init_kwargs.get("home") if isinstance(init_settings, InitSettingsSource) else None
        return init_settings, env_settings, InitSettingsSource(settings_cls, read_settings_file(home))

    @field_validator("*", mode="before")
    @classmethod
    def _refuse_booleans(cls, value: object) -> object:
        if isinstance(value, bool):  # which would count as 1 or 0
            msg = "must not be true or false"
            raise ValueError(msg)
        return value

    @field_validator("home", "postgres_bin", "prices", "alert_command", "alert_url", "metrics_socket", mode="before")
    @classmethod
    def _refuse_empty_text(cls, value: object) -> object:
        if isinstance(value, str) and not value.strip():  # as a path, this would be the working folder
            msg = "must not be empty"
            raise ValueError(msg)
        return value

    @classmethod
    def isolated(cls, **options: Any) -> Self:
        """Return settings from ``options`` and defaults alone: no file, no environment."""
        try:
            validated = cls.__pydantic_validator__.validate_python(options, self_instance=cls.__new__(cls))
        except ValidationError as error:
            raise SettingsError(settings_message(error, options, cls.model_fields)) from None
        assert isinstance(validated, cls)
        return validated

    @property
    def url(self) -> str | None:
        """The configured database URL in clear; never to be printed or logged."""
        return None if self.database_url is None else self.database_url.get_secret_value()

    def recorded_values(self) -> dict[str, object]:
        """Return `RECORDED_SETTINGS` for JSON, without secrets: they are stored with each start of the process.

        Values of a portfolio are not among them, because they only create its row; nor are folders, the database and
        the receivers of alerts.
        """
        return {
            name: without_secrets(self.exchange_options) if name == "exchange_options" else stored(getattr(self, name))
            for name in RECORDED_SETTINGS
        }

    @property
    def expected_decisions(self) -> ExpectedDecisions | None:
        """When decisions are expected; None: nothing is known about that."""
        text = self.alert_no_decision_after
        return None if text is None else parse_expected(text)

    def urls(self) -> Iterator[str]:
        """Yield each text that may be a URL with a password; never to be printed or logged."""
        yield self.url or ""
        yield from re.findall(URL, str(self.exchange_options))

    def addresses(self) -> Iterator[str]:
        """Yield the URLs to which alerts are sent; each is secret in full, and never to be printed or logged."""
        for secret in (self.alert_url, self.alert_command):
            yield from re.findall(URL, secret.get_secret_value() if secret is not None else "")

    def secret_texts(self) -> Iterator[str]:
        """Yield the texts in `exchange_options` that may be secret; never to be printed or logged."""
        yield from secret_texts(self.exchange_options)

    def alert_arguments(self) -> list[str]:
        """Return the program that is run for alerts and its arguments, which may be secret; empty without one."""
        return shlex.split(self.alert_command.get_secret_value()) if self.alert_command is not None else []

    def alert_addresses(self) -> list[str]:
        """Return the addresses of the services that get alerts; each is secret in full."""
        return [address.get_secret_value() for address in self.alert_services]

    def redacted(self) -> dict[str, str | None]:
        """Return each setting as text for a person, secrets masked."""
        texts: dict[str, str | None] = {name: MASK for name in SECRET_SETTINGS if getattr(self, name) is not None}
        texts["alert_services"] = ", ".join(map(masked_service, self.alert_addresses())) or None
        texts["exchange_options"] = str(masked(self.exchange_options))
        texts["alert_trading"] = self.message_text()
        if arguments := self.alert_arguments():
            texts["alert_command"] = masked_command(arguments)
        return {
            name: texts[name] if name in texts else shown_text(getattr(self, name)) for name in type(self).model_fields
        }
