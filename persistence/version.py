"""Which release of this program runs: what the command line says, and what is stored of each process."""

from __future__ import annotations

import tomllib
from importlib import metadata
from pathlib import Path


def version() -> str:
    """Return this program's version, as it was installed."""
    try:
        return metadata.version("paper-trading-actors")
    except metadata.PackageNotFoundError:  # run from a checkout, without `make install`
        project = Path(__file__).parent.parent / "pyproject.toml"
        return str(tomllib.loads(project.read_text(encoding="utf-8"))["project"]["version"])
