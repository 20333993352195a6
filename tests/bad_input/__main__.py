"""``python -m tests.bad_input``: write what happens now into docs/bad-input.md, to be read before it is committed."""

from __future__ import annotations

from contextlib import closing

from loguru import logger

from tests.bad_input.cases import CASES
from tests.bad_input.doors import answers
from tests.bad_input.page import write
from tests.integration.running import running
from tests.servers import ServerPool

if __name__ == "__main__":
    logger.remove()
    with closing(ServerPool()) as pool, running(pool.get("embedded-18").create_database()) as system:
        write({case.name: answers(system, case) for case in CASES})
