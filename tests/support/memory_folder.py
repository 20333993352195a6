"""A folder in memory for what tests write and throw away, where the machine has enough of it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import psutil

MEMORY_FOLDER = Path("/dev/shm")
NEEDED_BYTES = 4 << 30
"""Four processes of tests with two servers each use a quarter of that."""


def memory_folder() -> Path | None:
    """Return Linux's folder in memory if programs can be run from it and it has room; else None.

    A test database has 300 files. To make and drop them for each test takes a file system on a disk five times as much
    computing as one in memory, most of all ext4 without a journal, which looks at each file that was removed of late.
    """
    if sys.platform != "linux" or not os.access(MEMORY_FOLDER, os.W_OK | os.X_OK):
        return None
    status = os.statvfs(MEMORY_FOLDER)
    room = min(status.f_bavail * status.f_frsize, psutil.virtual_memory().available)
    return MEMORY_FOLDER if room >= NEEDED_BYTES and not status.f_flag & os.ST_NOEXEC else None
