"""The process of the embedded server, for tests that end it or look at it."""

from __future__ import annotations

from pathlib import Path


def postmaster_pid(home: Path) -> int:
    """Return the process id in the server's lock file; the process may have crashed since."""
    return int((home / "postgres" / "postmaster.pid").read_text().partition("\n")[0])
