"""The URL of a database, as libpq reads it; no message about it holds a part of a password."""

from __future__ import annotations

import pytest
from psycopg.conninfo import conninfo_to_dict

from console.cli import main
from domain.errors import SettingsError
from domain.redaction.mask import KNOWN, MASK, mask
from domain.redaction.spellings import spellings
from persistence.sessions.address import (
    display_address,
    dsn,
    parse_url,
    schema_of,
    secrets_of,
    server_options,
    with_schema,
)


@pytest.mark.parametrize(
    ("url", "parameters", "address"),
    [
        ("postgresql://me:a%20b%40c@h:5433/db", {"password": "a b@c", "port": "5433"}, "h:5433/db"),
        ("postgres://me:a+b@h/db", {"password": "a+b"}, "h/db"),
        ("postgresql+psycopg://me@h/db", {"user": "me"}, "h/db"),
        ("postgresql://me@%2Ftmp%2Fsock/db", {"host": "/tmp/sock"}, "/tmp/sock/db"),
        ("postgresql://me@/db?host=/tmp/sock", {"host": "/tmp/sock"}, "/tmp/sock/db"),
        ("postgresql://me@h1:1,h2:2/db", {"host": "h1,h2", "port": "1,2"}, "h1:1,h2:2/db"),
        ("postgresql://[::1]:5/db", {"host": "::1"}, "::1:5/db"),
        ("postgresql:///db", {"dbname": "db"}, "local socket/db"),
        ("postgresql://h/db?options=-c%20a.b%3Dit's", {"options": "-c a.b=it's"}, "h/db"),
    ],
)  # fmt: skip
def test_a_url_is_read_as_libpq_reads_it(url: str, parameters: dict[str, str], address: str) -> None:
    read = parse_url(url)
    assert parameters == {name: read[name] for name in parameters}
    assert address == display_address(url)
    assert read == parse_url(dsn(url)) == conninfo_to_dict(dsn(url))
    own = with_schema(url, "own")
    assert "own" == schema_of(own) == schema_of(with_schema(own, "own"))
    assert {**read, "options": ""} == {**conninfo_to_dict(own), "options": ""}


def test_options_are_split_as_the_server_splits_them() -> None:
    url = r"postgresql://h/db?options=-c%20a.b%3Dx\%20y%20-ca.c%3D%27%20--a.d%3D\\"
    assert ["-ca.b=x y", "-ca.c='", "--a.d=\\"] == server_options(url)
    assert ["-ca.b=x y", "-ca.c='", "--a.d=\\", "-csearch_path=own,public"] == server_options(with_schema(url, "own"))


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("postgresql://me:SECret word@h/db", "unexpected spaces found in"),
        ("postgresql://me:SECret%zz@h/db", "invalid percent-encoded token"),
        ("postgresql://me:SECret@word@h/db", "it has a second @"),
        ("postgresql://me:SECret/word@h/db", "it has a second @"),
        ("postgresql://SECret:word,h2:p/db", "a port is not a number"),
        ("postgresql://me/h?SECret=word@h/db", "invalid URI query parameter"),
        ("postgresql://me:12?SECret/word@h/db", "missing key/value separator"),
    ],
)
def test_what_cannot_be_read_is_refused_without_a_part_of_it(
    url: str, reason: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SettingsError) as refused:
        parse_url(url)
    assert str(refused.value).startswith(f"database_url cannot be used: {reason}; in a user or password write @ as %40")
    monkeypatch.setattr(KNOWN, "_texts", ())
    assert 2 == main(["positions", "--json", f"--database-url={url}"])
    printed = "".join(capsys.readouterr())
    assert "SECret" not in printed
    assert "word, " not in printed


@pytest.mark.parametrize("written", ["pa%20ss%2Fw%C3%B6rd", "pa%20ss/w%C3%B6rd"])
def test_a_password_is_masked_however_it_is_encoded(written: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(KNOWN, "_texts", ())
    KNOWN.remember(spellings(secrets_of(f"postgresql://me:{written}@h/db?application_name=a@b")))
    for spelling in ("pa ss/wörd", "pa%20ss%2Fw%C3%B6rd", "pa+ss%2Fw%C3%B6rd", "pa%20ss/w%C3%B6rd", r"pa ss/w\u00f6rd"):
        assert f"failed: {MASK}" == mask(f"failed: {spelling}")
