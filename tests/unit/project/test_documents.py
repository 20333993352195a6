"""The documents agree with the code: their examples are executed, their tables compared, their links followed."""

from __future__ import annotations

import doctest
import re
import tomllib
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from actors.settings import Settings
from docs.performance_tables import performance_page
from docs.settings_page import PAGE, settings_page
from domain.analytics.metric_definitions import METRICS, METRICS_BY_GROUP
from domain.analytics.performance import History, Performance
from domain.analytics.returns import Valuation
from domain.analytics.trade_stats import TradeStats
from domain.validation.criteria import Criteria
from domain.validation.operational import Operations, operational
from domain.validation.statistical import plain_criteria

ROOT = Path(__file__).parents[3]
ARITHMETIC = (ROOT / "docs" / "arithmetic.md").read_text(encoding="utf-8")
EXECUTION = (ROOT / "docs" / "execution.md").read_text(encoding="utf-8")
PERFORMANCE = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
VALIDATION = (ROOT / "docs" / "validation.md").read_text(encoding="utf-8")
DATABASE = (ROOT / "docs" / "database.md").read_text(encoding="utf-8")
NUMBERED = "".join(file.read_text(encoding="utf-8") for file in sorted((ROOT / "sql").glob("0*.sql")))
TRIGGERS = "".join(
    (ROOT / "sql" / name).read_text(encoding="utf-8") for name in ("0002_triggers.sql", "0004_guards.sql")
)
VIEWS = "".join(file.read_text(encoding="utf-8") for file in (ROOT / "sql" / "views").iterdir())

BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TOML = re.compile(r"^ *```toml\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
NUMBER = re.compile(r"(?<![\w.])(?:\d{1,3}(?: \d{3})+|\d+)(?:\.\d+)?(?![\w-])")
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
CREATED = re.compile(r"^CREATE TABLE (\w+) \(\n(.*?)^\);$", re.MULTILINE | re.DOTALL)


def wrong_examples(page: str) -> tuple[int, str]:
    """Run the examples of a page from top to bottom; return their number, and a report of the wrong ones."""
    # Blocks stay where they are in the page, so that a report names the page's own lines.
    lines = [""] * page.count("\n")
    for block in BLOCK.finditer(page):
        first = page.count("\n", 0, block.start(1))
        code = block[1].splitlines()
        lines[first : first + len(code)] = code
    test = doctest.DocTestParser().get_doctest("\n".join(lines), {}, "page", "the page", 0)
    report: list[str] = []
    doctest.DocTestRunner(verbose=False, optionflags=0).run(test, out=report.append)
    return len(test.examples), "".join(report)


def numbers(text: str) -> set[Decimal]:
    """Return the numbers in a text, without their signs; ``1 593.75`` is one."""
    return {Decimal(number.replace(" ", "")) for number in NUMBER.findall(text)}


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub gives the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_example_of_arithmetic_is_right() -> None:
    count, report = wrong_examples(ARITHMETIC)
    assert report == ""
    assert count > 50


def test_every_example_of_execution_is_right() -> None:
    count, report = wrong_examples(EXECUTION)
    assert report == ""
    assert count > 25


def test_every_example_of_performance_is_right() -> None:
    count, report = wrong_examples(PERFORMANCE)
    assert report == ""
    assert count > 10


def test_every_example_of_validation_is_right() -> None:
    count, report = wrong_examples(VALIDATION)
    assert report == ""
    assert count > 2


def test_the_index_names_every_page_once() -> None:
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    links = re.findall(r"^\d+\. \[[^]]+\]\(([^)]+)\):", index, re.MULTILINE)
    pages = {page.name for page in (ROOT / "docs").glob("*.md")} - {"README.md"}
    assert sorted(links) == sorted([*pages, "../deploy/README.md"])


def test_each_link_from_one_page_to_another_leads_to_a_file_and_a_heading() -> None:
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "deploy").glob("*.md")]
    broken = []
    for page in pages:
        text = FENCE.sub("", page.read_text(encoding="utf-8"))
        for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", text):
            path, _, anchor = target.partition("#")
            file = page.parent / path if path else page
            if not file.exists() or (anchor and anchor not in anchors(file)):
                broken.append(f"{page.relative_to(ROOT)}: {target}")
    assert broken == []


def test_the_readme_is_about_a_thousand_words_and_its_paths_exist() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert 900 <= len(readme.split()) <= 1150
    paths = re.findall(r"`([a-z_]+/[a-z_/]+\.py)`", readme)
    assert len(paths) >= 6
    assert [path for path in paths if not (ROOT / path).is_file()] == []


def test_each_test_that_a_page_names_exists() -> None:
    """Those that a page names within a file, `file.py::test`, too."""
    missing = []
    for page in (ROOT / "docs" / "security.md", ROOT / "docs" / "guarantees.md"):
        for path, name in re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", page.read_text(encoding="utf-8")):
            file = ROOT / path
            if not file.is_file() or (name and f"\ndef {name}(" not in file.read_text(encoding="utf-8")):
                missing.append(f"{page.name}: {path} {name}".strip())
    assert missing == []


