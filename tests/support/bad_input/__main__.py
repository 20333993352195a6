"""``python -m tests.support.bad_input``: write the current results into docs/bad-input.md. Review the changes."""

from __future__ import annotations

from contextlib import closing

from loguru import logger

from tests.support.bad_input.cases import CASES
from tests.support.bad_input.interfaces import answers
from tests.support.bad_input.page import write
from tests.support.database.servers import ServerPool
from tests.support.system.running_system import running_system

if __name__ == "__main__":
    logger.remove()
    with closing(ServerPool()) as pool, running_system(pool.get("embedded-18").create_database()) as system:
        write({case.name: answers(system, case) for case in CASES})
