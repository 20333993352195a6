"""The list of contents of a backup file, as ``pg_restore --list`` prints it: what is this program's, and what is not.

The names in a file are its maker's. What it really makes is seen after it was restored, in the same transaction:
`persistence.embedded.backups.foreign_objects`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from persistence import schema

ENTRY = re.compile(r"^\d+; \d+ \d+ ")
PLAIN = (
    "SCHEMA", "TABLE DATA", "TABLE ATTACH", "TABLE", "SEQUENCE OWNED BY", "SEQUENCE SET", "SEQUENCE", "DEFAULT ACL",
    "DEFAULT", "CHECK CONSTRAINT", "FK CONSTRAINT", "CONSTRAINT", "INDEX ATTACH", "INDEX", "ACL", "COMMENT",
    "ENCODING", "STDSTRINGS", "SEARCHPATH", "DATABASE PROPERTIES", "DATABASE",
)  # fmt: skip
"""Kinds of entries without code of their own: tables with their data, in a database of this program or of its user."""
WITH_CODE = ("FUNCTION", "TRIGGER", "VIEW", "RULE", "POLICY", "ROW SECURITY")
"""Kinds of which this program has some of its own."""
OF_TABLES = frozenset({"TRIGGER", "POLICY"})
"""Kinds whose name stands behind that of their table."""
OWN_VIEW = "v_paper_"
"""How the names of its views begin, also of those that an earlier version had."""
OF_VIEW = " _RETURN"
"""How the name of the rule ends that is the query of a view, where a backup has it as an entry of its own."""
COMMENT_ON = re.compile(r"(SCHEMA|TABLE|COLUMN|SEQUENCE|INDEX|CONSTRAINT|VIEW|FUNCTION|TRIGGER|POLICY) (.*)")


class Others(StrEnum):
    """What a restore does with objects in a backup that are not this program's, such as functions and triggers."""

    REFUSE = "refuse"
    SKIP = "skip"
    KEEP = "keep"


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the list of contents.

    Attributes:
        line: as pg_restore reads it again.
        kind: such as ``TABLE DATA``; of unknown kinds the first word.
        namespace: the schema; ``-`` where there is none.
        name: of the object, for functions with the types of their arguments.
    """

    line: str
    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        place = "" if self.namespace == "-" else f"{self.namespace}."
        return f"{self.kind.lower()} {place}{self.name}"


def read_entries(listing: str) -> list[Entry]:
    """Return the entries of a list of contents."""
    return list(_entries(listing.splitlines(keepends=True)))


def are_rights(entry: Entry) -> bool:
    """Return whether an entry grants or revokes."""
    return entry.kind in {"ACL", "DEFAULT ACL"}


def is_on_extension(entry: Entry) -> bool:
    """Return whether an entry is a comment on an extension, which only a superuser may make."""
    return entry.kind == "COMMENT" and entry.namespace == "-" and entry.name.startswith("EXTENSION ")


def others(entries: Iterable[Entry]) -> list[Entry]:
    """Return the entries that are neither plain data nor called like an object of this program."""
    own = schema.own_objects()
    return [entry for entry in entries if not _is_own(entry, own)]


def without(entries: Iterable[Entry], left_out: Iterable[Entry]) -> list[Entry]:
    """Return the entries but those that are left out, and their comments."""
    skipped = set(left_out)
    names = {(entry.namespace, entry.name) for entry in skipped}
    return [entry for entry in entries if entry not in skipped and not _is_comment_on(entry, names)]


def _entries(lines: Iterable[str]) -> Iterator[Entry]:
    for line in lines:
        if (start := ENTRY.match(line)) is None:
            continue
        rest = line[start.end() :].rstrip("\n")
        known_kinds = (kind for kind in (*PLAIN, *WITH_CODE) if rest.startswith(f"{kind} "))
        kind = next(known_kinds, None) or _unknown_kind(rest)
        namespace, _, name = rest[len(kind) :].lstrip().partition(" ")
        yield Entry(line, kind, namespace, name.rpartition(" ")[0] or name)


def _unknown_kind(rest: str) -> str:
    """Return the words in capital letters at the begin of an entry, such as ``EVENT TRIGGER``."""
    match = re.match(r"[A-Z]+(?: [A-Z]+)*(?= )", rest)
    return match[0] if match is not None else rest.partition(" ")[0]


def _is_own(entry: Entry, own: frozenset[tuple[str, str]]) -> bool:
    if entry.kind in PLAIN:
        return True
    if entry.kind == "VIEW" or (entry.kind == "RULE" and entry.name.endswith(OF_VIEW)):
        return entry.name.startswith(OWN_VIEW)
    if entry.kind == "ROW SECURITY":  # which only takes rows away from roles
        return entry.name in schema.own_tables()
    name = entry.name.rpartition(" ")[2] if entry.kind in OF_TABLES else entry.name.partition("(")[0]
    return (entry.kind, name) in own


def _is_comment_on(entry: Entry, names: set[tuple[str, str]]) -> bool:
    if entry.kind != "COMMENT":
        return False
    match = COMMENT_ON.fullmatch(entry.name)
    if match is None:  # on an object of a kind of which this program has none
        return bool(names)
    kind, name = match.groups()
    relation = name.partition(".")[0] if kind == "COLUMN" else name
    return (entry.namespace, relation) in names
