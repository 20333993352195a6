"""The users and groups of a machine, and who owns its files, as a test states them: it needs no real second user."""

from __future__ import annotations

import grp
import os
import pwd
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

ME, GROUP, STRANGER = 4_001, 4_001, 4_002


@dataclass(frozen=True)
class Account:
    pw_name: str
    pw_uid: int
    pw_gid: int


class Machine:
    """A machine on which this process is the user ``me``; a test may change each attribute.

    Attributes:
        users: the accounts.
        groups: name and members of each group, by its number.
        process_uid: of this process.
        supplementary: further groups of this process.
        read_only: whether every file system is mounted read-only.
        owners: uid by path, of what ``me`` does not own below the test's folder; all above it is root's.
        group_owners: gid by path, likewise.
        opened_uid: of each file that the process opens.
        opened_gid: likewise.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self.users = [
            Account("root", 0, 0),
            Account("sync", 5, 0),
            Account("me", ME, GROUP),
            Account("bob", STRANGER, 9),
        ]
        self.groups: dict[int, tuple[str, list[str]]] = {0: ("root", []), GROUP: ("me", []), 9: ("bob", [])}
        self.process_uid = ME
        self.read_only = False
        self.owners: dict[Path, int] = {}
        self.group_owners: dict[Path, int] = {}
        self.opened_uid, self.opened_gid = ME, GROUP
        self.supplementary: list[int] = []
        self._folder = folder
        self._fstat, self._lstat = os.fstat, os.lstat
        monkeypatch.setattr(os, "geteuid", lambda: self.process_uid)
        monkeypatch.setattr(os, "getegid", lambda: GROUP)
        monkeypatch.setattr(os, "getgroups", lambda: self.supplementary)
        monkeypatch.setattr(pwd, "getpwall", lambda: self.users)
        monkeypatch.setattr(pwd, "getpwuid", self._user)
        monkeypatch.setattr(grp, "getgrgid", self._group)
        monkeypatch.setattr(os, "fstatvfs", self._file_system)
        monkeypatch.setattr(os, "statvfs", self._file_system)
        monkeypatch.setattr(os, "fstat", self._opened_file)
        monkeypatch.setattr(os, "lstat", self._file)

    def _user(self, uid: int) -> Account:
        return {user.pw_uid: user for user in self.users}[uid]

    def _group(self, gid: int) -> Any:
        name, members = self.groups[gid]
        return SimpleNamespace(gr_name=name, gr_mem=members)

    def _file_system(self, _: object) -> Any:
        return SimpleNamespace(f_flag=os.ST_RDONLY if self.read_only else 0)

    def _opened_file(self, descriptor: int) -> os.stat_result:
        return owned(self._fstat(descriptor), self.opened_uid, self.opened_gid)

    def _file(self, path: str | Path, **options: Any) -> os.stat_result:
        status = self._lstat(path, **options)
        if not Path(path).is_relative_to(self._folder):
            return owned(status, 0, 0)
        return owned(status, self.owners.get(Path(path), ME), self.group_owners.get(Path(path), GROUP))


def owned(status: os.stat_result, uid: int, gid: int) -> os.stat_result:
    """Return a file's status with other owners."""
    return os.stat_result([*status[:4], uid, gid, *status[6:]])
