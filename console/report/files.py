"""Writing of a report's files: under temporary names first, then renamed when all of them are complete."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from domain.errors import InvalidRequest, PaperTradingError
from domain.files.private_files import PART_SUFFIX, create_file, names_in, open_folder, written_atomically


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
    """Write a file that only this user may read, completely or not at all. An existing file is replaced.

    Returns:
        Its size in bytes.

    Raises:
        PaperTradingError: it could not be written, as on a full disk; an existing file is unchanged.
    """
    data = text.encode("utf-8")
    with written_atomically(file) as stream:
        stream.write(data)
    return len(data)


@contextmanager
def folder_written_atomically(folder: Path) -> Iterator[Callable[[str], BinaryIO]]:
    """Yield a function that creates a file; at the end the files are those of ``folder``, all of them or none.

    Only this user may read them. If ``folder`` exists, the files are moved into it one after another, each complete.
    Until then they lie in a temporary folder, which is named by its descriptor: the owner of ``folder`` may be another
    user, who could put a link in its place.

    Raises:
        PaperTradingError: they could not be written; existing files are unchanged.
    """
    folder = folder.absolute()
    is_there = folder.is_dir()
    try:
        with open_folder(folder if is_there else folder.parent) as place, _temporary_folder(place) as (name, partial):
            yield lambda file: create_file(file, partial)
            if is_there:
                for file in names_in(partial):
                    os.replace(file, file, src_dir_fd=partial, dst_dir_fd=place)
            else:
                os.rename(name, folder.name, src_dir_fd=place, dst_dir_fd=place)
    except OSError as error:
        raise PaperTradingError(f"cannot write {folder}: {error.strerror}") from error


@contextmanager
def _temporary_folder(place: int) -> Iterator[tuple[str, int]]:
    """Yield name and descriptor of a new folder for this user alone; what is left of it at the end is removed.

    Args:
        place: descriptor of the folder in which it is made.

    Raises:
        OSError: it cannot be made, or another user exchanged it.
    """
    name = f".report-{os.urandom(8).hex()}{PART_SUFFIX}"
    os.mkdir(name, 0o700, dir_fd=place)
    with open_folder(name, within=place) as folder:
        if os.fstat(folder).st_uid != os.geteuid() or names_in(folder):
            raise PermissionError(errno.EPERM, "another user exchanges what is written there", name)
        try:
            yield name, folder
        except BaseException:
            # By its descriptor: another user could have put a folder with files of this user in its place.
            for file in names_in(folder):
                os.unlink(file, dir_fd=folder)
            raise
        finally:
            with suppress(OSError):  # it is gone where it has become the folder of the files
                os.rmdir(name, dir_fd=place)
