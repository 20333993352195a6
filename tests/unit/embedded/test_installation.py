"""Which PostgreSQL runs the embedded database: the wheel's, a named one, or one of the system with newer fixes."""

from __future__ import annotations

from pathlib import Path

import pytest

from domain.errors import SettingsError
from persistence.embedded import installation as module
from persistence.embedded.installation import PROGRAMS, Installation, find, installation, major_version, replacements

WITHOUT_ICU, WITH_ICU = "'--prefix=/usr' '--without-icu'", "'--prefix=/usr' '--with-icu'"


def make_installation(folder: Path, version: str, options: str = WITHOUT_ICU, without: str = "") -> Path:
    """Make a folder of programs that tell a version and how they were built."""
    folder.mkdir(parents=True)
    answers = dict.fromkeys(PROGRAMS, f"postgres (PostgreSQL) {version}") | {"pg_config": options}
    for name in answers.keys() - {without}:
        (folder / name).write_text(f'#!/bin/sh\necho "{answers[name]}"\n')
        (folder / name).chmod(0o755)
    return folder


@pytest.mark.parametrize(
    ("version", "options", "used"),
    [
        ("18.7", WITHOUT_ICU, True),
        ("18.7 (Debian 18.7-1.pgdg12+1)", WITHOUT_ICU, True),
        ("18.10", WITHOUT_ICU, True),
        ("18.6", WITHOUT_ICU, False),
        ("18.5", WITHOUT_ICU, False),
        ("17.12", WITHOUT_ICU, False),
        ("19.1", WITHOUT_ICU, False),
        ("18.7", WITH_ICU, False),
        ("18.7", "'--prefix=/usr'", False),  # from version 16 on that is with ICU
        ("18.7", "", False),  # not known
        ("19beta1", WITHOUT_ICU, False),
        ("", WITHOUT_ICU, False),
    ],
)
def test_an_installed_one_is_used_only_for_newer_fixes_of_the_same(
    version: str, options: str, used: bool, tmp_path: Path
) -> None:
    own = find(make_installation(tmp_path / "own", "18.6"))
    assert own is not None
    system = make_installation(tmp_path / "system", version, options)
    assert used == bool(replacements(own, [tmp_path / "nowhere", system]))


def test_one_that_lacks_a_program_is_none(tmp_path: Path) -> None:
    assert None is find(make_installation(tmp_path / "client", "18.7", without="postgres"))
    assert None is find(make_installation(tmp_path / "server", "18.7", without="pg_restore"))


def test_the_newest_one_in_the_folders_of_the_system_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    installation.cache_clear()
    request.addfinalizer(installation.cache_clear)
    own = Installation(make_installation(tmp_path / "own", "18.6"), 18, 6)
    monkeypatch.setattr(module, "_of_wheel", lambda: own)
    monkeypatch.setattr(module, "SYSTEM_FOLDERS", (str(tmp_path / "{major}/a"), str(tmp_path / "{major}/b")))
    in_path = make_installation(tmp_path / "path", "18.7")
    monkeypatch.setenv("PATH", f".:{in_path}:/usr/bin:/bin")
    monkeypatch.chdir(tmp_path)
    newest = make_installation(tmp_path / "18/b", "18.9")
    make_installation(tmp_path / "18/a", "18.8")
    assert Installation(newest, 18, 9) == installation()
    assert 18 == major_version()


def test_a_relative_entry_of_the_path_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_installation(tmp_path / "here", "18.7")
    monkeypatch.setenv("PATH", "here:/bin")
    monkeypatch.chdir(tmp_path)
    assert tmp_path / "here" not in [folder.resolve() for folder in module.system_folders(18)]


def test_programs_that_another_user_can_change_are_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make_installation(tmp_path / "path", "18.99")
    monkeypatch.setenv("PATH", f"{folder}:/bin")
    assert folder in module.system_folders(18)
    folder.chmod(0o777)
    assert folder not in module.system_folders(18)
    folder.chmod(0o755)
    monkeypatch.setattr(module, "is_trusted", lambda uid: uid == 12_345)  # the programs belong to another user
    assert folder not in module.system_folders(18)


def test_postgres_bin_names_the_one_that_is_used(tmp_path: Path) -> None:
    folder = make_installation(tmp_path / "named", "17.3", WITH_ICU)
    assert Installation(folder, 17, 3) == installation(folder)
    assert 17 == major_version(folder)
    assert f"PostgreSQL 17.3 in {folder}" == str(installation(folder))


@pytest.mark.parametrize(
    ("version", "without", "reason"),
    [
        ("18.7", "pg_dump", "which has no program pg_dump; name the folder of PostgreSQL's programs"),
        ("devel", "", "which has a postgres that does not tell its version"),
        ("15.20", "", "postgres_bin has PostgreSQL 15.20 in .*; 16 or newer is needed"),
    ],
)
def test_a_postgres_bin_that_cannot_be_used_is_one_sentence(
    version: str, without: str, reason: str, tmp_path: Path
) -> None:
    folder = make_installation(tmp_path / "named", version, without=without)
    with pytest.raises(SettingsError, match=reason) as error:
        installation(folder)
    assert "\n" not in str(error.value)
