"""The report's page in a real browser: it makes no request, and is readable on any screen and on paper."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from console.report.html.page import page
from docs.pictures.browser import NoChromium, chromium, find
from docs.pictures.sample import DAYS, PLANS, verdict
from tests.support.pages.report_pages import (
    EMPTY,
    EVIL,
    HOSTILE,
    MADE,
    REPORTS,
    SEED,
    STRATEGY,
    OpenPage,
    empty_report,
)

WIDTHS = (1280, 768, 375)
MIN_LETTER_SIZE_PX = 11
PAPER_WIDTH_PX = 680
"""Width of A4 between margins of 15 mm."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    try:
        find()
    except NoChromium as error:
        if os.environ.get("CHROMIUM_REQUIRED") == "1":
            pytest.fail(f"CHROMIUM_REQUIRED=1, but {error}", pytrace=False)
        pytest.skip(f"NOT TESTED in a browser: {error}")
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    verdicts = {plan.name: verdict(plan, SEED) for plan in PLANS}
    criteria = tuple(
        replace(criterion, title=EVIL, seen=EVIL, evidence=(EVIL,) * 4) for criterion in verdicts["default"].criteria
    )
    verdicts[EVIL] = replace(verdicts["default"], accepted_by=EVIL, notes=(EVIL,), criteria=criteria)
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(page(REPORTS, verdicts, made_at=MADE), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def opened(browser: Browser, file: Path) -> OpenPage:
    return OpenPage.of(browser, file)


@pytest.fixture(autouse=True)
def _no_requests_and_no_errors(opened: OpenPage, file: Path) -> Iterator[None]:
    """Check after each test that the page made no request and reported no error."""
    yield
    assert ([file.as_uri()], []) == (opened.requests, opened.errors)


@pytest.mark.parametrize("place", [place for place, report in enumerate(REPORTS) if report.days])
def test_each_chart_has_a_mark_for_each_value(opened: OpenPage, place: int) -> None:
    expected, page = REPORTS[place], opened.drawn(1280)
    prefix = f"#p{place + 1}"
    marked = page.locator(f"{prefix}-equity .scatterlayer").evaluate_all(
        "layers => layers.flatMap((layer) => [...layer.querySelectorAll('.trace')])"
        ".map((trace) => trace.querySelectorAll('path.point').length).filter(Boolean)"
    )
    won = sum(mark.won for mark in expected.marks)
    assert [won, len(expected.marks) - won] == marked
    assert (len(expected.days), len(expected.distribution)) == (
        page.locator(f"{prefix}-days .barlayer .point").count(),
        page.locator(f"{prefix}-distribution .barlayer .point").count(),
    )
    # The line and the drawdown under it go from one end of the chart to the other.
    plot = page.locator(f"{prefix}-equity .nsewdrag.drag").first.bounding_box()
    assert plot is not None
    lines = page.locator(f"{prefix}-equity .scatterlayer path.js-line")
    assert 2 == lines.count()
    for line in lines.all():
        box = line.bounding_box()
        assert box is not None
        assert box["width"] == pytest.approx(plot["width"], abs=4)
        assert box["height"] > 10
    assert page.locator(f"{prefix}-equity").get_attribute("aria-label")


def test_plotly_knows_every_key_of_the_charts(opened: OpenPage) -> None:
    # Plotly.validate names unknown keys and wrong values, which plotly would ignore; and, as *unused*, those of what is
    # switched off, such as the colour of a grid. A strategy without losses has no mark for them.
    problems = opened.drawn(1280).evaluate("""() => [...document.querySelectorAll(".chart")].map((chart) =>
        [chart.id, (Plotly.validate(chart.data, chart.layout) ?? [])
            .filter((problem) => !["unused", "invisible"].includes(problem.code))
            .map((problem) => problem.msg)])""")
    wrong = opened.page.evaluate("""() => Plotly.validate([{type: "scatter", mode: "lines", colour: "red"}], {})
        .map((problem) => problem.code)""")
    assert "schema" in wrong
    assert len(problems) > 10
    assert [[chart, []] for chart, _ in problems] == problems


def test_holding_and_groups_have_their_lines(opened: OpenPage) -> None:
    page = opened.drawn(1280)
    for name in ("compared", "strategy", "confidence"):
        drawn = page.locator(f"#p1-{name} .scatterlayer path.js-line").count()
        keys = page.locator(f"#p1-{name} ~ figcaption .key").count()
        assert (name, drawn) == (name, keys)
        assert drawn >= 3
    assert 0 == page.locator(f"{STRATEGY}-compared").count()
    curves = page.locator("section#p1 table.by td.line polyline").count()
    assert curves == sum(len(groups) for groups in REPORTS[0].by_curves.values())


def test_the_contents_lead_to_the_parts(opened: OpenPage) -> None:
    page = opened.drawn(375)
    page.locator("section#p1 .contents a", has_text="Validation").click()
    place = page.locator("#p1-part-validation").bounding_box()
    assert place is not None
    assert 0 <= place["y"] <= 40


def test_on_a_phone_the_verdict_stands_beside_the_name(opened: OpenPage) -> None:
    page = opened.drawn(375)
    for selector in ("table.overview", "#p1 table.criteria"):
        for badge in page.locator(f"{selector} tbody td:nth-child(2) .badge").all():
            box = badge.bounding_box()
            assert box is not None
            assert (selector, True) == (selector, box["x"] + box["width"] <= 375)


def test_hovering_a_mark_shows_its_closing(opened: OpenPage) -> None:
    page = opened.drawn(1280)
    mark = next(mark for mark in REPORTS[0].marks if not mark.won)
    point = page.locator("#p1-equity .scatterlayer .trace").nth(1).locator("path.point").first
    point.scroll_into_view_if_needed()
    box = point.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2 - 3, box["y"] + 3)
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    label = page.locator("#p1-equity .hoverlayer .hovertext")
    label.wait_for()
    assert f"{mark.time:%H:%M} UTC" in str(label.text_content())
    assert f"1 closing lost or even−{abs(mark.net):.2f} USDT net" in str(label.text_content()).replace("\xa0", " ")
    page.mouse.move(0, 0)


