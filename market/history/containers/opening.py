"""Opening a file safely, and telling from its first bytes what it is."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO

from market.history.containers.refusal import Source, first_line

HEAD_BYTES = 1 << 10
"""So much of a file decides what it is."""

_KINDS = (
    (stat.S_ISDIR, "it is a folder, not a file"),
    (stat.S_ISFIFO, "it is a pipe (FIFO), not a file"),
    (stat.S_ISCHR, "it is a device, not a file"),
    (stat.S_ISBLK, "it is a device, not a file"),
    (stat.S_ISSOCK, "it is a socket, not a file"),
)
_FOREIGN = (
    (b"\xd0\xcf\x11\xe0", "it is an old Excel workbook (xls); save it as CSV"),
    (b"\x89HDF", "it is an HDF5 file; convert it, with freqtrade by `freqtrade convert-data --format-to feather`"),
    (b"BZh", "it is compressed by bzip2; unpack it, or use gzip or zip"),
    (b"\xfd7zXZ", "it is compressed by xz; unpack it, or use gzip or zip"),
    (b"\x28\xb5\x2f\xfd", "it is compressed by zstd; unpack it, or use gzip or zip"),
    (b"7z\xbc\xaf\x27\x1c", "it is a 7z archive; unpack it, or use gzip or zip"),
    (b"Rar!", "it is a RAR archive; unpack it, or use gzip or zip"),
    (b"SQLite format 3", "it is an SQLite database; export its table as CSV"),
    (b"%PDF", "it is a PDF document, not a table"),
    (b"version https://git-lfs", "it is a pointer of Git LFS, not the file itself; fetch it with `git lfs pull`"),
)


def open_regular(path: Path, source: Source) -> BinaryIO:
    """Open a regular file; anything else is refused at once, without waiting for it.

    Raises:
        RefusedFile: there is none, it is no regular file, or it may not be read.
    """
    try:
        _require_regular(path.stat().st_mode, source)  # first: to open a device may do something
        # O_NONBLOCK: should a pipe have taken the file's place meanwhile, open does not wait for its other end.
        file = os.fdopen(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)), "rb")
        try:
            _require_regular(os.fstat(file.fileno()).st_mode, source)
        except BaseException:
            file.close()
            raise
    except (FileNotFoundError, NotADirectoryError):
        source.refuse("there is no such file")
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        source.refuse(f"it cannot be read: {first_line(error)}")
    return file


def _require_regular(mode: int, source: Source) -> None:
    if stat.S_ISREG(mode):
        return
    for is_kind, reason in _KINDS:
        if is_kind(mode):
            source.refuse(reason)
    source.refuse("it is not a regular file")


def require_readable_kind(head: bytes, source: Source) -> None:
    """Refuse a file that is something other than a table, by its first bytes, with what can be done.

    Raises:
        RefusedFile: it is empty, or of a kind that is not read.
    """
    if not head:
        source.refuse("it is empty")
    for magic, reason in _FOREIGN:
        if head.startswith(magic):
            source.refuse(reason)
    if head[257:262] == b"ustar":
        source.refuse("it is a tar archive; unpack it, or use zip")
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:64].lower()
    if start.startswith((b"<!doctype", b"<html", b"<?xml")):
        source.refuse("it is a web page or XML, not a table; perhaps a download that failed")
