"""Writing of a report's files: under temporary names first, then renamed when all of them are complete."""

from __future__ import annotations

import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from domain.errors import InvalidRequest, PaperTradingError


def require_writable_file(file: Path) -> None:
    """Check that a file can be written.

    Raises:
        InvalidRequest: its folder is missing, is not a folder or is not writable; a folder has that name; or the name
            is ``-``, which elsewhere means the standard output.
    """
    if file == Path("-"):
        raise InvalidRequest("--html -: the page cannot go to stdout; name a file, such as report.html")
    if os.path.isdir(file):  # noqa: PTH112 - Path's raises where a folder above may not be entered
        raise InvalidRequest(f"--html {file} is a folder; name a file, such as {file / 'report.html'}")
    _require_folder(file.parent, f"--html {file}")


def require_writable_folder(folder: Path, names: list[str], *, force: bool) -> None:
    """Check that a folder of files can be written, and, without ``force``, that none of them exists.

    Raises:
        InvalidRequest: the folder cannot be written, or holds one of the files.
    """
    if not os.path.lexists(folder):
        _require_folder(folder.parent, f"--csv {folder}")
        return
    if not os.path.isdir(folder):  # noqa: PTH112 - as above
        raise InvalidRequest(f"--csv {folder} is a file; name a folder")
    _require_folder(folder, f"--csv {folder}")
    existing = [name for name in names if os.path.lexists(folder / name)]
    if existing and not force:
        raise InvalidRequest(f"--csv {folder} holds {existing[0]} already; choose another folder or use --force")
    for name in existing:
        if (folder / name).is_dir():
            raise InvalidRequest(f"--csv {folder}: {name} is a folder; choose another folder")


def _require_folder(folder: Path, option: str) -> None:
    try:
        is_folder = stat.S_ISDIR(folder.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        is_folder = False
    except OSError as error:  # such as a folder above that may not be entered
        raise InvalidRequest(f"{option}: {folder} cannot be reached: {error.strerror}") from None
    if not is_folder:
        raise InvalidRequest(f"{option}: there is no folder {folder}; create it first")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InvalidRequest(f"{option}: no permission to write to {folder}")


def write_atomically(file: Path, text: str) -> int:
    """Write a file completely or not at all. An existing file is replaced.

    Returns:
        Its size in bytes.

    Raises:
        PaperTradingError: it could not be written, as on a full disk; an existing file is unchanged.
    """
    temporary = file.with_name(f".{file.name[:100]}-{secrets.token_hex(4)}.part")
    data = text.encode("utf-8")
    try:
        with temporary.open("xb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(file)
    except OSError as error:
        raise PaperTradingError(f"cannot write {file}: {error.strerror}") from error
    finally:
        temporary.unlink(missing_ok=True)
    return len(data)


@contextmanager
def folder_written_atomically(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder; at the end its files become the files of ``folder``, all of them or none.

    If ``folder`` exists, the files are moved into it one after another, each complete.

    Raises:
        PaperTradingError: they could not be written; existing files are unchanged.
    """
    folder = folder.absolute()
    parent = folder if folder.is_dir() else folder.parent
    temporary = parent / f".report-{secrets.token_hex(4)}.part"
    try:
        temporary.mkdir()
        yield temporary
        if folder.is_dir():
            for file in sorted(temporary.iterdir()):
                file.replace(folder / file.name)
        else:
            temporary.rename(folder)
    except OSError as error:
        raise PaperTradingError(f"cannot write {folder}: {error.strerror}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
