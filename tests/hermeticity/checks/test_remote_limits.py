"""What a clean result on an existing endpoint means: by what the endpoint said of its workers."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from rpw_fixture.hermeticity.checks import remote_limits
from rpw_fixture.hermeticity.findings.codes import CODES
from rpw_fixture.hermeticity.trials.probe import REQUESTS

KEPT = {"RPW109", "RPW202", "RPW203", "RPW204", "RPW212"}
WORKER = {"RPW113", "RPW205"}


def noted(
    *,
    starts: int = 0,
    kept: int = 0,
    moved: int = 0,
    unknown: int = 0,
    probe: tuple[str, int, int] = ("", 0, 0),
    notes: dict[str, str] | None = None,
    usable: bool = True,
) -> tuple[dict[str, str], dict[str, str]]:
    """The notes and the skipped codes of a run."""
    context: Any = SimpleNamespace(notes=dict(notes or {}), skipped={}, usable=usable)
    context.skip = context.skipped.setdefault
    problem, one_shots, probed = probe
    runner: Any = SimpleNamespace(
        reuse=SimpleNamespace(starts=starts, kept=kept, moved=moved, unknown=unknown),
        probe_result=SimpleNamespace(problem=problem, one_shots=one_shots, kept=probed),
    )
    remote_limits.note_limits(context, runner)
    return context.notes, context.skipped


def test_each_code_is_judged_or_skipped_with_what_it_needs() -> None:
    skipped = dict(remote_limits.skipped())
    assert skipped.keys() == CODES.keys() - remote_limits.JUDGED - {"RPW402", "RPW403"}
    assert list(skipped) == sorted(skipped)
    needs = {
        code: text.removeprefix("not possible with --target: needs ")
        for code, text in skipped.items()
    }
    assert {needs[code] for code in ("RPW210", "RPW401")} == {"control of the worker's environment"}
    assert {needs[code] for code in ("RPW107", "RPW213")} == {"control of the requests"}
    assert {needs[code] for code in ("RPW101", "RPW115")} == {"a view of the responses"}
    assert needs["RPW103"] == "a view of the process"


@pytest.mark.parametrize(
    ("kept", "moved", "unknown", "text"),
    [
        (1, 0, 0, "on --target: 1 request met a warm worker"),
        (5, 0, 0, "on --target: 5 requests met a warm worker"),
        (5, 2, 1, "on --target: 5 requests met a warm worker, 3 met another worker than before or"),
        (5, 0, 2, "on --target: 5 requests met a warm worker, 2 met another worker than before or"),
    ],
)
def test_requests_to_warm_workers_are_counted(
    kept: int, moved: int, unknown: int, text: str
) -> None:
    notes, skipped = noted(starts=1, kept=kept, moved=moved, unknown=unknown)
    assert skipped == {}
    assert notes.keys() == KEPT | {"RPW201"}
    assert all(notes[code].startswith(text) for code in KEPT)
    assert notes["RPW203"].endswith("; inputs read at start-up only (RPW401) count here as well")
    assert not notes["RPW202"].endswith("count here as well")


def test_an_endpoint_that_keeps_no_worker_passes_nothing() -> None:
    notes, skipped = noted(starts=3)
    assert notes.keys() == {"RPW201"}
    assert set(skipped) == KEPT
    assert set(skipped.values()) == {
        "nothing was found, but no worker of the endpoint served two requests in a row"
    }


@pytest.mark.parametrize(
    ("probe", "codes", "text"),
    [
        (
            ("it failed", 1, 1),
            KEPT | WORKER,
            "the endpoint names no persistent worker, and it failed",
        ),
        (
            ("", 1, 1),
            KEPT | WORKER,
            f"it ran 1 of {REQUESTS} requests of a probe with a worker key",
        ),
        (("", 0, 0), KEPT, "started a new worker for each request of a probe with one worker key"),
        (("", 0, 1), set(), ""),
    ],
)
def test_a_probe_says_it_where_the_endpoint_does_not(
    probe: tuple[str, int, int], codes: set[str], text: str
) -> None:
    notes, skipped = noted(probe=probe)
    assert set(skipped) == codes
    assert all(
        each.startswith("nothing was found, but ") and text in each for each in skipped.values()
    )
    assert notes.keys() == {"RPW201"} | (KEPT - codes)
    if not codes:
        assert f"1 of {REQUESTS - 1} later requests of a probe" in notes["RPW202"]


def test_without_a_usable_action_there_is_no_probe_to_go_by() -> None:
    assert noted(usable=False) == ({"RPW201": noted()[0]["RPW201"]}, {})


def test_what_checks_have_noted_stays() -> None:
    notes, _ = noted(
        starts=1,
        kept=1,
        notes={
            "RPW201": "own",
            "RPW202": "own",
            "RPW209": "umask tried; and HOME",
            "RPW203": "own",
        },
    )
    assert (notes["RPW201"], notes["RPW202"]) == ("own", "own")
    assert notes["RPW209"] == "on --target: umask tried; the server decides everything else"
    assert notes["RPW203"].startswith("own; inputs read at start-up only")
