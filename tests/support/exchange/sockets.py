"""WebSockets and tasks of the local exchange server."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from aiohttp import WSMsgType, web

Client = TypeVar("Client")


async def serve(
    request: web.Request,
    opened: Callable[[web.WebSocketResponse], Client],
    clients: list[Client],
    handle: Callable[[Client, str], Awaitable[None]],
    *,
    accepted: bool,
) -> web.StreamResponse:
    """Serve a WebSocket to its end.

    Args:
        request: that asks for it.
        opened: makes a client of it.
        clients: those that are connected.
        handle: handles a text of a client.
        accepted: otherwise the request gets a 503.
    """
    if not accepted:
        return web.Response(status=503, text="<html>Service Unavailable</html>")
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    client = opened(socket)
    clients.append(client)
    try:
        async for message in socket:
            if message.type is not WSMsgType.TEXT:
                break
            await handle(client, message.data)
    finally:
        clients.remove(client)
    return socket


async def send(socket: web.WebSocketResponse, text: str) -> None:
    """Send a text; do nothing where the client has gone, also where this side is only about to notice it."""
    if socket.closed:
        return
    try:
        await socket.send_str(text)
    except ConnectionResetError:
        return


async def cancel_all_others() -> None:
    """Cancel all other tasks of this loop, and wait for them: asyncio logs each that is lost with its loop."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
