"""What goes wrong in a thread that has to go on."""

from __future__ import annotations

import psycopg
from loguru import logger

from domain.errors import PaperTradingError


class LogOnce:
    """Counts what goes wrong, and says it once until something goes well.

    Attributes:
        count: of everything that went wrong so far.
    """

    def __init__(self) -> None:
        self.count = 0
        self._said = False

    def happened(self, sentence: str, error: Exception) -> None:
        """Say ``sentence`` with the reason; with a traceback where it is none that was to be expected."""
        self.count += 1
        if self._said:
            return
        self._said = True
        expected = isinstance(error, psycopg.Error | PaperTradingError)
        reason = (str(error).strip().splitlines() or [""])[0] or type(error).__name__
        logger.opt(exception=None if expected else error).warning("{}: {}", sentence, reason)

    def over(self, sentence: str | None = None) -> None:
        """Something went well: say so, if it was said that it did not."""
        if self._said and sentence is not None:
            logger.info(sentence)
        self._said = False
