"""The two lock files: every package in one exact version, with the hashes of the files that may be installed for it.

``deploy/requirements.txt`` is what the container installs, ``.ci/requirements.txt`` what CI installs. ``make lock``
writes both. They hold for each platform and Python; a package that only some need has a marker.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
CONTAINER_FILE = ROOT / "deploy" / "requirements.txt"
CI_FILE = ROOT / ".ci" / "requirements.txt"
CONTINUATION = re.compile(r"\\\n\s*")
HASH = re.compile(r"\s+--hash=(\S+)")


@dataclass(frozen=True, slots=True)
class Pin:
    """One package of a lock file.

    Attributes:
        name: in its canonical form, such as ``typing-extensions``.
        version: the only one that may be installed.
        marker: for which platforms and Pythons; empty: for all.
        hashes: of the files of this version, such as ``sha256:…``.
    """

    name: str
    version: str
    marker: str
    hashes: tuple[str, ...]


def pins(text: str) -> list[Pin]:
    """Return the packages of a lock file, in its order.

    Args:
        text: of the file, in pip's format of requirements.

    Raises:
        ValueError: a line is not ``name==version`` with hashes.
    """
    lines = CONTINUATION.sub(" ", text).splitlines()
    return [_pin(line) for line in lines if line.strip() and not line.lstrip().startswith("#")]


def _pin(line: str) -> Pin:
    hashes = tuple(HASH.findall(line))
    requirement = Requirement(HASH.sub("", line).partition(" #")[0].strip())
    specifiers = list(requirement.specifier)
    exact = len(specifiers) == 1 and specifiers[0].operator == "==" and "*" not in specifiers[0].version
    if requirement.url is not None or not exact or not hashes:
        raise ValueError(f"a lock file has lines of the form name==version --hash=…, not: {line.strip()[:80]}")
    marker = "" if requirement.marker is None else str(requirement.marker)
    return Pin(canonicalize_name(requirement.name), specifiers[0].version, marker, hashes)
