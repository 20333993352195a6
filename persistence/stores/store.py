"""What the stores of the actors share: an engine, the lease under which they write, and the end of decisions."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import psycopg

from domain.errors import Fenced
from domain.types import DecisionId, Generation
from persistence.connections import engine_for
from persistence.lease import Lease
from persistence.rows import one_row

# The fence and the end of the decisions are one statement. FOR SHARE waits for a transaction that raises the epoch or
# the generation, and sees the new value. An array may be empty, so that nothing is sent for it: without a status a
# decision is executed, and without an order one that is open keeps its own. A pending one has none, whatever its sender
# wrote into the row. Status open is no end: the order of a pending decision rests from now on. Only the writer of
# orders ends a decision that is open. CASE keeps the planner from looking for the ids in an index of pending rows:
# before the first ANALYZE it takes that for short, and it may have 300 000 rows.
END_DECISIONS = """
WITH fence AS MATERIALIZED (
    SELECT FROM paper_lease l CROSS JOIN paper_generation g
    WHERE l.epoch = %(epoch)s AND g.generation = %(generation)s FOR SHARE OF l, g
), ended AS (
    UPDATE trading_decisions d
    SET status = coalesce(o.status, 'executed'), outcome_reason = o.reason,
        order_id = coalesce(o.order_id, CASE d.status WHEN 'open' THEN d.order_id END),
        processed_at = CASE WHEN o.status = 'open' THEN NULL ELSE paper_now() END
    FROM unnest(%(ids)s::{id_type}[], %(statuses)s::text[], %(reasons)s::text[], %(order_ids)s::uuid[])
         AS o(id, status, reason, order_id)
    WHERE d.id = o.id AND EXISTS (SELECT FROM fence)
      AND CASE WHEN d.processed_at IS NULL
               THEN d.status = 'pending' OR %(writes_open)s AND o.status IS DISTINCT FROM 'open' END
    RETURNING d.id
)
SELECT EXISTS (SELECT FROM fence), ARRAY(SELECT id FROM ended)
"""


class Store:
    """The tables of one actor, which writes them under the lease.

    Attributes:
        ACTOR: its name, for the server's views and for the triggers in ``sql/``.
        HOT: see `engine_for`.
        WRITES_OPEN: whether it ends decisions that are open.
        engine: of its connections.
    """

    ACTOR: str
    HOT = False
    WRITES_OPEN = False

    def __init__(self, database_url: str, lease: Lease) -> None:
        self.engine = engine_for(database_url, self.ACTOR, writer=self.ACTOR, hot=self.HOT)
        self._lease = lease

    def close(self) -> None:
        """Close the connections."""
        self.engine.dispose()

    def _end_decisions(
        self, cursor: psycopg.Cursor, generation: Generation, any_id: DecisionId, **ends: list[Any]
    ) -> set[DecisionId]:
        """End decisions, or open them; return the ids of those that had not ended, or were not open, before.

        Args:
            cursor: of a transaction.
            generation: of the decision path.
            any_id: of a decision, for the type of ids; there may be none to end.
            ends: ``ids`` and ``reasons``, one per decision; ``statuses`` and ``order_ids``, the same or empty.

        Raises:
            Fenced: generation or epoch is not the current one.
        """
        epoch, id_type = self._lease.epoch, "uuid" if isinstance(any_id, UUID) else "bigint"
        parameters = {"epoch": epoch, "generation": generation, "writes_open": self.WRITES_OPEN, **ends}
        is_current, ended = one_row(cursor, END_DECISIONS.format(id_type=id_type), parameters)
        if not is_current:
            raise Fenced(f"generation {generation} of epoch {epoch} does not write any more")
        return set(ended)
