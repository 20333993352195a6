"""A backup file: its contents, and the SQL that restores them, both from PostgreSQL's ``pg_restore``."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import psycopg

from persistence import schema
from persistence.embedded import wheel
from persistence.embedded.errors import BackupRefused

VERSIONS = re.compile(r"^COPY (\S+)\.paper_schema_version \(version_num\) FROM stdin;\n(.*)$", re.MULTILINE)
RIGHTS = re.compile(r"^\d+; \d+ \d+ (DEFAULT )?ACL ")
LEFT_OUT = re.compile(r"^\d+; \d+ \d+ ((DEFAULT )?ACL |COMMENT - EXTENSION )")
"""Entries that are not restored with the rest: rights are granted later, one by one; only a superuser may comment on an
extension."""


class BackupFile:
    """A backup that can be restored by this program.

    Attributes:
        schemas: the program's schemas in the backup, each with its version.
    """

    def __init__(self, file: Path) -> None:
        """Read the file's list of contents; needs no database.

        Raises:
            BackupRefused: the file is not a backup, not one of this program's database, or a newer program's.
        """
        self._file = file.absolute()
        if not self._file.is_file():
            raise BackupRefused(f"{self._file} {'is not a file' if self._file.exists() else 'does not exist'}")
        self._contents = self._read("--list").splitlines(keepends=True)
        version_rows = self._read("--data-only", "--table=paper_schema_version", "--file=-")
        self.schemas = {name.strip('"'): version for name, version in VERSIONS.findall(version_rows)}
        if not self.schemas:
            raise BackupRefused(f"{self._file} is a backup of another database: it has no tables of this program")
        for version in self.schemas.values():
            if not schema.is_known(version):
                msg = f"{self._file} has schema {version}, which is newer than this program's {schema.newest_version()}"
                raise BackupRefused(f"{msg}; use the newer program")

    def restore_into(self, cursor: psycopg.Cursor) -> list[str]:
        """Restore everything in the cursor's transaction; the cursor's role will own it.

        Returns:
            GRANT statements of the backup that were left out, because their role does not exist here.

        Raises:
            BackupRefused: the file is damaged, or ends too early.
        """
        for section in ("pre-data", "data", "post-data"):
            with self._script(f"--section={section}", "--no-acl", leave_out=LEFT_OUT) as lines:
                _run(cursor, lines, rows=section == "data")
        return self._grant_rights(cursor)

    def _grant_rights(self, cursor: psycopg.Cursor) -> list[str]:
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
        """Yield the lines of the SQL for a part of the backup."""
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".list") as entries:
            for line in self._contents:
                if (keep is None or keep.match(line)) and not (leave_out is not None and leave_out.match(line)):
                    entries.write(line)
            entries.flush()
            listed = f"--use-list={entries.name}"
            with self._pg_restore("--no-owner", "--no-tablespaces", listed, "--file=-", *options) as output:
                yield iter(output)

    @contextmanager
    def _pg_restore(self, *options: str) -> Iterator[IO[bytes]]:
        """Yield the output of pg_restore; raise if it fails."""
        with tempfile.TemporaryFile() as errors:
            process = wheel.started("pg_restore", *options, str(self._file), stdout=subprocess.PIPE, stderr=errors)
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
            raise BackupRefused(f"{self._file} cannot be restored: {wheel.error_line(wheel.text_in(errors))}")


class _IncompleteData(Exception):
    """The rows of a table have no end mark."""


def _run(cursor: psycopg.Cursor, lines: Iterator[bytes], *, rows: bool) -> None:
    """Run a script of pg_restore: statements, and with ``rows`` the rows after each COPY, up to an end mark."""
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
        elif not line.startswith((b"\\restrict ", b"\\unrestrict ")):  # commands of psql, not SQL
            statements.append(line)
    cursor.execute(b"".join(statements))
