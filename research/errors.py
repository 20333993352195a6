"""Errors of research: a strategy or a tape that cannot be used, each one sentence for a person."""

from __future__ import annotations

from domain.errors import PaperTradingError, SettingsError


class StrategyError(SettingsError):
    """A strategy cannot be loaded, raises, or wants what makes no sense; the message names the bar and the line."""


class StrategyFailed(PaperTradingError):
    """A strategy that runs live raises, or wants what makes no sense; the message names the bar and the line."""


class TapeError(SettingsError):
    """A tape of decisions cannot be read; the message names the row."""


class LookAheadFound(PaperTradingError):
    """A strategy decides otherwise where it does not have later prices; the message names the first difference."""
