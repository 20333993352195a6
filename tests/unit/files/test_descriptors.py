"""The limit of open files is raised as far as it may be, and a sentence says where it is too low."""

from __future__ import annotations

import resource

import pytest

from domain.files.descriptors import limit_problem, open_files_limit, raise_open_files_limit

INFINITY = resource.RLIM_INFINITY


class System:
    """A system with limits of its own, which refuses soft limits above a number that it does not name."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, soft: int, hard: int, most: int = 10**9) -> None:
        self.limits, self._most = (soft, hard), most
        monkeypatch.setattr(resource, "getrlimit", lambda _: self.limits)
        monkeypatch.setattr(resource, "setrlimit", self._set)

    def _set(self, _: int, limits: tuple[int, int]) -> None:
        if limits[0] > self._most:
            raise ValueError("current limit exceeds maximum limit")
        self.limits = limits


@pytest.mark.parametrize(
    ("soft", "hard", "most", "expected"),
    [
        (1_024, 1_048_576, 10**9, 65_536),
        (1_024, 4_096, 10**9, 4_096),
        (1_024, INFINITY, 10**9, 65_536),
        (256, INFINITY, 10_240, 10_240),  # macOS
        (256, 256, 10**9, 256),
        (100_000, 1_048_576, 10**9, 100_000),
        (INFINITY, INFINITY, 10**9, 65_536),
        (1_024, 1_048_576, 0, 1_024),  # a filter of system calls
    ],
)
def test_it_is_raised_as_far_as_it_may_be(
    monkeypatch: pytest.MonkeyPatch, soft: int, hard: int, most: int, expected: int
) -> None:
    system = System(monkeypatch, soft, hard, most)
    assert expected == raise_open_files_limit() == open_files_limit()
    assert hard == system.limits[1]


def test_a_low_limit_is_a_sentence() -> None:
    assert limit_problem(512) is None
    assert (
        "this process may have 256 files and connections open at once, and may need 512: raise the limit (ulimit -Hn,"
        " or LimitNOFILE= of systemd)"
    ) == limit_problem(256)
