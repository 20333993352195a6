"""The settings of messages about trading: which are sent about which portfolio, and when."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field, model_validator
from pydantic_settings import BaseSettings, NoDecode

from actors.configuration.settings_reference import Form
from domain.trading_messages.rules import OTHERS, WORDS, MessageRules, contradiction, portfolio_messages, quiet_hours

Messages = dict[str, tuple[str, ...]]


def _parse(value: object) -> Messages:
    if isinstance(value, str):
        value = _decoded(value)
    table = value if isinstance(value, Mapping) else {OTHERS: value}
    messages: Messages = {}
    for name, words in table.items():
        if not isinstance(words, list | tuple):
            msg = "must be a list of messages, or a table of portfolios with such lists"
            raise ValueError(msg)
        messages[str(name)] = tuple(" ".join(str(item).split()) for item in words)
        portfolio_messages(messages[str(name)])
    return messages


def _decoded(text: str) -> object:
    """Return what a variable holds: JSON, or words with commas."""
    if text.lstrip().startswith(("{", "[")):
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            return None
    return [part.strip() for part in text.split(",") if part.strip()]


def _time_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ValueError, OSError, LookupError):  # the last one where there is no zone of this name
        msg = "must be a time zone such as Europe/Berlin, America/New_York or UTC"
        raise ValueError(msg) from None
    return name


def _quiet_hours(text: str | None) -> str | None:
    if text is not None:
        quiet_hours(text, ZoneInfo("UTC"))
    return text


class MessageSettings(BaseSettings):
    """Which messages about trading are sent."""

    alert_trading: Annotated[
        Messages, NoDecode, BeforeValidator(_parse), Form(f"list of {WORDS}; or a table of portfolios with such lists")
    ] = Field(
        {},
        description='Messages about trading. In a table, `"*"` stands for all portfolios that are not named. Without '
        "this setting none is sent.",
        examples=[["position_closed", "daily_summary 18:00", "drawdown 0.1"]],
    )
    alert_timezone: Annotated[str, AfterValidator(_time_zone), Form("name of the IANA time zone database")] = Field(
        "UTC",
        description="Time zone of the times in `alert_trading` and `alert_quiet_hours`.",
        examples=["Europe/Berlin"],
    )
    alert_quiet_hours: Annotated[str | None, AfterValidator(_quiet_hours), Form("two times of day")] = Field(
        None,
        description="When no message about trading is sent; what happens meanwhile is sent at their end. Alerts about "
        "failures are sent at any time.",
        examples=["22:00-07:00"],
    )

    @model_validator(mode="after")
    def _check_that_summaries_are_sent(self) -> Self:
        if (sentence := contradiction(self.message_rules())) is not None:
            raise ValueError(sentence)
        return self

    def message_rules(self) -> MessageRules:
        """Return which messages about trading are sent, and when."""
        zone = ZoneInfo(self.alert_timezone)
        quiet = quiet_hours(self.alert_quiet_hours, zone) if self.alert_quiet_hours is not None else None
        return MessageRules(
            {name: portfolio_messages(words) for name, words in self.alert_trading.items()}, zone, quiet
        )

    def message_text(self) -> str | None:
        """Return `alert_trading` for a person; None where nothing is sent."""
        texts = [f"{name}: {', '.join(words) or 'nothing'}" for name, words in self.alert_trading.items()]
        return "; ".join(texts) or None
