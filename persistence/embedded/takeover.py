"""Takeover of the data of an earlier major version of PostgreSQL: a backup, then its restore into a new data folder.

Both servers have a socket in a folder of their own meanwhile, so that no client can write what would be lost. The old
folder is renamed once the new one is complete, and stays:

``home/postgres-16.backup``  the backup
``home/postgres-16``         the old data
``home/takeover``            the new data while they are made; what a killed takeover has left there is removed
``home/postgres.next``       the complete new data, until they are called ``postgres``
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from loguru import logger

from domain.files.owners import ROOT
from persistence.embedded.backups.backup import Backup, back_up
from persistence.embedded.backups.backup_file import BackupFile
from persistence.embedded.backups.checksum import BackupKey
from persistence.embedded.backups.contents import Others
from persistence.embedded.backups.restore import restore
from persistence.embedded.cluster import BACKUP_ROLE, OWNER, TAKEN_OVER, Cluster
from persistence.embedded.errors import BackupFailed, BackupRefused, EmbeddedServerError
from persistence.embedded.installation import Installation, client_environment, earlier, error_line
from persistence.embedded.orphans import end_processes_in
from persistence.embedded.socket_folder import server_owners
from persistence.sessions.session import open_privileged_session

OTHER_DATABASES = """
SELECT datname FROM pg_catalog.pg_database
WHERE NOT datistemplate AND datname <> ALL ('{postgres,paper}') ORDER BY datname
"""
DATABASE_RIGHTS = """
SELECT pg_catalog.format('REVOKE ALL ON DATABASE %I FROM PUBLIC', datname) FROM pg_catalog.pg_database
WHERE datacl IS NOT NULL AND datname <> 'template0'
UNION ALL
SELECT pg_catalog.format('GRANT %s ON DATABASE %I TO %s', e.privilege_type, d.datname,
                         CASE e.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(r.rolname) END)
FROM pg_catalog.pg_database d CROSS JOIN LATERAL pg_catalog.aclexplode(d.datacl) e
LEFT JOIN pg_catalog.pg_roles r ON r.oid = e.grantee WHERE d.datname <> 'template0'
"""
"""Statements that give the rights on databases, which are not in a backup."""
ROLE_STATEMENTS = ("CREATE ROLE ", "ALTER ROLE ", "GRANT ")


def take_over(cluster: Cluster, postgres: Installation) -> None:
    """Bring the data of a cluster, whose server does not run, to the version of an installation.

    Args:
        cluster: with the old data.
        postgres: the new programs.

    Raises:
        EmbeddedServerError: it cannot be done. The old data are as they were.
    """
    version = cluster.version
    assert version is not None
    older = earlier(version)
    if older is None:
        raise EmbeddedServerError(
            f"The database in {cluster.data} was made by PostgreSQL {version}, whose programs are needed to bring it"
            f" over to {postgres.major} and are not here: install PostgreSQL {version} (on Debian the package"
            f" postgresql-{version}), and try again."
        )
    home = cluster.data.parent
    file = _free_name(home / f"postgres-{version}.backup")
    logger.warning("{} is brought over from PostgreSQL {} to {}; backup: {}", cluster.data, version, postgres, file)
    try:
        with _work_folder(cluster) as work:
            roles, made = _read_old(_at_private_socket(cluster.data), older, postgres, file)
            new = _at_private_socket(work / "postgres")
            _make_new(new, postgres, roles, file, made, like=cluster.data)
            new.data.rename(home / TAKEN_OVER)
    except (BackupRefused, BackupFailed) as error:
        msg = f"The database in {cluster.data} cannot be brought over to PostgreSQL {postgres.major}, and is as it was"
        raise EmbeddedServerError(f"{msg}: {error}.") from error
    kept = _free_name(home / f"postgres-{version}")
    cluster.data.rename(kept)
    (home / TAKEN_OVER).rename(cluster.data)
    logger.warning("{} are in PostgreSQL {} now; the old data stay in {}", made.contents, postgres.major, kept)


def _read_old(old: Cluster, older: Installation, postgres: Installation, file: Path) -> tuple[list[str], Backup]:
    """Back the old data up; return the statements for roles and for rights on databases, and the backup."""
    with _serving(old, older):
        with open_privileged_session(old.superuser, "embedded", autocommit=True) as connection:
            others = [row[0] for row in connection.execute(OTHER_DATABASES).fetchall()]
        if others:
            raise EmbeddedServerError(
                f"The database in {old.data} cannot be brought over, because its server has other databases, too:"
                f" {', '.join(others)}; copy them to another server, and drop them."
            )
        # A newer pg_dump knows what the newer server understands.
        made = back_up(old.url(BACKUP_ROLE), file, postgres, BackupKey.of(old.data.parent))
        with open_privileged_session(old.superuser, "embedded", autocommit=True) as connection:
            rights = [row[0] for row in connection.execute(DATABASE_RIGHTS).fetchall()]
        return [*_roles(old, postgres), *rights], made


def _make_new(new: Cluster, postgres: Installation, roles: list[str], file: Path, made: Backup, *, like: Path) -> None:
    """Make the new data folder from a backup; it belongs to the user whose folder ``like`` is."""
    new.data.mkdir(mode=0o700)
    if os.geteuid() == ROOT:  # whose server runs as another user
        owner = like.stat()
        os.chown(new.data, owner.st_uid, owner.st_gid)
    new.initialise(postgres)
    with _serving(new, postgres):
        with open_privileged_session(new.superuser, "embedded", autocommit=True) as connection:
            for statement in roles:
                try:
                    connection.execute(statement.encode())
                except psycopg.errors.DuplicateObject:  # those that each database of this program has
                    continue
        with BackupFile(file, like.parent, postgres, others=Others.KEEP) as backup_file:
            restored = restore(new.url(OWNER), backup_file, with_rights=True)
        if restored.contents != made.contents:
            raise BackupRefused(f"it has {made.contents}, and {restored.contents} of them were restored")


def _roles(cluster: Cluster, postgres: Installation) -> list[str]:
    """Return the statements that make the roles of a server, with their passwords and memberships."""
    options = ("--roles-only", "--no-password", f"--dbname={cluster.superuser}")
    code, output = postgres.run("pg_dumpall", *options, env=client_environment())
    if code != 0:
        raise BackupFailed(f"its roles cannot be read: {error_line(output)}")
    return [line for line in output.splitlines() if line.startswith(ROLE_STATEMENTS)]


@contextmanager
def _serving(cluster: Cluster, postgres: Installation) -> Iterator[None]:
    cluster.start(postgres)
    try:
        cluster.make_roles_and_database()
        yield
    finally:
        cluster.stop(postgres)


@contextmanager
def _work_folder(cluster: Cluster) -> Iterator[Path]:
    folder = cluster.data.parent / "takeover"
    end_processes_in(folder, server_owners(cluster.data))
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _at_private_socket(data: Path) -> Cluster:
    return Cluster(data, Path("/tmp") / f"paper-trading-{secrets.token_hex(8)}")  # noqa: S108 - made and checked by it


def _free_name(path: Path) -> Path:
    """Return the path, with a number if it exists."""
    number, free = 1, path
    while os.path.lexists(free):
        number += 1
        free = path.with_name(f"{path.name}.{number}")
    return free
