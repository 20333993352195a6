"""The real program delivers alarms to its receivers; `run.py alert` sends a test and prints the results."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from loguru import logger

from console import logs
from console.cli import main
from domain.redaction.mask import KNOWN
from persistence.stores import halts
from tests.support.system.program import ROOT, Program, environment, run, until
from tests.support.system.web_receiver import Receiver

SECRET = "s3cret-word"
SCRIPT = """
import json, os, sys
alarm = json.load(sys.stdin)
with open(sys.argv[1], "a") as file:
    print(os.environ["PAPER_ALERT_KIND"], os.environ["PAPER_ALERT_TEXT"], alarm["text"], sep="|", file=file)
"""


def test_a_halt_is_delivered_through_both_channels_and_no_secret_leaks(
    embedded_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    script, delivered = tmp_path / "tell.py", tmp_path / "delivered"
    script.write_text(SCRIPT)
    with Receiver([500]) as receiver:
        env = environment(
            tmp_path / "home",
            prices="simulated",
            database_url=embedded_url,
            alert_url=receiver.url(f"/hooks/{SECRET}"),
            alert_command=f"{sys.executable} {script} {delivered}",
            alert_trading="position_closed",
        )
        with Program("start", env=env) as service:
            service.wait_for()
            for action in ("BUY", "SELL"):
                assert (
                    0
                    == run(
                        "decide", action, "BTC/USDT", "--confidence", "1", "--quantity", "0.01", "--wait", env=env
                    ).code
                )
            closed = [receiver.next()["text"] for _ in range(2)]  # after the 500, again
            assert closed[0].startswith("default: closed LONG BTC/USDT at ")
            assert closed[0].endswith(" (simulated prices)")
            halts.insert(embedded_url, None, "reviewing", "tester", halted=True)
            document = receiver.next()
            until(lambda: "halt" in delivered.read_text(), "the command ran")
            ended = service.stop()
        text = "halted: portfolio default (reviewing)"
        assert ("halt", text, service.pid) == tuple(document[name] for name in ("kind", "text", "process"))
        lines = [f"position_closed|{closed[0]}|{closed[0]}", f"halt|{text}|{text}"]
        assert lines == delivered.read_text().splitlines()
        assert 0 == ended.code
        assert "alert_url: delivery failed; retrying: 127.0.0.1 answered 500" in ended.err
        log = (tmp_path / "home" / "logs" / logs.FILE).read_text()
        records = map(json.loads, log.splitlines())
        assert [("halt", f"alarm: {text}")] == [(r["alarm"], r["message"]) for r in records if "alarm" in r]
        for name in ("database_url", "prices", "home", "alert_url", "alert_command"):
            monkeypatch.setenv(f"PAPER_{name}".upper(), env[f"PAPER_{name}".upper()])
        assert 0 == main(["check", "--json"])
        checked = capsys.readouterr()
        settings = json.loads(checked.out)["settings"]
        assert ["********", f"{sys.executable} ********"] == [
            settings[name]["value"] for name in ("alert_url", "alert_command")
        ]
        assert SECRET not in ended.err + ended.out + log + checked.out + checked.err


CRASHING = """
import sys
from actors import TradingSystem
from console.cli import main
wait = TradingSystem.wait

def crash(system, timeout=None):
    for _ in range(6):
        system.crash("Sizer")
    return wait(system, timeout)

