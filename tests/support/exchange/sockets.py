"""WebSockets and tasks of the local exchange server."""

from __future__ import annotations

import asyncio

from aiohttp import web


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
