"""The first import of the test modules, shared among the workers of a run.

pytest rewrites each test module so that a failed `assert` shows its values. That takes 20 s for all modules, and what
it made is kept for the next run. Workers that begin together would each rewrite every module.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest


def import_share(config: pytest.Config) -> None:
    """Import a worker's share of the test modules, of which the other workers import the others at the same time.

    A module that cannot be imported is left to the collection, which reports it.
    """
    worker = getattr(config, "workerinput", None)
    if worker is None:
        return
    number, count = int(worker["workerid"].removeprefix("gw")), worker["workercount"]
    for path in sorted(_modules(config))[number::count]:
        with suppress(Exception, pytest.skip.Exception):
            importlib.import_module(".".join(path.relative_to(config.rootpath).with_suffix("").parts))


def _modules(config: pytest.Config) -> Iterator[Path]:
    for argument in config.args:
        path = config.invocation_params.dir / argument.partition("::")[0]
        yield from path.rglob("test_*.py") if path.is_dir() else [path]
