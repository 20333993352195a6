"""Which messages about trading are sent, by portfolio."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import time
from decimal import Decimal, InvalidOperation
from zoneinfo import ZoneInfo

from domain.alarms import AlarmKind
from domain.trading_messages.schedule import QuietHours
from domain.wording import quoted

OTHERS = "*"
"""In place of a portfolio's name: all portfolios that are not named."""
WORDS = "fill, position_closed, daily_summary HH:MM, drawdown FRACTION, validation"


@dataclass(frozen=True, slots=True)
class PortfolioMessages:
    """The messages about one portfolio.

    Attributes:
        kinds: the kinds of messages that are sent.
        summary_at: time of day of the daily summary; None: there is none.
        drawdown: fraction above which a drawdown is reported; None: none is.
    """

    kinds: frozenset[AlarmKind] = frozenset()
    summary_at: time | None = None
    drawdown: Decimal | None = None


NONE = PortfolioMessages()


@dataclass(frozen=True, slots=True)
class MessageRules:
    """The messages about all portfolios.

    Attributes:
        by_portfolio: by name; `OTHERS` for those that are not named.
        zone: of times of day.
        quiet: None: messages are sent at any time.
    """

    by_portfolio: Mapping[str, PortfolioMessages] = field(default_factory=dict)
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))
    quiet: QuietHours | None = None

    def __bool__(self) -> bool:
        """Return whether any message is to be sent."""
        return any(messages.kinds for messages in self.by_portfolio.values())

    def of(self, portfolio: str) -> PortfolioMessages:
        """Return the messages about a portfolio."""
        return self.by_portfolio.get(portfolio) or self.by_portfolio.get(OTHERS, NONE)

    def wants(self, portfolio: str, kind: AlarmKind) -> bool:
        """Return whether messages of a kind are sent about a portfolio."""
        return kind in self.of(portfolio).kinds

    @property
    def summary_times(self) -> frozenset[time]:
        """The times of day at which a summary is due."""
        times = (messages.summary_at for messages in self.by_portfolio.values())
        return frozenset(at for at in times if at is not None)


def portfolio_messages(words: Iterable[str]) -> PortfolioMessages:
    """Return the messages that a list such as ``["fill", "drawdown 0.1"]`` asks for.

    Raises:
        ValueError: a word is unknown, or its time or fraction is missing or wrong.
    """
    kinds: set[AlarmKind] = set()
    summary_at: time | None = None
    drawdown: Decimal | None = None
    for item in words:
        match item.split():
            case ["fill" | "position_closed" | "validation" as kind]:
                kinds.add(AlarmKind(kind))
            case ["daily_summary", at]:
                summary_at = time_of_day(at)
                kinds.add(AlarmKind.DAILY_SUMMARY)
            case ["drawdown", fraction]:
                drawdown = _fraction(fraction)
                kinds.add(AlarmKind.DRAWDOWN)
            case _:
                msg = f"must consist of {WORDS}; {quoted(item)} is none of these"
                raise ValueError(msg)
    return PortfolioMessages(frozenset(kinds), summary_at, drawdown)


def time_of_day(text: str) -> time:
    """Return the time of day in a text such as ``18:30``.

    Raises:
        ValueError: it is none.
    """
    if re.fullmatch(r"([01]?\d|2[0-3]):[0-5]\d", text) is None:
        msg = f"must have a time of day such as 18:00, not {quoted(text)}"
        raise ValueError(msg)
    hour, minute = text.split(":")
    return time(int(hour), int(minute))


def quiet_hours(text: str, zone: ZoneInfo) -> QuietHours:
    """Return the quiet hours in a text such as ``22:00-07:00``.

    Raises:
        ValueError: it is no pair of times, or they are equal.
    """
    match text.split("-"):
        case [begin, end] if begin.strip() != end.strip():
            return QuietHours(time_of_day(begin.strip()), time_of_day(end.strip()), zone)
    msg = "must be two times of day such as 22:00-07:00"
    raise ValueError(msg)


def contradiction(rules: MessageRules) -> str | None:
    """Return the sentence on a summary that is due in the quiet hours; None where there is none."""
    if rules.quiet is None:
        return None
    late: Sequence[time] = sorted(at for at in rules.summary_times if rules.quiet.contains(at))
    if not late:
        return None
    return (
        f"settings contradict each other: daily_summary {late[0]:%H:%M} in alert_trading is due in alert_quiet_hours ="
        f" {rules.quiet}, when nothing is sent"
    )


def _fraction(text: str) -> Decimal:
    try:
        fraction = Decimal(text)
    except InvalidOperation:
        fraction = Decimal(0)
    if not (fraction.is_finite() and 0 < fraction < 1):
        msg = f"must have a drawdown above 0 and below 1, such as drawdown 0.1 for 10 %, not {quoted(text)}"
        raise ValueError(msg)
    return fraction
