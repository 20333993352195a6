"""The checksum of a backup: keyed to its home, and worth nothing where others can read the key or write the file."""

from __future__ import annotations

from pathlib import Path

import pytest

from domain.errors import SettingsError
from persistence.embedded.backups.checksum import END_SIZE, KEY_FILE, MARK, BackupKey, doubt

CONTENT = b"PGDMP" + bytes(range(256)) * 5000


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


@pytest.fixture
def sealed(home: Path, tmp_path: Path) -> Path:
    file = tmp_path / "backup"
    file.write_bytes(CONTENT)
    file.chmod(0o600)
    with file.open("rb+") as opened:
        BackupKey.of(home).seal(opened)
    return file


def doubt_about(file: Path, home: Path) -> str | None:
    with file.open("rb") as opened:
        reason = doubt(file, opened, home)
        assert 0 == opened.tell()
    return reason


def test_a_file_of_this_home_is_known_again(sealed: Path, home: Path) -> None:
    assert CONTENT == sealed.read_bytes()[:-END_SIZE]
    assert sealed.read_bytes()[-END_SIZE:].startswith(MARK)
    assert None is doubt_about(sealed, home)
    moved = sealed.rename(sealed.with_name("moved"))
    assert None is doubt_about(moved, home)


@pytest.mark.parametrize("at", [0, 5, 1_000_000, -END_SIZE - 1, -END_SIZE, -2, -1])
def test_a_changed_byte_is_seen(at: int, sealed: Path, home: Path) -> None:
    content = bytearray(sealed.read_bytes())
    content[at] ^= 1
    sealed.write_bytes(content)
    assert f"its checksum does not fit {home / KEY_FILE}" in str(doubt_about(sealed, home))


@pytest.mark.parametrize("content", [b"", b"x", CONTENT, CONTENT + MARK + b"0" * 64 + b"\n"])
def test_a_file_without_a_checksum_or_with_an_invented_one_is_another_homes(
    content: bytes, sealed: Path, home: Path
) -> None:
    sealed.write_bytes(content)
    assert "its checksum does not fit" in str(doubt_about(sealed, home))


def test_a_checksum_behind_a_checksum_does_not_hide_what_is_between(sealed: Path, home: Path) -> None:
    end = sealed.read_bytes()[-END_SIZE:]
    with sealed.open("ab") as file:
        file.write(b"more" + end)
    assert "its checksum does not fit" in str(doubt_about(sealed, home))


def test_another_home_has_another_key(sealed: Path, home: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    assert f"home {other} has no backup.key, and so has written no backup" == doubt_about(sealed, other)
    BackupKey.of(other)
    assert f"its checksum does not fit {other / KEY_FILE}" in str(doubt_about(sealed, other))
    (other / KEY_FILE).unlink()
    (home / KEY_FILE).rename(other / KEY_FILE)  # the home was moved
    assert None is doubt_about(sealed, other)


def test_the_key_is_made_once_and_for_its_owner_alone(home: Path) -> None:
    BackupKey.of(home)
    key = (home / KEY_FILE).read_text()
    BackupKey.of(home)
    assert key == (home / KEY_FILE).read_text()
    assert (65, 0o600) == (len(key), (home / KEY_FILE).stat().st_mode & 0o777)
    assert [KEY_FILE] == [path.name for path in home.iterdir()]


@pytest.mark.parametrize("mode", [0o620, 0o602])
def test_a_file_that_others_may_write_is_doubted(mode: int, sealed: Path, home: Path) -> None:
    sealed.chmod(mode)
    assert f"others may change it while it is read (chown it to this user, and chmod go-w {sealed})" == doubt_about(
        sealed, home
    )


def test_a_key_that_others_can_read_is_refused(home: Path) -> None:
    BackupKey.of(home)
    (home / KEY_FILE).chmod(0o640)
    with pytest.raises(SettingsError, match=f"is not for its owner alone: chmod 600 {home / KEY_FILE}"):
        BackupKey.read(home)


@pytest.mark.parametrize("text", ["", "abc", "zz" * 32, "ab" * 31])
def test_a_key_that_is_none_is_one_sentence(text: str, home: Path) -> None:
    (home / KEY_FILE).touch(mode=0o600)
    (home / KEY_FILE).write_text(text)
    with pytest.raises(SettingsError, match="is not a key of backups: remove it"):
        BackupKey.of(home)
