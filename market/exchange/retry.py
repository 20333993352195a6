"""The time limits of an exchange's price source, and the retries after a failed request."""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_exponential, wait_random

from domain.log_once import LogOnce
from domain.redaction.mask import mask
from domain.wording import one_line, shortened
from market.exchange.venue import Venue

T = TypeVar("T")
MAX_REASON_LENGTH = 200
"""Characters of an exception's message that a log line holds."""


@dataclass(frozen=True, slots=True)
class Timing:
    """Intervals and time limits of an `ExchangePrices`, in seconds; tests take shorter ones.

    Attributes:
        poll_interval: between two requests for the prices of all symbols, where no stream works.
        refresh_interval: the same where a stream works: a stream sends nothing about a symbol that nobody trades.
        close_interval: the same for symbols where orders rest, unless their trades are streamed.
        stream_silence: a stream that has sent nothing for so long counts as not working.
        list_interval: between two requests for the list of markets.
        request_timeout: for one answer.
        first_retry: before the first retry; doubled with each further failure.
        max_retry: before any retry; also before a symbol without a valid price is requested again.
        max_list_retry: before any retry of the list of markets, once a list has been loaded in this run.
        late_window: a price with an earlier time than the one before is late within this time after it; after it, it
            counts if its time is no more than this earlier.
        clock_interval: between two measurements of the exchange's clock.
        book_timeout: for the first message of an order book's stream.
        book_interval: an order book is read no more often.
        book_stream_retry: for so long a book is requested after its stream has failed; then the stream is tried again.
        max_quote_lag: a price whose own time is further behind the exchange's clock is old.
    """

    poll_interval: float = 2.0
    refresh_interval: float = 15.0
    close_interval: float = 1.0
    stream_silence: float = 10.0
    list_interval: float = 3600.0
    request_timeout: float = 10.0
    first_retry: float = 0.5
    max_retry: float = 5.0
    max_list_retry: float = 60.0
    late_window: float = 10.0
    clock_interval: float = 3600.0
    book_timeout: float = 10.0
    book_interval: float = 0.1
    book_stream_retry: float = 30.0
    max_quote_lag: float = 60.0


class Retrier:
    """Retries an operation until it succeeds, with exponential backoff; logs its failure once and its recovery once.

    Args:
        venue: the exchange; after a failure its ``Retry-After`` is obeyed.
        timing: the pauses between retries.
        failure: log message while the operation fails, with ``{reason}`` in the place of the reason.
        recovery: log message once it works again.
        log: what logs a failing state once.
        max_retry: returns the longest pause at this moment, in seconds; by default that of ``timing``.
    """

    def __init__(
        self,
        venue: Venue,
        timing: Timing,
        log: LogOnce,
        failure: str,
        recovery: str,
        max_retry: Callable[[], float] | None = None,
    ) -> None:
        self._venue = venue
        self._log = log
        self._failure = failure
        self._recovery = recovery
        self._first_retry = timing.first_retry
        self._max_retry = max_retry or (lambda: timing.max_retry)

    async def call(self, operation: Callable[[], Awaitable[T]]) -> T:
        """Call ``operation`` until it succeeds; return its result."""
        retrying = AsyncRetrying(
            retry=retry_if_exception_type(Exception), wait=self._wait, before_sleep=self._log_failure, reraise=True
        )
        result: T = await retrying(operation)
        self._log.recovered(self._recovery, key=self._failure)
        return result

    def _wait(self, state: RetryCallState) -> float:
        backoff = wait_exponential(self._first_retry, self._max_retry()) + wait_random(0, self._first_retry)
        return max(backoff(state), self._venue.retry_after())

    def _log_failure(self, state: RetryCallState) -> None:
        if state.outcome is None:
            return
        error = state.outcome.exception()
        assert error is not None
        self._log.failed(self._failure.format(reason=describe_error(error)), key=self._failure)


def is_network(error: BaseException) -> bool:
    """Return whether the connection to the exchange failed, and not the request itself."""
    from aiohttp import ClientError  # noqa: PLC0415 - it comes with ccxt, which is imported only when it is used
    from ccxt import NetworkError  # noqa: PLC0415

    # ccxt makes an ExchangeError of a connection that breaks while the answer arrives.
    return isinstance(error, NetworkError | OSError | TimeoutError) or isinstance(error.__cause__, ClientError)


def is_interrupted(error: BaseException) -> bool:
    """Return whether the connection failed, or the answer is none: cut off, or a page of a proxy."""
    from ccxt import BadResponse  # noqa: PLC0415

    from market.exchange.answer_limit import AnswerTooLarge  # noqa: PLC0415

    return is_network(error) or (isinstance(error, BadResponse) and not isinstance(error, AnswerTooLarge))


def describe_error(error: BaseException) -> str:
    """Return an exception as one short line without credentials; its message may hold anything a server sent.

    Where no connection came about, it is the reason that the system gives, such as ``DNS lookup failed``: ccxt's own
    message is the address alone.
    """
    if (reason := _connection_failure(error)) is not None:
        return reason
    message = shortened(one_line(mask(str(error))), MAX_REASON_LENGTH)
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def _connection_failure(error: BaseException) -> str | None:
    causes = list(_causes(error))
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        return "DNS lookup failed"
    for cause in reversed(causes):
        if isinstance(cause, ssl.SSLError):
            return f"TLS failed: {getattr(cause, 'verify_message', None) or getattr(cause, 'reason', None) or cause}"
        if isinstance(cause, OSError) and cause.errno and cause.filename is None:
            return os.strerror(cause.errno)
        if isinstance(cause, TimeoutError):
            return "no answer in time"
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__