def test_the_page_of_settings_is_the_one_that_is_generated() -> None:
    assert settings_page() == PAGE.read_text(encoding="utf-8"), "run `python -m docs.settings_page` and commit the page"


def test_each_example_of_a_settings_file_is_accepted() -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "deploy").glob("*.md")]
    blocks = [block for page in pages for block in TOML.findall(page.read_text(encoding="utf-8"))]
    assert len(blocks) > 5
    for block in blocks:
        Settings.isolated(**tomllib.loads(block))


def test_validation_names_every_criterion_and_its_setting() -> None:
    settings = {f"validation_{name}": value for name, value in Criteria().to_dict().items()}
    assert [name for name, value in settings.items() if f"`{name}` {value}" not in VALIDATION] == []
    opening = Valuation(datetime(2026, 1, 1, tzinfo=UTC), Decimal(1000))
    figures = plain_criteria(History.full(opening, opening.time), Criteria())
    program = operational(Operations(opening.time, opening.time), Criteria())
    assert [item.name for item in (*program, *figures) if f"| `{item.name}` |" not in VALIDATION] == []


def test_every_metric_has_one_definition_and_the_page_is_the_one_that_is_generated() -> None:
    names = {*TradeStats.__dataclass_fields__, *Performance.__dataclass_fields__} - {"trade_stats", "returns"}
    keys = [metric.key for metrics in METRICS_BY_GROUP.values() for metric in metrics]
    assert sorted(names) == sorted(keys)
    assert len(keys) == len({metric.label for metric in METRICS.values()})
    assert performance_page() == PERFORMANCE, "run `python -m docs.performance_tables` and commit the page"


@pytest.mark.parametrize("digit", ["9997.5809286", "1593.75\n", "33.333333333334", "196.2"])
def test_an_example_with_one_wrong_digit_is_found(digit: str) -> None:
    wrong = digit.translate(str.maketrans("123456789", "234567891"))
    spoiled = BLOCK.sub(lambda block: block[0].replace(digit, wrong), ARITHMETIC)
    assert spoiled != ARITHMETIC
    _, report = wrong_examples(spoiled)
    assert wrong.strip() in report


@pytest.mark.parametrize("page", [ARITHMETIC, EXECUTION], ids=["arithmetic", "execution"])
def test_every_number_in_the_text_and_tables_of_a_page_of_rules_stands_in_an_example(page: str) -> None:
    computed = numbers("\n".join(BLOCK.findall(page)).replace("_", ""))
    in_text = numbers(BLOCK.sub("", page))
    small = {number for number in in_text if number < 1000 and number == number.to_integral_value()}
    assert in_text - small - computed == set()


def section(page: str, heading: str) -> str:
    """Return the text below a heading, up to the next one of its level, on one line."""
    match = re.search(rf"^### `{heading}`.*?(?=^##)", page + "\n##", re.MULTILINE | re.DOTALL)
    assert match is not None, f"docs/database.md has no section on {heading}"
    return " ".join(match[0].split())


@pytest.mark.parametrize(("table", "body"), CREATED.findall(NUMBERED))
def test_database_describes_every_column_and_constraint_of_a_table(table: str, body: str) -> None:
    text = section(DATABASE, table)
    columns = re.findall(r"^    ([a-z_]+) +[a-z]", body, re.MULTILINE)
    columns += re.findall(rf"^ALTER TABLE {table} ADD COLUMN (?:IF NOT EXISTS )?(\w+)", NUMBERED, re.MULTILINE)
    assert [column for column in columns if f"`{column}`" not in text] == []
    changed = "".join(re.findall(rf"^ALTER TABLE {table}\n(.*?;)$", NUMBERED, re.MULTILINE | re.DOTALL))
    dropped = re.findall(r'DROP CONSTRAINT (?:IF EXISTS )?"([^"]+)"', changed)
    sentences = [sentence for sentence in re.findall(r'CONSTRAINT "([^"]+)"', body) if sentence not in dropped]
    added = re.findall(r'ADD CONSTRAINT "([^"]+)"', changed)
    sentences += [sentence for sentence in added if added.count(sentence) > dropped.count(sentence)]
    assert [sentence for sentence in sentences if sentence not in text] == []


def test_database_names_every_function_and_view_and_quotes_the_messages_of_the_guards() -> None:
    statements = NUMBERED + VIEWS
    made = re.findall(r"^CREATE (?:OR REPLACE )?(?:VIEW|FUNCTION) (\w+)", statements, re.MULTILINE)
    assert {"v_paper_ledger_check", "v_paper_halted", "paper_mark"} < set(made)
    assert [name for name in made if f"`{name}" not in DATABASE] == []
    # A message of a guard contains the portfolio's name; the page quotes the text around it.
    raised = [part.strip() for text in re.findall(r"RAISE EXCEPTION '([^']+)'", TRIGGERS) for part in text.split("%")]
    assert [part for part in raised if part not in DATABASE] == []
