"""The log file and the older ones beside it: their last lines, and those that are being written."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from console.log_file import MAX_OLD_FILES
from console.log_lines.entries import Entry, EntryFilter
from domain.files.private_files import open_own_file

NEWLINE = b"\n"


class LogFiles:
    """Reads a log file and the older ones beside it, ``.1`` being the newest of those.

    Args:
        path: of the file that is being written.

    Raises:
        FileNotFoundError: there is neither the file nor an older one.
        OSError: one cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        files = _opened(path)
        if not files:
            raise FileNotFoundError(path)
        self._file, *self._older = files
        self._rest = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for file in (self._file, *self._older):
            file.close()

    def last(self, wanted: EntryFilter, limit: int | None = None) -> list[Entry]:
        """Return the last wanted lines, the oldest first; it is called once, before `new_lines`.

        Args:
            wanted: which lines.
            limit: how many at most.
        """
        entries: list[Entry] = []
        for file in (self._file, *self._older):
            lines = file.read().split(NEWLINE)
            rest = lines.pop()
            if file is self._file:
                self._rest = rest  # a line that is being written
            elif rest:
                lines.append(rest)
            for line in reversed(lines):
                entry = Entry.parse(line) if line and wanted.may_accept(line) else None
                if entry is not None and wanted.accepts(entry):
                    entries.append(entry)
                if len(entries) == limit or (entry is not None and wanted.begins_after(entry)):
                    return entries[::-1]
        return entries[::-1]

    def new_lines(self) -> Iterator[bytes]:
        """Yield the lines that were written since the last call, also where the file was rotated meanwhile."""
        yield from self._read()
        try:
            present, own = self._path.stat(), os.fstat(self._file.fileno())
        except FileNotFoundError:  # in the middle of a rotation, or the folder was removed
            return
        if (present.st_dev, present.st_ino) == (own.st_dev, own.st_ino):
            if present.st_size < self._file.tell():  # it was emptied
                self._file.seek(0)
                self._rest = b""
                yield from self._read()
            return
        yield from self._read()  # the last lines before the rotation
        for file in self._later_files():
            if self._rest:
                yield self._rest
            self._file.close()
            self._file, self._rest = file, b""
            yield from self._read()

    def _later_files(self) -> list[BinaryIO]:
        """Open the files that are newer than the own one, the oldest first; all of them if that is gone."""
        own = os.fstat(self._file.fileno())
        later: list[BinaryIO] = []
        is_later = True
        for file in _opened(self._path):
            status = os.fstat(file.fileno())
            is_later = is_later and (status.st_dev, status.st_ino) != (own.st_dev, own.st_ino)
            if is_later:
                later.append(file)
            else:
                file.close()
        return later[::-1]

    def _read(self) -> Iterator[bytes]:
        *lines, self._rest = (self._rest + self._file.read()).split(NEWLINE)
        yield from filter(None, lines)


def _opened(path: Path) -> list[BinaryIO]:
    """Open the file and the older ones beside it, the newest first; each once, also where they are rotated now."""
    files: list[BinaryIO] = []
    inodes = set()
    with ExitStack() as opened:
        for candidate in (path, *(path.with_name(f"{path.name}.{number}") for number in range(1, MAX_OLD_FILES + 1))):
            with suppress(FileNotFoundError):
                file = opened.enter_context(os.fdopen(open_own_file(candidate, os.O_RDONLY), "rb", buffering=0))
                status = os.fstat(file.fileno())
                if (status.st_dev, status.st_ino) not in inodes:
                    inodes.add((status.st_dev, status.st_ino))
                    files.append(file)
        opened.pop_all()
    return files
