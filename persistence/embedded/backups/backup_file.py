"""A backup file: its contents, and the SQL that restores them, both from PostgreSQL's ``pg_restore``.

Only a file that this home wrote is given to ``pg_restore``, unless the user vouches for another one. It is opened once,
and read through that one descriptor, so that no other file takes its place between the check and the reading.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO, BinaryIO, Self

import psycopg
from psycopg import sql

from persistence import schema
from persistence.embedded.backups import contents
from persistence.embedded.backups.checksum import doubt
from persistence.embedded.backups.contents import Entry, Others
from persistence.embedded.errors import BackupRefused
from persistence.embedded.installation import Installation, error_line, identity, text_in
from persistence.embedded.server_user import allow_traversal, user_of_roots_server
from persistence.error_translation import first_line
from persistence.server_releases import RESTORE_HOLE, outdated

VERSIONS = re.compile(r"^COPY (\S+)\.paper_schema_version \(version_num\) FROM stdin;\n(.*)$", re.MULTILINE)
NAME = rb'(?:[a-z_][a-z0-9_$]*|"(?:[^"\n]|"")+")'
COPY = re.compile(rb"COPY %(name)s(?:\.%(name)s)? \(%(name)s(?:, %(name)s)*\) FROM stdin;\n" % {b"name": NAME})
"""The statement before the rows of a table, and nothing more than this one statement."""
COPY_BEGINS, COPY_ENDS = b"COPY ", b" FROM stdin;\n"
MAX_NAMED = 20
"""So many objects are named in a message."""


class BackupFile:
    """A backup that can be restored by this program, from `__enter__` to `__exit__`.

    Args:
        file: its path.
        home: folder of the program, which has the key of its backups.
        postgres: whose pg_restore reads it.
        foreign: read it although another may have written it.
        others: what becomes of objects that are not this program's.

    Attributes:
        schemas: the program's schemas in the backup, each with its version.
        doubt: why another than this home may have written it; None if none can.
        others: see above.
    """

    schemas: dict[str, str]

    def __init__(
        self,
        file: Path,
        home: Path,
        postgres: Installation,
        *,
        foreign: bool = False,
        others: Others = Others.REFUSE,
    ) -> None:
        self._file = file.absolute()
        self._postgres = postgres
        self.others = others
        self._opened = self._open()
        try:
            self.doubt = doubt(self._file, self._opened, home)
            if self.doubt is not None and not foreign:
                raise BackupRefused(f"{self._file} is not read: {self.doubt}. {self.meaning()}, add --foreign")
            self._entries = contents.read_entries(self._read("--list"))
            self._refuse_other_objects()
            self.schemas = self._read_schemas()
        except BaseException:
            self._opened.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._opened.close()

    def __str__(self) -> str:
        return str(self._file)

    def meaning(self) -> str:
        """Return what it means to read a file that this home has not written, as the begin of a sentence."""
        hole = f" (this pg_restore is older than the fix of {RESTORE_HOLE})" if outdated(str(self._postgres)) else ""
        return (
            f"Such a file can run code as this user while pg_restore reads it{hole}, its SQL runs as the owner of the"
            " database, and its rows can be invented; if you trust the person who made it, and the way on which it came"
        )

    def restore_into(self, cursor: psycopg.Cursor) -> list[str]:
        """Restore everything but the rights in the cursor's transaction; the cursor's role will own it.

        Returns:
            The statements of the backup that grant or revoke rights.

        Raises:
            BackupRefused: the file is damaged, or ends too early.
        """
        entries = [entry for entry in self._entries if not contents.is_on_extension(entry)]
        if self.others == Others.SKIP:
            entries = contents.without(entries, contents.others(entries))
        wanted = [entry for entry in entries if not contents.are_rights(entry)]
        for section in ("pre-data", "data", "post-data"):
            with self._script(wanted, f"--section={section}", "--no-acl") as lines:
                _run(cursor, lines, self._damaged, rows=section == "data")
        with self._script([entry for entry in entries if contents.are_rights(entry)]) as lines:
            rights = [line for line in lines if line.startswith((b"GRANT ", b"REVOKE ", b"ALTER DEFAULT "))]
        return [statement.decode(errors="replace").strip() for statement in rights]

    def _open(self) -> BinaryIO:
        if not self._file.is_file():
            raise BackupRefused(f"{self._file} {'is not a file' if self._file.exists() else 'does not exist'}")
        try:
            return self._file.open("rb", buffering=0)  # pg_restore reads from where the descriptor is
        except OSError as error:
            raise BackupRefused(f"{self._file} cannot be read: {error.strerror}") from error

    def _refuse_other_objects(self) -> None:
        objects = contents.others(self._entries)
        if objects and self.others == Others.REFUSE:
            raise BackupRefused(others_message(str(self._file), [str(entry) for entry in objects]))

    def _read_schemas(self) -> dict[str, str]:
        version_rows = self._read("--data-only", "--table=paper_schema_version", "--file=-")
        schemas = {name.strip('"'): version for name, version in VERSIONS.findall(version_rows)}
        if not schemas:
            raise BackupRefused(f"{self._file} is a backup of another database: it has no tables of this program")
        for version in schemas.values():
            if not schema.is_known(version):
                msg = f"{self._file} has schema {version}, which is newer than this program's {schema.newest_version()}"
                raise BackupRefused(f"{msg}; use the newer program")
        return schemas

    def _read(self, *options: str) -> str:
        with self._pg_restore(*options) as output:
            return output.read().decode(errors="replace")

    @contextmanager
    def _script(self, entries: list[Entry], *options: str) -> Iterator[Iterator[bytes]]:
        """Yield the lines of the SQL for some entries."""
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".list") as listed:
            listed.writelines(entry.line for entry in entries)
            listed.flush()
            if os.geteuid() == 0:  # pg_restore runs as another user
                os.fchown(listed.fileno(), *user_of_roots_server())
            use_list = f"--use-list={listed.name}"
            with self._pg_restore("--no-owner", "--no-tablespaces", use_list, "--file=-", *options) as output:
                yield iter(output)

    @contextmanager
    def _pg_restore(self, *options: str) -> Iterator[IO[bytes]]:
        """Yield the output of pg_restore, which reads through the descriptor and not as root; raise if it fails."""
        user = None
        if os.geteuid() == 0:
            user = user_of_roots_server()
            allow_traversal(user, self._postgres.folders())
        with tempfile.TemporaryFile() as errors:
            self._opened.seek(0)
            process = self._postgres.started(
                "pg_restore",
                "--format=custom",
                *options,
                stdin=self._opened,
                stdout=subprocess.PIPE,
                stderr=errors,
                cwd="/",
                **identity(user),
            )
            assert process.stdout is not None
            try:
                yield process.stdout
                process.stdout.read()
            except _IncompleteData:
                pass  # the reason is in its stderr
            except BaseException:
                process.kill()
                raise
            else:
                if process.wait() == 0:
                    return
            finally:
                process.stdout.close()
                process.wait()
            raise self._damaged(error_line(text_in(errors)))

    def _damaged(self, reason: str) -> BackupRefused:
        return BackupRefused(f"{self._file} cannot be restored: {reason}")


def others_message(file: str, objects: list[str], *, hidden: bool = False) -> str:
    """Return the message that a backup has objects that are not this program's.

    Args:
        file: the backup.
        objects: as texts for people.
        hidden: whether they are among what the backup calls this program's, so that they cannot be left out.
    """
    more = f" and {len(objects) - MAX_NAMED} more" if len(objects) > MAX_NAMED else ""
    skip = "" if hidden else "--others skip restores it without them, "
    return (
        f"{file} has objects that are not this program's, whose code would run with the rights of those who use the"
        f" database: {', '.join(objects[:MAX_NAMED])}{more}; {skip}--others keep restores them, too"
    )


class _IncompleteData(Exception):
    """The rows of a table have no end mark."""


def _run(
    cursor: psycopg.Cursor, lines: Iterator[bytes], damaged: Callable[[str], BackupRefused], *, rows: bool
) -> None:
    """Run a script of pg_restore: statements, and with ``rows`` the rows after each COPY, up to an end mark."""
    statements: list[bytes] = []
    for line in lines:
        if rows and line.startswith(COPY_BEGINS) and line.endswith(COPY_ENDS):
            if COPY.fullmatch(line) is None:
                raise damaged("the name of a table or column in it is not that of one")
            _execute(cursor, statements, damaged)
            statements.clear()
            with cursor.copy(line) as copy:
                for row in lines:
                    if row == b"\\.\n":
                        break
                    copy.write(row)
                else:
                    raise _IncompleteData
        elif not line.startswith((b"\\restrict ", b"\\unrestrict ")):  # commands of psql, not SQL
            statements.append(line)
    _execute(cursor, statements, damaged)


def _execute(cursor: psycopg.Cursor, statements: list[bytes], damaged: Callable[[str], BackupRefused]) -> None:
    """Run statements of a backup; none of them can end the transaction, because a block of PL/pgSQL runs them."""
    try:
        script = b"".join(statements).decode()
    except UnicodeDecodeError:
        raise damaged("it is not in the encoding UTF8, which the program needs") from None
    if "\0" in script:
        raise damaged("it has a NUL character in a statement")
    block = sql.SQL("BEGIN EXECUTE {}; END").format(sql.Literal(script)).as_string(cursor)
    try:
        cursor.execute(sql.SQL("DO {}").format(sql.Literal(block)))
    except psycopg.errors.FeatureNotSupported as error:  # such as COMMIT; no later attempt can succeed
        raise damaged(first_line(error)) from error
