"""A file that another made brings no code, rights or changed guards, and is not even read without being asked for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from persistence import schema
from persistence.embedded.backups import backup_file
from persistence.embedded.backups.contents import Others
from persistence.embedded.errors import BackupRefused
from persistence.embedded.installation import Installation
from persistence.sessions.address import with_schema
from tests.support.database.servers import Server
from tests.support.embedded.backups import admin, back_up, restore
from tests.support.slow_cases import slow_after_first

FILLER = "0" * 400
HIDING_PLACE = f"CONSTRAINT filler_t_check CHECK ((t <> '{FILLER}'::text))\n);"
"""Part of the definition of a table, in whose place other statements fit."""
PLANTED = {
    "function public.count(anyelement)": "CREATE FUNCTION public.count(anyelement) RETURNS bigint"
    " LANGUAGE sql AS 'SELECT 0'",
    "operator public.=": "CREATE OPERATOR public.= (LEFTARG = text, RIGHTARG = name, FUNCTION = public.planted)",
    "function public.planted(text, name)": "CREATE FUNCTION public.planted(text, name) RETURNS boolean"
    " LANGUAGE sql AS 'SELECT true'",
    "type public.kind": "CREATE TYPE public.kind AS ENUM ('a')",
    "cast CAST (public.kind AS integer)": "CREATE CAST (public.kind AS integer)"
    " WITH FUNCTION public.number_of(public.kind)",
    "function public.number_of(public.kind)": "CREATE FUNCTION public.number_of(public.kind) RETURNS integer"
    " LANGUAGE sql AS 'SELECT 1'",
    "domain public.share": "CREATE DOMAIN public.share AS numeric CHECK (VALUE < 1)",
    "trigger public.paper_fills mine": "CREATE TRIGGER mine BEFORE INSERT ON paper_fills"
    " EXECUTE FUNCTION public.fired()",
    "function public.fired()": "CREATE FUNCTION public.fired() RETURNS trigger LANGUAGE plpgsql"
    " AS 'BEGIN RETURN NULL; END'",
    "rule public.signals kept": "CREATE RULE kept AS ON DELETE TO signals DO INSTEAD NOTHING",
    "policy public.signals theirs": "CREATE POLICY theirs ON signals USING (true)",
    "row security public.signals": "ALTER TABLE signals ENABLE ROW LEVEL SECURITY",
    "view public.mine": "CREATE VIEW public.mine AS SELECT 1 AS one",
    "materialized view public.stored": "CREATE MATERIALIZED VIEW public.stored AS SELECT 1 AS one",
    "publication news": "CREATE PUBLICATION news FOR TABLE signals",
    "statistics public.more": "CREATE STATISTICS public.more ON a, b FROM signals",
}
"""What a database's owner can put into it, as a restore lists it."""
ORDER = (
    "function public.count(anyelement)", "function public.planted(text, name)", "operator public.=", "type public.kind",
    "function public.number_of(public.kind)", "cast CAST (public.kind AS integer)", "domain public.share",
    "function public.fired()", "trigger public.paper_fills mine", "rule public.signals kept",
    "policy public.signals theirs", "row security public.signals", "view public.mine",
    "materialized view public.stored",
    "publication news", "statistics public.more",
)  # fmt: skip


@pytest.fixture(scope="module")
def source(embedded_server: Server) -> Iterator[str]:
    """A database with a table of the user's and a decision."""
    url = embedded_server.create_database()
    schema.upgrade(url)
    schema.upgrade(with_schema(url, "alpha"))
    with psycopg.connect(url) as owner:
        owner.execute("CREATE TABLE signals (a int, b int)")
        owner.execute(f"CREATE TABLE filler (t text CHECK (t <> '{FILLER}'))")
        owner.execute("INSERT INTO trading_decisions (symbol, decision, confidence) VALUES ('X', 'BUY', 1)")
    yield url
    embedded_server.drop_database(url)


