"""The environment of the programs that send alerts: what they need, and nothing that is a secret of the service."""

from __future__ import annotations

import os
from collections.abc import Mapping

COMMAND_VARIABLES = frozenset({b"PATH", b"HOME", b"USER", b"LOGNAME", b"LANG", b"TZ", b"TMPDIR"})
"""What `alert_command` gets of the service's environment, beside the variables of the locale."""
LOCALE_PREFIX = b"LC_"
WITHHELD_PREFIXES = (b"PAPER_", b"PG")
"""Variables of this program and of libpq, which may hold passwords of the database, have these prefixes."""


def command_environment(variables: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
    """Return the environment of `alert_command`, a program of the user's choice.

    Args:
        variables: further ones, which are about the alert.
    """
    needed = {
        name: value
        for name, value in os.environb.items()
        if name in COMMAND_VARIABLES or name.startswith(LOCALE_PREFIX)
    }
    return needed | dict(variables)


def library_environment() -> dict[bytes, bytes]:
    """Return the environment of the process that runs Apprise, which needs proxies and certificates of this one."""
    return {name: value for name, value in os.environb.items() if not name.startswith(WITHHELD_PREFIXES)}