SVG_TEXTS = """(charts) => charts.map((chart) => {
    const frame = chart.getBoundingClientRect();
    const boxes = (all) => [...all].map((text) => {
        const box = text.getBoundingClientRect();
        return {text: text.textContent, size: parseFloat(getComputedStyle(text).fontSize),
                left: box.left - frame.left, right: box.right - frame.left,
                top: box.top - frame.top, bottom: box.bottom - frame.top};
    });
    return {id: chart.id, width: frame.width, height: frame.height,
            all: boxes(chart.querySelectorAll("svg text")),
            axes: ["x", "y", "y2"].map((axis) => boxes(chart.querySelectorAll(`.${axis}tick text`)))};
})"""


@pytest.mark.parametrize("width", WIDTHS)
def test_charts_can_be_read_at_any_width(opened: OpenPage, width: int) -> None:
    charts = opened.drawn(width).locator(".chart").evaluate_all(SVG_TEXTS)
    # A strategy is compared with nothing, has one strategy, and an empty portfolio has no chart.
    assert 6 * len(REPORTS) - 6 - 2 == len(charts)
    for chart in charts:
        outside = [
            text
            for text in chart["all"]
            if text["left"] < -1 or text["right"] > chart["width"] + 1
            or text["top"] < -1 or text["bottom"] > chart["height"] + 1
        ]  # fmt: skip
        if chart["id"].startswith(HOSTILE[1:]):
            outside = [text for text in outside if "</script>" not in text["text"]]
        assert (chart["id"], []) == (chart["id"], outside)
        assert min(text["size"] for text in chart["all"]) >= MIN_LETTER_SIZE_PX
        across, up, *below = chart["axes"]
        assert len(across) >= 2
        assert len(up) >= 2
        for ticks, low, high in ((across, "left", "right"), *((ticks, "top", "bottom") for ticks in (up, *below))):
            placed = sorted(ticks, key=lambda tick: tick[low])
            overlapping = [(a["text"], b["text"]) for a, b in pairwise(placed) if a[high] > b[low]]
            assert (chart["id"], []) == (chart["id"], overlapping)


@pytest.mark.parametrize("width", WIDTHS)
def test_the_page_does_not_scroll_sideways(opened: OpenPage, width: int) -> None:
    page = opened.drawn(width)
    assert width == page.evaluate("document.documentElement.scrollWidth")
    assert width == page.evaluate("document.body.clientWidth") or width > 1144
    # Wide content scrolls in its own box, which can be focused with the keyboard.
    boxes = page.locator(".scroll").evaluate_all(
        "boxes => boxes.map((box) => [box.scrollWidth > box.clientWidth || box.scrollHeight > box.clientHeight,"
        " box.tabIndex === 0])"
    )
    assert [wide for wide, _ in boxes] == [reached for _, reached in boxes]
    assert (width == 375) <= any(wide for wide, _ in boxes)


