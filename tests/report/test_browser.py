"""The page in a real Chromium: every view, by mouse and by keyboard, wide and narrow, light and dark."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from rpw_fixture.report import inputs, page

from .chromium import NARROW, VIEWS, WIDE, browsing
from .sample_log import EVIL, large_log, small_log, write_check

pytestmark = pytest.mark.slow
#: Seconds in which a page with ten thousand actions is open, on a machine that does nothing else.
OPEN_SECONDS = 2.0


@pytest.fixture
def report(tmp_path: Path) -> Path:
    """A page with two runs and two checks."""
    logs = [small_log().write(tmp_path / name) for name in ("before.jsonl", "after.jsonl")]
    checks = [write_check(tmp_path / name) for name in ("one.json", "two.json")]
    path = tmp_path / "report.html"
    path.write_text(page.render(inputs.read([*logs, *checks])), encoding="utf-8")
    return path


def test_every_view_opens_and_loads_nothing(report: Path) -> None:
    with browsing(report) as browsed:
        texts = {}
        for view in (*VIEWS, "action/0/0", "action/0/1", "action/0/999", "lanes/worker/2"):
            browsed.go(view)
            texts[view] = browsed.text
            assert browsed.text.strip(), view
            assert not browsed.is_too_wide, view
        assert browsed.complaints == []
        assert browsed.requests == [report.as_uri()]
        assert browsed.page.title() == "rpw_fixture report"
    assert EVIL in texts["action/0/1"]
    assert "There is no such action" in texts["action/0/999"]
    carrier = "(tools/worker.py:16): [] → ['a'], changed at tools/worker.py:29"
    assert f"module global _seen {carrier}" in texts["findings"]
    assert f"module global <b> {carrier}" in texts["findings"]
    assert "memory grows <script>" in texts["findings"]
    assert "cache-silo-key" in texts["keys"]
    assert "Above the limit" in texts["growth"]
    assert "not applicable" in texts["matrix"]
    assert "1 never read" in texts["findings"]
    assert "never read" in texts["action/0/0"]


@pytest.mark.parametrize(("size", "scheme"), [(WIDE, "light"), (NARROW, "dark")])
def test_nothing_is_serious_for_axe(report: Path, size: tuple[int, int], scheme: str) -> None:
    with browsing(report, size=size, scheme=scheme, has_policy=False) as browsed:
        from axe_playwright_python.sync_playwright import Axe

        found = []
        for view in (*VIEWS, "action/0/0", "action/0/3"):
            browsed.go(view)
            assert not browsed.is_too_wide, view
            for each in Axe().run(browsed.page).response["violations"]:
                if each["impact"] in {"serious", "critical"}:
                    places = [node["html"][:120] for node in each["nodes"][:3]]
                    found.append(f"{view}: {each['id']}: {each['help']}: {places}")
        assert found == []


def test_archives_and_bytes_stand_side_by_side(report: Path) -> None:
    with browsing(report) as browsed:
        browsed.go("findings")
        rows = browsed.page.locator(".diff.members").first.inner_text()
        assert "absent\t1 B" in rows
        assert "same the same" in rows
        assert browsed.page.locator(".diff.hex mark.new").first.inner_text() == "21 21"
        assert browsed.page.locator(".diff.hex mark.old").first.inner_text() == "5a 5b"
        assert "<two>" in rows
        assert "as below" not in browsed.text


def test_search_and_zoom_find_an_action(report: Path) -> None:
    with browsing(report) as browsed:
        browsed.go("lanes")
        browsed.page.fill("input[type=search]", "overlaps")
        assert "1 action of 6 match" in browsed.page.inner_text(".lane-status")
        before = browsed.page.evaluate(_PIXELS)
        browsed.page.click("button[aria-label='Next match']")
        assert "//:overlaps" in browsed.page.inner_text(".lane-status")
        browsed.page.click("button[aria-label='Zoom in']")
        browsed.go("lanes")
        assert browsed.page.evaluate(_PIXELS) != before
        browsed.page.click(".lane-status a")
        browsed.page.wait_for_selector("text=Why here")
        assert "//:overlaps" in browsed.text


def test_lanes_work_by_keyboard_alone(report: Path) -> None:
    with browsing(report) as browsed:
        browsed.go("lanes")
        browsed.page.focus("canvas")
        assert "//:first: fresh worker" in browsed.page.inner_text(".lane-status")
        browsed.page.keyboard.press("ArrowRight")
        browsed.page.keyboard.press("+")
        browsed.page.keyboard.press("Enter")
        browsed.page.wait_for_selector("text=Why here")
        assert EVIL in browsed.text


def test_a_click_on_a_slice_opens_its_action(report: Path) -> None:
    with browsing(report) as browsed:
        browsed.go("lanes")
        box = browsed.page.locator("canvas").bounding_box()
        browsed.page.mouse.move(box["x"] + 190, box["y"] + 34)
        assert "//:first" in browsed.page.inner_text(".tip")
        browsed.page.mouse.click(box["x"] + 190, box["y"] + 34)
        browsed.page.wait_for_selector("text=Why here")


def test_the_list_of_actions_is_filtered_and_walked_by_keyboard(report: Path) -> None:
    with browsing(report) as browsed:
        browsed.go("actions")
        browsed.page.fill("input[type=search]", "failed")
        assert browsed.page.locator(".vspace .vrow").count() == 1
        browsed.page.fill("input[type=search]", "")
        browsed.page.focus(".vspace a")
        browsed.page.keyboard.press("ArrowDown")
        assert browsed.page.evaluate("document.activeElement.textContent") == EVIL


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", "the log is empty"),
        ("torn", "incomplete: the server was killed, or still writes"),
        ("old", "written by an older version"),
        ("twice", "holds the runs of 2 servers"),
    ],
)
def test_a_page_says_what_is_wrong_with_its_log(
    tmp_path: Path, content: str, expected: str
) -> None:
    log = tmp_path / "log"
    log.write_text("")
    if content == "old":
        small_log(is_old=True).write(log)
    elif content:
        small_log().write(log, small_log().lines if content == "twice" else [])
    if content == "torn":
        log.write_text(log.read_text()[:-30])
    path = tmp_path / "report.html"
    path.write_text(page.render(inputs.read([log])), encoding="utf-8")
    with browsing(path) as browsed:
        assert expected in browsed.text
        for view in VIEWS:
            browsed.go(view)
        assert browsed.complaints == []


def test_ten_thousand_actions_open_fast(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    log = large_log(10_000, 100).write(tmp_path / "log")
    path.write_text(page.render(inputs.read([log])), encoding="utf-8")
    with browsing(path) as browsed:
        timing = browsed.page.evaluate(
            "performance.timing.domComplete - performance.timing.navigationStart"
        )
        started = time.monotonic()
        for view in ("lanes", "actions", "keys", "overview"):
            browsed.go(view)
        assert browsed.complaints == []
        # Loaded machines are slow; ten times the figure of docs/performance.md is a mistake.
        assert timing / 1000 < 10 * OPEN_SECONDS
        assert time.monotonic() - started < 20 * OPEN_SECONDS
        browsed.go("actions")
        assert browsed.page.locator(".vspace .vrow").count() < 100


def test_a_printed_page_has_no_controls_and_all_rows_of_a_short_list(report: Path) -> None:
    with browsing(report) as browsed:
        browsed.go("actions")
        browsed.page.emulate_media(media="print")
        browsed.page.evaluate("dispatchEvent(new Event('beforeprint'))")
        assert not browsed.page.is_visible("nav")
        assert browsed.page.locator(".vspace .vrow").count() == 6
        assert len(browsed.page.pdf()) > 5_000


def test_a_dark_page_is_printed_in_light_colours(report: Path) -> None:
    ink = "getComputedStyle(document.body).color"
    with browsing(report, scheme="dark") as browsed:
        browsed.go("lanes")
        dark = browsed.page.evaluate(ink)
        browsed.page.evaluate("dispatchEvent(new Event('beforeprint'))")
        printed = browsed.page.evaluate(ink)
        browsed.page.evaluate("dispatchEvent(new Event('afterprint'))")
        assert browsed.page.evaluate(ink) == dark
        assert browsed.complaints == []
    with browsing(report, scheme="light") as browsed:
        assert browsed.page.evaluate(ink) == printed != dark


#: A sum over the picture: it changes when something else is drawn.
_PIXELS = """() => {
  const canvas = document.querySelector("canvas");
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  return data.reduce((sum, value, index) => (sum * 31 + value + index) % 1000003, 7);
}"""
