"""How often an exchange is asked, and what happens when it does not answer."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_exponential, wait_random

from domain.log_once import LogOnce
from market.exchange.venue import Venue

T = TypeVar("T")
LONGEST_SENTENCE = 200
USER = re.compile(r"//\S*@")
"""User and password in a URL, a proxy's say; they are shown to nobody."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds that an `ExchangePrices` waits for this or that; tests take shorter ones.

    Attributes:
        poll: between two questions for every symbol, where nothing is streamed.
        refresh: the same where a stream works: what nobody trades is confirmed so.
        quiet: a stream that says nothing for so long is helped out by polling.
        books: between two looks at what is traded.
        timeout: for one answer.
        first_retry: after a failure, doubled with each further one.
        longest_retry: at most; also until a symbol without a sensible price is asked for again.
        longest_list_retry: at most, for the list of what is traded where an earlier one serves meanwhile.
        late: so long after a price, one that is older by the exchange's own time is a late answer; then the
            exchange's clock has gone back.
    """

    poll: float = 2.0
    refresh: float = 15.0
    quiet: float = 10.0
    books: float = 3600.0
    timeout: float = 10.0
    first_retry: float = 0.5
    longest_retry: float = 5.0
    longest_list_retry: float = 60.0
    late: float = 10.0


class Attempts:
    """Tries until it is done, with growing pauses; logs once what fails, and once that it works again.

    Args:
        venue: tells how long it asks to wait.
        pace: the pauses.
        fails: what is logged after the venue's name while it fails.
        works: the same, once it works again.
        log: logs a failure once, and its end once.
        longest: the longest pause at this moment, in seconds; that of the pace unless given.
    """

    def __init__(
        self,
        venue: Venue,
        pace: Pace,
        fails: str,
        works: str,
        log: LogOnce,
        longest: Callable[[], float] | None = None,
    ) -> None:
        self._venue = venue
        self._fails = fails
        self._works = works
        self._log = log
        self._first = pace.first_retry
        self._longest = longest or (lambda: pace.longest_retry)

    async def until_done(self, do: Callable[[], Awaitable[T]]) -> T:
        """Return what ``do`` returns in the end."""
        retrying = AsyncRetrying(
            retry=retry_if_exception_type(Exception), wait=self._wait, before_sleep=self._failed, reraise=True
        )
        result: T = await retrying(do)
        self._log.recovered(f"{self._venue.name} {self._works}", key=self._fails)
        return result

    def _wait(self, state: RetryCallState) -> float:
        backoff = wait_exponential(self._first, self._longest()) + wait_random(0, self._first)
        return max(backoff(state), self._venue.retry_after())

    def _failed(self, state: RetryCallState) -> None:
        if state.outcome is None:
            return
        error = state.outcome.exception()
        assert error is not None
        self._log.failed(f"{self._venue.name} {self._fails}, and is tried again: {sentence(error)}", key=self._fails)


def is_network(error: BaseException) -> bool:
    """Say whether the way to the exchange failed, not what was asked."""
    from ccxt import NetworkError  # noqa: PLC0415 - ccxt is imported only when it is used

    return isinstance(error, NetworkError | OSError | TimeoutError)


def sentence(error: BaseException) -> str:
    """Return what happened on one short line: a server may have sent anything."""
    text = "".join(character if character.isprintable() else " " for character in str(error))
    words = USER.sub("//", " ".join(text.split()))
    shortened = words if len(words) <= LONGEST_SENTENCE else words[: LONGEST_SENTENCE - 1] + "…"
    return f"{type(error).__name__}: {shortened}" if shortened else type(error).__name__
