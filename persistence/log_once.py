"""Errors of background threads: each failing state is logged once, with its reason."""

from __future__ import annotations

import psycopg
from loguru import logger

from domain.errors import PaperTradingError
from domain.log_once import LogOnce


class LogErrorsOnce(LogOnce):
    """A `LogOnce` that takes the exception too."""

    def __init__(self) -> None:
        super().__init__(logger.opt(depth=1).warning, logger.opt(depth=1).info)

    def raised(self, message: str, error: Exception) -> None:
        """Log ``message`` with the error's reason, and with a traceback if nobody expects such an error."""
        expected = isinstance(error, psycopg.Error | PaperTradingError)
        reason = (str(error).strip().splitlines() or [""])[0] or type(error).__name__
        text = f"{message}: {reason}"
        if self.begins(text):
            logger.opt(depth=1, exception=None if expected else error).warning("{}", text)
