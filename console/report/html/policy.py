"""The Content-Security-Policy of the page: only its own scripts may run, and nothing may be fetched."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable


def script_digest(script: bytes) -> str:
    """Return the digest by which a policy names a script, as in CSP Level 3, section 2.3.1: ``sha256-…``."""
    return f"sha256-{base64.b64encode(hashlib.sha256(script).digest()).decode('ascii')}"


def content_security_policy(digests: Iterable[str]) -> str:
    """Return the policy that lets the scripts with these digests run, and no other.

    A script that the page unpacks and inserts is one of them: a digest holds for every inline script.
    """
    allowed = " ".join(f"'{digest}'" for digest in digests)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
