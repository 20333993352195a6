"""The refusal of a file: one sentence with the file, the place in it, and what is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from domain.errors import SettingsError


class RefusedFile(SettingsError):
    """A file of prices that cannot be read, or is not what it must be.

    Attributes:
        path: of the file.
        member: the file inside a zip archive; None for a file of its own.
        place: such as ``line 3``; empty where the whole file is refused.
        reason: what is wrong, without file and place.
    """

    def __init__(self, path: Path, reason: str, member: str | None = None, place: str = "") -> None:
        parts = [str(path), *([shortened(member)] if member else []), *([place] if place else [])]
        super().__init__(f"{', '.join(parts)}: {reason}")
        self.path, self.member, self.place, self.reason = path, member, place, reason


@dataclass(frozen=True, slots=True)
class Source:
    """The file that is read, for messages: its path, and the member of an archive."""

    path: Path
    member: str | None = None

    def refuse(self, reason: str, place: str = "") -> NoReturn:
        """Raise the `RefusedFile` of this file."""
        raise RefusedFile(self.path, reason, self.member, place) from None

    @contextmanager
    def refusing(self, *errors: type[Exception], reason: str) -> Iterator[None]:
        """Turn ``errors`` into refusals that begin with ``reason`` and end with the error's first line."""
        try:
            yield
        except errors as error:
            self.refuse(f"{reason}: {first_line(error)}")


def first_line(error: BaseException) -> str:
    """Return an error's message as a part of one sentence."""
    text = getattr(error, "strerror", None) or (str(error).splitlines() or [""])[0] or type(error).__name__
    return shortened(text, 200).rstrip(".")


def shortened(text: str, length: int = 60) -> str:
    """Return ``text`` with at most ``length`` printable characters."""
    printable = "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)
    return printable if len(printable) <= length else printable[: length - 1] + "…"


def quoted(text: str) -> str:
    """Return ``text`` in quotes, shortened to 60 characters."""
    return repr(text if len(text) <= 60 else text[:59] + "…")


def grouped(number: int) -> str:
    """Return a number with thin groups of three digits.

    >>> grouped(3221225472)
    '3 221 225 472'
    """
    return f"{number:_}".replace("_", " ")


def size(count: int) -> str:
    """Return a number of bytes for people.

    >>> size(3_221_225_472), size(1_048_576), size(999)
    ('3 GB', '1 MB', '999 bytes')
    """
    for unit, bytes_each in (("GB", 1 << 30), ("MB", 1 << 20), ("kB", 1 << 10)):
        if count >= bytes_each:
            number = count / bytes_each
            return f"{number:.3g} {unit}" if number < 1000 else f"{number:.0f} {unit}"
    return f"{count} bytes"
