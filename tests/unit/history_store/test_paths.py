"""The files that names, folders and patterns stand for."""

from __future__ import annotations

from pathlib import Path

import pytest

from domain.errors import SettingsError
from market.history import paths
from market.history.paths import price_files


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A working folder with files of several kinds."""
    for name in ("b.csv", "a.csv.gz", "c.zip", "notes.md", ".hidden.csv", "deep/d.PARQUET", ".git/e.csv", "odd.dat"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names(*typed: str) -> list[str]:
    """Return the files as text."""
    return [str(path) for path in price_files(typed)]


def test_a_folder_gives_its_files_of_prices_and_those_of_its_folders(folder: Path) -> None:
    assert ["a.csv.gz", "b.csv", "c.zip", "deep/d.PARQUET"] == names(".")


def test_a_named_file_may_have_any_name_and_counts_once(folder: Path) -> None:
    assert ["odd.dat", "b.csv"] == names("odd.dat", "b.csv", "odd.dat")


def test_a_pattern_gives_the_files_that_match_and_no_folders(folder: Path) -> None:
    assert ["a.csv.gz", "b.csv"] == names("?.csv*")
    assert ["deep/d.PARQUET"] == names("**/d*")
    (folder / "deep" / "f.csv").mkdir()
    assert ["deep/d.PARQUET"] == names("deep/*")


def test_a_file_whose_name_looks_like_a_pattern_is_that_file(folder: Path) -> None:
    (folder / "[b].csv").touch()
    assert ["[b].csv"] == names("[b].csv")


def test_all_names_without_files_are_in_one_message(folder: Path) -> None:
    (folder / "empty").mkdir()
    with pytest.raises(SettingsError) as refused:
        names("none.csv", "b.csv", "*.feather", "empty", "a\x00b")
    message = str(refused.value)
    assert message.startswith("none.csv: there is no such file; *.feather: no file matches this pattern; empty: the")
    assert "empty: the folder holds no file whose name ends with .csv, .txt, " in message
    assert "a\x00b: " in message


def test_too_many_files_are_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "MAX_FILES", 3)
    with pytest.raises(SettingsError, match="4 files at once are too many; at most 3"):
        names(".")
