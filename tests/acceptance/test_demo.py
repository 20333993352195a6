"""The demo: it needs no setup, ends by itself or on Ctrl-C, and its books balance."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from persistence.embedded.server import EmbeddedServer, running
from tests.support.system.program import Program, environment, run

OUTCOMES = {"executed", "rejected", "ignored", "expired", "open"}


def test_a_short_tour_with_a_document_at_the_end(tmp_path: Path) -> None:
    # The demo ignores settings, also wrong ones.
    env = environment(tmp_path, database_url="postgresql://u:s3cret@127.0.0.1:1/d", nonsense="1")
    ended = run("demo", "--seconds", "3", "--json", env=env)
    assert ended.code == 0, ended.err
    document = ended.json
    assert document["ledger_ok"] is True
    assert set(document["decisions"]) <= OUTCOMES
    assert sum(document["decisions"].values()) >= 5
    # An exit fills without a decision of its own.
    assert document["fills"] >= document["decisions"]["executed"]
    assert set(document["equity"]) == {"default", "cautious"}
    assert all(isinstance(value, str) for value in document["equity"].values())
    assert document["settings"]["prices"] == "simulated"
    assert document["real_prices"] is False
    assert "Simulated prices: results prove nothing about real markets" in ended.err
    assert "s3cret" not in ended.out + ended.err
    assert "INFO" not in ended.err
    assert not running(tmp_path / "demo")
    listed = run("decisions", "--json", env=environment(tmp_path / "demo"))
    assert len(listed.json["decisions"]) == sum(document["decisions"].values())


def test_ctrl_c_ends_it_with_a_summary_and_a_second_demo_is_refused(tmp_path: Path) -> None:
    env = environment(tmp_path)
    with Program("demo", "--seconds", "600", env=env) as demo:
        demo.wait_for("#3", "out")
        second = run("demo", env=env)
        assert second.code == 3
        assert "a demo already runs in" in second.err
        demo.wait_for(" filled ", "out")  # a stop or a target
        demo.send(signal.SIGINT)
        ended = demo.stop(signal.SIGINT)
    assert ended.code == 0, ended.err
    assert demo.seconds_to_stop < 5
    bought = next(line for line in ended.out.splitlines() if "#1 " in line)
    assert [" stop 1", " target 1"] == [name for name in (" stop 1", " target 1") if name in bought]
    assert "Ledger check: the books balance" in ended.out
    assert "Traceback" not in ended.err
    assert not running(tmp_path / "demo")
    lines = ended.out.splitlines()
    assert not any(line != line.rstrip() and "confidence" in line for line in lines)


@pytest.mark.slow
def test_each_demo_replaces_the_rest_of_the_last(tmp_path: Path) -> None:
    env = environment(tmp_path)
    with Program("demo", "--seconds", "600", env=env) as demo:
        demo.wait_for("#1", "out")
        demo.stop(signal.SIGKILL)
    assert running(tmp_path / "demo")
    try:
        ended = run("demo", "--seconds", "0", "--json", env=env)
        assert ended.code == 0, ended.err
        assert ended.json["decisions"] == {}
    finally:
        if running(tmp_path / "demo"):
            EmbeddedServer.attach(tmp_path / "demo").release()


def test_ctrl_c_before_the_start_ends_it(tmp_path: Path) -> None:
    with Program("demo", "--json", env=environment(tmp_path)) as demo:
        demo.wait_for("Simulated prices")
        ended = demo.stop(signal.SIGINT)
    assert ended.code == 0, ended.err
    assert ended.json["decisions"] == {}
    assert "Traceback" not in ended.err
    assert not running(tmp_path / "demo")
