"""Notification of the service manager, such as systemd, about the state of the service.

The protocol is that of sd_notify(3): a datagram of ``NAME=VALUE`` lines to the socket that ``NOTIFY_SOCKET`` names.
"""

from __future__ import annotations

import os
import socket
from contextlib import suppress

READY = "READY=1"
"""The service is ready."""
STOPPING = "STOPPING=1"
"""The service is stopping."""


def notify_manager(state: str) -> None:
    """Send a state to the service manager; do nothing if there is none or it does not listen."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    name = f"\0{address[1:]}" if address.startswith("@") else address  # an abstract socket of Linux
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.sendto(state.encode(), name)
