"""WebSockets of the local exchange server."""

from __future__ import annotations

from aiohttp import web


async def send(socket: web.WebSocketResponse, text: str) -> None:
    """Send a text; do nothing where the client has gone, also where this side is only about to notice it."""
    if socket.closed:
        return
    try:
        await socket.send_str(text)
    except ConnectionResetError:
        return
