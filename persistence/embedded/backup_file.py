"""Reads a backup: what is in it, and the SQL that makes it again. PostgreSQL's ``pg_restore`` does the work."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import psycopg

from domain.errors import BackupRefused
from persistence import schema
from persistence.embedded import wheel

VERSIONS = re.compile(r"^COPY (\S+)\.paper_schema_version \(version_num\) FROM stdin;\n(.*)$", re.MULTILINE)
RIGHTS = re.compile(r"^\d+; \d+ \d+ (DEFAULT )?ACL ")
LEFT_OUT = re.compile(r"^\d+; \d+ \d+ ((DEFAULT )?ACL |COMMENT - EXTENSION )")
"""Of the list of contents: rights come later, one by one; only a superuser may comment on an extension."""


class BackupFile:
    """A backup that can be restored by this program.

    Attributes:
        schemas: those of this program that are in it, each with its version.
    """

    def __init__(self, file: Path) -> None:
        """Look at a file, without any database.

        Raises:
            BackupRefused: it is no backup, not one of this program's database, or a newer program's.
        """
        self._file = file.absolute()
        if not self._file.is_file():
            raise BackupRefused(f"{self._file} {'is no file' if self._file.exists() else 'does not exist'}")
        self._contents = self._read("--list").splitlines(keepends=True)
        told = self._read("--data-only", "--table=paper_schema_version", "--file=-")
        self.schemas = {name.strip('"'): version for name, version in VERSIONS.findall(told)}
        if not self.schemas:
            raise BackupRefused(f"{self._file} is a backup of another database: it has no tables of this program")
        for version in self.schemas.values():
            if not schema.is_known(version):
                msg = f"{self._file} has schema {version}, which is newer than this program's {schema.newest_version()}"
                raise BackupRefused(f"{msg}; use the newer program")

    def restore_into(self, cursor: psycopg.Cursor) -> list[str]:
        """Make everything again, in the cursor's transaction; all of it will belong to the cursor's role.

        Returns:
            GRANT statements of the backup that do not hold here, because their role does not exist; left out.

        Raises:
            BackupRefused: the file is damaged, or ends too early.
        """
        for section in ("pre-data", "data", "post-data"):
            with self._script(f"--section={section}", "--no-acl", leave_out=LEFT_OUT) as lines:
                _run(cursor, lines, rows=section == "data")
        return self._give_rights(cursor)

    def _give_rights(self, cursor: psycopg.Cursor) -> list[str]:
        left_out = []
        with self._script(keep=RIGHTS) as lines:
            statements = [line for line in lines if line.startswith((b"GRANT ", b"REVOKE ", b"ALTER DEFAULT "))]
        for statement in statements:
            try:
                with cursor.connection.transaction():
                    cursor.execute(statement)
            except (psycopg.errors.UndefinedObject, psycopg.errors.InsufficientPrivilege):
                left_out.append(statement.decode(errors="replace").strip())
        return left_out

    def _read(self, *options: str) -> str:
        with self._pg_restore(*options) as output:
            return output.read().decode(errors="replace")

    @contextmanager
    def _script(
        self, *options: str, keep: re.Pattern[str] | None = None, leave_out: re.Pattern[str] | None = None
    ) -> Iterator[Iterator[bytes]]:
        """Yield the lines of the SQL that makes a part of the backup."""
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".list") as chosen:
            for line in self._contents:
                if (keep is None or keep.match(line)) and not (leave_out is not None and leave_out.match(line)):
                    chosen.write(line)
            chosen.flush()
            listed = f"--use-list={chosen.name}"
            with self._pg_restore("--no-owner", "--no-tablespaces", listed, "--file=-", *options) as output:
                yield iter(output)

    @contextmanager
    def _pg_restore(self, *options: str) -> Iterator[IO[bytes]]:
        """Yield what pg_restore writes; at the end it must have come through."""
        with tempfile.TemporaryFile() as errors:
            reading = subprocess.Popen(  # noqa: S603 - no shell; the file's name is an argument of its own
                [wheel.program("pg_restore"), *options, str(self._file)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=wheel.environment(),
                start_new_session=True,
            )
            assert reading.stdout is not None
            try:
                yield reading.stdout
                reading.stdout.read()
            except _IncompleteData:
                pass  # it says why
            except BaseException:
                reading.kill()
                raise
            else:
                if reading.wait() == 0:
                    return
            finally:
                reading.stdout.close()
                reading.wait()
            errors.seek(0)
            reason = wheel.error_line(errors.read().decode(errors="replace"))
            raise BackupRefused(f"{self._file} cannot be restored: {reason}")


class _IncompleteData(Exception):
    """The rows of a table end without their end mark."""


def _run(cursor: psycopg.Cursor, lines: Iterator[bytes], *, rows: bool) -> None:
    """Run a script of pg_restore's: statements, and if there are rows, they follow their COPY up to an end mark."""
    statements: list[bytes] = []
    for line in lines:
        if rows and line.startswith(b"COPY ") and line.endswith(b" FROM stdin;\n"):
            cursor.execute(b"".join(statements))
            statements.clear()
            with cursor.copy(line) as copy:
                for row in lines:
                    if row == b"\\.\n":
                        break
                    copy.write(row)
                else:
                    raise _IncompleteData
        elif not line.startswith((b"\\restrict ", b"\\unrestrict ")):  # psql's, against what is no SQL
            statements.append(line)
    cursor.execute(b"".join(statements))
