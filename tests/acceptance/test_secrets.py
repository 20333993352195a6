"""Secrets in the settings never appear in what the program prints, logs and stores."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.support.system.program import Program, environment, run_all, until

PLANTED = (
    "Pr0xyPassw0rd", "t0ken-as-user", "c00kie-value-1", "hidden-c00kie-2", "Bearer-t0ken-3", "qu3ry-secret-4",
    "nested-s3cret-5", "in-a-l1st-s3cret-6", "name-s3cret-7", "8888777766665555", "db-passw0rd-9",
    "alert-path-s3cret-10", "alert-query-s3cret-11", "c0mmand-s3cret-12", "s3rvice-path-13", "s3rvice-pw-14",
)  # fmt: skip
OPTIONS = {
    "timeout": 700,
    "httpsProxy": f"http://me:{PLANTED[0]}@127.0.0.1:9",
    "wsProxy": f"http://{PLANTED[1]}@127.0.0.1:9",
    "headers": {"Cookie": f"sid={PLANTED[2]}; other={PLANTED[3]}", "X-Anything": f"Bearer {PLANTED[4]}"},
    "urls": {"www": f"https://127.0.0.1:9/?signature={PLANTED[5]}"},
    "options": {"jar": {"deep": {"a": PLANTED[6]}}, "list": [1, [PLANTED[7]]], f"https://x/{PLANTED[8]}": 1},
    "session": int(PLANTED[9]),
}


@pytest.fixture
def env(embedded_url: str, tmp_path: Path) -> dict[str, str]:
    # libpq takes a password that the server does not ask for.
    mark = "&" if "?" in embedded_url else "?"
    return environment(
        tmp_path / "home",
        database_url=f"{embedded_url}{mark}password={PLANTED[10]}",
        exchange="kraken",
        exchange_options=json.dumps(OPTIONS),
        alert_url=f"http://127.0.0.1:9/{PLANTED[11]}?x={PLANTED[12]}",
        alert_command=f"/bin/echo {PLANTED[13]}",
        alert_services=f"json://me:{PLANTED[15]}@127.0.0.1:9/{PLANTED[14]}/?password={PLANTED[15]}",
        log_level="TRACE",
    )


def stored(url: str) -> Iterator[str]:
    """Yield each row of each table of the program, as text."""
    with psycopg.connect(url) as connection:
        tables = connection.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename ~ '^(paper|trading|market)'"
        ).fetchall()
        for (table,) in tables:
            for (row,) in connection.execute(f"SELECT t::text FROM {table} t"):  # type: ignore[call-overload]
                yield f"{table}: {row}"


def test_no_secret_of_the_settings_is_printed_logged_or_stored(
    env: dict[str, str], embedded_url: str, tmp_path: Path
) -> None:
    outputs = {}
    with Program("start", env=env) as service:
        service.wait_for()
        # The proxy does not exist, and the error of the exchange's library contains its address.
        service.wait_for("kraken")
        log = tmp_path / "home" / "logs" / "paper-trading.jsonl"
        until(lambda: "kraken" in log.read_text(), "the exchange cannot be reached")
        commands = ["check", "check --json", "status", "status --json", "alert test --json", "top --json", "metrics"]
        commands += ["validate start a", "validate a --json", "console -c failures"]
        for command, ended in zip(commands, run_all(*commands, env=env), strict=True):
            outputs[command] = ended.out + ended.err
        ended = service.stop()
        outputs["start"] = ended.out + ended.err
    options = json.loads(outputs["check --json"])["settings"]["exchange_options"]["value"]
    assert options.startswith("{'timeout': 700, 'httpsProxy': '********', 'wsProxy': '********', 'headers': '********'")
    for path in (tmp_path / "home").rglob("*"):
        if path.is_file():
            outputs[path.name] = path.read_text(errors="replace")
    outputs["database"] = "\n".join(stored(embedded_url))
    assert "paper_processes: " in outputs["database"]
    assert [] == [(where, secret) for where, text in outputs.items() for secret in PLANTED if secret in text]
