"""Tells the service manager how the service stands, where there is one that wants to know.

The protocol is that of sd_notify(3): a datagram of ``NAME=VALUE`` lines to the socket that ``NOTIFY_SOCKET`` names.
"""

from __future__ import annotations

import os
import socket
from contextlib import suppress

READY = "READY=1"
"""It serves."""
STOPPING = "STOPPING=1"
"""It was told to stop."""


def tell_manager(state: str) -> None:
    """Tell it; nothing happens without a manager, or if it does not listen."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    name = f"\0{address[1:]}" if address.startswith("@") else address  # Linux has sockets without a file
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.sendto(state.encode(), name)
