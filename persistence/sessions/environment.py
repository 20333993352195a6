"""libpq's environment variables, such as PGHOSTADDR or PGSERVICE, which must not affect the embedded server.

For a configured server they may hold a password or a certificate. The embedded server's address is complete, so that
they could only send its connections elsewhere, or have them refused. No connection string can undo all of them: the
service file, PGTZ and PGDATESTYLE are read in any case. So they are hidden while such a connection is made.
"""

from __future__ import annotations

import os
import re
import threading
from contextlib import AbstractContextManager
from pathlib import Path

PREFIX = "PG"
PRIVATE_SOCKET_FOLDER = re.compile(r"/tmp/paper-trading-[0-9a-f]{16}")  # noqa: S108 - see `persistence.embedded.server`


def is_of_embedded_server(host: str) -> bool:
    """Return whether libpq's parameter ``host`` is the socket folder of an embedded server of this program."""
    folder = Path(host)
    beside_data = folder.name == "postgres" and (folder.parent / "postgres.attached").exists()
    return beside_data or PRIVATE_SOCKET_FOLDER.fullmatch(host) is not None


class _Variables:
    """The hidden variables, and the number of threads that need them hidden now."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._hidden: dict[str, str] = {}
        self._users = 0

    def __enter__(self) -> None:
        with self._lock:
            self._users += 1
            for name in [name for name in os.environ if name.startswith(PREFIX)]:
                self._hidden[name] = os.environ.pop(name)

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._users -= 1
            if self._users == 0:
                for name, value in self._hidden.items():
                    os.environ.setdefault(name, value)
                self._hidden.clear()


_VARIABLES = _Variables()


def without_libpq_variables() -> AbstractContextManager[None]:
    """Hide libpq's variables while the block runs, in one or several threads; other variables stay."""
    return _VARIABLES
