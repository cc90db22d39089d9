from __future__ import annotations

import itertools
import subprocess
import sys
from pathlib import Path

import pytest

from rpw_fixture.workers.lifecycle import ALIVE, TRANSITIONS, Retirement, State, transition

ROOT = Path(__file__).resolve().parents[2]
RENDER = ROOT / ".ci" / "render_diagrams.py"
DOCS = ROOT / "docs"


def render(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(RENDER), *arguments], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(("state", "to"), list(itertools.product(State, State)))
def test_a_worker_moves_only_where_the_table_says(state: State, to: State) -> None:
    if to in TRANSITIONS[state]:
        assert transition(state, to) is to
    else:
        with pytest.raises(ValueError, match=f"can't go from {state} to {to}"):
            transition(state, to)


def test_every_state_is_in_the_table_and_can_be_reached_from_the_start() -> None:
    reached = {State.STARTING}
    for _ in State:
        reached |= {to for state in reached for to in TRANSITIONS[state]}

    assert set(TRANSITIONS) == reached == set(State)


def test_from_every_state_there_is_a_way_to_the_end_and_none_back() -> None:
    for state in ALIVE:
        assert State.GONE in TRANSITIONS[state]
    assert TRANSITIONS[State.GONE] == frozenset()
    assert State.BUSY not in TRANSITIONS[State.RETIRING]


def test_whatever_may_have_a_process_counts_against_the_limits() -> None:
    assert frozenset(State) - {State.GONE} == ALIVE


def test_reasons_to_retire_have_different_texts() -> None:
    assert len({str(reason) for reason in Retirement}) == len(Retirement)


def test_the_diagrams_of_the_page_are_those_of_the_tables() -> None:
    checked = render("--check")

    assert checked.returncode == 0, f"{checked.stdout}{checked.stderr}"


@pytest.mark.parametrize(
    ("name", "fresh", "stale"),
    [
        ("worker-protocol.md", "starting --> busy", "starting --> idle"),
        ("architecture.md", "starting --> busy", "starting --> idle"),
        ("architecture.md", "Recording --> Routing", "Caching --> Routing"),
    ],
)
def test_a_stale_page_is_found_and_repaired(
    tmp_path: Path, name: str, fresh: str, stale: str
) -> None:
    page = tmp_path / name
    text = (DOCS / name).read_text(encoding="utf-8")
    assert fresh in text
    page.write_text(text.replace(fresh, stale), encoding="utf-8")
    assert render("--check", str(page)).returncode == 1
    assert render(str(page)).returncode == 0

    assert render("--check", str(page)).returncode == 0
    assert page.read_text(encoding="utf-8") == text


def test_a_page_without_its_markers_is_refused(tmp_path: Path) -> None:
    page = tmp_path / "architecture.md"
    page.write_text("# Nothing here\n", encoding="utf-8")
    checked = render("--check", str(page))

    assert checked.returncode == 1
    assert "no place for" in checked.stdout + checked.stderr


def test_a_page_that_has_no_diagrams_is_refused(tmp_path: Path) -> None:
    checked = render("--check", str(tmp_path / "page.md"))

    assert checked.returncode == 2
    assert "page.md has no diagrams" in checked.stderr