@pytest.fixture(scope="module")
def own_file(embedded_server: Server, source: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return back_up(admin(embedded_server, source), tmp_path_factory.mktemp("own") / "b").file


@pytest.fixture(scope="module")
def planted_file(embedded_server: Server, source: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backup with an object of each kind that is not this program's."""
    file = tmp_path_factory.mktemp("planted") / "b"
    copied = embedded_server.create_database(str(conninfo_to_dict(source)["dbname"]))
    with psycopg.connect(copied) as owner:
        for name in ORDER:
            owner.execute(PLANTED[name])  # type: ignore[call-overload]
        owner.execute("COMMENT ON FUNCTION public.fired() IS 'fires'")
    back_up(admin(embedded_server, copied), file)
    embedded_server.drop_database(copied)
    return file


@pytest.fixture
def target(embedded_server: Server) -> Iterator[str]:
    url = embedded_server.create_database()
    yield url
    embedded_server.drop_database(url)


def is_empty(url: str) -> bool:
    with psycopg.connect(url) as connection:
        row = connection.execute(
            "SELECT (SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace)"
            " + (SELECT count(*) FROM pg_proc WHERE pronamespace = 'public'::regnamespace)"
        ).fetchone()
    return row == (0,)


def refusal(url: str, file: Path, **options: Any) -> str:
    """Return the message with which a file is refused; nothing of it is in the database."""
    with pytest.raises(BackupRefused) as error:
        restore(url, file, **options)
    assert is_empty(url)
    assert "\n" not in str(error.value)
    return str(error.value)


def forge(file: Path, folder: Path, old: str, new: str) -> Path:
    """Change an entry of a backup as an attacker does, in a way that its list of contents does not show."""
    content = file.read_bytes()
    assert old.encode() in content
    assert len(new) <= len(old)
    forged = folder / "forged"
    forged.write_bytes(content.replace(old.encode(), new.ljust(len(old)).encode()))
    return forged


@pytest.mark.slow
def test_no_program_reads_a_file_that_this_home_has_not_written(
    own_file: Path, target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = forge(own_file, tmp_path, FILLER, "1")
    started: list[str] = []
    monkeypatch.setattr(Installation, "started", lambda _, name, *__, **___: started.append(name))
    message = refusal(target, changed)
    assert f"{changed} is not read: its checksum does not fit" in message
    assert "can run code as this user while pg_restore reads it" in message
    assert "its SQL runs as the owner of the database" in message
    assert message.endswith("add --foreign")
    assert [] == started


@pytest.mark.slow
def test_the_file_that_was_checked_is_the_one_that_is_read(
    own_file: Path, planted_file: Path, target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "b"
    file.write_bytes(own_file.read_bytes())
    file.chmod(0o600)
    checked = backup_file.doubt

    def exchange(*arguments: Any) -> str | None:
        reason = checked(*arguments)
        (tmp_path / "theirs").write_bytes(planted_file.read_bytes())
        (tmp_path / "theirs").replace(file)
        return reason

    monkeypatch.setattr(backup_file, "doubt", exchange)
    assert () == restore(target, file).others


def test_everything_that_is_not_this_programs_is_listed_and_refused(planted_file: Path, target: str) -> None:
    message = refusal(target, planted_file)
    assert [] == [name for name in PLANTED if name not in message]
    assert "--others skip restores it without them, --others keep restores them, too" in message


def test_skip_restores_the_rest(planted_file: Path, target: str) -> None:
    restored = restore(target, planted_file, others=Others.SKIP)
    assert ((), 1) == (restored.others, restored.contents.decisions)
    with psycopg.connect(target) as connection:
        for table in ("signals", "filler"):
            assert (0,) == connection.execute(f"SELECT count(*) FROM {table}").fetchone()
        assert None is connection.execute("SELECT FROM pg_proc WHERE proname IN ('planted', 'fired')").fetchone()
    assert schema.is_current(target)


@pytest.mark.slow
def test_keep_restores_them_and_lists_them(planted_file: Path, target: str) -> None:
    restored = restore(target, planted_file, others=Others.KEEP)
    assert len(PLANTED) <= len(restored.others)
    assert "function public.planted(text,name)" in restored.others
    assert "operator public.=(text,name)" in restored.others
    assert "trigger mine on public.paper_fills" in restored.others
    with psycopg.connect(target) as connection:
        assert (True,) == connection.execute("SELECT planted('a', 'b')").fetchone()


FORGED = {
    "a function hidden in a table": (
        HIDING_PLACE,
        "CHECK (true));CREATE FUNCTION public.evil() RETURNS int LANGUAGE sql AS 'SELECT 1';--",
        "function public.evil()",
    ),
    "a setting of the database": (
        HIDING_PLACE,
        "CHECK (true));DO $$BEGIN EXECUTE format('ALTER DATABASE %I SET work_mem = 64', current_database()); END$$;--",
        "settings of all roles in ",
    ),
    "an operator that hides itself by a search path": (
        HIDING_PLACE,
        (
            "CHECK (true));CREATE FUNCTION public.f(oid,int) RETURNS boolean LANGUAGE sql AS 'SELECT false';"
            "CREATE OPERATOR public.>= (LEFTARG=oid,RIGHTARG=int,FUNCTION=public.f);"
            "SELECT set_config('search_path','public,pg_catalog',false);--"
        ),
        "operator public.>=(oid,integer)",
    ),
    "another clock": ("statement_timestamp())", "clock_timestamp())", "function public.paper_now(), which differs"),
    "a guard that lets everything pass": (
        "RAISE EXCEPTION 'table % is written",
        "RAISE NOTICE    'table % is written",
        "function public.paper_writer_guard(), which differs",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", slow_after_first(FORGED))
def test_what_the_list_of_contents_hides_is_seen_in_the_database(
    name: str, own_file: Path, target: str, tmp_path: Path
) -> None:
    old, new, listed = FORGED[name]
    forged = forge(own_file, tmp_path, old, new)
    for others in (Others.REFUSE, Others.SKIP):
        message = refusal(target, forged, foreign=True, others=others)
        assert listed in message
        assert message.endswith("; nothing was changed")


@pytest.mark.parametrize("statement", ["COMMIT;", "ROLLBACK;", "COMMIT AND CHAIN;", "END;BEGIN;"])
def test_a_file_cannot_end_the_transaction(statement: str, own_file: Path, target: str, tmp_path: Path) -> None:
    forged = forge(own_file, tmp_path, HIDING_PLACE, f"CHECK (true));{statement}--")
    message = refusal(target, forged, foreign=True, others=Others.KEEP)
    assert "cannot be restored: EXECUTE of transaction commands is not implemented" in message


@pytest.mark.slow
def test_a_file_cannot_put_a_statement_beside_the_rows(own_file: Path, target: str, tmp_path: Path) -> None:
    forged = forge(
        own_file, tmp_path, "COPY public.signals (a, b) FROM stdin;", "COPY a (b) FROM stdin;END; FROM stdin;"
    )
    assert "the name of a table or column in it is not that of one" in refusal(target, forged, foreign=True)


@pytest.fixture
def role(embedded_server: Server) -> Iterator[str]:
    with embedded_server.connect() as superuser:
        superuser.execute("CREATE ROLE passing")
    yield "passing"
    with embedded_server.connect() as superuser:
        superuser.execute("DROP ROLE passing")


def rights_of(url: str, role: str) -> set[tuple[str, str]]:
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "SELECT c.relname::text, e.privilege_type FROM pg_class c CROSS JOIN aclexplode(c.relacl) e"
            " WHERE e.grantee = %s::regrole UNION ALL"
            " SELECT c.relname || '.' || a.attname, e.privilege_type FROM pg_attribute a JOIN pg_class c"
            " ON c.oid = a.attrelid CROSS JOIN aclexplode(a.attacl) e WHERE e.grantee = %s::regrole",
            [role, role],
        ).fetchall()
    return set(rows)


@pytest.mark.slow
def test_roles_keep_the_rights_of_now_and_get_none_of_the_backup(
    embedded_server: Server, role: str, target: str, tmp_path: Path
) -> None:
    schema.upgrade(target)
    with psycopg.connect(target) as owner:
        owner.execute("GRANT SELECT, UPDATE ON trading_decisions TO passing")
        owner.execute("GRANT SELECT ON paper_fills TO passing")
    back_up(admin(embedded_server, target), tmp_path / "b")
    with psycopg.connect(target) as owner:  # taken away, and others given, since
        owner.execute("REVOKE UPDATE ON trading_decisions FROM passing")
        owner.execute("REVOKE ALL ON paper_fills FROM passing")
        owner.execute("GRANT INSERT (symbol, decision) ON trading_decisions TO passing")
        owner.execute("CREATE TABLE later (a int)")
        owner.execute("GRANT SELECT ON later TO passing")
    before = rights_of(target, role)
    restored = restore(target, tmp_path / "b", replace=True)
    assert before - {("later", "SELECT")} == rights_of(target, role)
    columns = {(f"trading_decisions.{name}", "INSERT") for name in ("symbol", "decision")}
    assert {("trading_decisions", "SELECT")} | columns == rights_of(target, role)
    assert {
        "GRANT SELECT,UPDATE ON TABLE public.trading_decisions TO passing;",
        "GRANT SELECT ON TABLE public.paper_fills TO passing;",
    } == set(restored.rights_left_out)
    assert restored.rights_left_out == restore(target, tmp_path / "b", replace=True).rights_left_out


@pytest.mark.slow
def test_rights_of_roles_that_do_not_exist_are_left_out_and_listed(
    embedded_server: Server, target: str, tmp_path: Path
) -> None:
    schema.upgrade(target)
    with embedded_server.connect() as superuser:
        superuser.execute("CREATE ROLE gone")
    with psycopg.connect(target) as owner:
        owner.execute("GRANT SELECT ON trading_decisions TO gone")
    back_up(admin(embedded_server, target), tmp_path / "b")
    with psycopg.connect(target) as owner:
        owner.execute("REVOKE ALL ON trading_decisions FROM gone")
    with embedded_server.connect() as superuser:
        superuser.execute("DROP ROLE gone")
    restored = restore(target, tmp_path / "b")
    assert ("GRANT SELECT ON TABLE public.trading_decisions TO gone;",) == restored.rights_left_out


def test_a_file_cannot_give_a_right_to_everybody(own_file: Path, target: str, tmp_path: Path) -> None:
    forged = forge(own_file, tmp_path, HIDING_PLACE, "CHECK (true));GRANT UPDATE ON public.filler TO PUBLIC;--")
    for others in (Others.REFUSE, Others.KEEP):
        message = refusal(target, forged, foreign=True, others=others)
        assert "gives rights where it must not: GRANT UPDATE ON TABLE public.filler TO PUBLIC" in message


def closed_functions(url: str) -> set[str]:
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "SELECT oid::regprocedure::text FROM pg_proc WHERE proname LIKE 'paper\\_%'"
            " AND NOT has_function_privilege('public', oid, 'EXECUTE')"
        ).fetchall()
    return {name for (name,) in rows}


@pytest.mark.slow
def test_functions_that_the_program_closes_to_the_public_stay_closed(own_file: Path, source: str, target: str) -> None:
    restore(target, own_file)
    assert "paper_rules_changed()" in closed_functions(source)
    assert closed_functions(source) == closed_functions(target)
