"""`check`, `status` and the start warn of a server that lacks fixes of security holes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from console.cli import main
from persistence import server_releases


@pytest.mark.slow
@pytest.mark.parametrize("newest", [0, 999])
def test_check_and_status_name_the_minor_version_and_what_it_lacks(
    newest: int, embedded_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_releases, "KNOWN_GOOD", {18: newest})
    options = ["--database-url", embedded_url, "--home", str(tmp_path)]
    monkeypatch.setenv("PAPER_PRICES", "simulated")
    assert 0 == main(["check", "--json", *options])
    checked = json.loads(capsys.readouterr().out)["database"]
    assert main(["status", "--json", *options]) in {0, 3}
    seen = json.loads(capsys.readouterr().out)
    assert checked["server"] == seen["server"]
    version = re.match(r"PostgreSQL 18\.\d+", seen["server"])
    assert version is not None
    lacks = f"{version[0]} lacks fixes of security holes that 18.999 has"
    for document in (checked, seen):
        assert bool(newest) == str(document["server_outdated"]).startswith(lacks)
    for command in ("check", "status"):
        main([command, *options])
        assert bool(newest) == (lacks in " ".join(capsys.readouterr().out.split()))
