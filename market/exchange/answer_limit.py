"""A limit to the size of an exchange's answers: one that is too large is cut off while it arrives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import aiohttp
from ccxt import BadResponse

MAX_ANSWER_BYTES = 5_000_000
MAX_LIST_BYTES = 20_000_000
"""For a list of markets: those of the largest exchanges have several megabytes."""


class AnswerTooLarge(BadResponse):  # type: ignore[misc]
    """An answer that was cut off because it is too large."""


def limit_answers(exchange: Any, max_bytes: Callable[[], int]) -> None:
    """Let each answer to a request of ccxt's ``exchange`` fail that is larger than ``max_bytes`` at that moment.

    Unpacked bytes count. Messages of WebSockets have ccxt's own limit.
    """

    class LimitedResponse(aiohttp.ClientResponse):
        async def read(self) -> bytes:
            if self._body is None:
                limit, size, chunks = max_bytes(), 0, list[bytes]()
                async for chunk in self.content.iter_any():
                    chunks.append(chunk)
                    size += len(chunk)
                    if size > limit:
                        self.close()
                        raise AnswerTooLarge(f"the answer of {self.url.with_query(None)} has over {limit:,} bytes")
                self._body = b"".join(chunks)
            return await super().read()

    open_session, socks_session = exchange.open, exchange.get_socks_proxy_session

    def limited(session: Any) -> Any:
        if session is not None:
            # ccxt makes the session, and aiohttp offers no other way to change it afterwards.
            session._response_class = LimitedResponse  # noqa: SLF001
        return session

    def open_limited(*args: Any, **kwargs: Any) -> None:
        open_session(*args, **kwargs)
        limited(exchange.session)

    exchange.open = open_limited
    exchange.get_socks_proxy_session = lambda proxy: limited(socks_session(proxy))