# WCAG 2.1, 1.4.3: (L1 + 0.05) / (L2 + 0.05) of the relative luminances is at least 4.5, 3 for large text.
CONTRASTS = """() => {
    const parsed = (colour) => {
        const [r, g, b, a = 1] = colour.match(/[\\d.]+/g).map(Number);
        return [r, g, b, a];
    };
    const over = ([r, g, b, a], [R, G, B]) => [r * a + R * (1 - a), g * a + G * (1 - a), b * a + B * (1 - a), 1];
    const luminance = (colour) => {
        const [r, g, b] = colour.map((part) => part / 255)
            .map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const behind = (element) => {
        const layers = [];
        for (let at = element; at; at = at.parentElement) layers.push(parsed(getComputedStyle(at).backgroundColor));
        return layers.reverse().reduce((below, layer) => over(layer, below), [255, 255, 255, 1]);
    };
    const poor = new Set(), walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    let seen = 0, smallest = Infinity;
    while (walker.nextNode()) {
        const element = walker.currentNode.parentElement;
        const unseen = element.closest("script, noscript, .hidden, [aria-hidden=true]");
        if (unseen || !walker.currentNode.textContent.trim()) continue;
        const style = getComputedStyle(element), ground = behind(element);
        const letters = over(parsed(element.closest("svg") ? style.fill : style.color), ground);
        const [dark, light] = [luminance(letters), luminance(ground)].sort((a, b) => a - b);
        const ratio = (light + 0.05) / (dark + 0.05), size = parseFloat(style.fontSize);
        seen += 1;
        smallest = Math.min(smallest, size);
        if (ratio < (size >= 24 ? 3 : 4.5)) {
            poor.add(`${ratio.toFixed(2)} ${element.outerHTML.slice(0, 120)}`);
        }
    }
    return {seen, smallest, poor: [...poor]};
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_letters_stand_out_from_what_is_behind_them(opened: OpenPage, scheme: Any) -> None:
    page = opened.drawn(375)
    page.emulate_media(color_scheme=scheme)
    tick = page.locator("#p1-equity .xtick text").first
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.wait_for_function("(dark) => getComputedStyle(document.querySelector('.xtick text')).fill.includes('163, 174')"
                           " === dark", arg=scheme == "dark")  # fmt: skip
    try:
        contrasts = page.evaluate(CONTRASTS)
        assert ("rgb(18, 23, 30)" if scheme == "dark" else "rgb(255, 255, 255)") == ground
        assert contrasts["seen"] > 500
        assert [] == contrasts["poor"]
        assert contrasts["smallest"] >= MIN_LETTER_SIZE_PX
        assert tick.evaluate("(text) => getComputedStyle(text).fill")
    finally:
        page.emulate_media(color_scheme="light")


def test_names_are_shown_as_text(opened: OpenPage) -> None:
    page = opened.drawn(1280)
    section = page.locator(f"section{HOSTILE}")
    assert f"Portfolio {EVIL}" == " ".join(str(section.locator("h2").text_content()).split())
    assert EVIL in section.locator("table.by .name").all_text_contents()
    assert section.locator("table.criteria").last.locator("tbody th").first.text_content() == EVIL
    assert EVIL in str(section.locator(".funnel").text_content())
    assert EVIL in str(section.locator(".trips").first.text_content())
    assert EVIL in str(section.locator(".holding").text_content())
    assert "Value, </script><b>X" == page.locator(f"{HOSTILE}-equity .annotation-text").first.text_content()
    assert "won" not in page.title()
    made = page.evaluate("[...document.querySelectorAll('img, b, iframe, [onerror], a:not([href^=\"#\"])')].length")
    assert 0 == made
    assert 2 == page.locator("script:not([type])").count()


def test_a_strategy_has_no_value_and_an_empty_portfolio_no_charts(opened: OpenPage) -> None:
    page = opened.drawn(1280)
    strategy = page.locator(f"section{STRATEGY}")
    assert "it has no value and no ratios of its own" in str(strategy.locator(".lead").text_content())
    assert ["Return", "Activity", "Round trips"] == strategy.locator(".figures h4").all_text_contents()
    empty = page.locator(f"section{EMPTY}")
    assert "Nothing was traded in this period, and no decision was received." == empty.locator(".lead").text_content()
    assert 0 == empty.locator("svg, table, .chart").count()


def test_keys_go_through_the_page_in_its_order(opened: OpenPage) -> None:
    page = opened.drawn(375)
    page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")
    visited = []
    for _ in range(12):
        page.keyboard.press("Tab")
        visited.append(page.evaluate(
            """() => {
                const all = [...document.querySelectorAll("*")], focused = document.activeElement;
                return [all.indexOf(focused), focused.matches("a, button, summary, .scroll"),
                        getComputedStyle(focused).outlineStyle];
            }"""
        ))  # fmt: skip
    assert visited == sorted(visited)
    assert [True] * 12 == [usable for _, usable, _ in visited]
    assert {"solid"} == {outline for _, _, outline in visited}


def test_results_are_sorted_by_key(opened: OpenPage) -> None:
    page = opened.drawn(1280)
    table = page.locator("section#p1 table.by")
    net = table.get_by_role("columnheader", name=re.compile("^Net result"))

    def values() -> list[Decimal]:
        return [Decimal(str(value)) for value in table.locator("tbody").first.locator("tr:not(.title)").evaluate_all(
            "rows => rows.map((row) => row.cells[3].querySelector('data').value)")]  # fmt: skip

    net.locator("button").press("Enter")
    assert ("descending", sorted(values(), reverse=True)) == (net.get_attribute("aria-sort"), values())
    net.locator("button").press("Enter")
    assert ("ascending", sorted(values())) == (net.get_attribute("aria-sort"), values())
    assert "By symbol" == str(table.locator("tbody").first.locator("tr").first.text_content()).strip()


def test_on_paper_nothing_is_cut(opened: OpenPage) -> None:
    page = opened.drawn(1280)
    page.evaluate("""() => addEventListener("beforeprint", () => { window.paper = {
        charts: [...document.querySelectorAll(".chart svg.main-svg")].map((svg) => svg.getBoundingClientRect().right),
        tables: [...document.querySelectorAll("table")].filter((table) => table.offsetParent)
            .map((table) => table.getBoundingClientRect().right),
        closed: document.querySelectorAll("details:not(.screen):not([open])").length,
        left: document.body.getBoundingClientRect().left,
        ink: getComputedStyle(document.querySelector(".chart .annotation-text")).fill,
    }; })""")
    page.emulate_media(color_scheme="dark")
    printed = page.pdf(prefer_css_page_size=True, print_background=True)
    page.emulate_media(color_scheme="light")
    paper = page.evaluate("paper")
    assert "rgb(69, 79, 92)" == paper["ink"]
    assert 0 == paper["closed"]
    assert max(paper["charts"]) - paper["left"] <= PAPER_WIDTH_PX + 1
    assert max(paper["tables"]) - paper["left"] <= PAPER_WIDTH_PX + 1
    pages = len(re.findall(rb"/Type /Page\b(?!s)", printed))
    assert 15 <= pages <= 30
    boxes = {box.decode() for box in re.findall(rb"/MediaBox \[([^\]]*)\]", printed)}
    assert [[0, 0, 595, 842]] == [[round(float(edge)) for edge in box.split()] for box in boxes]
    # Back on the screen, the layout is as before.
    page.wait_for_function("!document.documentElement.classList.contains('printing')")
    assert 1080 == opened.drawn(1280).locator("#p1-equity svg.main-svg").first.evaluate("(svg) => svg.clientWidth")


def test_an_older_browser_shows_the_tables_and_says_why_there_are_no_charts(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text(page([REPORTS[0]], {}, made_at=MADE), encoding="utf-8")
    older = browser.new_page()
    older.add_init_script("delete window.DecompressionStream")
    older.goto(path.as_uri())
    assert older.locator("#no-charts").is_visible()
    assert 0 == older.locator(".chart").count()
    assert older.locator("table.by").is_visible()
    older.close()


def test_nothing_can_be_fetched_and_no_foreign_script_runs(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "empty.html"
    path.write_text(page([empty_report()], {}, made_at=MADE), encoding="utf-8")
    opened = OpenPage.of(browser, path)
    ran = opened.page.evaluate("""async () => {
        const script = document.createElement("script");
        script.textContent = "window.smuggled = 1";
        document.body.append(script);
        const fetched = await fetch("http://127.0.0.1:9/").then(() => "fetched", () => "refused");
        return [window.smuggled ?? null, fetched];
    }""")
    assert [None, "refused"] == ran
    refused = [" ".join(error.split()[:3]) for error in opened.errors]
    assert ["Executing inline script", "Connecting to 'http://127.0.0.1:9/'", "Fetch API cannot"] == refused
    assert [path.as_uri()] == opened.requests
    opened.page.close()


def test_the_sample_has_the_days_and_closings_that_the_tests_need() -> None:
    assert [DAYS, DAYS] == [len(report.days) for report in REPORTS[:2]]
    assert min(len(report.marks) for report in REPORTS[:3]) > 20
