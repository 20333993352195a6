"""Files that a report leaves: each is written aside, and gets its name when all of them are complete."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from domain.errors import InvalidRequest, PaperTradingError


def require_room_for_file(file: Path) -> None:
    """Refuse a place where no file can be written.

    Raises:
        InvalidRequest: its folder is missing, is none, or may not be written to; or a folder has that name, or it is
            ``-``, which elsewhere means the standard output.
    """
    if file == Path("-"):
        raise InvalidRequest("--html -: the page goes to a file alone; name one, such as report.html")
    if file.is_dir():
        raise InvalidRequest(f"--html {file} is a folder; name a file, such as {file / 'report.html'}")
    _require_folder(file.parent, f"--html {file}")


def require_room_for_folder(folder: Path, names: list[str], *, force: bool) -> None:
    """Refuse a place where no folder of files can be written, or where some of them are already.

    Raises:
        InvalidRequest: as said.
    """
    if not os.path.lexists(folder):
        _require_folder(folder.parent, f"--csv {folder}")
        return
    if not folder.is_dir():
        raise InvalidRequest(f"--csv {folder} is a file; name a folder")
    _require_folder(folder, f"--csv {folder}")
    there = [name for name in names if os.path.lexists(folder / name)]
    if there and not force:
        raise InvalidRequest(f"--csv {folder} has {there[0]} already; choose another folder, or --force to replace it")
    for name in there:
        if (folder / name).is_dir():
            raise InvalidRequest(f"--csv {folder}: {name} is a folder there; choose another folder")


def _require_folder(folder: Path, what: str) -> None:
    if not folder.is_dir():
        raise InvalidRequest(f"{what}: there is no folder {folder}; make it first")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InvalidRequest(f"{what}: no right to write in {folder}")


def write_whole(file: Path, text: str) -> int:
    """Write a file whole or not at all; one of that name is replaced.

    Returns:
        Its size in bytes.

    Raises:
        PaperTradingError: it could not be written, as on a full disk; what was there is as it was.
    """
    aside = file.with_name(f".{file.name[:100]}-{secrets.token_hex(4)}.part")
    data = text.encode("utf-8")
    try:
        with aside.open("xb") as opened:
            opened.write(data)
            opened.flush()
            os.fsync(opened.fileno())
        aside.replace(file)
    except OSError as error:
        raise PaperTradingError(f"{file} could not be written: {error.strerror}") from error
    finally:
        aside.unlink(missing_ok=True)
    return len(data)


@contextmanager
def written_together(folder: Path) -> Iterator[Path]:
    """Yield a new folder beside it for files that are to be in it; they are there at the end, or none of them is.

    Into a folder that is there already they move one after another, each whole.

    Raises:
        PaperTradingError: they could not be written; what was there is as it was.
    """
    folder = folder.absolute()
    inside = folder if folder.is_dir() else folder.parent
    aside = inside / f".report-{secrets.token_hex(4)}.part"
    try:
        aside.mkdir()
        yield aside
        if folder.is_dir():
            for file in sorted(aside.iterdir()):
                file.replace(folder / file.name)
        else:
            aside.rename(folder)
    except OSError as error:
        raise PaperTradingError(f"{folder} could not be written: {error.strerror}") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
