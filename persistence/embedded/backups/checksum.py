"""The checksum of a backup, keyed to its home: only this home can have written a file that has it.

It stands behind the backup in the file itself, where PostgreSQL's ``pg_restore`` does not look. The key is in
``home/backup.key``, which only its owner can read. A plain checksum would not do: anyone can write a file and the
checksum that fits.
"""

from __future__ import annotations

import hmac
import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from domain.errors import SettingsError
from domain.files.owners import is_trusted
from domain.files.private_files import open_own_file

KEY_FILE = "backup.key"
KEY_BYTES = 32
ALGORITHM = "sha256"
MARK = b"\n-- paper-trading backup; hmac-sha256 of what is before, by the key of its home: "
END_SIZE = len(MARK) + 64 + 1
CHUNK_BYTES = 1_000_000


class BackupKey:
    """The key of a home."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    @classmethod
    def read(cls, home: Path) -> BackupKey | None:
        """Return the key of a home; None if it has none, because it has written no backup.

        Raises:
            SettingsError: the key cannot be read, or others can read or replace it.
        """
        path = home / KEY_FILE
        try:
            descriptor = open_own_file(path, os.O_RDONLY)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise SettingsError(f"the key of backups {path} cannot be read: {error.strerror}") from error
        with os.fdopen(descriptor, "rb") as file:
            if os.fstat(descriptor).st_mode & 0o077:
                raise SettingsError(f"the key of backups {path} is not for its owner alone: chmod 600 {path}")
            text = file.read(2 * KEY_BYTES + 1).strip()
        with suppress(ValueError):
            key = bytes.fromhex(text.decode("ascii"))
            if len(key) == KEY_BYTES:
                return cls(key)
        raise SettingsError(f"{path} is not a key of backups: remove it, and the next backup makes a new one")

    @classmethod
    def of(cls, home: Path) -> BackupKey:
        """Return the key of a home; make it if it has none.

        Raises:
            SettingsError: the key cannot be read or made.
        """
        if (present := cls.read(home)) is not None:
            return present
        key, path = secrets.token_bytes(KEY_BYTES), home / KEY_FILE
        temporary = path.with_name(f"{KEY_FILE}.{secrets.token_hex(8)}")
        try:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(key.hex().encode() + b"\n")
                file.flush()
                os.fsync(descriptor)
            with suppress(FileExistsError):  # another backup has just made one
                os.link(temporary, path)
        except OSError as error:
            raise SettingsError(f"the key of backups {path} cannot be written: {error.strerror}") from error
        finally:
            temporary.unlink(missing_ok=True)
        made = cls.read(home)
        if made is None:
            raise SettingsError(f"the key of backups {path} was removed while it was made; try again")
        return made

    def seal(self, file: BinaryIO) -> None:
        """Write the checksum behind a complete backup.

        Args:
            file: open to be read and written.
        """
        file.seek(0, os.SEEK_END)
        digest = self._digest(file, file.tell())
        file.seek(0, os.SEEK_END)
        file.write(MARK + digest.encode() + b"\n")

    def fits(self, file: BinaryIO) -> bool:
        """Return whether a file ends with its checksum by this key; afterwards its position is the begin."""
        content = file.seek(0, os.SEEK_END) - END_SIZE
        try:
            if content < 0:
                return False
            file.seek(content)
            end = file.read(END_SIZE)
            if not (end.startswith(MARK) and end.endswith(b"\n")):
                return False
            return hmac.compare_digest(end[len(MARK) : -1], self._digest(file, content).encode())
        finally:
            file.seek(0)

    def _digest(self, file: BinaryIO, size: int) -> str:
        """Return the checksum of the first ``size`` bytes."""
        digest = hmac.new(self._key, digestmod=ALGORITHM)
        file.seek(0)
        while size > 0 and (chunk := file.read(min(CHUNK_BYTES, size))):
            digest.update(chunk)
            size -= len(chunk)
        return digest.hexdigest()


def doubt(file: Path, opened: BinaryIO, home: Path) -> str | None:
    """Return why another than this home may have written a file, or may change it while it is read; None if none can.

    Args:
        file: its path, for the message.
        opened: the file, open to be read.
        home: folder of the program.

    Raises:
        SettingsError: see `BackupKey.read`.
    """
    key = BackupKey.read(home)
    if key is None:
        return f"home {home} has no {KEY_FILE}, and so has written no backup"
    if not key.fits(opened):
        return (
            f"its checksum does not fit {home / KEY_FILE}, so that another home or an earlier version of this program"
            " wrote it, or it was changed"
        )
    status = os.fstat(opened.fileno())
    if status.st_mode & 0o022 or not is_trusted(status.st_uid):
        return f"others may change it while it is read (chown it to this user, and chmod go-w {file})"
    return None
