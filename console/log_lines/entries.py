"""A line of the log file, and which of them are wanted."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from loguru import logger

INFO = "INFO"


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the log file.

    Attributes:
        text: the line.
        values: of its JSON object; only a ``message`` where it is none, as after a full disk.
    """

    text: str
    values: dict[str, Any]

    @classmethod
    def parse(cls, line: bytes) -> Entry:
        """Read a line."""
        text = line.decode(errors="replace")
        try:
            values = json.loads(text)
        except (ValueError, RecursionError):
            values = None
        if not isinstance(values, dict):
            values = {"message": text}
            text = json.dumps(values, ensure_ascii=False)
        return cls(text, values)

    @property
    def time(self) -> datetime | None:
        """Its time; None where it has none."""
        try:
            time = datetime.fromisoformat(str(self.values.get("time")))
        except ValueError:
            return None
        return time if time.tzinfo is not None else time.replace(tzinfo=UTC)

    @property
    def level(self) -> str:
        """Name of its level."""
        return str(self.values.get("level", INFO))

    @property
    def decision(self) -> str | None:
        """Id of the decision that it is about."""
        decision = self.values.get("decision")
        return None if decision is None else str(decision)


@dataclass(frozen=True, slots=True)
class EntryFilter:
    """The wanted lines of a log.

    Attributes:
        decision: lines about the decision of this id.
        level: lines of this level or a higher one.
        since: lines of this time or later.
    """

    decision: str | None = None
    level: str | None = None
    since: datetime | None = None

    def accepts(self, entry: Entry) -> bool:
        """Return whether a line is wanted."""
        if self.decision is not None and entry.decision != self.decision:
            return False
        if self.level is not None and level_number(entry.level) < level_number(self.level):
            return False
        return self.since is None or ((time := entry.time) is not None and time >= self.since)

    def may_accept(self, line: bytes) -> bool:
        """Return whether a line may be wanted, without reading all of it; most lines are about other decisions."""
        return self.decision is None or self.decision.encode() in line

    def begins_after(self, entry: Entry) -> bool:
        """Return whether this line, and so each one before it, is too old."""
        return self.since is not None and (time := entry.time) is not None and time < self.since


def level_number(name: str) -> int:
    """Return the severity of a level; that of INFO for one that does not exist."""
    try:
        return logger.level(name).no
    except ValueError:
        return logger.level(INFO).no
