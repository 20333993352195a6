"""A lock file that an earlier version's command of root has left in a user's home is named with its repair."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from persistence.embedded.errors import EmbeddedServerError
from persistence.embedded.locks import open_lock_file
from persistence.embedded.server_user import allow_traversal

NOBODY = 65534

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="root makes files for another user")


@contextmanager
def as_nobody() -> Iterator[None]:
    group, groups = os.getegid(), os.getgroups()
    os.setgroups([])
    os.setegid(NOBODY)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(group)
        os.setgroups(groups)


def test_a_file_of_roots_that_shuts_the_user_out_is_named_with_its_repair(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    os.chown(home, NOBODY, NOBODY)
    allow_traversal((NOBODY, NOBODY), set(home.parents))
    left = home / "postgres.lock"
    left.touch(mode=0o600)
    with as_nobody(), pytest.raises(EmbeddedServerError) as error:
        open_lock_file(left)
    assert f"{left} belongs to root, because a command of root made it: as root, run chown nobody {left}." == str(
        error.value
    )
    os.chown(left, NOBODY, NOBODY)
    with as_nobody():
        os.close(open_lock_file(left))
