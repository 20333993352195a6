"""The version of this program, for the command line and for the stored data of each process."""

from __future__ import annotations

import tomllib
from importlib import metadata
from pathlib import Path


def version() -> str:
    """Return the version of the installed distribution, or of the checkout."""
    try:
        return metadata.version("paper-trading-actors")
    except metadata.PackageNotFoundError:  # run from a checkout, without `make install`
        project = Path(__file__).parent.parent / "pyproject.toml"
        return str(tomllib.loads(project.read_text(encoding="utf-8"))["project"]["version"])
