"""Errors of background threads: each failing state is logged once, with its reason."""

from __future__ import annotations

import psycopg
from loguru import logger

from domain.errors import PaperTradingError
from domain.log_once import LogOnce
from persistence.error_translation import first_line


class LogErrorsOnce(LogOnce):
    """A `LogOnce` that takes the exception too."""

    def __init__(self) -> None:
        super().__init__(logger.opt(depth=1).warning, logger.opt(depth=1).info)

    def raised(self, message: str, error: Exception) -> None:
        """Log ``message`` with the error's reason, and with a traceback if nobody expects such an error."""
        expected = isinstance(error, psycopg.Error | PaperTradingError)
        text = f"{message}: {first_line(error)}"
        if self.begins(text):
            logger.opt(depth=1, exception=None if expected else error).warning("{}", text)