TradingSystem.wait = crash
sys.exit(main(["start"]))
"""


@pytest.mark.slow
def test_the_reason_of_the_end_is_delivered_before_the_process_ends(embedded_url: str, tmp_path: Path) -> None:
    with Receiver([500]) as receiver:
        env = environment(tmp_path, prices="simulated", database_url=embedded_url, alert_url=receiver.url())
        ended = subprocess.run(
            [sys.executable, "-c", CRASHING],
            env=env,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert 1 == ended.returncode
        assert "run.py: gave up after 5 restarts within 30 s" in ended.stderr
        assert ["restart_limit"] * 2 == [receiver.next(0.1)["kind"] for _ in range(2)]


# `run.py alert`, in this process: it needs nothing but the settings


@pytest.fixture(autouse=True)
def _settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    for name in ("PAPER_ALERT_URL", "PAPER_ALERT_COMMAND", "PAPER_ALERT_SERVICES", "http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(KNOWN, "_texts", ())
    yield
    logger.remove()


@pytest.mark.slow
def test_a_test_alarm_is_delivered(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("PAPER_ALERT_COMMAND", "true")
    with Receiver() as receiver:
        monkeypatch.setenv("PAPER_ALERT_URL", receiver.url())
        monkeypatch.setenv("PAPER_ALERT_SERVICES", f"json://{receiver.address}/{SECRET}")
        assert 0 == main(["alert", "test"])
        assert ("test", "a test: alarms arrive here") == _kind_and_text(receiver)
        assert "a test: alarms arrive here" == receiver.next()["message"]
        captured = capsys.readouterr()
        assert ["alert_command: delivered to true", "alert_url: delivered to 127.0.0.1"] == [
            line.partition(" in ")[0] for line in captured.out.splitlines()[:2]
        ]
        assert captured.out.splitlines()[2].startswith("alert_services: delivered to JSON in ")
        monkeypatch.delenv("PAPER_ALERT_SERVICES")
        assert "" == captured.err
        assert 0 == main(["alert", "--json", "--kind", "halt", "two\nlines"])
        assert ("halt", "two lines") == _kind_and_text(receiver)
    document = json.loads(capsys.readouterr().out)
    assert ("halt", "two lines", [True, True]) == (
        document["kind"], document["text"], [result["delivered"] for result in document["told"]]
    )  # fmt: skip


def _kind_and_text(receiver: Receiver) -> tuple[str, str]:
    body = receiver.next()
    return body["kind"], body["text"]


@pytest.mark.slow
def test_a_failed_test_alarm_is_an_error(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("PAPER_ALERT_COMMAND", "sh -c 'echo no pager; exit 7'")
    with Receiver([404], response_body=f"no hook {SECRET}") as receiver:
        monkeypatch.setenv("PAPER_ALERT_URL", receiver.url(f"/{SECRET}"))
        monkeypatch.setenv("PAPER_ALERT_SERVICES", f"json://127.0.0.1:9/{SECRET}")
        assert 1 == main(["alert"])
        captured = capsys.readouterr()
        assert "" == captured.out
        assert [
            "run.py: alert_command: not delivered: sh ended with exit code 7: no pager",
            "run.py: alert_url: not delivered: 127.0.0.1 answered 404: no hook ********",
        ] == captured.err.splitlines()[:2]
        assert "run.py: alert_services: not delivered: JSON ended with exit code 1: " in captured.err
        assert SECRET not in captured.err
        monkeypatch.delenv("PAPER_ALERT_SERVICES")
        monkeypatch.setenv("PAPER_ALERT_COMMAND", "true")
        assert 0 == main(["alert", "--json"])  # the server has only one 404
    assert [True, True] == [result["delivered"] for result in json.loads(capsys.readouterr().out)["told"]]


@pytest.mark.parametrize(
    ("arguments", "command", "message"),
    [
        (
            [],
            "",
            "no receiver of alarms is set; set alert_services, alert_command or alert_url in paper.toml, or",
        ),
        (
            ["--kind", "hlat"],
            "true",
            "there is no alarm of kind 'hlat'; there are halt, unprotected, audit_difference,",
        ),
        (["test", "two", "words"], "true", "the text of the alarm is one argument: put it in quotation marks; see"),
        ([], "/nowhere/tell s3cret-word", "setting alert_command: there is no executable program '/nowhere/tell'"),
        ([], "tell 's3cret-word", "setting alert_command = ******** (from PAPER_ALERT_COMMAND): must be words as in"),
    ],
)
def test_a_test_alarm_without_valid_settings_is_refused(
    arguments: list[str],
    command: str,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("PAPER_ALERT_COMMAND", command)
    assert 2 == main(["alert", *arguments])
    captured = capsys.readouterr()
    assert captured.err.startswith(f"run.py: {message}"), captured.err
    assert SECRET not in captured.err
