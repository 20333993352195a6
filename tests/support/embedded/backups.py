"""Backups of test databases, written and read as by one home of the program."""

from __future__ import annotations

import atexit
import functools
import shutil
import tempfile
from pathlib import Path
from typing import Any

from persistence.embedded.backups import backup
from persistence.embedded.backups import restore as restores
from persistence.embedded.backups.backup import Backup
from persistence.embedded.backups.backup_file import BackupFile
from persistence.embedded.backups.checksum import BackupKey
from persistence.embedded.backups.contents import Others
from persistence.embedded.backups.restore import Restored
from persistence.embedded.installation import installation
from tests.support.database.server import Server


@functools.cache
def backup_home() -> Path:
    """Return a home of this process that has a key and nothing else."""
    home = Path(tempfile.mkdtemp(prefix="paper-backups-"))
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    BackupKey.of(home)
    return home


def admin(server: Server, url: str) -> str:
    """Return the URL of the same database for its superuser."""
    return url.replace("paper@", "postgres@", 1)


def back_up(database_url: str, file: Path, *, overwrite: bool = False) -> Backup:
    """Write a backup."""
    return backup.back_up(database_url, file, installation(), BackupKey.of(backup_home()), overwrite=overwrite)


def open_backup(file: Path, *, foreign: bool = False, others: Others = Others.REFUSE) -> BackupFile:
    """Open a backup."""
    return BackupFile(file, backup_home(), installation(), foreign=foreign, others=others)


def restore(
    database_url: str, file: Path, *, foreign: bool = False, others: Others = Others.REFUSE, **options: Any
) -> Restored:
    """Restore a backup."""
    with open_backup(file, foreign=foreign, others=others) as opened:
        return restores.restore(database_url, opened, **options)
