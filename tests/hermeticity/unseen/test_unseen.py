"""A sample of the unseen workers. All of them: ``python -m tests.hermeticity.unseen``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from rpw_fixture.hermeticity.check import Options
from rpw_fixture.hermeticity.findings.codes import CODES, expand
from tests.hermeticity.samples import require_program
from tests.hermeticity.unseen import page, run_log
from tests.hermeticity.unseen.corpus import Sample, samples
from tests.hermeticity.unseen.run_log import Run
from tests.hermeticity.unseen.verdict import judge

SAMPLES = {each.name: each for each in samples()}
#: Cheap ones, of many kinds; those of Node.js and Java start slowly.
BROKEN = (
    "strict_at_the_shell",
    "log_beside_output",
    "numbers_its_answers",
    "one_chunk_is_one_request",
    "two_byte_lengths",
    "signed_by_user",
    "cancel_answered_twice",
    "python_names",
)
GOOD = {
    "pure_memo": "RPW202,RPW203,RPW204,RPW206,RPW208",
    "latest_first": "RPW104,RPW111,RPW118,RPW213",
    "trusts_digests": "RPW203,RPW204",
    "renames_into_place": "RPW206,RPW208,RPW216",
    "one_helper": "RPW106,RPW112",
    "two_processes": "RPW207,RPW208",
    "plain": "RPW101,RPW105,RPW118",
}


def test_the_corpus_is_complete() -> None:
    found = samples()
    assert len(SAMPLES) == len(found), "two workers have the same name"
    assert sum(bool(each.expected) for each in found) == 88
    assert sum(not each.expected for each in found) == 32
    assert frozenset[str]().union(*(each.expected | each.also for each in found)) <= CODES.keys()


@pytest.mark.parametrize("name", BROKEN)
def test_a_defect_is_found(name: str, tmp_path: Path) -> None:
    sample = SAMPLES[name]
    verdict = judge(sample, tmp_path, _options(sample, sample.expected))
    assert verdict.is_found
    assert not verdict.wrong


@pytest.mark.parametrize("name", GOOD)
def test_a_good_worker_is_not_accused(name: str, tmp_path: Path) -> None:
    sample = SAMPLES[name]
    verdict = judge(sample, tmp_path, _options(sample, expand(GOOD[name])))
    assert verdict.wrong == ()


def test_the_page_says_what_was_missed_and_who_was_wrongly_accused(tmp_path: Path) -> None:
    log = tmp_path / "log"
    broken, good = SAMPLES["whole_path_in_header"], SAMPLES["plain"]
    for sample, seed, code in (
        (broken, 0, "RPW301"),
        (good, 0, ""),
        (good, 1, "RPW201"),
        (good, 2, ""),
    ):
        run_log.append(log, _run(sample, seed, code))
    # Once more: the last run of a seed counts.
    run_log.append(log, replace(_run(good, 2, ""), actions=4))
    lines = page.render(samples(), run_log.read(log)).splitlines()
    assert "Found: 0 of 1. Polluters exact: 0 of 0. " in lines
    assert "In 1 of them the suite was cut to 4 actions, which the seed chose." in lines
    assert "With a false alarm: 1." in lines
    (missed,) = (each for each in lines if each.startswith(f"| `{broken}`"))
    assert "Debuggers like whole paths." in missed
    assert "**missed**; RPW301; **not true: RPW301**" in missed
    (accused,) = (each for each in lines if each.startswith(f"| `{good}`"))
    assert "| 3 | 0–2 | **RPW201** |" in accused


def _run(sample: Sample, seed: int, code: str) -> Run:
    found = {code: "error"} if code else {}
    return Run(
        worker=str(sample),
        seed=seed,
        is_busy=False,
        actions=5,
        found=found,
        is_found=False,
        is_exact=None,
        wrong=list(found),
        seconds=1.0,
        starts=50,
    )


def _options(sample: Sample, selected: frozenset[str]) -> Options:
    if sample.language == "node":
        require_program("node")
    return Options(selected=selected, pause=0.0)
