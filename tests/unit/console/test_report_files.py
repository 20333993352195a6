"""Files of reports: only their owner may read them, and a folder of another user cannot lead them elsewhere."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from console.report import files
from console.report.files import folder_written_atomically, write_atomically
from domain.errors import PaperTradingError


@pytest.fixture(autouse=True)
def _open_to_all() -> Iterator[None]:
    """Set a umask that hides nothing, so that each mode is the program's own choice."""
    before = os.umask(0)
    yield
    os.umask(before)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def write(folder: Path, *names: str) -> None:
    with folder_written_atomically(folder) as create:
        for name in names:
            with create(name) as file:
                file.write(name.encode())


def test_a_page_is_private_also_where_it_replaces_one_that_is_not(tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    page.write_text("old")
    page.chmod(0o644)
    assert 4 == write_atomically(page, "new\n")
    assert ("new\n", 0o600) == (page.read_text(), mode(page))
    assert [page] == list(tmp_path.iterdir())


def test_the_files_of_a_new_folder_are_private_and_so_is_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "exported"
    write(folder, "fills.csv", "trades.csv")
    assert {"fills.csv": 0o600, "trades.csv": 0o600} == {path.name: mode(path) for path in folder.iterdir()}
    assert (0o700, [folder]) == (mode(folder), list(tmp_path.iterdir()))


def test_the_files_of_an_existing_folder_are_private_and_replace_others(tmp_path: Path) -> None:
    (tmp_path / "fills.csv").write_text("old")
    write(tmp_path, "fills.csv")
    assert ("fills.csv", 0o600) == ((tmp_path / "fills.csv").read_text(), mode(tmp_path / "fills.csv"))
    assert ["fills.csv"] == names(tmp_path)


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "fills.csv").write_text("old")
    writing = folder_written_atomically(tmp_path)
    writing.__enter__()("fills.csv").close()
    full = OSError(28, "No space left on device")
    with pytest.raises(PaperTradingError, match="No space left"):
        writing.__exit__(OSError, full, None)
    assert (["fills.csv"], "old") == (names(tmp_path), (tmp_path / "fills.csv").read_text())


def test_a_link_in_place_of_the_temporary_folder_moves_no_file_of_the_user(tmp_path: Path) -> None:
    """The owner of the folder puts it there while the files are written: they went to it, and its files came back."""
    shared, private = tmp_path / "shared", tmp_path / "private"
    for folder in (shared, private):
        folder.mkdir()
    (private / "id_ed25519").write_text("mine")
    with folder_written_atomically(shared) as create:
        (temporary,) = shared.iterdir()
        temporary.rename(tmp_path / "away")
        temporary.symlink_to(private)
        with create("fills.csv") as file:
            file.write(b"fill")
    assert (["id_ed25519"], "fill") == (names(private), (shared / "fills.csv").read_text())


def test_a_folder_in_place_of_the_new_temporary_one_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make, theirs = os.mkdir, tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "planted.csv").touch()

    def exchanged(name: str, mode: int, *, dir_fd: int) -> None:
        make(name, mode, dir_fd=dir_fd)
        os.rmdir(name, dir_fd=dir_fd)
        theirs.rename(tmp_path / "shared" / name)

    (tmp_path / "shared").mkdir()
    monkeypatch.setattr(files.os, "mkdir", exchanged)
    with pytest.raises(PaperTradingError, match="another user exchanges what is written there"):
        write(tmp_path / "shared", "fills.csv")
    (planted,) = (tmp_path / "shared").iterdir()
    assert ["planted.csv"] == names(planted)  # it may be a folder of this user's: nothing in it is removed
