"""Servers that lack fixes of security holes."""

from __future__ import annotations

import pytest

from persistence.server_releases import EMBEDDED_ADVICE, KNOWN_GOOD, LIST_DATE, outdated


@pytest.mark.parametrize("major", KNOWN_GOOD)
def test_one_release_before_the_good_one_is_outdated(major: int) -> None:
    good = KNOWN_GOOD[major]
    assert None is outdated(f"PostgreSQL {major}.{good}, without TimescaleDB")
    assert None is outdated(f"PostgreSQL {major}.{good + 1}, TimescaleDB 2.19.3")
    server = f"PostgreSQL {major}.{good - 1}"
    lacks = f"{server} lacks fixes of security holes that {major}.{good} has (known on {LIST_DATE})"
    assert f"{lacks}: update it" == outdated(f"{server}, TimescaleDB 2.19.3")
    assert f"{lacks}: {EMBEDDED_ADVICE}" == outdated(server, embedded=True)


@pytest.mark.parametrize("server", ["PostgreSQL 19.0", "PostgreSQL 19beta1", "PostgreSQL 18devel", ""])
def test_what_the_list_does_not_know_is_not_warned_about(server: str) -> None:
    assert None is outdated(server)
