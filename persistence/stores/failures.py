"""The table of failures. A thread of its own writes it, because the Supervisor never waits for the database."""

from __future__ import annotations

from collections.abc import Sequence

from loguru import logger
from sqlalchemy import Engine

from domain.errors import DatabaseError, WriteRefused
from domain.failures import Failure
from persistence.connections import backend_pids, connect
from persistence.lease import writing
from persistence.recorder import Recorder
from persistence.rows import KEEP_EXISTING, insert_rows, row_from
from persistence.stores.store import Store


class FailureStore(Store):
    """The table of failures."""

    ACTOR = "Supervisor"

    def save(self, failures: Sequence[Failure]) -> None:
        """Store failures; an existing one stays as it is."""
        rows = [
            row_from(
                failure,
                message=_text(failure.message),
                decision_id=None if failure.decision_id is None else str(failure.decision_id),
                error=_text(failure.error),
                traceback=_text(failure.traceback),
            )
            for failure in failures
        ]
        with writing(self.engine, self._lease, "failures") as cursor:
            insert_rows(cursor, "paper_failures", rows, KEEP_EXISTING)


class FailureRecorder(Recorder[Failure]):
    """Stores failures as soon as the database accepts them; the log has them at once.

    Attributes:
        dropped: failures that were not stored, because the queue was full or the database refused them.
    """

    MAX_WAITING = 1_000
    """Failures in the queue."""

    def __init__(self, store: FailureStore) -> None:
        self._store = store
        super().__init__("failures", store.close)

    def record(self, failure: Failure) -> None:
        """Store ``failure`` soon; never waits."""
        if len(self._waiting) >= self.MAX_WAITING:
            self._waiting.popleft()
            self.dropped += 1
        self._put(failure)

    def _write(self, item: Failure) -> None:
        try:
            self._store.save([item])
        except WriteRefused as error:
            self.dropped += 1
            logger.error("failure {} cannot be stored; the log has it: {}", item.reference, error)
        except DatabaseError as error:
            logger.debug("failures are stored later: {}", error)
            raise
        except Exception as error:  # noqa: BLE001 - it would fail again
            self.dropped += 1
            logger.error("failures cannot be stored; the log has them: {!r}", error)


class Disconnector:
    """Ends the database connections of an abandoned actor, from a connection of its own."""

    def __init__(self, database_url: str, engines: dict[str, Engine]) -> None:
        self._url = database_url
        self._engines = engines

    def disconnect(self, actor: str) -> bool:
        """End the connections of ``actor``; return False if the database did not answer."""
        engine = self._engines.get(actor)
        pids = backend_pids(engine) if engine is not None else []
        if not pids:
            return True
        try:
            with connect(self._url, "Supervisor") as connection:
                connection.execute("SELECT pg_terminate_backend(pid) FROM unnest(%s::int[]) AS pid", [pids])
        except Exception as error:  # noqa: BLE001 - every error means that the database did not answer
            logger.debug("the connections of {} could not be ended: {!r}", actor, error)
            return False
        return True


def _text(text: str) -> str:
    """Return ``text`` without the characters that PostgreSQL refuses."""
    return text.replace("\0", "\\0").encode("utf-8", "replace").decode("utf-8")
