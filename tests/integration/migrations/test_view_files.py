"""The files of ``sql/views/``: each upgrade ends with the same views, and with the rights that people gave on them."""

from __future__ import annotations

import pytest

from persistence import schema
from persistence.sessions.address import with_schema
from tests.integration.persistence.test_adoption import psql
from tests.integration.persistence.test_upgrade import upgrade_to
from tests.support.database import dumps
from tests.support.slow_cases import slow_after_first

DEFINITIONS = """
SELECT relname::text AS name, pg_get_viewdef(oid) FROM pg_class
WHERE relnamespace = current_schema()::regnamespace AND relkind = 'v'
UNION ALL
SELECT proname::text, pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = current_schema()::regnamespace
ORDER BY name
"""
PUT_ON_VIEWS = """
WITH views AS (
    SELECT oid, relname::text AS name, relacl FROM pg_class
    WHERE relkind = 'v' AND relname LIKE 'v_paper_%' AND relnamespace = current_schema()::regnamespace
)
SELECT name, NULL::text AS column, relacl::text AS rights, obj_description(oid, 'pg_class') AS comment FROM views
UNION ALL
SELECT v.name, a.attname::text, a.attacl::text, col_description(v.oid, a.attnum)
FROM views v JOIN pg_attribute a ON a.attrelid = v.oid
WHERE a.attacl IS NOT NULL OR col_description(v.oid, a.attnum) IS NOT NULL
ORDER BY 1, 2
"""


def definitions(url: str, name: str) -> list[tuple[str, str]]:
    """Return the views and functions of a schema; its own name does not appear in what is returned."""
    rows = psql(with_schema(url, name), DEFINITIONS)
    return [(object_, text.replace(f"{name}.", "").replace(f"'{name}'", "current")) for object_, text in rows]


@pytest.mark.parametrize("version", slow_after_first(reversed(schema.versions()[:-1])))
def test_an_upgrade_ends_with_the_views_of_a_new_database(embedded_url: str, version: str) -> None:
    schema.upgrade(with_schema(embedded_url, "fresh"))
    fresh = definitions(embedded_url, "fresh")
    assert {"v_paper_ledger_check", "v_paper_open_positions", "get_portfolio_value"} < {name for name, _ in fresh}
    upgrade_to(with_schema(embedded_url, "old"), version)
    schema.upgrade(with_schema(embedded_url, "old"))
    assert fresh == definitions(embedded_url, "old")


@pytest.mark.slow
def test_an_upgrade_of_0_1_0_ends_with_the_same_views_and_what_people_put_on_them(embedded_url: str) -> None:
    schema.upgrade(with_schema(embedded_url, "fresh"))
    dumps.restore(embedded_url, "0.1.0")
    psql(
        embedded_url,
        "GRANT SELECT ON v_paper_ledger_check TO pg_monitor WITH GRANT OPTION",
        "GRANT SELECT, TRIGGER ON v_paper_ledger_check TO PUBLIC",
        "GRANT SELECT (portfolio, what) ON v_paper_ledger_check TO pg_read_all_stats",
        "GRANT SELECT ON v_paper_open_positions TO pg_monitor",
        "COMMENT ON VIEW v_paper_ledger_check IS 'Anna''s 100 % check :x'",
        "COMMENT ON COLUMN v_paper_ledger_check.what IS 'one of a few words'",
        "COMMENT ON VIEW v_paper_recent_trades IS 'of all'",
        "CREATE VIEW my_positions AS SELECT * FROM v_paper_open_positions",
    )
    before = psql(embedded_url, PUT_ON_VIEWS)
    assert 3 == len([row for row in before if row[0] == "v_paper_ledger_check"])
    schema.upgrade(embedded_url)
    after = psql(embedded_url, PUT_ON_VIEWS)
    assert before == [row for row in after if row[:2] in [old[:2] for old in before]]
    psql(embedded_url, "SELECT * FROM my_positions", "DROP VIEW my_positions")
    assert definitions(embedded_url, "fresh") == definitions(embedded_url, "public")


def test_a_view_of_0010_that_is_made_anew_keeps_its_rights(embedded_url: str) -> None:
    upgrade_to(embedded_url, "0010_price_rule")
    grant = "GRANT SELECT, TRIGGER ON v_paper_fill_sources TO PUBLIC"
    own = "paper_portfolio_label(portfolio) AS portfolio"  # a function of later tables
    psql(embedded_url, schema.read_file("views/4_sources.sql").replace(own, "portfolio"), grant)
    rights = "SELECT relacl::text FROM pg_class WHERE relname = 'v_paper_fill_sources'"
    before = psql(embedded_url, rights)
    schema.upgrade(embedded_url)
    assert before == psql(embedded_url, rights)


@pytest.mark.slow
def test_a_new_schema_leaves_the_views_of_another_one_alone(embedded_url: str) -> None:
    oids = "SELECT relname::text, oid FROM pg_class WHERE relkind = 'v' AND relnamespace = 'public'::regnamespace"
    schema.upgrade(embedded_url)
    before = sorted(psql(embedded_url, oids))
    psql(embedded_url, "CREATE VIEW mine AS SELECT * FROM v_paper_ledger_check")
    assert "v_paper_ledger_check" in {name for name, _ in before}
    schema.upgrade(with_schema(embedded_url, "alpha"))
    assert before == sorted(row for row in psql(embedded_url, oids) if row[0] != "mine")
