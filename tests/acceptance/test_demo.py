"""The tour: it needs nothing, ends by itself or on Ctrl-C, and its books balance."""

from __future__ import annotations

import signal
from pathlib import Path

from persistence.embedded.server import EmbeddedServer, running
from tests.support.system.program import Program, environment, run

OUTCOMES = {"executed", "rejected", "ignored", "expired"}


def test_a_short_tour_with_a_document_at_the_end(tmp_path: Path) -> None:
    # Settings do not count, not even wrong ones: the demo shows the same to everybody.
    env = environment(tmp_path, database_url="postgresql://u:s3cret@127.0.0.1:1/d", nonsense="1")
    ended = run("demo", "--seconds", "3", "--json", env=env)
    assert ended.code == 0, ended.err
    found = ended.json
    assert found["ledger_ok"] is True
    assert set(found["decisions"]) <= OUTCOMES
    assert sum(found["decisions"].values()) >= 5
    assert found["fills"] == found["decisions"]["executed"]
    assert set(found["equity"]) == {"default", "cautious"}
    assert all(isinstance(value, str) for value in found["equity"].values())
    assert found["settings"]["prices"] == "simulated"
    assert found["real_prices"] is False
    assert "Simulated prices: results prove nothing about real markets" in ended.err
    assert "s3cret" not in ended.out + ended.err
    assert "INFO" not in ended.err
    assert not running(tmp_path / "demo")
    looked = run("decisions", "--json", env=environment(tmp_path / "demo"))
    assert len(looked.json["decisions"]) == sum(found["decisions"].values())


def test_ctrl_c_ends_it_with_a_summary_and_a_second_demo_waits_its_turn(tmp_path: Path) -> None:
    env = environment(tmp_path)
    with Program("demo", "--seconds", "600", env=env) as demo:
        demo.wait_for("#3", "out")
        second = run("demo", env=env)
        assert second.code == 3
        assert "a demo already runs in" in second.err
        demo.send(signal.SIGINT)
        ended = demo.stop(signal.SIGINT)
    assert ended.code == 0, ended.err
    assert demo.seconds_to_stop < 5
    assert "Ledger check: the books balance" in ended.out
    assert "Traceback" not in ended.err
    assert not running(tmp_path / "demo")
    lines = ended.out.splitlines()
    assert not any(line != line.rstrip() and "confidence" in line for line in lines)


def test_it_is_new_each_time_whatever_is_left_of_the_last(tmp_path: Path) -> None:
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


def test_ctrl_c_before_it_has_begun(tmp_path: Path) -> None:
    with Program("demo", "--json", env=environment(tmp_path)) as demo:
        demo.wait_for("Simulated prices")
        ended = demo.stop(signal.SIGINT)
    assert ended.code == 0, ended.err
    assert ended.json["decisions"] == {}
    assert "Traceback" not in ended.err
    assert not running(tmp_path / "demo")
