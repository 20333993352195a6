"""The files that a person names: files, folders and patterns."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable
from pathlib import Path

from domain.errors import SettingsError

ENDINGS = (
    ".csv", ".txt", ".tsv", ".prn", ".json", ".parquet", ".pq", ".feather", ".arrow", ".zip", ".csv.gz", ".json.gz",
    ".txt.gz", ".tsv.gz",
)  # fmt: skip
"""Endings of the names of files that are taken from a folder; a file that is named itself may have any name."""
MAX_FILES = 100_000


def price_files(names: Iterable[str]) -> list[Path]:
    """Return the files that are meant, each once, in the order of the names, and by name in a folder or pattern.

    Args:
        names: paths of files, of folders, whose files and those of its folders are taken by `ENDINGS`, or patterns.

    Raises:
        SettingsError: a name stands for no file; the message names all of those.
    """
    files: dict[Path, None] = {}
    problems: list[str] = []
    for name in names:
        path = Path(name).expanduser()
        try:
            matching = _files(path)
        except (OSError, ValueError) as error:  # a NUL in a path is a ValueError
            problems.append(f"{name}: {getattr(error, 'strerror', None) or error}")
            continue
        if isinstance(matching, list):
            files.update(dict.fromkeys(matching))
        else:
            problems.append(f"{name}: {matching.reason}")
    if problems:
        raise SettingsError("; ".join(problems))
    if len(files) > MAX_FILES:
        raise SettingsError(f"{len(files):,} files at once are too many; at most {MAX_FILES:,}")
    return list(files)


class _NoFiles:
    def __init__(self, reason: str) -> None:
        self.reason = reason


def _files(path: Path) -> list[Path] | _NoFiles:
    if path.is_dir():
        inside = sorted(_walked(path))
        return inside or _NoFiles(f"the folder holds no file whose name ends with {', '.join(ENDINGS[:-1])}")
    if os.path.lexists(path):
        return [path]
    if glob.has_magic(str(path)):
        matching = [Path(match) for match in sorted(glob.glob(str(path), recursive=True))]  # noqa: PTH207 - of any folder
        return [match for match in matching if not match.is_dir()] or _NoFiles("no file matches this pattern")
    return _NoFiles("there is no such file")


def _walked(folder: Path) -> Iterable[Path]:
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            if name.lower().endswith(ENDINGS) and not name.startswith("."):
                yield Path(place, name)
