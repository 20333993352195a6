"""Asks the Python Packaging Advisory Database, by pip-audit, about each locked package: ``make audit``.

Exit code 0: no vulnerability is known. 1: at least one is. 3: *not run*, because the database cannot be reached, or
*not complete*, because it does not know each package.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deploy.supply.pins import CI_FILE, CONTAINER_FILE, Pin, pins

VULNERABLE, NOT_RUN = 1, 3
REQUEST_TIMEOUT_S = 15
AUDIT_TIMEOUT_S = 900
UNREACHABLE = (
    "could not connect", "connectionerror", "max retries", "name resolution", "unreachable", "timed out", "proxy",
)  # fmt: skip
"""Parts of the messages with which requests and pip-audit report that there is no connection."""


class NotRun(Exception):
    """The audit could not be made; the message is the reason."""


@dataclass
class Audit:
    """What the database says.

    Attributes:
        clean: packages without a known vulnerability.
        vulnerable: a line for each vulnerability.
        unknown: a line for each package that the database does not know.
    """

    clean: set[str] = field(default_factory=set)
    vulnerable: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)

    def add(self, document: dict[str, Any]) -> None:
        """Add an answer of pip-audit, which is a JSON document."""
        for package in document["dependencies"]:
            name = f"{package['name']} {package.get('version', '')}".strip()
            if "skip_reason" in package:
                self.unknown.append(f"{name}: {package['skip_reason']}")
            elif not package["vulns"]:
                self.clean.add(name)
            for advisory in package.get("vulns", ()):
                names = ", ".join([advisory["id"], *advisory.get("aliases", ())])
                mended = " or ".join(advisory["fix_versions"]) or "no version yet"
                self.vulnerable.append(f"{name}: {names}, mended in {mended}")


def main() -> int:
    """Print what is known of the packages of both lock files; return the exit code."""
    files = [file.read_text(encoding="utf-8") for file in (CONTAINER_FILE, CI_FILE)]
    locked = {(pin.name, pin.version): pin for text in files for pin in pins(text)}
    audit = Audit()
    try:
        for group in in_groups(locked.values()):
            audit.add(_ask(group))
    except NotRun as reason:
        print(f"audit: not run: {reason}", file=sys.stderr)
        return NOT_RUN
    if not audit.clean and not audit.vulnerable:
        # As where only a mirror of packages answers; pip-audit itself would call that no known vulnerability.
        print(f"audit: not run: what answered knows none of the {len(locked)} packages", file=sys.stderr)
        return NOT_RUN
    for line in [*audit.vulnerable, *(f"not audited: {line}" for line in audit.unknown)]:
        print(line)
    if audit.vulnerable:
        print(f"audit: {len(audit.vulnerable)} known vulnerabilities", file=sys.stderr)
        return VULNERABLE
    if audit.unknown:
        print(f"audit: not complete: the database does not know {len(audit.unknown)} packages", file=sys.stderr)
        return NOT_RUN
    print(f"audit: no vulnerability is known in {len(audit.clean)} packages")
    return 0


def in_groups(locked: Iterable[Pin]) -> list[list[Pin]]:
    """Return the packages in groups, none of which has two versions of one package: pip-audit refuses those."""
    groups: list[dict[str, Pin]] = []
    for pin in locked:
        group = next((group for group in groups if pin.name not in group), None)
        if group is None:
            groups.append(group := {})
        group[pin.name] = pin
    return [list(group.values()) for group in groups]


def _ask(group: Sequence[Pin]) -> dict[str, Any]:
    """Return the answer about some packages.

    Raises:
        NotRun: there is none.
    """
    with tempfile.TemporaryDirectory() as folder:
        question, answer = Path(folder, "requirements.txt"), Path(folder, "answer.json")
        # Without markers: what another platform or Python installs is asked about, too.
        lines = [f"{pin.name}=={pin.version} {' '.join(f'--hash={one}' for one in pin.hashes)}" for pin in group]
        question.write_text("\n".join(lines) + "\n", encoding="utf-8")
        options = ["--require-hashes", "--disable-pip", "--format=json", "--progress-spinner=off"]
        options += [f"--requirement={question}", f"--output={answer}", f"--timeout={REQUEST_TIMEOUT_S}"]
        command = [sys.executable, "-m", "pip_audit", *options]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=AUDIT_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            raise NotRun(f"no network (no answer within {AUDIT_TIMEOUT_S} s)") from None
        # It ends with 1 for a vulnerability and for a failure; only in the first case there is an answer.
        if not answer.is_file():
            last = (done.stderr.strip().splitlines() or ["pip-audit said nothing"])[-1]
            offline = any(part in done.stderr.lower() for part in UNREACHABLE)
            raise NotRun("no network" if offline else f"pip-audit failed: {last[:300]}")
        document: dict[str, Any] = json.loads(answer.read_text(encoding="utf-8"))
        return document


if __name__ == "__main__":
    sys.exit(main())
