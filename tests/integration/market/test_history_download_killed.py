"""A download that is killed and begun again stores the same file; `make faults` kills it more often."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.exchange.killed_downloads import download


@pytest.mark.slow
def test_a_killed_download_stores_the_same_file(tmp_path: Path) -> None:
    undisturbed = download(tmp_path / "undisturbed", 800)
    killed = download(tmp_path / "killed", 800, seed=3, kills=3)
    assert undisturbed.content == killed.content
    assert [] == undisturbed.others == killed.others
    assert killed.faults.total() > 10
