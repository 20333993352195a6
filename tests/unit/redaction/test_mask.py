"""Secrets in texts of every shape are masked, what is no secret stays, and no text takes long."""

from __future__ import annotations

import io
import json
import time
import urllib.parse
from collections.abc import Callable
from contextlib import redirect_stderr
from pathlib import Path

import psycopg
import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st
from loguru import logger
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from sqlalchemy import create_engine

from console import logs
from console.cli import main, print_error
from domain.alarms import alarm_text
from domain.redaction.mask import KNOWN, MASK, mask
from domain.redaction.spellings import of_url, spellings
from market.exchange.retry import describe_error
from persistence.error_translation import first_line
from persistence.sessions.address import SECRETS, secrets_of

PLANTED = "s3cr3t"

SHAPES = [
    # URLs of databases
    "connection to postgresql://me:s3cr3t@db.example:5432/paper failed",
    "postgresql+psycopg://me:s3cr3t@db.example/paper",
    "postgres://me:s3cr3t@h1:1,h2:2/paper?target_session_attrs=any",
    "postgresql://db.example/paper?user=me&password=s3cr3t",
    "postgresql://db.example/paper?sslpassword=a-s3cr3t&password=s3cr3t",
    "postgresql://db.example/paper?password=s3cr3t&sslpassword=s3cr3t&application_name=x",
    "postgresql+psycopg://db.example/paper?sslpassword=x&password=s3cr3t",
    "postgresql://me:per%20cent%2Fs3cr3t@[::1]:5432/paper",
    "postgresql://me:with/slash/s3cr3t@db.example/paper",
    "postgresql://me:with@at@s3cr3t@db.example/paper",
    "postgresql://me:with blank s3cr3t@db.example/paper",
    "postgresql://me:it's s3cr3t@db.example/paper",
    "postgresql://me:1234?s3cr3t#x@db.example/paper",
    "'postgresql://me:s3cr3t@db.example/paper'",
    "<postgresql://me:s3cr3t@db.example/paper>",
    # connection strings of keys and values
    "host=db.example password=s3cr3t dbname=paper",
    "host=db.example password='s3cr3t with blanks' dbname=paper",
    r"host=db.example password='quoted \' s3cr3t' dbname=paper",
    r"host=db.example password=escaped\ blank\ s3cr3t dbname=paper",
    "host=db.example password = s3cr3t",
    "host=db.example sslpassword=s3cr3t sslkey=/key.pem",
    "host=db.example password=it's-s3cr3t dbname=paper",
    "PGPASSWORD=s3cr3t psql -h db.example",
    # proxies and web addresses
    "Cannot connect to proxy http://user:s3cr3t@proxy.example:3128",
    "{'https': 'http://user:s3cr3t@proxy.example:3128', 'http': 'socks5://u:s3cr3t@proxy.example'}",
    "http://user:s3cr3t@one.example,http://user:s3cr3t@two.example",
    "https://s3cr3t@hooks.example/x",
    "GET https://api.example/0/public?symbol=BTC&signature=s3cr3t&timestamp=1",
    "https://api.example/v1?api_key=s3cr3t",
    "Max retries exceeded with url: /hook?access_token=s3cr3t (Caused by ProxyError('x', OSError(5)))",
    # headers
    "Authorization: Bearer s3cr3t.of.some.length",
    "Proxy-Authorization: Basic czNjcjN0OnMzY3IzdA==s3cr3t",
    "Cookie: sid=s3cr3t; theme=dark",
    "{'Cookie': 'sid=s3cr3t', 'X-MBX-APIKEY': 's3cr3t'}",
    "X-Api-Key: s3cr3t",
    # JSON, Python, the text of one in another
    '{"user": "me", "password": "s3cr3t", "port": 5432}',
    "{'password': 's3cr3t', 'user': 'me'}",
    "{'password': b's3cr3t', 'user': 'me'}",
    json.dumps({"body": json.dumps({"client_secret": "s3cr3t", "user": "me"})}),
    r'{"password": "with \" mark s3cr3t"}',
    'token = "s3cr3t"',
    "-----BEGIN RSA PRIVATE KEY-----\ns3cr3t\n-----END RSA PRIVATE KEY-----",
    "-----BEGIN PRIVATE KEY-----\ns3cr3t, and it is cut off",
]  # fmt: skip


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have no secret be known before a test."""
    monkeypatch.setattr(KNOWN, "_texts", ())


def test_there_are_forty_shapes() -> None:
    assert len(SHAPES) >= 40
    assert [] == [text for text in SHAPES if PLANTED not in text]


@pytest.mark.parametrize("text", SHAPES)
def test_a_secret_that_is_not_known_is_masked_by_its_shape(text: str) -> None:
    masked = mask(text)
    assert (False, True) == (PLANTED in masked, MASK in masked), masked
    assert masked == mask(masked)


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("postgresql://me:x@db.example:5432/paper", "postgresql://********@db.example:5432/paper"),
        (
            "postgresql://h/db?sslpassword=a&password=b&sslmode=require",
            "postgresql://h/db?sslpassword=********&password=********&sslmode=require",
        ),
        ("host=h password='a b' dbname=d", "host=h password='********' dbname=d"),
        ("(password=a), then more", "(password=******** then more"),
        ("host=h password=a&b dbname=d", "host=h password=******** dbname=d"),
        ('{"url": "http://h/?token=a", "x": 1}', '{"url": "http://h/?token=********", "x": 1}'),
        ('{"password": 12345}', '{"password": "********"}'),
        ("X-Api-Key: 12345", "X-Api-Key: ********"),
    ],
)
def test_what_stands_around_a_secret_stays(text: str, masked: str) -> None:
    assert masked == mask(text)


@pytest.mark.parametrize(
    "text",
    [
        "executed: bought 0.01442492 BTC/USDT at 110617.14",
        "setting exchange_options holds 'secret': only public data is used, so no key belongs here",
        "setting exchange_options holds 'Authorization': only public data is used, so no key belongs here",
        "database_url is not a URL; it must look like postgresql://user:password@host:5432/database",
        'password authentication failed for user "me"',
        "cannot reach kraken at wss://ws.kraken.com:443: closed, as told by ops@example.com",
        "the session of portfolio default ended: 3 keys = 3 orders",
        "passwords are never printed",
    ],
)
def test_a_text_without_a_secret_stays_as_it_is(text: str) -> None:
    assert text == mask(text)


PASSWORDS = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=4, max_size=20).filter(
    lambda text: text == text.strip() and bool(text.strip("*"))
)


@given(PASSWORDS)
def test_a_password_that_libpq_reads_in_a_url_is_masked(password: str) -> None:
    quoted = urllib.parse.quote(password, safe="")
    for url, masked in (
        (f"postgresql://me:{quoted}@h/db", f"postgresql://{MASK}@h/db"),
        (
            f"postgresql://h/db?password={quoted}&sslpassword={quoted}",
            f"postgresql://h/db?password={MASK}&sslpassword={MASK}",
        ),
    ):
        parameters = conninfo_to_dict(url)
        assert {password} == {parameters[name] for name in SECRETS if name in parameters}
        assert password in secrets_of(url)
        assert f"cannot use {masked} now" == mask(f"cannot use {url} now")


@given(PASSWORDS)
def test_a_password_in_a_connection_string_is_masked_as_libpq_reads_it(password: str) -> None:
    text = make_conninfo(host="h", password=password, dbname="db")
    assert password == conninfo_to_dict(text)["password"]
    assert password in secrets_of(text)
    rest = mask(text).replace(MASK, "").replace("'", "").replace('"', "")
    assert sorted(["host=h", "password=", "dbname=db"]) == sorted(rest.split())


@given(PASSWORDS)
def test_a_known_password_is_masked_in_each_spelling(password: str) -> None:
    texts = [
        password, urllib.parse.quote(password, safe=""), urllib.parse.quote_plus(password), json.dumps(password)[1:-1],
        repr(password)[1:-1],
    ]  # fmt: skip
    before = KNOWN._texts
    try:
        KNOWN.remember(spellings([password]))
        assert [] == [text for text in texts if MASK not in mask(f"failed: {text}")]
    finally:
        KNOWN._texts = before


# Exceptions of libraries


def failed(call: Callable[[], object]) -> BaseException:
    """Return the exception of a call."""
    try:
        call()
    except Exception as error:  # noqa: BLE001 - any
        return error
    raise AssertionError("it did not fail")


def ccxt_proxies() -> object:
    import ccxt  # noqa: PLC0415 - it takes a second

    options = {"proxyUrl": "http://u:s3cr3t@one.example/", "proxy": "http://u:s3cr3t@two.example/"}
    return ccxt.kraken(options).check_proxy_url_settings("https://api.kraken.com")


def apprise_address() -> object:
    raise ValueError("Failed to send to json://me:s3cr3t@127.0.0.1/hook?token=s3cr3t")  # what its logger says


CALLS: dict[str, Callable[[], object]] = {
    "psycopg, keys and values": lambda: conninfo_to_dict("host=h password='s3cr3t"),
    "psycopg, connect": lambda: psycopg.connect("postgresql://me:s3cr3t@127.0.0.1:1/db", connect_timeout=2),
    "psycopg, query": lambda: conninfo_to_dict("postgresql://h/db?password=s3cr3t&nonsense"),
    "SQLAlchemy": lambda: create_engine("postgresql://me:s3cr3t@h:port/db"),
    "ccxt": ccxt_proxies,
    "requests, scheme": lambda: requests.get("ftp://me:s3cr3t@127.0.0.1/x?token=s3cr3t", timeout=1),
    "requests, no host": lambda: requests.get("http://me:s3cr3t@/x?token=s3cr3t", timeout=1),
    "requests, refused": lambda: requests.get("http://me:s3cr3t@127.0.0.1:1/x?token=s3cr3t", timeout=1),
    "requests, proxy": lambda: requests.get(
        "http://h.example/x?token=s3cr3t", proxies={"http": "http://me:s3cr3t@127.0.0.1:1"}, timeout=1
    ),
    "Apprise": apprise_address,
}


@pytest.mark.parametrize("library", CALLS)
def test_the_exception_of_a_library_shows_no_secret(library: str, tmp_path: Path) -> None:
    error = failed(CALLS[library])
    texts = [mask(str(error)), mask(repr(error)), first_line(error), describe_error(error), alarm_text(str(error))]
    err = io.StringIO()
    try:
        with redirect_stderr(err):
            logs.to_terminal("INFO")
            logs.to_file(tmp_path, "INFO")
            logger.opt(exception=error).error("failed: {!r}", error)
            texts.append(print_error(str(error)))
            logger.complete()
    finally:
        logger.remove()
    file = (tmp_path / "logs" / logs.FILE).read_text(encoding="utf-8")
    assert "Traceback" in json.loads(file)["traceback"]
    assert [] == [text for text in (*texts, err.getvalue(), file) if PLANTED in text]


def test_an_error_as_json_shows_no_secret(capsys: pytest.CaptureFixture[str]) -> None:
    assert 2 == main(["positions", "--json", "--database-url", "postgresql://h/db?password=ab&sslpassword=cd&nonsense"])
    output = capsys.readouterr()
    assert [] == [text for text in output if "=ab" in text or "=cd" in text]
    assert "error" in json.loads(output.out)


def test_the_password_of_a_proxy_and_of_libpq_in_the_environment_is_known(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PGPASSWORD", "of-the-environment")
    monkeypatch.setenv("https_proxy", "http://me:of-the-proxy@127.0.0.1:1")
    main(["logs", "--home", str(tmp_path)])
    assert f"{MASK} {MASK}" == mask("of-the-environment of-the-proxy")


def test_a_part_of_a_secret_stays_masked_where_a_longer_one_holds_it() -> None:
    KNOWN.remember([*of_url("http://me:part@h"), "part-of-more"])
    assert f"{MASK} {MASK}" == mask("part part-of-more")


@pytest.mark.parametrize(
    "unit",
    ["://", "a", "password=", "password='", 'password="', '"password": "', "x-", "x-api-", "bearer ", "authorization: ",
     "-----BEGIN PRIVATE KEY-----", "://a:", "\\", "'", "://u:p@", "=", "token\\\"", "key" * 3, "://a b@"],
)  # fmt: skip
def test_the_time_grows_with_the_length_alone(unit: str) -> None:
    text = unit * (64_000 // len(unit)) + " password"
    begun = time.perf_counter()
    mask(text)
    # A quadratic expression takes minutes for this text; a busy machine does not make seconds of milliseconds.
    assert time.perf_counter() - begun < 5
