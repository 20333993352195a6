"""The version of this program, for the command line and for the stored data of each process."""

from __future__ import annotations

import tomllib
from importlib import metadata
from pathlib import Path

NAME = "paper-trading-actors"


def version() -> str:
    """Return the version of the checkout, or of the installed distribution."""
    # In a checkout the metadata may be those of an earlier `make install`; validation runs are bound to the version.
    file = Path(__file__).parent.parent / "pyproject.toml"
    if file.is_file():
        project = tomllib.loads(file.read_text(encoding="utf-8")).get("project", {})
        if project.get("name") == NAME:
            return str(project["version"])
    return metadata.version(NAME)
