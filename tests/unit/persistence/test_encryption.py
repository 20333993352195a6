"""The sentence on the way to a remote database, by libpq's mode and by what the connection does."""

from __future__ import annotations

import pytest

from persistence.sessions import encryption
from persistence.sessions.encryption import ADVICE, weakness, weakness_of

START = "the connection to the database db.example/paper "
OPEN = "is not encrypted: anybody on the way can read and change it"
ANY = "is encrypted, but any server passes for the right one"
PREFERRED = "is encrypted now, but would do without, and any server passes for the right one"
SAME_AUTHORITY = "is encrypted, but any server with a certificate of the same authority passes for the right one"


@pytest.mark.parametrize(
    ("mode", "is_encrypted", "meaning"),
    [
        (None, False, OPEN), ("disable", False, OPEN), ("allow", False, OPEN), ("prefer", False, OPEN),
        (None, True, PREFERRED), ("prefer", True, PREFERRED), ("allow", True, PREFERRED),
        ("require", True, ANY), ("verify-ca", True, SAME_AUTHORITY), ("verify-full", True, None),
    ],
)  # fmt: skip
def test_below_verify_full_a_remote_database_is_not_protected(
    mode: str | None, is_encrypted: bool, meaning: str | None
) -> None:
    options = {"host": "db.example"} | ({"sslmode": mode} if mode is not None else {})
    expected = None if meaning is None else f"{START}{meaning} (sslmode = {mode or 'prefer'}); {ADVICE}"
    assert expected == weakness(options, "db.example/paper", is_encrypted=is_encrypted)


@pytest.mark.parametrize(
    ("options", "is_local"),
    [
        ({}, True), ({"host": "/run/postgresql"}, True), ({"host": "@abstract"}, True), ({"host": "localhost"}, True),
        ({"host": "127.0.0.1"}, True), ({"host": "127.8.0.1,::1"}, True), ({"host": "::1"}, True),
        ({"host": "db.example", "hostaddr": "127.0.0.1"}, True),
        ({"host": "localhost", "hostaddr": "192.0.2.1"}, False), ({"host": "localhost,db.example"}, False),
        ({"host": "192.168.1.2"}, False), ({"host": "timescaledb"}, False),
    ],
)  # fmt: skip
def test_a_server_on_this_machine_needs_no_protection(options: dict[str, str], is_local: bool) -> None:
    assert is_local is (weakness(options, "here", is_encrypted=False) is None)


def test_kerberos_protects_as_well() -> None:
    assert weakness({"host": "db.example", "gssencmode": "require"}, "there", is_encrypted=False) is None


@pytest.mark.parametrize("url", ["postgresql://me@localhost/db", "postgresql:///db?host=/run/postgresql"])
def test_nothing_is_connected_where_the_address_says_enough(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encryption, "connect", lambda *_: pytest.fail("it was connected"))
    assert weakness_of(url) is None
